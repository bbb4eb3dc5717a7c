"""The examples of the docs do what the pages say."""

import re
from pathlib import Path

import numpy as np
import pytest

import gradcheck
from gradcheck.discovery import find_rules

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page, language):
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def page_of_networks(tmp_path):
    """The network that the page declares, and what it shows of its report."""
    (tmp_path / "layers_of_the_page.py").write_text(blocks("networks.md", "python")[0])
    (found,) = find_rules(str(tmp_path / "layers_of_the_page.py"))
    _, *shown = blocks("networks.md", "console")[0].splitlines()
    return found.rule, shown


def test_the_network_that_the_page_shows_fails_as_it_shows(page_of_networks):
    rule, shown = page_of_networks
    lines = tuple(line.strip() for line in shown if " = " in line)
    point = (lines, {"x_1": np.ones((1, 1)), "t_3": np.full((1, 1), 2.0)})
    report = gradcheck.verify_at(rule, point, checks=["gradient"])
    assert "\n".join(shown) in report.findings[0].message


@pytest.mark.slow
def test_the_command_of_the_page_finds_that_network(page_of_networks):
    rule, shown = page_of_networks
    report = gradcheck.verify(rule, checks=["gradient"], seed=1)
    assert "\n".join(shown) in report.findings[0].message
