"""The examples of the docs do what the pages say."""

import re
from pathlib import Path

import gradcheck
from gradcheck.discovery import find_rules

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page, language):
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_network_of_the_page_fails_with_the_lines_that_it_shows(tmp_path):
    (tmp_path / "layers_of_the_page.py").write_text(blocks("networks.md", "python")[0])
    (found,) = find_rules(str(tmp_path / "layers_of_the_page.py"))
    report = gradcheck.verify(found.rule, checks=["gradient"], seed=1)
    _, *shown = blocks("networks.md", "console")[0].splitlines()
    assert "\n".join(shown) in report.findings[0].message
