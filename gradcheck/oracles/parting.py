"""Where two programs part: equal numbers that the finite field does not know for one function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck.oracles.certificates import Side
from gradcheck.programs.arithmetics.finite_field import FiniteField
from gradcheck.programs.arithmetics.residues import Draws, Residue
from gradcheck.programs.evaluation import Step, Steps, compile_afresh

__all__ = ["parting"]

DRAWS = 8
"""One tells functions apart; of eight, one has the roots of a few radicands."""

AGREEING_DIGITS = 9
"""Of two numbers that count as one: more than chance explains, fewer than rounding leaves."""


def parting(
    true: Side, claimed: Side, point_inputs: Sequence[Any], rng: np.random.Generator
) -> str | None:
    """Say which computed arrays of both programs are the first with equal numbers, unequal residues.

    Returns:
        A phrase that names both computations by primitive and source line, or None if none is found.
    """
    field = FiniteField(Draws.of(DRAWS, rng))
    inputs = [field.variable(value) if value.dtype.kind == "f" else value for value in point_inputs]
    truths, claims = (
        _computed(
            compile_afresh(side.program, field), [inputs[number] for number in side.arguments]
        )
        for side in (true, claimed)
    )
    alive = np.tile(field.draws.alive, 2)
    return _first_pair(truths, claims, alive) if alive.any() else None


Computed = list[tuple[Step, Residue]]


def _computed(steps: Steps, inputs: Sequence[Any]) -> Computed:
    """List the results of a program's steps, in order."""
    found: Computed = []

    def watch(step: Step, result: Any) -> None:
        if isinstance(result, Residue) and result.companion.size:
            found.append((step, result))

    steps.evaluate(inputs, None, watch)
    return found


def _first_pair(truths: Computed, claims: Computed, alive: Any) -> str | None:
    def residues(value: Residue) -> bytes:
        return value.lanes[..., alive].tobytes()

    known, theirs = ({residues(value) for _, value in found} for found in (truths, claims))
    unmatched: dict[Any, list[tuple[Step, Residue]]] = {}
    for step, value in truths:
        if residues(value) not in theirs:
            unmatched.setdefault(_likeness(value), []).append((step, value))
    for step, value in claims:
        if residues(value) in known:
            continue
        for other, true in unmatched.get(_likeness(value), []):
            if _same_numbers(value.companion, true.companion):
                return (
                    f"{step.name} and {other.name} have equal numbers and are not known to be "
                    "one function"
                )
    return None


def _likeness(value: Residue) -> tuple[Any, str]:
    """Return what arrays of equal numbers have in common, but for a rare rounding across."""
    return value.companion.shape, f"{value.companion.flat[0]:.{AGREEING_DIGITS}e}"


def _same_numbers(a: Any, b: Any) -> bool:
    """Say whether two arrays of one shape have equal numbers, and not merely zeros."""
    if not (np.all(np.isfinite(a)) and np.any(a)):
        return False
    return bool(np.allclose(a, b, rtol=10.0**-AGREEING_DIGITS, atol=0))
