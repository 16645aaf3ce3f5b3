"""The docs show the figures that the benches wrote, and no others."""

from __future__ import annotations

import copy
import json
import unittest
from pathlib import Path

from tools.bench.tables import BLOCKS, FIGURES, rendered, written


class Figures(unittest.TestCase):
    def test_every_block_and_chart_shows_the_committed_figures(self) -> None:
        for path, content in rendered(json.loads(FIGURES.read_text())).items():
            self.assertEqual(path.read_text(), content, f"{path}: run `python3 -m tools.bench.tables`")

    def test_a_changed_figure_is_noticed(self) -> None:
        figures = json.loads(FIGURES.read_text())
        changed = copy.deepcopy(figures)
        for row in changed["bench"]["tables"]["mixed"]:
            row["documents/s"] *= 1.1
        differing = {path for path, content in rendered(changed).items() if path.read_text() != content}
        expected = {Path("README.md"), Path("docs/performance.md"), Path("docs/charts/throughput-mixed.svg")}
        self.assertEqual(differing, expected)

    def test_every_block_of_the_docs_is_one_that_is_rendered(self) -> None:
        for page in [Path("README.md"), *sorted(Path("docs").glob("*.md"))]:
            markers = page.read_text().count("<!-- make ")
            self.assertEqual(markers, len(BLOCKS.get(page, [])), page)

    def test_a_document_without_the_block_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            written("# A page", "bench", "mixed", "a table")


if __name__ == "__main__":
    unittest.main()
