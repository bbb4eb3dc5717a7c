"""Equations beside code; what the terminal, the page and the JSON show."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from gradcheck.derivations import DerivationError, audit, render_html, render_terminal
from gradcheck.derivations.sizes import sizes_below
from reference.network import backward, forward, output_loss
from tests.derivations.mutations import TARGET

DERIVATION = Path(__file__).parents[2] / "reference" / "derivation.md"


def specimen(given):
    """Compute the named equations of the specimen's derivation by the specimen."""
    weights = [given[f"W_{i}"] for i in (1, 2, 3)]
    activations = ["tanh"] * 3
    passed = forward(weights, [None] * 3, given["x_0"], activations)
    gradients = backward(weights, [None] * 3, passed, given["t"], activations)
    layers = (1, 2, 3)
    return {
        "layer": {i: passed.x[i] for i in layers},
        "loss": output_loss(passed.x[3], given["t"]),
        "output-delta": gradients.delta[3],
        "hidden-delta": {i: gradients.delta[i] for i in (1, 2)},
        "weight-gradient": {i: gradients.weights[i - 1] for i in layers},
    }


specimen.functions = {"f": "tanh"}


def test_our_own_derivation_is_true_in_every_row():
    found = audit(DERIVATION)
    assert found.verdict == "pass", [
        (row.line, row.reason) for row in found.rows if row.verdict != "true"
    ]


def test_our_own_derivation_agrees_with_the_code_beside_it():
    assert audit(DERIVATION, code=specimen).verdict == "pass"


def test_code_that_drifts_from_the_text_is_reported_at_the_named_equation():
    def drifted(given):
        out = specimen(given)
        return {**out, "weight-gradient": {i: 2 * g for i, g in out["weight-gradient"].items()}}

    drifted.functions = specimen.functions
    found = audit(DERIVATION, code=drifted)
    wrong = [row for row in found.rows if row.wrong]
    assert [row.name for row in wrong] == ["weight-gradient"]
    assert "the code computes weight-gradient otherwise" in wrong[0].reason


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("nowhere", "write it as module:function"),
        ("no_such_module:f", "No module named"),
        ("json:nothing", "json has no function nothing"),
        (
            lambda given: {"no-such-equation": np.zeros(1)},
            "no equation of the document has that name",
        ),
        (lambda given: 1, "must return a dict"),
    ],
)
def test_code_that_cannot_be_bound_is_refused_with_the_reason(code, words):
    with pytest.raises(DerivationError, match=words):
        audit(DERIVATION, code=code)


def test_the_terminal_leads_with_how_many_rows_were_read_checked_and_wrong():
    out = io.StringIO()
    render_terminal(audit(TARGET), Console(file=out, width=120))
    text = out.getvalue()
    assert text.startswith("27 rows: 27 read, 27 checked, 2 wrong, 15 certified; ")
    assert "the first wrong one is line 81" in text
    assert "lines 27 and 81 define E differently, by the factor 2" in text
    assert "z is read as x_3, the output" in text


def test_the_terminal_shows_the_sizes_under_the_factors():
    out = io.StringIO()
    render_terminal(audit(TARGET), Console(file=out, width=120))
    lines = out.getvalue().split("\n")
    (at,) = (k for k, line in enumerate(lines) if "xᵢ₋₁ᵀ" in line)
    for symbol, size in (("Wᵢ", "2×3"), ("δᵢ", "2×1"), ("xᵢ₋₁", "3×1")):
        column = lines[at].rindex(symbol)
        assert any(line[column:].startswith(size) for line in lines[at + 1 : at + 3])


@pytest.mark.parametrize(
    ("latex", "sizes", "lines"),
    [
        (r"\mbox{Let t} = t", {"t": "2 × 1"}, [" " * 15 + "2×1"]),
        (r"Z^{[1]} = W^{[1]}X", {"Z_1": "2 × 5", "X": "3 × 5"}, ["2×5              3×5"]),
        ("abc", {"a": "2 × 3", "b": "3 × 5", "c": "5 × 1"}, ["2×3  c: 5×1", " 3×5"]),
        ("y = x_{i-1", {"x_{i-1}": "2 × 1"}, ["    2×1"]),
        ("y % x", {"x": "2 × 1"}, []),
    ],
    ids=["prose", "bracketed index", "no room", "an open brace", "a comment"],
)
def test_sizes_stand_under_symbols_and_nowhere_else(latex, sizes, lines):
    assert sizes_below(latex, sizes) == lines


def test_the_page_annotates_the_sizes_on_request_within_the_math():
    page = render_html(audit(TARGET))
    assert "show sizes" in page
    assert "<munder>" in page
    assert "\\underset" not in page


def test_the_page_shows_the_first_wrong_line_on_top_and_fetches_nothing():
    page = render_html(audit(TARGET))
    assert page.index("First wrong line") < page.index("<math") < page.index("Read as")
    assert "defines E differently from line 27" in page
    assert "<script" not in page
    assert "src=" not in page
    assert "http" not in page.replace("http://www.w3.org/1998/Math/MathML", "")


def test_markup_in_a_document_is_shown_not_obeyed():
    page = render_html(audit("<script>alert(1)</script>\n\n$$y = \\text{<script>}x$$\n"))
    assert "<script" not in page


def test_the_json_holds_every_row_with_its_line_and_verdict():
    found = json.loads(json.dumps(audit(TARGET).as_dict()))
    assert found["verdict"] == "fail"
    assert found["first_wrong"] == 81
    assert {row["line"]: row["verdict"] for row in found["rows"]}[94] == "false"
    counts = {"rows": 27, "read": 27, "checked": 27, "wrong": 2, "certified": 15}
    assert found["counts"] == counts
