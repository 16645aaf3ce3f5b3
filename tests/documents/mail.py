"""Mail and Rich Text for `make documents`: as their usual programs write them, and what each must give."""

from __future__ import annotations

import base64
from email.message import EmailMessage
from email.mime.application import MIMEApplication
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import TYPE_CHECKING

from tests.documents import office
from tests.documents.prose import ENGLISH, GERMAN, JAPANESE, RUSSIAN

if TYPE_CHECKING:
    from tests.documents.make import Set

DATE = "Mon, 15 Jan 2024 12:30:00 +0100"
SENT = "2024-01-15T12:30:00+01:00"
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


def addressed(mail: EmailMessage | MIMEMultipart, subject: str = "Lights out") -> EmailMessage | MIMEMultipart:
    mail["Subject"], mail["From"], mail["To"] = subject, "Ada Keeper <ada@lights.test>", "bo@lights.test"
    mail["Date"], mail["Message-ID"] = DATE, "<1@lights.test>"
    return mail


def head(subject: str = "Lights out", attachments: str = "") -> str:
    named = f"\nAttachments: {attachments}" if attachments else ""
    return f"Subject: {subject}\nFrom: Ada Keeper <ada@lights.test>\nTo: bo@lights.test\nDate: {DATE}{named}"


def written(mail: EmailMessage | MIMEMultipart) -> bytes:
    """As it is sent, with boundaries that do not change."""
    for number, part in enumerate(part for part in mail.walk() if part.is_multipart()):
        if part.get_content_maintype() == "multipart":
            part.set_boundary(f"=_part_{number}")
    return mail.as_bytes()


def mails(made: Set) -> None:
    plain = addressed(EmailMessage())
    plain.set_content("The light is out.\n\nPlease see to it.\n")
    properties = {"title": "Lights out", "author": "Ada Keeper <ada@lights.test>", "modified": SENT}
    told = {"title": "Lights out", "properties": properties}
    text = f"{head()}\n\nThe light is out.\n\nPlease see to it."
    made.good("plain.eml", written(plain), "eml", [], text=text, place=told)
    # Amazon SES stores mail under ids, without an extension.
    stored = b"Return-Path: <ada@lights.test>\r\nReceived: from a.test\r\n by b.test; " + DATE.encode() + b"\r\n"
    made.good("o2bf1qg8v", stored + written(plain).replace(b"\n", b"\r\n"), "eml", ["Subject: Lights out", "Please see"])

    both = addressed(EmailMessage(), "Düne über Nacht ☃")
    both.set_content(GERMAN, cte="quoted-printable")
    both.add_alternative("<p>hidden words</p>", subtype="html")
    made.good("alternative.eml", written(both), "eml", [], text=f"{head('Düne über Nacht ☃')}\n\n{GERMAN}")
    html = addressed(EmailMessage())
    html.set_content(f"<html><head><title>x</title></head><body><h1>News</h1><p>{GERMAN}</p></body></html>", subtype="html")
    made.good("html.eml", written(html), "eml", [head(), "News", "Düne"], place={"headings": ["News"]})

    full = addressed(EmailMessage())
    full.set_content("See the files.")
    report = office.word(office.paragraph(office.run("From the report.")))
    full.add_attachment(report, maintype="application", subtype="octet-stream", filename="Bericht über Licht.docx")
    full.add_attachment(b"name,text\na,from the table\n", maintype="text", subtype="csv", filename="table.csv")
    full.add_attachment(PIXEL, maintype="image", subtype="gif", filename="pixel.gif")
    full.add_attachment(b"\x00\x01\x02" * 100, maintype="application", subtype="octet-stream", filename="data.bin")
    full.add_attachment(plain)
    names = "Bericht über Licht.docx, table.csv, pixel.gif, data.bin, Lights out"
    made.good(
        "attachments.eml",
        written(full),
        "eml",
        [head(attachments=names), "See the files.", "From the report.", "from the table", head(), "Please see to it."],
        place={"headings": ["Bericht über Licht.docx"]},
        left_out=1,
    )
    made.good("quirks.eml", outlook(), "eml", ["Subject: Outlook", "Attachments: image001.gif", "Hello from Outlook"])
    made.good("apple.eml", apple(), "eml", ["Before the file.", "After it."], left_out=1)
    made.good("flowed.eml", flowed(), "eml", [], text=f"{head()}\n\nA paragraph that goes on in the next line.\nAnother one.")
    for charset, words in [("koi8-r", RUSSIAN), ("iso-2022-jp", JAPANESE), ("windows-1252", GERMAN), ("utf-7", "Grüße")]:
        mail = addressed(MIMEText(words.encode(charset).decode("latin-1"), "plain"))
        del mail["Content-Type"], mail["Content-Transfer-Encoding"]
        mail["Content-Type"] = f'text/plain; charset="{charset}"'
        mail["Content-Transfer-Encoding"] = "base64"
        mail.set_payload(base64.encodebytes(words.encode(charset)).decode())
        made.good(f"{charset}.eml", written(mail), "eml", [], text=f"{head()}\n\n{words.strip()}")
    inner: EmailMessage | MIMEMultipart = plain
    for level in range(8):
        outer = addressed(MIMEMultipart(), f"Level {level}")
        outer.attach(MIMEMessage(inner))
        inner = outer
    made.good("nested.eml", written(inner), "eml", ["Subject: Level 7", "Subject: Level 4"], left_out=1)
    sealed = addressed(MIMEMultipart("encrypted", protocol="application/pgp-encrypted"))
    sealed.attach(MIMEApplication(b"Version: 1", "pgp-encrypted"))
    made.good("sealed.eml", written(sealed), "eml", [], text=head(), left_out=1)
    digest = "".join("--b\n\nFrom: a@b.test\nSubject: s\n\nwords\n" for _ in range(3))
    made.good(
        "digest.eml",
        f"{head().replace('Date', 'X')}\nDate: {DATE}\nContent-Type: multipart/digest; boundary=b\n\n{digest}--b--\n".encode(),
        "eml",
        ["Lights out", "words", "words", "words"],
    )
    deep = b"From: a@b.test\nSubject: s\nDate: " + DATE.encode() + b"\n"
    made.poison("deep.eml", (deep + b"Content-Type: message/rfc822\n\n") * 20_000, "skipped", "too_large")


def outlook() -> bytes:
    """Related parts around alternatives, a picture inside the text, encoded words that are folded."""
    mail = addressed(MIMEMultipart("related"), "Outlook")
    mail.replace_header("Subject", "=?utf-8?B?T3V0?=\r\n =?utf-8?B?bG9vaw==?=")
    inner = MIMEMultipart("alternative")
    inner.attach(MIMEText(" \r\n", "plain"))
    html = "<html xmlns:o='x'><body><p class=MsoNormal>Hello <b>from</b> Outlook<o:p></o:p></p><img src='cid:1'></body></html>"
    inner.attach(MIMEText(html, "html", "windows-1252"))
    mail.attach(inner)
    picture = MIMEApplication(PIXEL, "octet-stream")
    del picture["Content-Type"]
    picture["Content-Type"] = 'image/gif; name="image001.gif"'
    picture["Content-ID"] = "<1>"
    mail.attach(picture)
    return written(mail).replace(b"=?utf-8?b?", b"=?utf-8?B?")


def apple() -> bytes:
    """Text, an attachment, and text again, side by side."""
    mail = addressed(MIMEMultipart("mixed"))
    mail.attach(MIMEText("Before the file.", "plain"))
    attached = MIMEApplication(PIXEL, "octet-stream")
    attached["Content-Disposition"] = "inline; filename*=utf-8''Bl%C3%A4tter.gif"
    mail.attach(attached)
    mail.attach(MIMEText("After it.", "plain"))
    return written(mail)


def flowed() -> bytes:
    mail = addressed(MIMEText("A paragraph that goes \non in the next line.\nAnother one.\n", "plain"))
    mail.set_param("format", "flowed")
    return written(mail)


RICH = rb"""{\rtf1\ansi\ansicpg1252\deff0\uc1{\fonttbl{\f0\fswiss\fcharset0 Arial;}{\f1\froman\fcharset204 Times;}
{\f2\fnil\fcharset128 MS Mincho;}}{\colortbl;\red255\green0\blue0;}
{\stylesheet{\s0 Normal;}{\s1\outlinelevel0 \'dcberschrift 1;}{\s2 heading 2;}{\*\cs10 Default Font;}}
{\info{\title On lights}{\author Ada Keeper}{\revtim\yr2024\mo1\dy15\hr12\min30}{\company hidden words}}
{\header\pard Board of Lights\par}{\*\generator hidden words;}
\pard\plain\s1 Lights\par
\pard\plain Caf\'e9 \u233?\u8364 E \{braces\} back\\slash\~one\_two, \uc2\u8212 --dash\uc0\u8211  snow \u9731  \u-10179 \u-8704 .\uc1\par
\pard{\f1 \'cc\'e0\'ff\'ea} {\f2 \'93\'8c\'8b\'9e}\par
{\v hidden words}{\deleted hidden words}Seen{\*\bkmkstart hidden}.\line Second\tab line.
{\pict\wmetafile8 68696464656e20776f726473}{\*\shppict{\pict 00}}
{\field{\*\fldinst HYPERLINK "http://a.test"}{\fldrslt the link}}, noted{\footnote At the foot.}.\par
\pard\plain\s2 Tides\par
\pard{\listtext\bullet\tab}One item\par{\listtext\bullet\tab}Another\par
\trowd\cellx1\cellx2\pard\intbl North\par by the sea\cell 1854\cell\row
\trowd\pard\intbl South\cell 1860\cell\row
\pard{\shp{\*\shpinst{\sp{\sn hidden}{\sv words}}{\shptxt In the box.\par}}{\shprslt hidden words}}Last{\upr{ old}{\*\ud{ \u228?}}} words.\bin5 }{}{}\par
}
hidden words"""


def minutes() -> bytes:
    """Rich Text of a length that people write: paragraphs, styles inside of words, a list, a table, other alphabets."""

    def escaped(text: str) -> str:
        return "".join(letter if letter < "\x80" else f"\\u{ord(letter)}?" for letter in text)

    body = "".join(f"\\pard\\plain\\qj\\sa200 {number}. {escaped(text)}\\par\n" for number, text in enumerate(ENGLISH, 1))
    items = "".join(f"\\pard\\fi-360\\li720{{\\listtext\\'b7\\tab}}{item}\\par\n" for item in ["oil", "gas, of coal", "wood"])
    row = "\\trowd\\cellx3000\\cellx6000\\pard\\intbl {}\\cell {}\\cell\\row\n"
    table = row.format("Day", "High water") + row.format("Monday", "4 am") + row.format("Tuesday", "5 am")
    foreign = "".join(f"\\pard\\plain {escaped(text)}\\par\n" for text in [GERMAN, RUSSIAN, JAPANESE])
    marked = "\\pard Sp{\\b ring} tides, H{\\sub 2}O\\emdash {\\i so} {\\field{\\*\\fldinst HYPERLINK \"http://a.test\"}{\\fldrslt they}} say.\\par\n"
    heading = "{\\pard\\plain\\s1\\b\\fs32 Minutes of the board\\par}\n"
    styles = "{\\stylesheet{\\s0 Normal;}{\\s1\\outlinelevel0 heading 1;}}"
    fonts = "{\\fonttbl{\\f0\\fswiss\\fcharset0 Arial;}}"
    return f"{{\\rtf1\\ansi\\ansicpg1252\\deff0\\uc1{fonts}{styles}\n{heading}{body}{items}{table}{marked}{foreign}}}".encode()


def rich(made: Set) -> None:
    made.good("minutes.rtf", minutes(), "rtf", ["Minutes of the board", "1. A lighthouse", "- wood", "Monday\t4 am", "Spring tides, H2O—so they say.", "守"])
    made.good(
        "rich.rtf",
        RICH.replace(b"\n", b"\r\n"),
        "rtf",
        [],
        text="Lights\n\nCafé é€ {braces} back\\slash\xa0one-two, —dash– snow ☃ \U0001f600.\n\nМаяк 東京\n\n"
        "Seen.\nSecond\tline.the link, noted.\n\nAt the foot.\n\nTides\n\n- One item\n- Another\n\n"
        "North by the sea\t1854\nSouth\t1860\n\nLast ä words.\n\nIn the box.\n\nBoard of Lights",
        place={
            "headings": ["Lights", "Tides"],
            "title": "On lights",
            "properties": {"title": "On lights", "author": "Ada Keeper", "modified": "2024-01-15T12:30:00"},
        },
    )
    made.good("letter.doc", rb"{\rtf1\ansi Saved as a doc.\par}", "rtf", [], text="Saved as a doc.")
    made.good("deep.rtf", b"{\\rtf1 " + b"{" * 10_000 + b"deep words" + b"}" * 10_000 + b"}", "rtf", [], text="deep words")
    made.poison("too-deep.rtf", b"{\\rtf1 " + b"{" * 100_000, "skipped", "too_deep")
    made.poison("cut-off.rtf", RICH[:900], "broken")


def make(made: Set) -> None:
    mails(made)
    rich(made)
