"""The derivation and the code name the same equations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import reference

FOLDER = Path(reference.__file__).parent
DERIVATION = (FOLDER / "derivation.md").read_text(encoding="utf-8")


def named(text):
    return re.findall(r"\\tag\{([^}]*)\}", text)


def cited(text):
    lists = re.findall(r"# derivation: ([a-z, -]+)$", text, flags=re.MULTILINE)
    return {name for names in lists for name in names.split(", ")}


def cited_by_the_code():
    return set().union(*(cited(path.read_text("utf-8")) for path in FOLDER.glob("*.py")))


def test_every_equation_that_the_code_cites_is_in_the_derivation():
    assert cited_by_the_code() - set(named(DERIVATION)) == set()


def test_every_named_equation_of_the_derivation_is_computed_by_a_line_of_code():
    assert set(named(DERIVATION)) - cited_by_the_code() == set()


def test_no_two_equations_have_the_same_name():
    names = named(DERIVATION)
    assert len(names) == len(set(names)) > 10


def test_the_backward_cites_its_equations_in_the_order_of_the_derivation():
    code = (FOLDER / "network.py").read_text("utf-8")
    lines = ["output-delta", "hidden-delta", "weight-gradient", "input-gradient"]
    assert [code.index(f" {name}") for name in lines] == sorted(
        code.index(f" {name}") for name in lines
    )


@pytest.mark.parametrize(
    ("code", "text", "missing"),
    [
        ("y = 1  # derivation: loss, update\n", "$$ a \\tag{loss} $$", {"update"}),
        ("    # derivation: loss\n", "$$ a \\tag{los} $$", {"loss"}),
        ("# derivation: loss\n", "$$ a \\tag{loss} $$", set()),
    ],
)
def test_a_misspelt_citation_is_found(code, text, missing):
    assert cited(code) - set(named(text)) == missing
