"""PDFs as producers and storage leave them: each has one fault, and what is to be read of it word by word.

The files are written by hand here, because no producer would write them.
"""

from __future__ import annotations

from collections.abc import Iterator

# No letter twice in a row: without widths two of them lie on one another, and count as one that is printed bold.
SENTENCE = "A lens bends the light of a tiny lamp."
HELVETICA = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


def stream(content: bytes, entries: bytes = b"", length: int | None = None) -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content) if length is None else length, entries, content)


def shown(text: str = SENTENCE, x: int = 60, y: int = 720) -> bytes:
    """The operators that show one line."""
    return b"BT /F1 12 Tf %d %d Td (%s) Tj ET" % (x, y, text.encode("cp1252"))


def lines(*texts: str) -> bytes:
    """The operators that show lines under one another."""
    return b"BT /F1 12 Tf 14 TL 60 720 Td " + b" ".join(b"(%s) Tj T*" % text.encode("cp1252") for text in texts) + b" ET"


class Pdf:
    """A PDF of pages; what its objects hold may be changed before it is written."""

    def __init__(self, *pages: bytes, font: bytes = HELVETICA, resources: bytes = b"", page: bytes = b"") -> None:
        self.box = b"[0 0 595 842]"
        first = 4
        kids = b" ".join(b"%d 0 R" % (first + 2 * index) for index in range(len(pages)))
        self.objects = [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages)),
            font,
        ]
        for content in pages:
            number = len(self.objects) + 2
            self.objects.append(
                b"<< /Type /Page /Parent 2 0 R /MediaBox %s /Contents %d 0 R "
                b"/Resources << /Font << /F1 3 0 R >> %s >> %s >>" % (self.box, number, resources, page)
            )
            self.objects.append(content if content.startswith(b"<<") else stream(content))

    def add(self, *objects: bytes) -> Pdf:
        self.objects += objects
        return self

    def write(self, line_end: bytes = b" \n", table_shift: int = 0) -> bytes:
        out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
        places = []
        for number, body in enumerate(self.objects, 1):
            places.append(len(out))
            out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
        table = len(out)
        count = len(self.objects) + 1
        out += b"xref\n0 %d\n0000000000 65535 f%s" % (count, line_end)
        out += b"".join(b"%010d 00000 n%s" % (place, line_end) for place in places)
        out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, table + table_shift)
        return bytes(out)


def font(entries: bytes) -> bytes:
    return b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica %s >>" % entries


def readable() -> Iterator[tuple[str, bytes, str]]:
    """Name, file and words."""
    plain = Pdf(shown())
    yield "plain", plain.write(), SENTENCE
    yield "quote-operators", Pdf(b"BT /F1 12 Tf 14 TL 60 720 Td (One) Tj (Two) ' (Three) ' 1 0 (Four) \" ET").write(), "One Two Three Four"
    yield "zeros-after-the-end", plain.write() + bytes(2048), SENTENCE
    yield "few-zeros-after-the-end", plain.write() + bytes(500), SENTENCE
    yield "table-one-byte-off", plain.write(table_shift=-1), SENTENCE
    yield "table-far-off", plain.write(table_shift=9000), SENTENCE
    yield "table-with-short-lines", plain.write(line_end=b"\n"), SENTENCE
    yield "length-too-short", Pdf(stream(shown(), length=9)).write(), SENTENCE
    yield "length-too-long", Pdf(stream(shown(), length=len(shown()) + 50)).write(), SENTENCE
    yield "turned-by-its-content", Pdf(b"0 1 -1 0 595 0 cm " + words_apart(-14)).write(), "Tides rise slowly here"
    yield "upside-down-by-its-content", Pdf(b"1 0 0 -1 0 842 cm " + words_apart(14)).write(), "Tides rise slowly here"
    for turns in (90, 180, 270):
        sideways = Pdf(lines("Lamps burn oil", "and lenses turn"), page=b"/Rotate %d" % turns)
        yield f"page-turned-by-{turns}", sideways.write(), "Lamps burn oil and lenses turn"
    yield "standard-encoding", Pdf(shown(), font=font(b"/Encoding /StandardEncoding")).write(), SENTENCE
    differences = b"/Encoding << /BaseEncoding /StandardEncoding /Differences [ 39 /quotesingle ] >>"
    yield "differences", Pdf(shown(), font=font(differences)).write(), SENTENCE
    yield "no-encoding", Pdf(shown(), font=font(b"")).write(), SENTENCE
    indexed = b"/ColorSpace << /C1 [/Indexed /DeviceRGB 1 <000000FFFFFF>] >>"
    yield "indexed-colours", Pdf(b"/C1 cs 0 sc " + shown(), resources=indexed).write(), SENTENCE
    widths = b"<< /Type /Font /Subtype /TrueType /BaseFont /Arial /Encoding /WinAnsiEncoding /FirstChar 32 /LastChar 255 /Widths [278 278] >>"
    yield "few-widths", Pdf(shown(), font=widths).write(), SENTENCE
    yield "no-such-state", Pdf(b"/GS9 gs " + shown()).write(), SENTENCE
    box = Pdf(shown())
    box.objects[3] = box.objects[3].replace(b"[0 0 595 842]", b"[0 0 5 0 R 842]")
    yield "box-that-refers", box.write(), SENTENCE
    minus = b"BT /F1 12 Tf 60 720 Td (Before) Tj 0 --14 Td (and after) Tj ET " + shown("the end", y=600)
    yield "two-minus-signs", Pdf(minus).write(), "Before and after the end"
    yield "behind-a-servers-answer", b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\n\r\n" + plain.write(), SENTENCE
    prose = ("The keeper trimmed the wick and wound the clock-", "work before dusk. Then he wrote down the wea-")
    hyphens = lines(*prose, "ther, as the log of the North-", "East station demands.")
    yield "hyphens", Pdf(hyphens).write(), (
        "The keeper trimmed the wick and wound the clockwork before dusk. Then he wrote down the weather, as the log of "
        "the North-East station demands."
    )
    ligatures = font(b"/ToUnicode 6 0 R /Encoding /WinAnsiEncoding")
    codes = {b"1": 0xFB00, b"2": 0xFB01, b"3": 0xFB02, b"4": 0xFB03, b"5": 0xFB04, b"6": 0xFB05, b"7": 0xFB06}
    letters = {bytes([code]): code for code in b"abcdefghijklmnopqrstuvwxyz"}
    text = "o1 2nd 3y o4ce ba5e 6ill la7"
    yield (
        "ligatures",
        Pdf(shown(text), font=ligatures).add(to_unicode({**letters, **codes, b" ": 0x20})).write(),
        "off find fly office baffle still last",
    )
    yield "kerned", Pdf(b"BT /F1 12 Tf 60 720 Td [(Exa)-20(mp)-30(le) -300 (do)-20(cum)-30(en)-10(t)] TJ ET").write(), "Example document"
    columns = lines("Left of the", "gutter") + b" BT /F1 12 Tf 14 TL 330 720 Td (Right of) Tj T* (it) Tj ET"
    yield "columns", Pdf(columns).write(), "Left of the gutter Right of it"
    yield "form", form(), "Name: Ada Lovelace Place: London"
    yield "invisible-text-over-a-picture", Pdf(b"3 Tr " + shown()).write(), SENTENCE
    actual = b"BT /F1 12 Tf 60 720 Td /Span << /ActualText (fi) >> BDC (X) Tj EMC (nd) Tj ET"
    yield "actual-text", Pdf(actual).write(), "find"


def words_apart(down: int) -> bytes:
    moves = b"BT /F1 12 Tf 60 500 Td (Tides) Tj 50 0 Td (rise) Tj -50 %d Td (slowly) Tj 50 0 Td (here) Tj ET"
    return moves % down


def to_unicode(letters: dict[bytes, int]) -> bytes:
    rows = b"\n".join(b"<%02x> <%04x>" % (code[0], letter) for code, letter in letters.items())
    return stream(
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /M def /CMapType 2 def\n"
        b"1 begincodespacerange <00> <ff> endcodespacerange\n%d beginbfchar\n%s\nendbfchar\nendcmap end end"
        % (len(letters), rows)
    )


def form() -> bytes:
    """Two fields beside their names, one of which a password would show; a hidden one."""

    def field(name: str, value: str, y: int, flags: int = 0, shown: int = 4) -> bytes:
        return (
            b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (%s) /V (%s) /Ff %d /F %d /Rect [110 %d 300 %d] /P 4 0 R >>"
            % (name.encode(), value.encode(), flags, shown, y, y + 16)
        )

    content = shown("Name:") + b" " + shown("Place:", y=690)
    made = Pdf(content, page=b"/Annots [6 0 R 7 0 R 8 0 R 9 0 R]")
    made.objects[0] = b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [6 0 R 7 0 R 8 0 R 9 0 R] >> >>"
    made.add(field("n", "Ada Lovelace", 717), field("p", "London", 687))
    return made.add(field("secret", "hidden words", 650, flags=1 << 13), field("away", "hidden words", 620, shown=2)).write()


def image(entries: bytes = b"") -> bytes:
    kind = b"/Type /XObject /Subtype /Image /Width 2 /Height 2 /ColorSpace /DeviceGray /BitsPerComponent 8 "
    return stream(b"\x00\xff\xff\x00", kind + entries)


def scan(pages: int = 1) -> bytes:
    made = Pdf(*[b"q 500 0 0 700 40 40 cm /I Do Q"] * pages, resources=b"/XObject << /I %d 0 R >>" % (4 + 2 * pages))
    return made.add(image()).write()


def partly_read() -> Iterator[tuple[str, bytes, str, int]]:
    """Name, file, words, and the number of pages that are named as not read."""
    mixed = Pdf(shown("The first page."), b"q 9 0 0 9 0 0 cm /I Do Q", shown("The last page."), resources=b"/XObject << /I 10 0 R >>")
    yield "a-scan-between-pages", mixed.add(image()).write(), "The first page. The last page.", 1
    lost = Pdf(shown("The first page."), shown("Lost."), shown("The last page."))
    lost.objects[5] = b"null"
    yield "a-page-that-is-not-there", lost.write(), "The first page. The last page.", 1
    whole = Pdf(*[shown(f"Page {number}.") for number in range(1, 41)]).write()
    update = b"200 0 obj\n" + stream(b"% a change that was not saved whole\n" * 200)
    yield "cut-off-in-an-update", whole + update[:6000], " ".join(f"Page {number}." for number in range(1, 41)), 1


def unreadable() -> Iterator[tuple[str, bytes, str]]:
    """Name, file and the kind of reason."""
    yield "a-scan", scan(), "image_only"
    yield "scans", scan(3), "image_only"
    yield "a-drawing", Pdf(b"10 10 m 90 90 l S 20 20 50 50 re f").write(), "unreadable"
    yield "a-blank-page", Pdf(b"").write(), "unreadable"
    yield "a-size-with-an-exponent", Pdf(b"BT /F1 1e1 Tf 60 720 Td (Lost words) Tj ET").write(), "unreadable"
    lost = Pdf(shown(), shown())
    lost.objects[3] = lost.objects[5] = b"null"
    yield "no-page-is-there", lost.write(), "unreadable"
