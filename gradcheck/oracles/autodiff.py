"""The autodiff oracle: JAX differentiates the traced forward, NumPy evaluates the gradient.

The bound comes from running error analysis of the gradient program itself (Wilkinson; Higham,
Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.3), started with one rounding of
every input. For a claim of low precision the same analysis, with that precision's rounding, says
what the true gradient itself would lose. JAX is no truth at a kink or tie (it gives 0.5 for the
derivative of max(x, 0) at 0), so where a comparison in the program lies within its operands'
rounding the oracle does not say.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from gradcheck.errors import Abstention
from gradcheck.oracles.evidence import Entries, Evidence
from gradcheck.oracles.precision import coarsest_epsilon
from gradcheck.oracles.programs import Programs
from gradcheck.programs.arithmetics.floating import FLOAT64
from gradcheck.programs.arithmetics.running_error import RUNNING_ERROR, RunningError, rounded
from gradcheck.programs.evaluation import Decision, evaluate
from gradcheck.resolution import EPSILON
from gradcheck.rules import Claim, Rule

__all__ = ["Autodiff", "kinks_among"]


class Autodiff:
    """JAX autodiff of the traced forward, evaluated in float64 with a running error bound."""

    name = "autodiff"

    def __init__(self, programs: Programs) -> None:
        self.programs = programs

    def examine(self, rule: Rule, claim: Claim, rng: np.random.Generator) -> Evidence:
        """Return the true gradient of every variable of `claim`, with its rounding error bound.

        Where the forward draws random numbers, the claim is that of the recorded run, whose numbers
        the true gradient has as well.
        """
        decisions: list[Decision] = []
        try:
            traced = self.programs.at(rule, claim, rng)
            values, for_claimed = traced.arguments(claim)
            # float64 holds inputs of a lower precision exactly, and they are judged as they are.
            wide = [_widened(value) for value in values]
            found = evaluate(
                traced.true, [rounded(value) for value in wide], RUNNING_ERROR, decisions=decisions
            )
            epsilon = coarsest_epsilon(values, claim.output)
            needed: list[Any] = [None] * len(found)
            if epsilon > EPSILON:
                low = evaluate(traced.true, wide, _running_error(epsilon))
                gradients = low[: len(claim.variables)]  # what guards test comes after them
                needed = [np.asarray(error) for _, error in gradients]
            recorded: dict[str, Any] = {}
            if traced.random:
                if traced.claimed is None:
                    raise Abstention(f"the forward is random, and {traced.reason}")
                recorded = dict(
                    zip(traced.paths, evaluate(traced.claimed, for_claimed), strict=False)
                )
        except Abstention as abstention:
            return Evidence(self.name, abstention=str(abstention))
        kinks = kinks_among(decisions)
        entries = {
            variable.path: Entries(
                np.asarray(true),
                np.full(np.shape(true), np.inf) if kinks else np.asarray(error),
                recorded.get(variable.path),
                loss,
            )
            for variable, (true, error), loss in zip(claim.variables, found, needed, strict=False)
        }
        return Evidence(self.name, entries, reason=f"{self.name}: {kinks}" if kinks else "")


@cache
def _running_error(epsilon: float) -> RunningError:
    return RunningError(FLOAT64, epsilon / 2)


def _widened(value: Any) -> Any:
    """Return the values in float64 or complex128."""
    return np.asarray(value).astype(np.result_type(np.asarray(value).dtype, np.float64))


def kinks_among(decisions: Sequence[Decision]) -> str:
    """Say which decision is made by less than rounding; empty if there is none."""
    for decision in decisions:
        if np.any(decision.undecided):
            where = f" at {decision.where}" if decision.where else ""
            return f"a kink or tie, {decision.kind}{where} is decided by less than rounding"
    return ""
