"""Every example of the page on auditing is audited, and gives the verdicts printed beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gradcheck.derivations import audit

PAGE = Path(__file__).parents[2] / "docs" / "auditing.md"
EXAMPLE = re.compile(r"````markdown\n(.*?)````\n\n```verdicts\n(.*?)```", re.DOTALL)
EXAMPLES = EXAMPLE.findall(PAGE.read_text(encoding="utf-8"))


def test_the_page_has_examples_and_each_has_its_verdicts():
    assert len(EXAMPLES) == PAGE.read_text(encoding="utf-8").count("````markdown") >= 5


@pytest.mark.parametrize(("text", "expected"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_of_the_page_gives_the_verdicts_printed_beside_it(text, expected):
    rows = audit(text).rows
    wanted = [line.split(" ", 2) for line in expected.splitlines()]
    assert [(str(row.line), row.verdict) for row in rows] == [(w[0], w[1]) for w in wanted]
    for row, want in zip(rows, wanted, strict=True):
        if len(want) == 3:
            assert want[2] in row.reason
