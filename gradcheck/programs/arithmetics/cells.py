"""float64 with all the decisions that tell one cell of the finite field from another, and their operands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.programs.arithmetics.floating import Floating
from gradcheck.programs.operations import Operation
from gradcheck.programs.primitives.decisions import Branching, Decision

__all__ = ["CELLS", "EXPONENTIALS", "vanishing"]

Array = np.ndarray[Any, Any]

EXPONENTIALS = frozenset({"exp", "expm1"})
"""Primitives in which an exp that underflows is the number 0."""

VANISHES = "exp is 0"
"""The kind of decision that an exp takes where it underflows."""


def vanishing(operation: Operation) -> Callable[[list[Decision] | None, Array], Array | None]:
    """Return the function (decisions, x) -> where exp(x) is the number 0, None for nowhere.

    There it is the 0 that a mask means by exp(-1e9). Elsewhere it is a function, so that points at
    which it vanishes say nothing of those at which it does not: they lie in a cell of their own.
    """

    def decide(decisions: list[Decision] | None, x: Array) -> Array | None:
        masked = np.asarray(np.exp(x) == 0)
        if not masked.any():
            return None
        if decisions is not None:
            decisions.append(Decision(VANISHES, masked, np.zeros(masked.shape, bool), operation))
        return masked

    return decide


class Cells(Floating):
    """NumPy's float64, in which exp says where it vanishes, and decisions keep what they compared."""

    def decider(self, operation: Operation, branching: Branching) -> Callable[..., Array]:
        decide = super().decider(operation, branching)

        def decide_and_keep(decisions: list[Decision] | None, *values: Array) -> Array:
            outcome = decide(decisions, *values)
            if decisions is not None:
                decisions[-1] = replace(decisions[-1], operands=values)
            return outcome

        return decide_and_keep

    def compile(self, operation: Operation) -> tuple[Callable[..., Any], bool]:
        function, takes_decisions = super().compile(operation)
        if operation.name not in EXPONENTIALS:
            return function, takes_decisions
        decide = vanishing(operation)

        def exp(decisions: list[Decision] | None, x: Array) -> Any:
            decide(decisions, x)
            return function(x)

        return exp, True


CELLS = Cells("float64")
