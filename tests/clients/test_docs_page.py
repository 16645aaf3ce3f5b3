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
# More than the page's own sentences, fewer than it takes.
LIMIT = 8
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}


class DocsPage(ServedCase):
    variables = {"EMBED_API_KEY": "sesame", "EMBED_BASE_PATH": "/prod", "EMBED_MAX_TEXTS": str(LIMIT)}

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

    def test_routes_are_grouped_by_what_one_wants_to_do_and_name_their_contract(self) -> None:
        page = self.open("desktop")
        document = page.evaluate("fetch('openapi.json').then((answer) => answer.json())")
        expected: list[tuple[str, str, str]] = []
        for tag in document["tags"]:
            for path, item in document["paths"].items():
                for verb, operation in item.items():
                    if operation["tags"] == [tag["name"]]:
                        expected.append((tag["name"], f"{verb.upper()} {path}", operation.get("x-contract", "")))
        shown = page.evaluate("""() => [...document.querySelectorAll("#reference details")].map((route) => {
            let before = route;
            while (before.tagName !== "H2") before = before.previousElementSibling;
            const [verb, path, about] = [...route.querySelectorAll("summary > *")].map((part) => part.textContent);
            return [before.textContent, `${verb} ${path}`, about.split(" · ")[1] || ""];
        })""")
        self.assertEqual([tuple(route) for route in shown], expected)
        links = page.locator("nav a")
        self.assertEqual(links.all_inner_texts(), [tag["name"] for tag in document["tags"]])
        for place in links.evaluate_all("links => links.map((link) => link.getAttribute('href'))"):
            self.assertEqual(page.locator(f"h2{place}").count(), 1, place)

    def test_an_answer_of_the_reference_says_what_happened_and_what_to_do(self) -> None:
        page = self.open("desktop")
        page.click("summary:has(code:text-is('/embed'))")
        answers = page.inner_text("details:has(summary code:text-is('/embed')) .inside")
        self.assertIn("Send the function's token as Authorization: Bearer", answers)
        self.assertIn("The message names the limit: send fewer or shorter texts. For example: “", answers)
        self.assertIn("x-truncated Which texts were longer than the model takes", answers)

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

    def refused(self, page) -> str:
        """What the page says of a refusal; the answer to earlier sentences must be gone."""
        page.click("#compare")
        page.wait_for_selector("#problem .notice")
        page.wait_for_selector("#compare:enabled")
        self.assertEqual(page.locator("#result *").count(), 0)
        return page.inner_text("#problem")

    def test_a_missing_token_and_a_wrong_one_are_told_apart(self) -> None:
        page = self.open("desktop")
        missing = self.refused(page)
        self.assertIn("This function asks for a token. Type it into the field above.", missing)
        self.assertIn("Status 401: a valid token is needed", missing)
        page.fill("#token", "open")
        wrong = self.refused(page)
        self.assertIn("The token is wrong. Type it again.", wrong)
        self.assertIn("EMBED_API_KEY", wrong)
        page.fill("#token", "ses…me")
        self.assertIn("a character that no token can have", self.refused(page))
        self.compare(page)
        self.assertEqual(page.inner_text("#problem"), "")

    def test_a_request_beyond_a_limit_says_what_to_take_out(self) -> None:
        page = self.open("desktop")
        self.compare(page)
        page.fill("#texts", "\n".join(f"sentence {number}" for number in range(LIMIT + 1)))
        said = self.refused(page)
        self.assertIn("That is too much for one request. Take out some sentences, or shorten them.", said)
        self.assertIn(f"Status 413: {LIMIT + 1} texts in one request; the limit is {LIMIT}", said)

    def test_too_few_sentences_and_a_server_that_is_gone_are_told(self) -> None:
        page = self.open("desktop")
        page.fill("#texts", "only one")
        self.assertIn("1 sentence to compare. Write 2 to 12 sentences, one a line.", self.refused(page))
        page.fill("#texts", "one\ntwo")
        page.route("**/embed", lambda route: route.abort())
        self.assertIn("No answer came.", self.refused(page))
        busy = {"status": 429, "headers": {"retry-after": "1"}, "json": {"error": "64 calls are under way already"}}
        page.unroute("**/embed")
        page.route("**/embed", lambda route: route.fulfill(**busy))
        self.assertIn("The function is busy. Try again in 1 second.", self.refused(page))

    def test_a_sentence_that_was_cut_is_named_with_what_to_do(self) -> None:
        page = self.open("desktop")
        page.fill("#texts", f"hello world\n{'the quick brown fox ' * 40}\nthe lazy dog")
        self.compare(page)
        said = page.inner_text("#result .notice")
        self.assertIn("Sentence 2 is longer than the model takes. Only the beginning, 64 tokens, was compared.", said)
        self.assertIn("Shorten it, or split it into lines.", said)
        marked = [("cut" in head.split()) for head in page.locator(".heat tbody th").all_inner_texts()]
        self.assertEqual(marked, [False, True, False])
        page.fill("#texts", "hello world\nthe lazy dog")
        page.click("#compare")
        page.wait_for_selector("#result .notice", state="detached")

    def test_texts_are_never_markup(self) -> None:
        page = self.open("desktop")
        page.fill("#texts", "<img src=x onerror=alert(1)>\n<b>bold</b>")
        self.compare(page)
        self.assertEqual(page.locator("#result img, #result b").count(), 0)

    def test_nothing_is_wider_than_the_screen(self) -> None:
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                page = self.open(width, scheme)
                page.fill("#texts", f"a short one\n{'a long one ' * 100}\n{'W' * 300}")
                self.compare(page)
                page.click("summary >> nth=0")
                with self.subTest(width=width, scheme=scheme):
                    over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                    self.assertLessEqual(over, 0)
                page.evaluate("scrollTo(0, 0)")
                page.screenshot(path=SHOTS / f"{width}-{scheme}.png")
                page.screenshot(path=SHOTS / f"{width}-{scheme}-whole.png", full_page=True)
                page.fill("#token", "open")
                self.refused(page)
                self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth - innerWidth"), 0)
                page.screenshot(path=SHOTS / f"{width}-{scheme}-refused.png")


if __name__ == "__main__":
    unittest.main()
