"""The autodiff oracle: JAX differentiates the traced forward, NumPy evaluates the gradient.

The bound comes from running error analysis of the gradient program itself (Wilkinson; Higham,
Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.3), started with one rounding of
every input. JAX is no truth at a kink or tie (it gives 0.5 for the derivative of max(x, 0) at 0), so
where a comparison in the program lies within its operands' rounding the oracle does not say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.errors import Abstention
from gradcheck.oracles.evidence import Entries, Evidence
from gradcheck.programs.inlining import inline_custom_rules
from gradcheck.programs.jax_tracing import pullback_of, trace_with_jax, variables_of
from gradcheck.rules import Claim, Rule

__all__ = ["Autodiff"]


class Autodiff:
    """JAX autodiff of the traced forward, evaluated in float64 with a running error bound."""

    name = "autodiff"

    def examine(self, rule: Rule, claim: Claim, rng: np.random.Generator) -> Evidence:
        """Return the true gradient of every variable of `claim`, with its rounding error bound."""
        from gradcheck.programs.arithmetics.running_error import RUNNING_ERROR, rounded
        from gradcheck.programs.evaluation import evaluate

        inputs, cotangent = claim.point.inputs, claim.point.cotangent
        cotangents = [np.asarray(value) for _, value in trees.leaves(cotangent)]
        values = [rounded(value) for value in variables_of(inputs)]
        decisions: list[Any] = []
        try:
            pullback = pullback_of(self._program(rule, inputs))
            gradients = evaluate(
                pullback, [*values, *cotangents], RUNNING_ERROR, decisions=decisions
            )
        except Abstention as abstention:
            return Evidence(self.name, abstention=str(abstention))
        kinks = [decision for decision in decisions if np.any(decision.undecided)]
        entries = {
            variable.path: Entries(
                np.asarray(true), np.full(np.shape(true), np.inf) if kinks else np.asarray(error)
            )
            for variable, (true, error) in zip(claim.variables, gradients, strict=True)
        }
        return Evidence(self.name, entries, reason=_kink_reason(self.name, kinks))

    def _program(self, rule: Rule, inputs: tuple[Any, ...]) -> Any:
        """Return the program of the rule's forward, in which no rule vouches for itself."""
        function = (
            rule.functions[0] if rule.kind == "jax_rule" else lambda *values: rule.primal(values)
        )
        return inline_custom_rules(trace_with_jax(function, inputs)[0])


def _kink_reason(oracle: str, kinks: Sequence[Any]) -> str:
    if not kinks:
        return ""
    where = f" at {kinks[0].where}" if kinks[0].where else ""
    return f"{oracle}: a kink or tie, {kinks[0].kind}{where} is decided by less than rounding"
