"""Office documents and e-books for `make documents`: as their usual producers write them, and what each must give."""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from typing import TYPE_CHECKING

import docx
import openpyxl
import pptx
import xlsxwriter
from docx.enum.section import WD_SECTION
from odf import draw, office, opendocument, presentation, style, table, text
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from pptx.util import Inches

from tests.documents.prose import ENGLISH, FRENCH, GERMAN

if TYPE_CHECKING:
    from tests.documents.make import Set

WHEN = datetime.datetime(2024, 1, 15, 12, 30)
MODIFIED = "2024-01-15T12:30:00Z"
PROPERTIES = {"title": "On lights", "author": "Ada Keeper", "modified": MODIFIED}
SECOND_SLIDE = {"page": 2, "headings": ["Second"], "title": "On lights", "properties": PROPERTIES}
STORED_FIRST = "mimetype"


def zipped(parts: dict[str, str | bytes], **options: object) -> bytes:
    """A zip file of these parts, with the same bytes each time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            info = zipfile.ZipInfo(name, (2024, 1, 15, 12, 30, 0))
            info.compress_type = zipfile.ZIP_STORED if name == STORED_FIRST else zipfile.ZIP_DEFLATED
            with archive.open(info, "w", **options) as file:
                file.write(content.encode() if isinstance(content, str) else content)
    return out.getvalue()


def parts_of(package: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def frozen(package: bytes) -> bytes:
    """The package without the time of its making."""
    parts = parts_of(package)
    core = "docProps/core.xml"
    if core in parts:
        stamp = rb"(<dcterms:modified[^>]*>)[^<]*"
        parts[core] = re.sub(stamp, rb"\g<1>" + MODIFIED.encode(), parts[core])
    return zipped(parts)


def saved(document: object) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return frozen(out.getvalue())


# Word

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
STRICT = "http://purl.oclc.org/ooxml/officeDocument/relationships"


def relations(targets: dict[str, tuple[str, str]], kind: str = RELATIONS) -> str:
    """A part of relations: for each id its kind and target."""
    each = "".join(
        f'<Relationship Id="{name}" Type="{kind}/{of}" Target="{target}"/>' for name, (of, target) in targets.items()
    )
    return f'<?xml version="1.0"?><Relationships xmlns="{PACKAGE}/relationships">{each}</Relationships>'


def content_types(main: str, content_type: str) -> str:
    return (
        '<?xml version="1.0"?>'
        f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/>'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/{main}" ContentType="{content_type}"/></Types>'
    )


def word(body: str, more: dict[str, str] | None = None, links: dict[str, tuple[str, str]] | None = None) -> bytes:
    """A document of Word with this body, as XML."""
    return zipped(
        {
            "[Content_Types].xml": content_types("word/document.xml", f"{WORD_TYPE}.document.main+xml"),
            "_rels/.rels": relations({"rId1": ("officeDocument", "word/document.xml")}),
            "word/document.xml": document_xml(body),
            "word/_rels/document.xml.rels": relations(links or {}),
            **(more or {}),
        }
    )


WORD_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml"


def document_xml(body: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
        f'<w:document xmlns:w="{W}" xmlns:r="{RELATIONS}" xmlns:mc="mc" xmlns:wps="wps" xmlns:v="v" xmlns:m="m">'
        f"<w:body>{body}</w:body></w:document>"
    )


def run(words: str) -> str:
    return f'<w:r><w:t xml:space="preserve">{words}</w:t></w:r>'


def paragraph(*runs: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr>{''.join(runs)}</w:p>"


def field(code: str, result: str) -> str:
    return (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
        f'<w:r><w:instrText xml:space="preserve"> {code} </w:instrText></w:r>'
        f'<w:r><w:fldChar w:fldCharType="separate"/></w:r>{run(result)}<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )


def words(made: Set) -> None:
    document = docx.Document()
    document.core_properties.title, document.core_properties.author = "On lights", "Ada Keeper"
    document.core_properties.modified = WHEN
    document.add_heading("Lights", 0)
    document.add_paragraph(ENGLISH[0])
    document.add_heading("The lens", 1)
    document.add_paragraph("It turns. ").add_run("Slowly.").bold = True
    for item in ["oil", "gas"]:
        document.add_paragraph(item, style="List Bullet")
    document.add_heading("Stations & tides", 2)
    grid = document.add_table(rows=2, cols=2)
    for cell, content in zip(grid._cells, ["station", "built", "North", "1854"], strict=True):
        cell.text = content
    grid._cells[2].add_paragraph("by the sea")
    document.add_paragraph("After\tthe table,\nand a line.")
    document.sections[0].header.paragraphs[0].text = "Board of Lights"
    document.sections[0].footer.paragraphs[0].text = "Printed in Kiel"
    document.add_section(WD_SECTION.NEW_PAGE)
    document.add_paragraph("A second part.")
    report = saved(document)
    made.good(
        "report.docx",
        report,
        "docx",
        [],
        text=f"Lights\n\n{ENGLISH[0]}\n\nThe lens\n\nIt turns. Slowly.\n\n- oil\n- gas\n\nStations & tides\n\n"
        "station\tbuilt\nNorth by the sea\t1854\n\nAfter\tthe table,\nand a line.\n\nA second part.\n\n"
        "Board of Lights\n\nPrinted in Kiel",
        place={"title": "On lights", "headings": ["Lights", "The lens", "Stations & tides"], "properties": PROPERTIES},
    )
    made.good("report-as-bytes.bin", report, "docx", ["It turns."], content_type="application/octet-stream")
    made.good("letter.docm", report, "docx", ["It turns."], content_type="application/zip")
    made.good("german.docx", word(paragraph(run(GERMAN))), "docx", [], text=GERMAN)
    made.good("revised.docx", revised(), "docx", [], text=REVISED, place={"headings": ["Own style"]})
    made.good("strict.docx", strict(report), "docx", ["Lights", "The lens", "station\tbuilt"])
    made.good("backslashes.docx", zipped({name.replace("/", "\\"): part for name, part in parts_of(report).items()}), "docx", ["It turns."])
    made.good("streamed.docx", streamed(parts_of(report)), "docx", ["It turns."])
    made.good("zip64.docx", zipped(parts_of(report), force_zip64=True), "docx", ["It turns."])
    utf16 = {**parts_of(report), "word/document.xml": document_xml(paragraph(run("Wörter in UTF-16"))).replace("UTF-8", "UTF-16").encode("utf-16")}
    made.good("utf-16.docx", zipped(utf16), "docx", ["Wörter in UTF-16"])


def strict(package: bytes) -> bytes:
    """The same in strict Open XML, whose names have other namespaces."""
    strictly = {
        name: part.replace(b"http://schemas.openxmlformats.org/wordprocessingml/2006/main", b"http://purl.oclc.org/ooxml/wordprocessingml/main").replace(RELATIONS.encode(), STRICT.encode())
        for name, part in parts_of(package).items()
    }
    return zipped(strictly)


class Unseekable(io.RawIOBase):
    """What a server streams a zip into: sizes stand after each part, not before it."""

    def __init__(self) -> None:
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, part: bytes) -> int:
        self.content += part
        return len(part)


def streamed(parts: dict[str, bytes]) -> bytes:
    out = Unseekable()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            info = zipfile.ZipInfo(name, (2024, 1, 15, 12, 30, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return bytes(out.content)


BOX = paragraph(run("In the box.")) + paragraph(run("Second line."))
NOTES = """<?xml version="1.0"?><w:{0}s xmlns:w="w"><w:{0} w:type="separator" w:id="-1"><w:p/></w:{0}>
<w:{0} w:id="2"><w:p><w:r><w:{0}Ref/></w:r>{1}</w:p></w:{0}></w:{0}s>"""


def revised() -> bytes:
    """What Word writes beside plain text: revisions, fields, boxes, notes, links, hidden text."""
    box = (
        f"<w:r><mc:AlternateContent><mc:Choice Requires='wps'><w:drawing><wps:txbx><w:txbxContent>{BOX}"
        "</w:txbxContent></wps:txbx></w:drawing></mc:Choice><mc:Fallback><w:pict><v:textbox><w:txbxContent>"
        f"{BOX}</w:txbxContent></v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r>"
    )
    nested = f"<w:tbl><w:tr><w:tc>{paragraph(run('inner'))}</w:tc><w:tc>{paragraph(run('cell'))}</w:tc></w:tr></w:tbl>"
    body = [
        paragraph(run("Überschrift"), properties='<w:pStyle w:val="berschrift1"/>'),
        paragraph(run("Kept "), "<w:del><w:r><w:delText>deleted </w:delText></w:r></w:del>", "<w:ins>", run("inserted"), "</w:ins>", run(".")),
        paragraph("<w:moveFrom>", run("moved away"), "</w:moveFrom>", "<w:moveTo>", run("Moved here."), "</w:moveTo>"),
        paragraph(run("Joined "), properties="<w:rPr><w:del/></w:rPr>") + paragraph(run("again.")),
        paragraph(run("See "), field('HYPERLINK "http://a.test"', "the link"), run(" on page "), "<w:fldSimple w:instr='PAGE'>", run("7"), "</w:fldSimple>", run(".")),
        paragraph('<w:hyperlink r:id="rId9">', run("A link’s text"), "</w:hyperlink>", run("."), "<w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden words</w:t></w:r>", '<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t> Seen.</w:t></w:r>'),
        paragraph(run("Before the box. "), box, run("After it.")),
        paragraph(run("Noted"), '<w:r><w:footnoteReference w:id="2"/></w:r>', run(", twice"), '<w:r><w:endnoteReference w:id="2"/></w:r>', run(".")),
        paragraph("<w:r><w:tab/><w:t>1</w:t><w:tab/><w:t>2</w:t><w:noBreakHyphen/><w:t>3</w:t><w:br/><w:t>line</w:t></w:r>", properties='<w:tabs><w:tab w:val="left" w:pos="1"/></w:tabs>'),
        paragraph(run("AT&amp;T &#8212; &lt;tag&gt; &undefined;"), "<m:oMath><m:r><m:t>x+1</m:t></m:r></m:oMath>"),
        paragraph(run("one"), properties='<w:numPr><w:ilvl w:val="0"/><w:numId w:val="4"/></w:numPr>'),
        paragraph(run("two"), properties='<w:numPr><w:ilvl w:val="0"/><w:numId w:val="4"/></w:numPr>'),
        f"<w:tbl><w:tr><w:tc>{paragraph(run('a'))}</w:tc><w:tc>{nested}{paragraph()}</w:tc></w:tr><w:tr><w:trPr><w:del/></w:trPr><w:tc>{paragraph(run('deleted row'))}</w:tc></w:tr></w:tbl>",
        paragraph(run("Own heading"), properties='<w:pPrChange><w:pPr><w:pStyle w:val="Own"/></w:pPr></w:pPrChange>'),
        paragraph(run("Own style"), properties='<w:pStyle w:val="Own"/>'),
        "<w:sdt><w:sdtPr><w:alias w:val='x'/></w:sdtPr><w:sdtContent>" + paragraph(run("In a control.")) + "</w:sdtContent></w:sdt>",
        '<w:sectPr><w:headerReference w:type="default" r:id="rId7"/><w:headerReference w:type="first" r:id="rId8"/></w:sectPr>',
    ]
    styles = f"""<?xml version="1.0"?><w:styles xmlns:w="{W}">
    <w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/><w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style>
    <w:style w:type="paragraph" w:styleId="Own"><w:name w:val="Mine"/><w:basedOn w:val="berschrift1"/></w:style></w:styles>"""
    header = f'<w:hdr xmlns:w="{W}">{paragraph(run("Every page"))}</w:hdr>'
    more = {
        "word/styles.xml": styles,
        "word/footnotes.xml": NOTES.format("footnote", run("At the foot.")),
        "word/endnotes.xml": NOTES.format("endnote", run("At the end.")),
        "word/header1.xml": header,
        "word/header2.xml": header,
        "word/comments.xml": f'<w:comments xmlns:w="{W}"><w:comment>{paragraph(run("hidden words"))}</w:comment></w:comments>',
    }
    links = {
        "rId1": ("styles", "styles.xml"),
        "rId2": ("footnotes", "footnotes.xml"),
        "rId3": ("endnotes", "endnotes.xml"),
        "rId4": ("comments", "comments.xml"),
        "rId7": ("header", "header1.xml"),
        "rId8": ("header", "/word/header2.xml"),
    }
    return word("".join(body), more, links)


REVISED = (
    "Überschrift\n\nKept inserted.\n\nMoved here.\n\nJoined again.\n\nSee the link on page 7.\n\nA link’s text. Seen."
    "\n\nBefore the box. After it.\n\nIn the box.\n\nSecond line.\n\nNoted, twice.\n\nAt the foot.\n\nAt the end.\n\n"
    "\t1\t2-3\nline\n\nAT&T — <tag> x+1\n\n- one\n- two\n\na\tinner\tcell\n\nOwn heading\n\nOwn style\n\nIn a control."
    "\n\nEvery page"
)


# PowerPoint


def slides(made: Set) -> None:
    deck = pptx.Presentation()
    deck.core_properties.title, deck.core_properties.author = "On lights", "Ada Keeper"
    deck.core_properties.modified = WHEN
    for title, body in [("Second", "It comes second."), ("First", "It comes\vfirst.")]:
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text, slide.placeholders[1].text = title, body
    # By their order in the presentation, not by their files' names.
    order = deck.slides._sldIdLst
    order.insert(0, order[1])
    slide.notes_slide.notes_text_frame.text = "Say it slowly."
    grid = slide.shapes.add_table(1, 2, Inches(1), Inches(1), Inches(4), Inches(1)).table
    grid.cell(0, 0).text, grid.cell(0, 1).text = "North", "1854"
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = "In a group."
    deck.slides.add_slide(deck.slide_layouts[6])
    made.good(
        "deck.pptx",
        saved(deck),
        "pptx",
        [],
        text="First\n\nIt comes\nfirst.\n\nNorth\t1854\n\nIn a group.\n\nSay it slowly.\n\nSecond\n\nIt comes second.",
        place=SECOND_SLIDE,
    )


# Excel


def sheets(made: Set) -> None:
    book = openpyxl.Workbook()
    book.properties.title, book.properties.creator = "On lights", "Ada Keeper"
    sheet = book.active
    sheet.title = "Stations"
    sheet.append(["station", "built", "share", "price"])
    sheet.append(["North", datetime.date(1954, 5, 6), 0.256, 1234.5])
    sheet["C2"].number_format, sheet["D2"].number_format = "0.0%", '#,##0.00 "€"'
    sheet.append([CellRichText("Rich ", TextBlock(InlineFont(b=True), "text")), WHEN, True, 0.1 + 0.2])
    sheet.append([None, None, "line one\nline two", 7])
    book.create_sheet("Empty")
    hidden = book.create_sheet("Lists")
    hidden.sheet_state = "hidden"
    hidden.append(["choice"])
    made.good(
        "table.xlsx",
        saved(book),
        "xlsx",
        [],
        text="station\tbuilt\tshare\tprice\nNorth\t1954-05-06\t25.6%\t1,234.50\n"
        "Rich text\t2024-01-15 12:30:00\tTRUE\t0.3\nline one line two\t7\n\nchoice",
        place={"headings": ["Lists"], "title": "On lights", "properties": PROPERTIES},
    )
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    book.set_properties({"created": WHEN})
    sheet = book.add_worksheet("Sums")
    sheet.write_row(0, 0, ["text", 3])
    sheet.write_formula(1, 0, "=B1*2", None, 6)
    sheet.write_formula(1, 1, '="a"&"b"', None, "ab")
    sheet.write_formula(2, 0, "=1/0", None, "#DIV/0!")
    book.close()
    made.good("formulas.xlsx", frozen(out.getvalue()), "xlsx", [], text="text\t3\n6\tab\n#DIV/0!", place={"headings": ["Sums"]})
    made.good("phonetic.xlsx", phonetic(), "xlsx", [], text="東京\tinline\n2024-01-15\t36:00:00", place={"headings": ["表"]})


def phonetic() -> bytes:
    """As a Japanese Excel writes it, with prefixes as some libraries do: how texts are spoken, days from 1904."""
    ns = 'xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    return zipped(
        {
            "[Content_Types].xml": content_types("xl/workbook.xml", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"),
            "_rels/.rels": relations({"rId1": ("officeDocument", "/xl/workbook.xml")}),
            "xl/_rels/workbook.xml.rels": relations(
                {"rId1": ("worksheet", "worksheets/sheet1.xml"), "rId2": ("sharedStrings", "sharedStrings.xml"), "rId3": ("styles", "styles.xml")}
            ),
            "xl/workbook.xml": f'<x:workbook {ns} xmlns:r="{RELATIONS}"><x:workbookPr date1904="1"/><x:sheets>'
            '<x:sheet name="表" sheetId="1" r:id="rId1"/></x:sheets></x:workbook>',
            "xl/sharedStrings.xml": f"<x:sst {ns}><x:si><x:t>東京</x:t><x:rPh sb='0' eb='2'><x:t>トウキョウ</x:t></x:rPh></x:si></x:sst>",
            "xl/styles.xml": f'<x:styleSheet {ns}><x:numFmts><x:numFmt numFmtId="164" formatCode="[h]:mm:ss"/></x:numFmts>'
            '<x:cellStyleXfs><x:xf numFmtId="9"/></x:cellStyleXfs>'
            '<x:cellXfs><x:xf numFmtId="0"/><x:xf numFmtId="14"/><x:xf numFmtId="164"/></x:cellXfs></x:styleSheet>',
            "xl/worksheets/sheet1.xml": f'<x:worksheet {ns}><x:sheetData><x:row r="1"><x:c r="A1" t="s"><x:v>0</x:v></x:c>'
            '<x:c r="B1" t="inlineStr"><x:is><x:r><x:t>in</x:t></x:r><x:r><x:t>line</x:t></x:r></x:is></x:c></x:row>'
            '<x:row r="2"><x:c r="A2" s="1"><x:v>43844</x:v></x:c><x:c r="B2" s="2"><x:f>1.5</x:f><x:v>1.5</x:v></x:c></x:row>'
            "</x:sheetData></x:worksheet>",
        }
    )


# OpenDocument


def open_documents(made: Set) -> None:
    document = opendocument.OpenDocumentText()
    told = ("On lights", "Ada Keeper")
    describe(document, *told)
    document.text.addElement(text.H(outlinelevel=1, text="Lights"))
    body = text.P(text="Two  spaces")
    body.addElement(text.S(c=2))
    body.addText("and a")
    body.addElement(text.Tab())
    body.addText("tab, noted")
    note = text.Note(noteclass="footnote")
    note.addElement(text.NoteCitation(text="1"))
    held = text.NoteBody()
    held.addElement(text.P(text="At the foot."))
    note.addElement(held)
    body.addElement(note)
    body.addText(".")
    document.text.addElement(body)
    items = text.List()
    for words in ["oil", "gas"]:
        item = text.ListItem()
        item.addElement(text.P(text=words))
        items.addElement(item)
    document.text.addElement(items)
    document.text.addElement(grid([["station", "built"], ["North", "1854"]], "Grid"))
    comment = office.Annotation()
    comment.addElement(text.P(text="hidden words"))
    last = text.P(text="Last")
    last.addElement(comment)
    last.addText(" words.")
    document.text.addElement(last)
    layout = style.PageLayout(name="page")
    document.automaticstyles.addElement(layout)
    master = style.MasterPage(name="Standard", pagelayoutname=layout)
    header = style.Header()
    header.addElement(text.P(text="Board of Lights"))
    master.addElement(header)
    document.masterstyles.addElement(master)
    made.good(
        "text.odt",
        open_document(document),
        "odt",
        [],
        text="Lights\n\nTwo spaces  and a\ttab, noted.\n\nAt the foot.\n\n- oil\n- gas\n\nstation\tbuilt\nNorth\t1854"
        "\n\nLast words.\n\nBoard of Lights",
        place={"title": "On lights", "headings": ["Lights"], "properties": PROPERTIES},
    )
    book = opendocument.OpenDocumentSpreadsheet()
    describe(book, *told)
    for name, rows in [("Stations", [["station", "built"], ["North", "1854"]]), ("More", [["x"]])]:
        book.spreadsheet.addElement(grid(rows, name))
    repeated = table.Table(name="Repeated")
    row = table.TableRow(numberrowsrepeated=2)
    cell = table.TableCell(numbercolumnsrepeated=3, valuetype="float", value="5")
    cell.addElement(text.P(text="5,00 €"))
    row.addElement(cell)
    row.addElement(table.TableCell(numbercolumnsrepeated=16000))
    repeated.addElement(row)
    empty = table.TableRow(numberrowsrepeated=1_000_000)
    empty.addElement(table.TableCell(numbercolumnsrepeated=16384))
    repeated.addElement(empty)
    bare = table.TableRow()
    bare.addElement(table.TableCell(valuetype="float", value="1.5"))
    repeated.addElement(bare)
    book.spreadsheet.addElement(repeated)
    made.good(
        "table.ods",
        open_document(book),
        "ods",
        [],
        text="station\tbuilt\nNorth\t1854\n\nx\n\n5,00 €\t5,00 €\t5,00 €\n5,00 €\t5,00 €\t5,00 €\n1.5",
        place={"headings": ["Stations"], "title": "On lights", "properties": PROPERTIES},
    )
    deck = opendocument.OpenDocumentPresentation()
    describe(deck, *told)
    layout = style.PageLayout(name="page")
    deck.automaticstyles.addElement(layout)
    master = style.MasterPage(name="Standard", pagelayoutname=layout)
    deck.masterstyles.addElement(master)
    for title, words in [("First", "It comes first."), ("Second", "It comes second.")]:
        page = draw.Page(masterpagename=master, name=title)
        for kind, content in [("title", title), ("outline", words)]:
            frame = draw.Frame(width="1cm", height="1cm")
            frame.setAttrNS("urn:oasis:names:tc:opendocument:xmlns:presentation:1.0", "class", kind)
            box = draw.TextBox()
            box.addElement(text.P(text=content))
            frame.addElement(box)
            page.addElement(frame)
        notes = presentation.Notes()
        frame = draw.Frame(width="1cm", height="1cm")
        box = draw.TextBox()
        box.addElement(text.P(text=f"Notes of {title}."))
        frame.addElement(box)
        notes.addElement(frame)
        page.addElement(notes)
        deck.presentation.addElement(page)
    made.good(
        "deck.odp",
        open_document(deck),
        "odp",
        [],
        text="First\n\nIt comes first.\n\nNotes of First.\n\nSecond\n\nIt comes second.\n\nNotes of Second.",
        place=SECOND_SLIDE,
    )


def describe(document: opendocument.OpenDocument, title: str, author: str) -> None:
    from odf import dc, meta

    document.meta.addElement(dc.Title(text=title))
    document.meta.addElement(meta.InitialCreator(text=author))
    document.meta.addElement(dc.Date(text=MODIFIED))


def grid(rows: list[list[str]], name: str) -> table.Table:
    made = table.Table(name=name)
    for cells in rows:
        row = table.TableRow()
        for words in cells:
            cell = table.TableCell()
            cell.addElement(text.P(text=words))
            row.addElement(cell)
        made.addElement(row)
    return made


def open_document(document: opendocument.OpenDocument) -> bytes:
    out = io.BytesIO()
    document.write(out)
    return zipped(parts_of(out.getvalue()))


# E-books

CONTAINER = """<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""
BOOK = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata
xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>On lights</dc:title><dc:creator>Ada Keeper</dc:creator>
<meta property="dcterms:modified">2024-01-15T12:30:00Z</meta></metadata><manifest>
<item id="a" href="text/chapter%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="b" href="text/a.xhtml" media-type="application/xhtml+xml"/>
<item id="c" href="cover.xhtml" media-type="application/xhtml+xml"/>
<item id="d" href="gone.xhtml" media-type="application/xhtml+xml"/>
<item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/></manifest>
<spine><itemref idref="c"/><itemref idref="b"/><itemref idref="a"/><itemref idref="d"/></spine></package>"""


def chapter(title: str, body: str, declaration: str = '<?xml version="1.0" encoding="utf-8"?>') -> str:
    return (
        f'{declaration}<!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><head><title>{title}</title>'
        f"</head><body>{body}</body></html>"
    )


BOOK_PARTS: dict[str, str | bytes] = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": CONTAINER,
    "OEBPS/book.opf": BOOK,
    "OEBPS/cover.xhtml": chapter("Cover", '<p><img src="cover.jpg"/></p>'),
    "OEBPS/text/a.xhtml": chapter("One", f"<h1>One</h1><p>{GERMAN}</p>"),
    "OEBPS/text/chapter b.xhtml": chapter("Two", "<h1>Two</h1><p>The end.</p>"),
    "OEBPS/nav.xhtml": chapter("Contents", "<p>hidden words</p>"),
}


# As many publishers' tools write chapters: with a document type that declares the characters by name.
DECLARED = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://www.w3.org/TR/xhtml11/DTD/xhtml11.dtd" [
<!ENTITY nbsp "&#160;"> <!ENTITY mdash "&#8212;">
<!-- names ]> of characters -->
]>
"""


def guide() -> dict[str, str | bytes]:
    """A book of three chapters with lists, a table, notes and marks inside of words."""
    first = f"""<section><h1>Lights</h1>{"".join(f"<p>{words}</p>" for words in ENGLISH)}<h2>Kinds</h2>
        <ul><li><p>oil</p></li><li>gas, of<ol><li>coal</li><li>wood</li></ol></li></ul></section>"""
    second = f"""<h1>Tides</h1><p>High&nbsp;water &mdash; <b>sp</b>ring, H<sub>2</sub>O,
        <a href="#n1">noted</a>.</p><table><caption>Hours</caption><tr><th>Day</th><th>High</th></tr><tr><td>Mon</td>
        <td>4 am</td></tr></table><blockquote><p>{GERMAN}</p></blockquote><hr/><aside id="n1"><p>At the foot.</p></aside>"""
    third = f"<h1>Words</h1><dl><dt>lamp</dt><dd>what is lit</dd></dl><pre>if dark:\n    light()</pre><p>{FRENCH}</p>"
    chapters = {"Lights": first, "Tides": second, "Words": third}
    items = "".join(f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml"/>' for name in chapters)
    order = "".join(f'<itemref idref="{name}"/>' for name in chapters)
    book = f"{BOOK.partition('<item ')[0]}{items}</manifest><spine>{order}</spine></package>"
    parts: dict[str, str | bytes] = {name: BOOK_PARTS[name] for name in ["mimetype", "META-INF/container.xml"]}
    parts["OEBPS/book.opf"] = book
    for name, body in chapters.items():
        parts[f"OEBPS/{name}.xhtml"] = chapter(name, body, DECLARED).replace("<!DOCTYPE html><html", "<html")
    return parts


def books(made: Set) -> None:
    made.good("guide.epub", zipped(guide()), "epub", ["Lights", ENGLISH[0], "- wood", "Tides", "High water — spring, H2O", "4 am"])
    made.good(
        "book.epub",
        zipped(BOOK_PARTS),
        "epub",
        [],
        text=f"One\n\n{GERMAN}\n\nTwo\n\nThe end.",
        place={"headings": ["Two"], "title": "Two", "properties": PROPERTIES},
        left_out=1,
    )
    fonts = {**BOOK_PARTS, "META-INF/encryption.xml": '<encryption><CipherReference URI="OEBPS/fonts/a.otf"/></encryption>'}
    made.good("fonts.epub", zipped(fonts), "epub", ["One", "The end."], left_out=1)
    locked = {**BOOK_PARTS, "META-INF/encryption.xml": '<encryption><CipherReference URI="OEBPS/text/a.xhtml"/></encryption>'}
    made.poison("locked.epub", zipped(locked), "skipped", "encrypted")


# What must not harm the function


def hostile(made: Set) -> None:
    plain = parts_of(word(paragraph(run("words"))))
    packed = zipped(plain)
    made.poison("cut-off.docx", packed[: len(packed) // 2], "broken")
    made.poison("no-document.docx", zipped({"a.txt": "words"}), "skipped", "not_text")
    made.poison("archive.zip", zipped({"a.txt": "words"}), "skipped", "not_text")
    made.poison("library.jar", zipped({"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n"}), "skipped", "not_text")
    made.poison("no-words.docx", word(paragraph()), "skipped", "empty")
    laughs = '<!DOCTYPE w [<!ENTITY a "ha">' + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)) + "]>"
    external = '<!DOCTYPE w [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    for name, doctype, entity in [("billion-laughs", laughs, "&j;"), ("external-entity", external, "&x;")]:
        parts = {**plain, "word/document.xml": doctype + document_xml(paragraph(run(f"A {entity}word"))).split("?>", 1)[1]}
        made.good(f"{name}.docx", zipped(parts), "docx", [], text="A word")
    deep = f"{'<w:sdt>' * 10_000}{paragraph(run('deep words'))}{'</w:sdt>' * 10_000}"
    made.good("deep.docx", word(deep), "docx", [], text="deep words")
    tables = f"{'<w:tbl><w:tr><w:tc>' * 3000}{paragraph(run('deep cell'))}{'</w:tc></w:tr></w:tbl>' * 3000}"
    made.good("deep-tables.docx", word(tables), "docx", [], text="deep cell")
    made.poison("too-deep.docx", word("<w:sdt>" * 100_000), "skipped", "too_deep")
    made.poison("bomb.docx", word("<w:p/>" * 2**24), "skipped", "packed_too_far")
    made.poison("overlapping.docx", overlapping(plain), "skipped", "packed_too_far")
    made.poison("many-parts.docx", zipped({**plain, **{f"p{n}": "" for n in range(10_001)}}), "skipped", "too_large")
    made.poison("encrypted-zip.odt", encrypted_zip(), "skipped", "encrypted")
    manifest = '<manifest:manifest xmlns:manifest="m"><manifest:file-entry><manifest:encryption-data/></manifest:file-entry></manifest:manifest>'
    mimetype = "application/vnd.oasis.opendocument.text"
    made.poison("encrypted.odt", zipped({"mimetype": mimetype, "content.xml": "x", "META-INF/manifest.xml": manifest}), "skipped", "encrypted")
    made.poison("drawing.odg", zipped({"mimetype": "application/vnd.oasis.opendocument.graphics"}), "skipped", "not_text")
    for name, stream, why in [
        ("encrypted.docx", "EncryptedPackage", "encrypted"),
        ("old.doc", "WordDocument", "not_text"),
        ("old.xls", "Workbook", "not_text"),
        ("old.ppt", "PowerPoint Document", "not_text"),
        ("mail.msg", "__properties_version1.0", "not_text"),
    ]:
        made.poison(name, compound(stream), "skipped", why)


def compound(stream: str) -> bytes:
    """A compound file whose directory has this entry."""
    entries = [name.encode("utf-16-le").ljust(128, b"\0") for name in ["Root Entry", stream]]
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(512, b"\0") + b"".join(entries)


def encrypted_zip() -> bytes:
    """A zip whose parts say that they are encrypted."""
    package = bytearray(zipped({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "words", "META-INF/manifest.xml": "x"}))
    for mark, flags in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)]:
        at = package.find(mark)
        while at >= 0:
            package[at + flags] |= 1
            at = package.find(mark, at + 4)
    return bytes(package)


def overlapping(plain: dict[str, bytes]) -> bytes:
    """A hundred headers that all lead to the same packed part of ten megabytes."""
    header = f'<w:hdr xmlns:w="{W}">{paragraph(run("words " * 10))}{(" " * (5 << 20) + "<w:p/>") * 2}</w:hdr>'
    links = {f"rId{n}": ("header", f"header{n}.xml") for n in range(100)}
    references = "".join(f'<w:headerReference r:id="rId{n}"/>' for n in range(100))
    parts = {
        **plain,
        "word/document.xml": document_xml(f"{paragraph(run('words'))}<w:sectPr>{references}</w:sectPr>"),
        "word/_rels/document.xml.rels": relations(links),
        "word/header0.xml": header,
    }
    package = zipped(parts)
    end = package.rfind(b"PK\x05\x06")
    start = int.from_bytes(package[end + 16 : end + 20], "little")
    at = package.find(b"word/header0.xml", start) - 46
    entry = package[at : at + 46 + len("word/header0.xml")]
    more = b"".join(
        entry[:28] + len(f"word/header{n}.xml").to_bytes(2, "little") + entry[30:46] + f"word/header{n}.xml".encode()
        for n in range(1, 100)
    )
    tail = bytearray(package[end:])
    count = len(parts) + 99
    tail[8:10] = tail[10:12] = count.to_bytes(2, "little")
    tail[12:16] = (end - start + len(more)).to_bytes(4, "little")
    return package[:end] + more + bytes(tail)


def make(made: Set) -> None:
    for kind in [words, slides, sheets, open_documents, books, hostile]:
        kind(made)
