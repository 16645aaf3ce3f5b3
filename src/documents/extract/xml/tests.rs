//! XML and SVG as people have them; each is read word by word.

use crate::documents::extract::tests::{read, skipped};
use crate::documents::extract::{Extracted, Format, Skip, Unreadable};

/// The text, with a blank line between sections, and how it ended.
fn xml(document: &str) -> (String, Extracted) {
    let (sections, outcome) = read(document, "a.xml");
    let extracted = outcome.unwrap_or_else(|e| panic!("{document}: {e:?}"));
    assert_eq!(extracted.format, Format::Xml);
    (sections.iter().map(|section| section.text.as_str()).collect::<Vec<_>>().join("\n\n"), extracted)
}

fn text(document: &str) -> String {
    let (text, extracted) = xml(document);
    assert_eq!(extracted.skipped_records.count, 0, "{extracted:?}");
    text
}

#[test]
fn elements_stand_on_lines_of_their_own() {
    assert_eq!(text("<a><b>one</b><c>two</c></a>"), "one\ntwo");
    assert_eq!(text("<a>\n  <b>one</b>\n  <c>two\n words</c>\n</a>"), "one\ntwo words");
    assert_eq!(
        text("<list><item><name>A</name><price>1</price></item><item><name>B</name><price>2</price></item></list>"),
        "A\n1\n\nB\n2"
    );
    assert_eq!(text("<x:a xmlns:x='urn:x'><x:b>one</x:b><y xmlns='urn:y'>two</y></x:a>"), "one\ntwo");
    assert_eq!(text("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>"), "a\tb\n\nc\td");
}

#[test]
fn marks_within_a_sentence_leave_it_whole() {
    let docbook = "<article xmlns='http://docbook.org/ns/docbook'><title>Lights</title>
        <para><emphasis>Every</emphasis> keeper, <link href='x'>near</link> and far,
        drinks H<subscript>2</subscript>O<footnote><para>Not salted.</para></footnote>.</para>
        <para>Two: <itemizedlist><listitem><para>oil</para></listitem><listitem><para>gas</para></listitem>
        </itemizedlist> and no more.</para>
        <programlisting>if a &lt; b:\n    light()</programlisting></article>";
    assert_eq!(
        text(docbook),
        "Lights\nEvery keeper, near and far, drinks H2O\nNot salted.\n.\nTwo:\noil\ngas\n\nand no more.\n\n\
         if a < b:\n    light()"
    );
    let jats = "<article><front><article-title>On <italic>E. coli</italic></article-title></front><body><sec>\
        <title>Aim</title><p>We saw <xref rid='r1'>[1]</xref>.</p></sec></body></article>";
    assert_eq!(text(jats), "On E. coli\nAim\nWe saw [1].");
    assert_eq!(text("<p><b>A</b>, <i>B</i> <b>C</b></p>"), "A, B C");
    assert_eq!(text("<p><b>A</b> <i>B</i></p>"), "A B");
}

#[test]
fn what_is_no_text_is_left_out() {
    let document = "\u{feff}<?xml version='1.0'?><?xml-stylesheet href='a.css'?><!DOCTYPE a [<!ELEMENT a ANY>]>\
        <!-- hidden --><a title='hidden'>one<!-- hidden --> <?php hidden ?>two<b/><![CDATA[ & <three>]]></a><!-- hidden -->";
    assert_eq!(text(document), "one two & <three>");
    assert_eq!(text("<a>AT&amp;T &#233;&#x1f600; &eacute;&nbsp;&mdash; R&D</a>"), "AT&T é😀 é — R&D");
}

#[test]
fn an_entity_of_the_documents_own_is_told_and_not_expanded() {
    let laughs: String = (0..9).map(|n| format!("<!ENTITY l{} '{}'>", n + 1, format!("&l{n};").repeat(10))).collect();
    let document =
        format!("<!DOCTYPE a [<!ENTITY l0 'ha'>{laughs}<!ENTITY f SYSTEM 'file:///etc/passwd'>]><a>A &l9;, &f;.</a>");
    let (text, extracted) = xml(&document);
    assert_eq!((text.as_str(), extracted.skipped_records.count), ("A &l9;, &f;.", 2));
    assert!(extracted.skipped_records.reasons[0].contains("&l9; stands for"), "{extracted:?}");
}

#[test]
fn what_a_document_type_declares_is_not_read() {
    let declared =
        "<!ENTITY ns_svg 'http://a.test/]>'>\n<!-- ]> it's --><?p ]> ?><!ATTLIST svg a CDATA '>'>".repeat(300);
    let doctype =
        format!("<?xml version='1.0'?><!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'x.dtd' [\n{declared}\n] >");
    for name in ["a.svg", "a.xml", "a"] {
        let (sections, outcome) = read(format!("{doctype}<svg xmlns='&ns_svg;'><text>one</text></svg>"), name);
        assert_eq!((sections[0].text.as_str(), outcome.unwrap().format), ("one", Format::Xml), "{name}");
    }
    assert_eq!(text(&format!("{doctype}<a>one]></a>").replace("svg PUBLIC", "a PUBLIC")), "one]>");
}

#[test]
fn feeds_hold_pages() {
    let rss = "<rss version='2.0' xmlns:content='c'><channel><title>News of a &lt; b</title><link>https://x.test/</link>
        <item><title>One</title><description>&lt;p&gt;It is &lt;b&gt;dark&lt;/b&gt; &amp;amp; late.&lt;/p&gt;&lt;p&gt;Go.&lt;/p&gt;</description>
        <content:encoded><![CDATA[<h2>Head</h2><p>Caf&eacute;<script>hidden</script></p>]]></content:encoded></item>
        <item><title>Two</title><description>1 &lt; 2 and plain</description></item></channel></rss>";
    let (sections, outcome) = read(rss, "a.rss");
    outcome.unwrap();
    let found: String =
        sections.iter().flat_map(|section| section.text.split_whitespace()).collect::<Vec<_>>().join(" ");
    assert_eq!(found, "News of a < b https://x.test/ One It is dark & late. Go. Head Café Two 1 < 2 and plain");
    assert!(sections.iter().all(|section| section.place.title.as_deref() == Some("News of a < b")), "{sections:?}");
    assert_eq!(sections.last().unwrap().place.headings, Vec::<String>::new());
    let atom = "<feed xmlns='http://www.w3.org/2005/Atom'><title>T</title><entry><title type='html'>a &lt;i&gt;b&lt;/i&gt;</title>
        <content type='xhtml'><div xmlns='http://www.w3.org/1999/xhtml'><p>c<br/>d</p><style>hidden</style><p hidden=''>hidden</p>
        </div></content><summary>&lt;e&gt; is a tag</summary></entry></feed>";
    assert_eq!(text(atom).split_whitespace().collect::<Vec<_>>().join(" "), "T a b c d is a tag");
    let own = "<post><body><![CDATA[<p>Hi <b>there</b></p>]]></body><code>&lt;p&gt;</code></post>";
    assert_eq!(text(own), "Hi there\n<p>");
}

#[test]
fn lists_of_addresses_and_dumps_are_read_line_by_line() {
    let sitemap = "<?xml version='1.0' encoding='UTF-8'?><urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'>\
        <url><loc>https://x.test/a</loc><lastmod>2024-01-15</lastmod></url><url><loc>https://x.test/b</loc></url></urlset>";
    assert_eq!(text(sitemap), "https://x.test/a\n2024-01-15\n\nhttps://x.test/b");
    let dump = "<mediawiki><page><title>Light</title><text xml:space='preserve'>== One ==\nLine.\n\n* item</text></page></mediawiki>";
    assert_eq!(text(dump), "Light\n== One ==\nLine.\n\n* item");
    assert_eq!(text("<a><b>First\nparagraph.\n\n  Second.</b></a>"), "First paragraph.\n\nSecond.");
}

#[test]
fn a_drawing_has_the_texts_that_it_shows() {
    let drawing = "<svg xmlns='http://www.w3.org/2000/svg' width='9'><title>Map</title><desc>Of the coast.</desc>
        <metadata><rdf:RDF xmlns:rdf='r'>hidden</rdf:RDF></metadata><style>.a { hidden: 1 }</style><script>hidden()</script>
        <defs><text>hidden</text></defs><g><text x='1'>North<tspan x='1' dy='9'>light</tspan><tspan>house</tspan></text>
        <text display='none'>hidden</text><text style='display: none'>hidden</text></g>hidden
        <switch><foreignObject><div xmlns='http://www.w3.org/1999/xhtml'>box</div></foreignObject><text>hidden</text></switch>
        <switch><text systemLanguage='de'>hidden</text><text>tower</text></switch></svg>";
    let (sections, outcome) = read(drawing, "a.svg");
    assert_eq!(outcome.unwrap().format, Format::Xml);
    assert_eq!(sections[0].text, "Map\nOf the coast.\nNorth\nlighthouse\n\nbox\n\ntower");
    assert_eq!(sections[0].place.title.as_deref(), Some("Map"));
    let picture = format!("<svg><image href='data:image/png;base64,{}'/></svg>", "A".repeat(20 << 20));
    assert_eq!(skipped(read(picture, "a.svg").1).0, Skip::ImageOnly);
    assert_eq!(skipped(read("<svg><path d='M0 0'/></svg>", "a.svg").1).0, Skip::Unreadable);
}

#[test]
fn what_is_read_to_nothing_is_not_empty() {
    for empty in ["", " \n", "<a/>", "<a xmlns='urn:x'> <b/></a>"] {
        assert_eq!(skipped(read(empty, "a.xml").1).0, Skip::Empty, "{empty}");
    }
    assert_eq!(skipped(read("<rows><row id='1' text='words'/></rows>", "a.xml").1).0, Skip::Unreadable);
}

#[test]
fn malformed_xml_is_never_called_complete() {
    for broken in [
        "just words",
        "<?xml version='1.0'?>",
        "<a>one",
        "<a>one</b>",
        "<a>one</a></a>",
        "<a>one<b",
        "<a><![CDATA[one</a>",
    ] {
        let outcome = read(broken, "a.xml").1;
        assert!(matches!(outcome, Err(Unreadable::Broken(_))), "{broken}: {outcome:?}");
    }
    let whole = "<?xml version='1.0'?><a><b>one &amp; two</b><![CDATA[three]]><c d='e'/></a>";
    for end in 1..whole.len() {
        let (_, outcome) = read(&whole[..end], "a.xml");
        assert!(matches!(outcome, Err(Unreadable::Broken(_))), "{}: {outcome:?}", &whole[..end]);
    }
}

#[test]
fn encodings_are_as_the_declaration_or_the_mark_says() {
    let latin = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>M\u{fc}ller</a>";
    let bytes: Vec<u8> = latin.chars().map(|c| c as u8).collect();
    let (sections, outcome) = read(bytes, "a.xml");
    assert_eq!((sections[0].text.as_str(), outcome.unwrap().charset), ("Müller", "windows-1252"));
    let wide = "<?xml version='1.0' encoding='UTF-16'?><a>Müller</a>";
    let bytes: Vec<u8> = "\u{feff}".encode_utf16().chain(wide.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let (sections, outcome) = read(bytes, "a.xml");
    assert_eq!((sections[0].text.as_str(), outcome.unwrap().charset), ("Müller", "UTF-16LE"));
}

#[test]
fn a_page_that_is_called_xml_is_a_page() {
    let page = "<?xml version='1.0'?><!DOCTYPE html [<!ENTITY a 'b'>]><html xmlns='http://www.w3.org/1999/xhtml'><p>one</p></html>";
    for key in ["a.xml", "nameless"] {
        assert_eq!(read(page, key).1.unwrap().format, Format::Html, "{key}");
    }
    for (document, key) in [("<?xml version='1.0'?><a>b</a>", "nameless"), ("<svg><text>b</text></svg>", "nameless")] {
        assert_eq!(read(document, key).1.unwrap().format, Format::Xml);
    }
}

#[test]
fn xml_without_end_is_read_in_bounded_memory_and_time() {
    let deep = format!("{}one{}", "<a>".repeat(10_000), "</a>".repeat(10_000));
    assert_eq!(text(&deep), "one");
    assert_eq!(skipped(read("<a>".repeat(100_000), "a.xml").1).0, Skip::TooDeep);
    let names = format!("<{}>", "a".repeat(1 << 20)).repeat(10);
    assert_eq!(skipped(read(names, "a.xml").1).0, Skip::TooLarge);
    assert_eq!(skipped(read(format!("<a>{}</a>", "b".repeat(9 << 20)), "a.xml").1).0, Skip::TooLarge);
    let page = format!("<rss><description>{}</description></rss>", "<![CDATA[<p>word</p>]]>".repeat(1 << 20));
    assert_eq!(skipped(read(page, "a.xml").1).0, Skip::TooLarge);
}
