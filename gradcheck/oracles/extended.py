"""The extended oracle: are claimed and true pullback the same function, beyond rounding?

Both programs are evaluated in numbers wider than float64, with a running error bound. They may differ
by that rounding, and by what the constants in the code explain: each of many bits is the float64
rounding of the number that was meant. The claim's own loss in float64 is no excuse here: it is not
looked at.
"""

from __future__ import annotations

import numpy as np

from gradcheck.errors import Abstention
from gradcheck.oracles.autodiff import kinks_among
from gradcheck.oracles.evidence import Entries, Evidence
from gradcheck.oracles.programs import Programs
from gradcheck.programs.arithmetics.extended import EXTENDED, as_plain_arrays
from gradcheck.programs.arithmetics.running_error import UNIT_ROUNDOFF
from gradcheck.programs.evaluation import Decision, evaluate
from gradcheck.rules import Claim, Rule

__all__ = ["Extended"]

LARGEST_INPUT = 64 * 64
"""Entries of one input up to which extended numbers are used: they know no BLAS, and a product of
64 × 64 matrices takes a millisecond."""

CONSTANT_ROUNDINGS = 8
"""Roundings that a constant may carry: `1 / np.sqrt(d)` is the result of two, a table of weights of a
few more, and forward and backward may have computed it in different ways."""


FLOAT_ROUNDINGS = 8
"""Roundings of float64 that the claim may be off by, relative to the true value: `x` for
log(1 + exp(x)) beyond 40 is no error, though wider numbers tell the two apart."""


class Extended:
    """Claimed and true pullback in extended precision."""

    name = "extended precision"

    def __init__(self, programs: Programs) -> None:
        self.programs = programs

    def examine(self, rule: Rule, claim: Claim, rng: np.random.Generator) -> Evidence:
        """Return the true and the claimed gradients in extended precision, with their bounds."""
        largest = max((variable.value.size for variable in claim.variables), default=0)
        if largest > LARGEST_INPUT:
            reason = f"an input has {largest} entries, more than {LARGEST_INPUT}"
            return Evidence(self.name, abstention=reason)
        decisions: list[Decision] = []
        try:
            traced = self.programs.at(rule, claim, rng)
            if traced.claimed is None:
                raise Abstention(f"the backward could not be traced: {traced.reason}")
            for_true, for_claimed = traced.arguments(claim)
            truths = evaluate(traced.true, for_true, EXTENDED, decisions=decisions)
            claims = evaluate(traced.claimed, for_claimed, EXTENDED, decisions=decisions)
        except Abstention as abstention:
            return Evidence(self.name, abstention=str(abstention))
        kinks = kinks_among(decisions)
        true_of = {v.path: found for v, found in zip(claim.variables, truths, strict=False)}
        entries = {}
        for path, (claimed, loss) in zip(traced.paths, claims, strict=False):
            true, error = true_of[path]
            with np.errstate(all="ignore"):
                claimed, true = as_plain_arrays(claimed, true)
            bound = np.full(np.shape(error), np.inf) if kinks else CONSTANT_ROUNDINGS * error
            allowed = CONSTANT_ROUNDINGS * np.asarray(loss)
            allowed = allowed + FLOAT_ROUNDINGS * UNIT_ROUNDOFF * np.abs(true)
            entries[path] = Entries(true, bound, claimed, allowed)
        return Evidence(self.name, entries, reason=f"{self.name}: {kinks}" if kinks else "")
