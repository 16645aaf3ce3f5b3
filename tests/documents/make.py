"""The test documents: `python -m tests.documents.make FOLDER` writes one of every kind, and what is to become of each.

    FOLDER/index.json   for each file: its key, how it was uploaded, and the outcome that reading it must have
    FOLDER/good/        documents of every format, encoding and packing
    FOLDER/poison/      what must not harm the function

The same script writes the same bytes (PDFs keep no dates). `--large` adds the files of 200 MB.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pypdfium2
import zstandard
from reportlab import rl_config
from reportlab.lib import pdfencrypt
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from tests.documents import faulty_pdfs, mail, office, xml
from tests.documents.prose import CHINESE, ENGLISH, FRENCH, GERMAN, JAPANESE, RUSSIAN
from tests.documents.tables import tables

rl_config.invariant = 1
LARGE = 200 * 2**20
# What a key may hold: S3 takes any UTF-8, and events carry it encoded.
AWKWARD_KEY = "a key/with +plus & space/100%/ü, 日本 (1)/~tilde'quote\"[x]{y}=;?#!.txt"


@dataclass
class Expected:
    """How a file is uploaded, and what reading it leads to."""

    file: str
    key: str
    # read, skipped or broken
    outcome: str
    content_type: str | None = None
    content_encoding: str | None = None
    # For what is read: format, encoding, and words of the text in their order, or all sections' texts.
    format: str | None = None
    charset: str | None = None
    contains: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    # The whole text, with a blank line between sections.
    text: str | None = None
    # Fields of some section's place, or of the fields beside its text.
    place: dict[str, object] = field(default_factory=dict)
    fields: dict[str, object] = field(default_factory=dict)
    left_out: int = 0
    # The whole text with single spaces between its words; where it is stated, all of it has to be read.
    words: str | None = None
    # The words that a peer's reader finds, in its order: most of them have to be read in this order.
    reference: list[str] = field(default_factory=list)
    # For what is skipped: the kind of reason.
    why: str | None = None


class Set:
    """A folder that documents are added to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.expected: list[Expected] = []

    def good(self, name: str, content: bytes, format: str, contains: list[str], **expected: object) -> None:
        if format == "pdf" and "words" not in expected:
            expected["reference"] = words_by_pdfium(content)
        row = Expected(f"good/{name}", name, "read", format=format, contains=contains, **expected)
        self._add(f"good/{name}", content, row)

    def poison(self, name: str, content: bytes, outcome: str, why: str | None = None, **expected: object) -> None:
        key = str(expected.pop("key", name))
        self._add(f"poison/{name}", content, Expected(f"poison/{name}", key, outcome, why=why, **expected))

    def _add(self, file: str, content: bytes, expected: Expected) -> None:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.expected.append(expected)

    def finish(self) -> None:
        rows = [asdict(expected) for expected in self.expected]
        (self.folder / "index.json").write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")


def words_by_pdfium(content: bytes) -> list[str]:
    """What PDFium's own text has, line ends within words undone."""
    document = pypdfium2.PdfDocument(content)
    texts = (page.get_textpage().get_text_range() for page in document)
    # PDFium writes U+FFFE where a hyphen ends a line.
    return " ".join(text.replace("\ufffe", "") for text in texts).split()


def essay(repeats: int) -> str:
    """The English paragraphs again and again, each numbered so that no two are the same."""
    paragraphs = (f"{number}. {text}" for number, text in enumerate(ENGLISH * repeats, 1))
    return "\n\n".join(paragraphs) + "\n"


def texts(made: Set) -> None:
    made.good("essay.txt", essay(20).encode(), "text", ["1. A lighthouse", "100. Most lights"], charset="UTF-8")
    made.good("windows-lines.txt", essay(2).replace("\n", "\r\n").encode(), "text", ["10. Most lights"])
    made.good("no-extension", ENGLISH[0].encode(), "text", ["twenty miles"])
    made.good("marked.txt", b"\xef\xbb\xbf" + GERMAN.encode(), "text", ["Der Leuchtturm"], charset="UTF-8")
    made.good(
        "utf-8-declared-latin.txt",
        GERMAN.encode(),
        "text",
        ["Düne"],
        charset="UTF-8",
        content_type="text/plain; charset=iso-8859-1",
    )
    late = essay(60) + FRENCH
    made.good("late-letter.txt", late.encode("cp1252"), "text", ["première fois"], charset="windows-1252")
    for name, text, encoding, charset, words in [
        ("german", GERMAN, "cp1252", "windows-1252", "überragt die Dächer"),
        ("french", FRENCH, "cp1252", "windows-1252", "« La lumière"),
        ("russian", RUSSIAN, "cp1251", "windows-1251", "смотритель живёт"),
        ("russian", RUSSIAN, "koi8_r", "KOI8-U", "смотритель живёт"),
        ("japanese", JAPANESE, "shift_jis", "Shift_JIS", "灯台守は一人"),
        ("japanese", JAPANESE, "euc_jp", "EUC-JP", "灯台守は一人"),
        ("chinese", CHINESE, "gbk", "GBK", "守塔人"),
    ]:
        made.good(f"{name}.{encoding}.txt", text.encode(encoding), "text", [words], charset=charset)
    made.good(
        "declared.koi8.txt",
        RUSSIAN[:24].encode("koi8_r"),
        "text",
        ["Маяк"],
        charset="KOI8-R",
        content_type="text/plain; charset=koi8-r",
    )
    made.good("utf-16-marked.txt", GERMAN.encode("utf-16"), "text", ["Düne"], charset="UTF-16LE")
    made.good("utf-16-bare.txt", GERMAN.encode("utf-16-be"), "text", ["Düne"], charset="UTF-16BE")


MARKDOWN = f"""---
title: Lights
---

# The keeper

{ENGLISH[0]}

## The lens

{ENGLISH[1]}

```sh
# not a heading
make light
```

Tides
-----

{ENGLISH[2]}

| station | built |
|---|---|
| North | 1854 |

### Fog

{ENGLISH[3]}

# After 1960

{ENGLISH[4]}
"""

HTML = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="iso-8859-1"><title>Lights &amp; lenses</title>
<style>body {{ color: red }}</style><script>if (a < b) document.write("<p>hidden words</p>")</script></head>
<body><nav><ul><li><a href="#lens">Lens</a></li><li>Tides</li></ul></nav>
<h1>The <em>keeper</em></h1><p>{ENGLISH[0]}</p><!-- a comment -->
<h2 id="lens">The lens</h2><p>{ENGLISH[1]}<br>Second&nbsp;line, caf\xe9 &eacute; &#8364;</p>
<table><tr><th>station</th><th>built</th></tr><tr><td>North</td><td>1854</td></tr></table>
<pre>  kept
    as it is</pre>
<h2>Fog</h2><div>{ENGLISH[3]}</div><template><p>hidden words</p></template>
<svg><text>hidden words</text></svg><p>Unclosed <b>tags <i>everywhere
</body></html>
"""


def marked_up(made: Set) -> None:
    made.good(
        "guide.md",
        MARKDOWN.encode(),
        "markdown",
        ["title: Lights", "# not a heading", "North"],
        place={"headings": ["The keeper", "Tides", "Fog"]},
    )
    made.good(
        "guide-as-plain.md",
        MARKDOWN.encode(),
        "markdown",
        ["The keeper"],
        content_type="text/plain",
        place={"headings": ["After 1960"]},
    )
    long = "".join(f"# Part {part}\n\n{essay(4)}\n" for part in range(100))
    made.good("long.md", long.encode(), "markdown", ["# Part 0", "# Part 99"], place={"headings": ["Part 57"]})
    made.good(
        "page.html",
        HTML.encode("iso-8859-1"),
        "html",
        ["The keeper", "café é €", "North\t1854", "as it is"],
        charset="windows-1252",
        place={"title": "Lights & lenses", "headings": ["The keeper", "Fog"]},
    )
    made.good(
        "served", HTML.encode(), "html", ["- Lens", "Unclosed tags everywhere"], content_type="text/html; charset=utf-8"
    )
    made.good("no-name-page", HTML.replace("caf\xe9", "cafe").encode(), "html", ["The lens"])


def records(made: Set) -> None:
    rows = [
        {
            "id": number,
            "text": f"{number}. {ENGLISH[number % 5]}",
            "tags": ["sea", "light"],
            "author": {"name": "Müller"},
        }
        for number in range(60)
    ]
    made.good(
        "one.json",
        json.dumps(rows[0], indent=2).encode(),
        "json",
        ["0. A lighthouse"],
        fields={"id": 0, "author": {"name": "Müller"}},
        place={"record": 0},
    )
    made.good("list.json", json.dumps(rows).encode(), "json", ["59. Most"], fields={"id": 59}, place={"record": 59})
    made.good(
        "parts.json",
        json.dumps({"text": ENGLISH, "id": "all"}).encode(),
        "json",
        ["A lighthouse", "Most lights"],
        fields={"id": "all"},
    )
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    made.good(
        "lines.jsonl", lines.encode(), "json_lines", ["0. A", "59. Most"], fields={"id": 31}, place={"record": 31}
    )
    made.good("lines-as-json.jsonl", lines.encode(), "json_lines", ["59. Most"], content_type="application/json")
    made.good("lines-inside.json", lines.encode(), "json", ["59. Most"], fields={"id": 59})
    made.good("nameless-lines", lines.encode(), "json_lines", ["59. Most"])
    torn = '{"text": "good one"}\n\n{"text": "torn\n{"body": "elsewhere"}\n{"text": 7}\n{"text": "good two"}'
    made.good(
        "torn.jsonl", torn.encode(), "json_lines", ["good one", "elsewhere", "good two"], place={"record": 4}, left_out=2
    )
    table = [("id", "text", "note")] + [(str(n), f'{n}. "{ENGLISH[n % 5]}"', "a, b\nc") for n in range(40)]
    quoted = "\r\n".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in table)
    made.good(
        "table.csv",
        quoted.encode(),
        "csv",
        ['0. "A lighthouse', '39. "Most'],
        fields={"id": "39", "note": "a, b\nc"},
        place={"record": 39},
    )
    made.good(
        "semicolons.csv",
        ("id;Text;ort\n1;" + GERMAN.replace(";", ",") + ";Küste\n2").encode("cp1252"),
        "csv",
        ["Düne", "ort: Küste", "id: 2"],
        charset="windows-1252",
        fields={"ort": "Küste"},
    )
    made.good(
        "table.tsv",
        "\n".join("\t".join([str(n), ENGLISH[n % 5]]) if n else "id\ttext" for n in range(10)).encode(),
        "tsv",
        ["Fresnel"],
        fields={"id": "9"},
    )


def pdf(pages: list[list[str]], font: str = "Helvetica", **options: object) -> bytes:
    """A page of paragraphs each, set as a typesetter would, word by word in lines."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, **options)
    for paragraphs in pages:
        text = canvas.beginText(60, 780)
        text.setFont(font, 11, leading=14)
        for paragraph in paragraphs:
            line = ""
            for word in paragraph.split():
                if pdfmetrics.stringWidth(f"{line} {word}", font, 11) > 470:
                    text.textLine(line)
                    line = word
                else:
                    line = f"{line} {word}".strip()
            text.textLine(line)
            text.textLine("")
        canvas.drawText(text)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def pdfs(made: Set) -> None:
    pages = [ENGLISH[:2], ENGLISH[2:4], [ENGLISH[4]]]
    made.good(
        "report.pdf", pdf(pages), "pdf", ["lighthouse keeper's day", "tide tables", "Most lights"], place={"page": 3}
    )
    made.good(
        "packed.pdf",
        pdf(pages, pageCompression=1),
        "pdf",
        ["Augustin Fresnel"],
        place={"page": 2},
        content_type="application/pdf",
    )
    pdfmetrics.registerFont(TTFont("Vera", "Vera.ttf"))
    made.good(
        "embedded-font.pdf",
        pdf([[GERMAN, FRENCH]], "Vera", pageCompression=1),
        "pdf",
        ["Düne überragt", "première"],
        place={"page": 1},
    )
    open_to_all = pdfencrypt.StandardEncryption("", ownerPassword="owner", canPrint=0)
    made.good("not-to-be-printed.pdf", pdf(pages, encrypt=open_to_all), "pdf", ["Most lights"], place={"page": 3})
    made.good("report-as-bytes", pdf(pages), "pdf", ["tide tables"], content_type="application/octet-stream")
    made.good(
        "many-pages.pdf",
        pdf([[f"Page {n}.", *ENGLISH] for n in range(120)], pageCompression=1),
        "pdf",
        ["Page 0.", "Page 119."],
        place={"page": 120},
    )
    locked = pdfencrypt.StandardEncryption("secret", ownerPassword="owner")
    made.poison("encrypted.pdf", pdf(pages, encrypt=locked), "skipped", "encrypted")
    for name, content, text in faulty_pdfs.readable():
        made.good(f"{name}.pdf", content, "pdf", [], words=text)
    for name, content, text, left_out in faulty_pdfs.partly_read():
        made.good(f"{name}.pdf", content, "pdf", [], words=text, left_out=left_out)
    for name, content, why in faulty_pdfs.unreadable():
        made.poison(f"{name}.pdf", content, "skipped", why)
    whole = pdf(pages)
    made.poison("cut-off.pdf", whole[: len(whole) // 3], "broken")
    made.poison("not-a.pdf", b"just words", "broken", content_type="application/pdf")
    made.poison("draws-itself.pdf", form_that_draws_itself(), "skipped", "unreadable")
    made.poison("unpacks-to-a-gigabyte.pdf", stream_of(b" " * 2**30), "skipped", "unreadable")
    made.poison("only-a-picture.pdf", picture(), "skipped", "image_only")


def objects(*bodies: bytes) -> bytes:
    """A PDF file of these objects, numbered from 1, of which the first is its catalogue."""
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(bodies, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    for place in places:
        out += b"%010d 00000 n \n" % place
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, table)
    return bytes(out)


CATALOGUE = (b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>")


def stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), entries, content)


def form_that_draws_itself() -> bytes:
    resources = b"/Resources << /XObject << /F 5 0 R >> >>"
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents 4 0 R %s >>" % resources
    form = b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] " + resources
    return objects(*CATALOGUE, page, stream(b"/F Do"), stream(b"/F Do", form))


def stream_of(content: bytes) -> bytes:
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents 4 0 R /Resources << >> >>"
    return objects(*CATALOGUE, page, stream(zlib.compress(content, 9), b"/Filter /FlateDecode"))


def picture() -> bytes:
    page = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << /XObject << /I 5 0 R >> >> >>"
    )
    image = b"/Type /XObject /Subtype /Image /Width 2 /Height 2 /ColorSpace /DeviceGray /BitsPerComponent 8"
    return objects(*CATALOGUE, page, stream(b"q 9 0 0 9 0 0 cm /I Do Q"), stream(b"\x00\xff\xff\x00", image))


def packed(made: Set) -> None:
    text = essay(20).encode()
    pack_zstd = zstandard.ZstdCompressor(19).compress
    made.good("essay.txt.gz", gzip.compress(text, mtime=0), "text", ["100. Most"])
    made.good("essay.txt.zst", pack_zstd(text), "text", ["100. Most"])
    made.good(
        "encoded.md",
        gzip.compress(MARKDOWN.encode(), mtime=0),
        "markdown",
        ["The lens"],
        content_encoding="gzip",
        place={"headings": ["After 1960"]},
    )
    made.good("lines.jsonl.gz", gzip.compress(b'{"text": "only line"}\n', mtime=0), "json_lines", ["only line"])
    twice = gzip.compress(text[: len(text) // 2], mtime=0) + gzip.compress(text[len(text) // 2 :], mtime=0)
    made.good("appended.txt.gz", twice, "text", ["1. A lighthouse", "100. Most"])
    made.good("appended.txt.zst", pack_zstd(text[:9000]) + pack_zstd(text[9000:]), "text", ["100. Most"])
    made.good("unpacked-on-the-way.txt", text, "text", ["100. Most"], content_encoding="gzip")
    made.poison("bomb.txt.gz", gzip.compress(b"A lot of words. " * 2**25, mtime=0), "skipped", "packed_too_far")
    made.poison("bomb.txt.zst", pack_zstd(b"A lot of words. " * 2**25), "skipped", "packed_too_far")
    made.poison("nested.gz", gzip.compress(gzip.compress(gzip.compress(text))), "skipped", "not_text")
    made.poison("cut-off.txt.gz", gzip.compress(text)[:-200], "broken")
    made.poison("cut-off.txt.zst", pack_zstd(text)[:-200], "broken")


def poison(made: Set) -> None:
    made.poison("empty.txt", b"", "skipped", "empty")
    made.poison("blank.txt", b" \n\t\r\n" * 50, "skipped", "empty")
    made.poison("empty.json", b"", "skipped", "empty")
    png = (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0) + bytes(4)
    )
    made.poison("picture.png", png, "skipped", "not_text", content_type="image/png")
    made.poison("picture-as.txt", png, "skipped", "not_text", content_type="text/plain")
    made.poison("random.bin", random.Random(6).randbytes(50_000), "skipped", "not_text")
    made.poison("program", b"\x7fELF\x02\x01\x01" + bytes(500), "skipped", "not_text")
    made.poison("archive.docx", b"PK\x03\x04\x14\x00\x06\x00" + bytes(200), "broken")
    made.poison("deep.json", b"[" * 200_000 + b"]" * 200_000, "skipped", "too_deep")
    made.poison("deep-in.json", b'{"text": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, "skipped", "too_deep")
    made.poison("torn.json", b'{"text": "half', "broken")
    made.poison("numbers.json", b'{"count": 1, "more": [2, 3]}', "skipped", "unreadable")
    made.poison("header-only.csv", b"a,b\n", "skipped", "empty")
    made.poison("not-json.jsonl", b"these are\njust words\n", "broken")
    made.poison("awkward", essay(1).encode(), "read", key=AWKWARD_KEY, format="text", contains=["A lighthouse"])


def large(made: Set) -> None:
    """Lines of 200 MB: words without a line end, letters without a space, one record."""
    words = (" ".join(ENGLISH) + " ").encode()
    made.poison(
        "line.txt", (words * (LARGE // len(words) + 1))[:LARGE], "read", format="text", contains=["A lighthouse"]
    )
    made.poison(
        "line.jsonl",
        b'{"text": "' + b"a" * LARGE + b'"}\n{"text": "after it"}\n',
        "read",
        format="json_lines",
        contains=["after it"],
        left_out=1,
    )
    made.poison("line.json", b'{"text": "' + b"a" * LARGE + b'"}', "skipped", "too_large")
    made.poison("line.csv", b"text\n" + b"a" * LARGE + b"\n", "skipped", "too_large")
    made.poison("line.html", b"<p>" + b"a" * LARGE, "skipped", "too_large")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.documents.make", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--large", action="store_true", help="the files of 200 MB as well")
    options = parser.parse_args()
    made = Set(options.folder)
    kinds: list[Callable[[Set], None]] = [texts, marked_up, records, tables, pdfs, packed, poison, office.make, mail.make, xml.make]
    for kind in kinds + ([large] if options.large else []):
        kind(made)
    made.finish()
    print(f"{options.folder}: {len(made.expected)} documents")


if __name__ == "__main__":
    main()
