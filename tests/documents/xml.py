"""XML and SVG for `make documents`: feeds, lists of addresses, articles, drawings, and what each must give."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from tests.documents.prose import ENGLISH, GERMAN

if TYPE_CHECKING:
    from tests.documents.make import Set

DECLARED = '<?xml version="1.0" encoding="UTF-8"?>\n'
PAGE = f"<h2>Head</h2><p>{ENGLISH[0]} <b>Dark</b> &amp; late, caf&eacute;.</p><script>hidden words</script>"
RSS = f"""{DECLARED}<?xml-stylesheet type="text/xsl" href="feed.xsl"?><!-- hidden words -->
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel><title>News of lights</title>
<link>https://example.test/</link><description>Plain words</description>
<item><title>One</title><guid isPermaLink="false">1</guid><description>{escape(PAGE)}</description></item>
<item><title>Two &amp; three</title><content:encoded><![CDATA[<p>{ENGLISH[1]}</p><p>End.</p>]]></content:encoded></item>
</channel></rss>"""
RSS_WORDS = (
    f"News of lights https://example.test/ Plain words One 1 Head {ENGLISH[0]} Dark & late, café. "
    f"Two & three {ENGLISH[1]} End."
)
ATOM = f"""{DECLARED}<feed xmlns="http://www.w3.org/2005/Atom"><title>Lights</title><entry>
<title type="html">A &lt;i&gt;new&lt;/i&gt; one</title><link href="https://example.test/a"/><updated>2024-01-15T12:30:00Z</updated>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>First<br/>line</p><p hidden="hidden">hidden words</p></div>
</content></entry></feed>"""
SITEMAP = f"""{DECLARED}<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
<url><loc>https://example.test/a?b&amp;c</loc><lastmod>2024-01-15</lastmod></url><url><loc>https://example.test/d</loc></url></urlset>"""
DOCBOOK = f"""{DECLARED}<!DOCTYPE article [<!ELEMENT article ANY>]>
<article xmlns="http://docbook.org/ns/docbook" version="5.0"><info><title>On lights</title></info>
<section><title>The <emphasis>lens</emphasis></title><para>{ENGLISH[0]} See <xref linkend="a"/>, H<subscript>2</subscript>O.</para>
<itemizedlist><listitem><para>oil</para></listitem><listitem><para>gas</para></listitem></itemizedlist>
<programlisting>if a &lt; b:
    light()</programlisting></section></article>"""
JATS = f"""{DECLARED}<article xmlns:xlink="http://www.w3.org/1999/xlink"><front><article-meta><title-group>
<article-title>Growth of <italic>E. coli</italic></article-title></title-group><abstract><p>{ENGLISH[2]}</p></abstract>
</article-meta></front><body><sec><title>Aim</title><p>We saw<xref ref-type="bibr" rid="b1">1</xref> that it grows
<inline-formula>10<sup>6</sup></inline-formula> fold.</p></sec></body></article>"""
DRAWING = f"""{DECLARED}<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><title>Map</title><desc>{ENGLISH[0]}</desc>
<metadata>hidden words</metadata><style><![CDATA[.a {{ content: "hidden words" }}]]></style><script>hidden words</script>
<g><text x="1" y="1">North<tspan x="1" dy="1.2em">light</tspan><tspan>house</tspan></text><path d="M0 0"/></g></svg>"""


def make(made: Set) -> None:
    made.good("news.xml", RSS.encode(), "xml", [], words=RSS_WORDS, place={"title": "News of lights", "headings": ["Head"]})
    made.good("news", RSS.encode(), "xml", ["Plain words"], content_type="application/rss+xml; charset=utf-8")
    made.good("entries.atom", ATOM.encode(), "xml", [], words="Lights A new one 2024-01-15T12:30:00Z First line")
    made.good("sitemap.xml", SITEMAP.encode(), "xml", [], text="https://example.test/a?b&c\n2024-01-15\n\nhttps://example.test/d")
    made.good(
        "docbook.xml",
        DOCBOOK.encode(),
        "xml",
        [],
        text=f"On lights\nThe lens\n{ENGLISH[0]} See , H2O.\noil\ngas\n\nif a < b:\n    light()",
    )
    made.good(
        "article.xml",
        JATS.encode(),
        "xml",
        [],
        text=f"Growth of E. coli\n{ENGLISH[2]}\n\nAim\nWe saw1 that it grows 106 fold.",
        content_type="text/xml",
    )
    made.good("map.svg", DRAWING.encode(), "xml", [], text=f"Map\n{ENGLISH[0]}\nNorth\nlighthouse", place={"title": "Map"})
    made.good("map", DRAWING.encode(), "xml", ["lighthouse"], content_type="image/svg+xml")
    latin = f'<?xml version="1.0" encoding="ISO-8859-1"?><a>{GERMAN}</a>'
    made.good("latin.xml", latin.encode("iso-8859-1"), "xml", [], text=GERMAN, charset="windows-1252")
    wide = f'<?xml version="1.0" encoding="UTF-16"?><a>{GERMAN}</a>'
    made.good("utf-16.xml", wide.encode("utf-16"), "xml", [], text=GERMAN, charset="UTF-16LE")
    own = '<!DOCTYPE a [<!ENTITY who "hidden words">]><a>by &who; &amp; &mdash; co</a>'
    made.good("entity.xml", own.encode(), "xml", [], text="by &who; & — co", left_out=1)
    made.poison("cut-off.xml", RSS.encode()[: len(RSS) // 2], "broken")
    made.poison("mismatched.xml", b"<a><b>words</a></b>", "broken")
    made.poison("not-xml.xml", b"just words", "broken")
    made.poison("attributes.xml", b'<rows><row text="words"/></rows>', "skipped", "unreadable")
    made.poison("no-elements.xml", b"<rows> <row/></rows>", "skipped", "empty")
    made.poison("shapes.svg", b'<svg><path d="M0 0"/></svg>', "skipped", "unreadable")
    made.poison("photo.svg", b'<svg><image href="data:image/png;base64,AAAA"/></svg>', "skipped", "image_only")
    made.poison("too-deep.xml", b"<a>" * 40_000, "skipped", "too_deep")
