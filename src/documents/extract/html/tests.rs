//! Pages as people have them, and as nobody should.

use std::io::{Cursor as Bytes, Read};

use crate::documents::extract::sections::SECTION;
use crate::documents::extract::tests::{Endless, MEBIBYTE, read, run, skipped, texts};
use crate::documents::extract::{ExtractOptions, Format, Skip};

#[test]
fn a_page_in_html_reads_as_its_reader_sees_it() {
    let (sections, _) = read(
        "a<b>b</b>c <i> d</i>e<br>f<table><td>g</td><td>h</td></table><ul><li>i<li>j</ul><pre>k\n  l</pre>",
        "a.html",
    );
    assert_eq!(texts(&sections), ["abc de\nf\n\ng\th\n\n- i\n- j\n\nk\n  l"]);
}

/// The words of a page, between single spaces.
fn words(html: &str) -> String {
    let sections = read(html, "a.html").0;
    texts(&sections).join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_a_page_hides_is_not_read() {
    for hidden in [
        "<p hidden>b</p>",
        "<p HIDDEN=''>b</p>",
        "<div aria-hidden=true>b<p>b</p></div>",
        "<p style='color:red; display : NONE'>b</p>",
        "<p style=\"display:none!important\">b</p>",
        "<span style='visibility:hidden'>b</span>",
        "<b hidden>b</b>",
        "<a aria-hidden=true>b<i>b</i></a>",
        "<template><p>b</template>",
        "<noscript><p>b</noscript>",
        "<script>if (a < b) '<p>b</p>'</script>",
        "<style>b { c: d }</style>",
        "<dialog>b</dialog>",
        "<datalist><option>b</datalist>",
        "<svg><text>b</text></svg>",
        "<svg><title>b</title></svg>",
        "<video>b</video>",
        "<iframe>b</iframe>",
        "<!-- b -->",
        "<!b>",
        "<?b?>",
        "<div hidden><div>b</div>b</div>",
        "<div hidden><p>b<div>b</div></div>",
        "<ul><li hidden>b<li>and</ul>",
        "<table hidden><tr><td>b</table>",
        "<p hidden>b<p>and",
    ] {
        let page = words(&format!("<p>a {hidden}</p> c"));
        assert!(!page.contains('b') && page.contains('a') && page.ends_with('c'), "{hidden}: {page}");
    }
    // Never closed: a browser shows nothing after it.
    assert_eq!(words("<p>a</p><div hidden>b<p>c"), "a");
    // What is displayed in spite of it.
    assert_eq!(words("<p hidden style='display:block'>a</p>"), "a");
    assert_eq!(words("<p style='visibility:hidden'>a<b style='visibility:visible'>b</b></p>"), "b");
    assert_eq!(words("<p aria-hidden=false>a</p><dialog open>b</dialog><details>c</details>"), "a b c");
    assert_eq!(words("<div><template shadowrootmode=open>a</template></div>"), "a");
}

#[test]
fn nothing_swallows_the_rest_of_a_page() {
    let rest = "<p>one</p><p>two</p>";
    let xhtml = "<html xmlns='http://www.w3.org/1999/xhtml'>";
    for start in [
        "<svg><title/></svg>",
        "<svg><style/><script/><title/></svg>",
        "<svg><title>x</svg>",
        &format!("{xhtml}<head><title/></head><body>"),
        &format!("{xhtml}<head><script src='a'/><style/></head><body><iframe/><textarea/>"),
        "<?xml version='1.0'?><title/><script/>",
        &format!("{xhtml}<body><div hidden='hidden'/><b hidden='hidden'/>"),
        "<!-->",
    ] {
        let page = words(&format!("{start}{rest}"));
        assert_eq!(page, "one two", "{start}");
    }
    assert_eq!(words(&format!("{xhtml}<p><![CDATA[one <two>]]></p>")), "one <two>");
    assert_eq!(words("<svg><desc>x</desc></svg><math><mi>x</mi><mo>=</mo><mn>2</mn></math>"), "x=2");
}

#[test]
fn what_a_document_type_declares_is_not_read() {
    let entity = "<!ENTITY a ']>'><!ENTITY nbsp \"&#160;\"><!-- ]> -->\n";
    for doctype in [
        format!("<!DOCTYPE html [ {entity} ]>"),
        format!(
            "<?xml version='1.0' encoding='utf-8'?>\n<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.1//EN' 'x.dtd' [\n{entity}] >"
        ),
        // Longer than what is read at once.
        format!("<!DOCTYPE html [{}]>", entity.repeat(2000)),
    ] {
        let page = format!(
            "{doctype}\n<html xmlns='http://www.w3.org/1999/xhtml'><title/><p>one&nbsp;&a; [two]&gt;</p></html>"
        );
        for name in ["a.xhtml", "a.html", "a.xml", "a"] {
            let (sections, outcome) = read(&page, name);
            assert_eq!(texts(&sections), ["one &a; [two]>"], "{name}: {doctype}");
            assert_eq!(outcome.unwrap().format, Format::Html);
        }
        let framed = page.replace('&', "&amp;").replace('"', "&quot;");
        assert_eq!(words(&format!("<p>before</p><iframe srcdoc=\"{framed}\"></iframe>")), "before one &a; [two]>");
    }
    // What never ends is shown, as browsers show it.
    let unclosed = format!("<!DOCTYPE html [ <!ENTITY a 'b'><p>one</p>{}", "<p>two</p>".repeat(100_000));
    assert!(words(&unclosed).ends_with("two two"));
    let laughs: String = (0..20).map(|n| format!("<!ENTITY l{} '{}'>", n + 1, format!("&l{n};").repeat(10))).collect();
    assert_eq!(words(&format!("<!DOCTYPE html [<!ENTITY l0 'ha'>{laughs}]><p>A &l20;</p>")), "A &l20;");
}

#[test]
fn what_stands_for_pictures_is_read_and_so_are_cells_fields_and_frames() {
    assert_eq!(words("a<img src=x alt='a lens'>b<img alt=''><area alt=c><input type=image alt=d>"), "a a lens b c d");
    assert_eq!(words("<table><caption>a<tr><th>b<td>c<tr><td>d<table><td>e</table></table>"), "a b c d e");
    assert_eq!(words("<textarea>a <b>&amp;</textarea><select><option>c<option>d</select>"), "a <b>& c d");
    assert_eq!(words("a<iframe srcdoc='<p>b &amp;amp; <p hidden>c'>d</iframe>e"), "a b & e");
    assert_eq!(words("&eacute;&#233;&#x1f600;&nbsp;&lt;p&gt; &copy &unknown;"), "éé😀 <p> © &unknown;");
    assert_eq!(words("<title>t</title><p>a<br/>b<hr>c<wbr>d</br>e"), "a b cd e");
    let picture = "A".repeat(20 << 20);
    assert_eq!(words(&format!("a<img src='data:image/png;base64,{picture}' alt=b>c")), "a b c");
}

#[test]
fn what_is_around_a_pages_content_is_left_out_by_choice() {
    let html = "<header>a</header><nav>b</nav><main><article><header><h1>c</h1></header>d<footer>e</footer></article>\
                <aside>f</aside></main><div role=navigation>g</div><footer>h</footer>";
    let read = |html_boilerplate| {
        let options = ExtractOptions { html_boilerplate, ..ExtractOptions::default() };
        let sections = run(html.as_bytes(), "a.html", None, &options).0;
        texts(&sections).join(" ").split_whitespace().collect::<String>()
    };
    assert_eq!((read(true).as_str(), read(false).as_str()), ("abcdefgh", "cde"));
}

#[test]
fn pages_without_end_are_read_in_bounded_memory_and_time() {
    let deep = format!("{}one{} two", "<div>".repeat(100_000), "</div>".repeat(100_000));
    assert_eq!(words(&deep), "one two");
    let hidden = format!("{}a<p hidden>b</p>c", "<section>".repeat(10_000));
    assert_eq!(words(&hidden), "a c");
    let deep_drawing = format!("{}<svg><title/></svg>a", "<div>".repeat(10_000));
    assert_eq!(words(&deep_drawing), "a");
    for tags in
        ["<b id=1><p>", "<a><table>", "<b><i></b></i>", "<table><td>", "</p>", "<svg>", "<template>", "<select>"]
    {
        let _ = read(tags.repeat(200_000), "a.html").1;
    }
    let attributes: String = (0..300_000).map(|number| format!(" a{number}")).collect();
    assert_eq!(skipped(read(format!("<p{attributes}>a"), "a.html").1).0, Skip::TooLarge);
    // A text of any length is read, in pieces that follow one another.
    let (sections, outcome) = read(format!("<p>{}</p>", "word ".repeat(1 << 20)), "a.html");
    assert!(sections.iter().all(|section| section.text.len() <= SECTION));
    assert_eq!(outcome.unwrap().characters, 5 * (1 << 20) - 1);
    assert_eq!(sections.iter().map(|section| section.text.split_whitespace().count()).sum::<usize>(), 1 << 20);
    let table = Bytes::new(b"<table>").chain(Endless(b"a", 0).take(200 * MEBIBYTE));
    assert_eq!(skipped(run(table, "a.html", None, &ExtractOptions::default()).1).0, Skip::TooLarge);
}

#[test]
fn a_page_that_is_cut_off_anywhere_is_read_up_to_there() {
    let page = "<html><head><title>t</title><style>a{}</style></head><body><!-- c --><p title='x'>one &amp; two</p><svg>\
                <title/></svg><script>'</p>'</script><table><tr><td>three</table></body></html>";
    for end in 0..page.len() {
        let _ = read(&page[..end], "a.html").1;
    }
}
