"""No snippet that tempts a tracer into a wrong program succeeds: right program or abstention."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck import trees
from gradcheck.errors import Abstention
from gradcheck.programs.arithmetics.floating import AS_TRACED
from gradcheck.programs.evaluation import evaluate
from gradcheck.programs.numpy_tracing.clones import Clones
from gradcheck.programs.numpy_tracing.randomness import preserved
from gradcheck.programs.tracing import validated_trace
from tests.programs.snippets import ABSTAINS, RIGHT

POINTS = 12
"""Points per snippet, drawn with nothing that the validation draws."""


def draw(rng: np.random.Generator) -> np.ndarray[Any, Any]:
    x = rng.uniform(0.2, 2, size=(4, 3)) * rng.choice([-1, 1, 1], size=(4, 3))
    x[0] = np.abs(x[0])
    return x


def run_copy(function: Any, x: Any) -> list[Any]:
    with preserved(), np.errstate(all="ignore"):
        output = Clones().convert(function)(x.copy())
    return [np.array(value) for _, value in trees.leaves(output)]


def test_there_are_enough_of_both() -> None:
    assert len(RIGHT) + len(ABSTAINS) >= 80
    assert len(ABSTAINS) >= 12


@pytest.mark.parametrize("snippet", RIGHT, ids=lambda snippet: snippet.__name__)
def test_the_program_is_right(snippet: Any) -> None:
    rng = np.random.default_rng(10)
    x = draw(rng)
    expected = {}
    with preserved():
        for _ in range(POINTS):
            fresh = draw(rng)
            expected[fresh.tobytes()] = (fresh, run_copy(snippet, fresh))
        at_x = run_copy(snippet, x)
        program = validated_trace(snippet, (x,), rng=np.random.default_rng(11))
    for ours, theirs in zip(evaluate(program.jaxpr, [x], AS_TRACED), at_x, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    for fresh, outputs in expected.values():
        if program.holds_at((fresh,)):
            for ours, theirs in zip(
                evaluate(program.jaxpr, [fresh], AS_TRACED), outputs, strict=True
            ):
                np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("snippet", "words"), ABSTAINS, ids=[snippet.__name__ for snippet, _ in ABSTAINS]
)
def test_the_tracer_abstains_and_says_why(snippet: Any, words: str) -> None:
    x = draw(np.random.default_rng(10))
    with pytest.raises(Abstention, match=words) as caught:
        validated_trace(snippet, (x,), rng=np.random.default_rng(11))
    if caught.value.where is not None:
        assert "snippets.py:" in caught.value.where or "threading" in caught.value.where
