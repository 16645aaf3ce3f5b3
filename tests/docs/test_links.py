"""Links and paths in the Markdown files lead somewhere: to a file, and to a heading in it."""

from __future__ import annotations

import re
import unittest
from pathlib import Path
from xml.etree import ElementTree

from tests.docs.commands import ROOT

# A link or an image, `[words](target)`; targets elsewhere are not asked.
LINK = re.compile(r"\]\(([^()\s]+)\)")
ELSEWHERE = re.compile(r"[a-z]+:")
# A path of the repository between backticks; one with a placeholder or a variable in it is none.
PATH = re.compile(r"`((?:benches|crates|data|docs|events|examples|fuzz|src|tests|tools)/[\w./-]*)`")


def pages() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What GitHub calls the page's headings: lower case, hyphens for spaces, other marks gone."""
    found: set[str] = set()
    for words in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        count = sum(1 for other in found if re.fullmatch(rf"{re.escape(name)}(-\d+)?", other))
        found.add(f"{name}-{count}" if count else name)
    return found


def dead(page: Path, target: str) -> str | None:
    """Why a link of `page` leads nowhere; None for one that does not."""
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.exists():
        return f"there is no {path}"
    if anchor and anchor not in anchors(file):
        return f"{file.name} has no heading #{anchor}; it has {', '.join(sorted(anchors(file)))}"
    return None


class Links(unittest.TestCase):
    def test_every_link_leads_to_a_file_and_a_heading(self) -> None:
        count = 0
        for page in pages():
            for target in LINK.findall(prose(page)):
                if ELSEWHERE.match(target):
                    continue
                count += 1
                with self.subTest(f"{page.name}: {target}"):
                    self.assertIsNone(dead(page, target))
        self.assertGreater(count, 20)

    def test_every_path_of_the_repository_is_there(self) -> None:
        count = 0
        for page in pages():
            for path in PATH.findall(prose(page)):
                count += 1
                with self.subTest(f"{page.name}: {path}"):
                    self.assertTrue((ROOT / path).exists(), path)
        self.assertGreater(count, 50)

    def test_every_page_is_reached_from_the_readme(self) -> None:
        readme = ROOT / "README.md"
        reached = {(readme.parent / target.partition("#")[0]).resolve() for target in LINK.findall(prose(readme))}
        self.assertEqual({page for page in (ROOT / "docs").glob("*.md")} - reached, set())

    def test_pictures_bring_everything_with_them(self) -> None:
        """GitHub shows an image without what it would load: fonts, scripts, other images."""
        pictures = sorted((ROOT / "docs").rglob("*.svg"))
        self.assertIn(ROOT / "docs/overview.svg", pictures)
        for picture in pictures:
            with self.subTest(picture.name):
                self.assertTrue(ElementTree.parse(picture).getroot().get("viewBox"))
                text = picture.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
                self.assertIsNone(re.search(r"https?:|@import|@font-face|url\((?!#)|<script|<image", text))

    def test_a_dead_link_is_noticed(self) -> None:
        readme = ROOT / "README.md"
        for target in ("docs/https.md", "docs/http.md#pathes", "#how-slow"):
            self.assertIsNotNone(dead(readme, target), target)
        for target in ("docs/http.md#larger-answers-streaming", "docs/http.md#the-models-name", "#how-fast"):
            self.assertIsNone(dead(readme, target), target)


if __name__ == "__main__":
    unittest.main()
