"""The documentation page in a real browser: rendered, at work, and in place at desktop and phone width.

CHROMIUM names the browser if it is not in the PATH. Screenshots are kept in target/docs-page.
"""

from __future__ import annotations

import os
import shutil
import unittest

from tests import parts
from tests.clients.harness import ROOT, ServedCase

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
SHOTS = ROOT / "target/docs-page"
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}


class DocsPage(ServedCase):
    variables = {"EMBED_API_KEY": "sesame", "EMBED_BASE_PATH": "/prod"}

    @classmethod
    def setUpClass(cls) -> None:
        parts.require(cls, "chromium", CHROMIUM)
        from playwright.sync_api import sync_playwright

        super().setUpClass()
        playwright = sync_playwright().start()
        cls.addClassCleanup(playwright.stop)
        # Containers have no user namespaces and only a small /dev/shm.
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        cls.browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        cls.addClassCleanup(cls.browser.close)
        SHOTS.mkdir(parents=True, exist_ok=True)

    def open(self, width: str, scheme: str = "light", path: str = "/docs"):
        size = dict(zip(("width", "height"), WIDTHS[width]))
        page = self.browser.new_page(viewport=size, color_scheme=scheme)
        self.addCleanup(page.close)
        page.set_default_timeout(10_000)
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda line: self.faults.append(line.text) if line.type == "error" else None)
        self.asked: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(self.url + path)
        page.wait_for_selector("details")
        return page

    def compare(self, page) -> None:
        page.fill("#token", "sesame")
        page.click("#compare")
        page.wait_for_selector(".heat")

    def test_it_renders_every_route_of_the_document(self) -> None:
        page = self.open("desktop")
        shown = page.locator("summary").all_inner_texts()
        document = page.evaluate("fetch('openapi.json').then((answer) => answer.json())")
        self.assertEqual(len(shown), sum(len(item) for item in document["paths"].values()))
        for path in document["paths"]:
            self.assertTrue(any(path in text.split() for text in shown), path)
        self.assertIn("fixture", page.inner_text("#model"))
        self.assertEqual(self.faults, [])

    def test_a_heat_map_shows_the_similarity_of_the_sentences(self) -> None:
        page = self.open("desktop")
        page.fill("#texts", "hello world\nhello world\nthe lazy dog")
        self.compare(page)
        cells = page.locator(".heat td").all_inner_texts()
        self.assertEqual(len(cells), 9)
        self.assertEqual([cells[place] for place in (0, 1, 4, 8)], ["1.00"] * 4)
        self.assertEqual(cells[2], cells[6])
        self.assertLess(float(cells[2]), 1)
        self.assertIn("32 dimensions", page.inner_text("#result"))
        self.assertEqual(self.faults, [])

    def test_it_works_below_a_base_path_and_sends_requests_only_to_its_own_server(self) -> None:
        page = self.open("desktop", path="/prod/docs/")
        self.compare(page)
        self.assertTrue(any(url.endswith("/prod/embed") for url in self.asked), self.asked)
        others = [url for url in self.asked if not url.startswith((self.url + "/prod/", "data:"))]
        self.assertEqual(others, [])

    def test_a_refusal_is_shown(self) -> None:
        page = self.open("desktop")
        page.click("#compare")
        page.wait_for_function("document.getElementById('problem').textContent.includes('token')")
        page.fill("#texts", "only one")
        page.click("#compare")
        page.wait_for_function("document.getElementById('problem').textContent.includes('2 to 12')")

    def test_texts_are_never_markup(self) -> None:
        page = self.open("desktop")
        page.fill("#texts", "<img src=x onerror=alert(1)>\n<b>bold</b>")
        self.compare(page)
        self.assertEqual(page.locator("#result img, #result b").count(), 0)

    def test_nothing_is_wider_than_the_screen(self) -> None:
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                page = self.open(width, scheme)
                self.compare(page)
                page.click("summary >> nth=0")
                with self.subTest(width=width, scheme=scheme):
                    over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                    self.assertLessEqual(over, 0)
                page.evaluate("scrollTo(0, 0)")
                page.screenshot(path=SHOTS / f"{width}-{scheme}.png")
                page.screenshot(path=SHOTS / f"{width}-{scheme}-whole.png", full_page=True)


if __name__ == "__main__":
    unittest.main()
