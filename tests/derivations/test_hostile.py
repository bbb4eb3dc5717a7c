"""Documents that mean harm end soon, in bounded memory, in a verdict or in one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.derivations import DerivationError, audit
from tests.derivations.hostile import DOCUMENTS
from tests.derivations.mutations import repaired

ROOT = Path(__file__).parents[2]

SLOWEST_REFUSAL = 2.0
"""Seconds of processor time within which any hostile document must have ended."""

REFUSED = {
    "ten megabytes": "split it",
    "a megabyte of formulas": "lines, and a document may have",
    "a thousand equations": "more than 600 equations; split it",
    "many dollars": "more than 3000 formulas; split it",
    "null characters": "is it a binary file?",
    "yaml bomb": "is not understood",
}
"""Documents that are refused as a whole, with words of the sentence; of the others rows are."""


@pytest.fixture(scope="module")
def endings():
    """How each document ended: name -> (seconds, ending), from one process of bounded memory."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.derivations.hostile"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == len(DOCUMENTS), done.stderr
    return {name: (seconds, ended) for name, seconds, ended in rows}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_hostile_document_ends_soon_in_a_verdict_or_a_sentence(endings, name):
    seconds, ended = endings[name]
    assert seconds < SLOWEST_REFUSAL
    if name in REFUSED:
        assert ended.startswith("refused: ")
        assert REFUSED[name] in ended
    else:
        assert ended in ("fail", "inconclusive", "pass"), ended


TEX = r"""$$ $ \frac { } x W _ ^ = \sum \partial ( ) [ ] \\ & \begin{align} \end{align} \begin{pmatrix}
    \end{pmatrix} \| | ' \newcommand \def #1 \left \right , - \circ 1 \text{if} \nabla \hat T i \mathbf
    <!-- gradcheck: --> ``` \delta \in \mathbb"""
PIECES = st.sampled_from([*TEX.split(), "\n", "\n\n"])
LINES = [line for line in repaired().split("\n") if line]


def ends_in_verdicts_or_a_sentence(text):
    try:
        found = audit(text)
    except DerivationError:
        return
    assert found.counts["rows"] >= found.counts["certified"]


def soup(pieces):
    return "$$" + "".join(pieces) + "$$\n"


@st.composite
def scrambled(draw):
    """A few lines of the target document, with pieces of TeX put into them."""
    lines = draw(st.lists(st.sampled_from(LINES), min_size=1, max_size=6))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(lines) - 1))
        at = draw(st.integers(0, len(lines[place])))
        to = draw(st.integers(at, min(at + 8, len(lines[place]))))
        lines[place] = lines[place][:at] + draw(PIECES) + lines[place][to:]
    return "\n\n".join(lines) + "\n"


@settings(max_examples=100, deadline=None)
@given(st.lists(PIECES, max_size=30))
def test_no_soup_of_tex_raises_anything_but_a_derivation_error(pieces):
    ends_in_verdicts_or_a_sentence(soup(pieces))


@settings(max_examples=20, deadline=None)
@given(scrambled())
def test_no_scrambled_derivation_raises_anything_but_a_derivation_error(text):
    ends_in_verdicts_or_a_sentence(text)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@given(st.one_of(scrambled(), st.lists(PIECES, max_size=60).map(soup), st.text(max_size=200)))
def test_none_of_thousands_of_documents_raises_anything_but_a_derivation_error(text):
    ends_in_verdicts_or_a_sentence(text)
