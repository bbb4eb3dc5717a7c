"""The check `shapes`: every gradient has the dimensions of its input.

Law: for a scalar loss E and an input x, dE/dx has the shape of x; and the output has the shape that the
rule's contract gives it.
"""

from __future__ import annotations

from gradcheck.checks.check import Bench, Examination, Finding, backward_raised
from gradcheck.checks.tally import Tally
from gradcheck.diagnosis import explain_shape
from gradcheck.errors import BackwardError, ShapeError
from gradcheck.rules import Claim, Point, Rule, Variable, claim_at
from gradcheck.verdicts import Profile, Verdict

__all__ = ["ShapesCheck"]


class ShapesCheck:
    """Every gradient has the dimensions of its input, and the output those of its contract."""

    name = "shapes"
    share = 1.0

    def examine(self, rule: Rule, point: Point, bench: Bench) -> Examination:
        """Compare the shapes at one point; no oracle is asked."""
        try:
            claim = claim_at(rule, point)
        except BackwardError as error:
            return backward_raised(self.name, error)
        findings = [
            shape_finding(rule, self.name, claim, variable)
            for variable in claim.variables
            if variable.claimed is not None and not variable.comparable
        ]
        findings += self._contract_findings(rule, claim)
        notes = tuple(
            f"the gradient of {variable.path} holds no real numbers ({variable.claimed.dtype})"
            for variable in claim.variables
            if variable.claimed is not None and variable.claimed.dtype.kind in "biu"
        )
        compared = any(variable.claimed is not None for variable in claim.variables)
        found = Verdict.PASS if compared else Verdict.INCONCLUSIVE
        verdict = Verdict.FAIL if findings else found
        reasons = () if compared else (NOTHING_CLAIMED,)
        return Examination(verdict, tuple(findings), notes=notes, reasons=reasons)

    def conclude(self, tally: Tally, profile: Profile) -> tuple[Verdict, str]:
        """Pass if any gradient was claimed, and so compared."""
        if tally.points > tally.reasons[NOTHING_CLAIMED]:
            return Verdict.PASS, ""
        return Verdict.INCONCLUSIVE, NOTHING_CLAIMED

    def _contract_findings(self, rule: Rule, claim: Claim) -> list[Finding]:
        if rule.contract is None:
            return []
        try:
            rule.contract.assert_output(claim.output, rule.contract.bind(claim.point.inputs))
        except ShapeError as error:
            message = f"{rule.name}: {error}"
            return [Finding(self.name, "", None, error.actual, error.expected, "", "", message)]
        return []


NOTHING_CLAIMED = "the rule claims no gradient for any input"


def shape_finding(rule: Rule, check: str, claim: Claim, variable: Variable) -> Finding:
    """Report a gradient whose shape is not that of its input."""
    assert variable.claimed is not None
    expected, actual = variable.value.shape, variable.claimed.shape
    diagnosis = explain_shape(actual, expected, sizes_of(rule, claim.point))
    path = variable.path
    message = f"{rule.name}: the gradient of {path} has shape {actual}, {path} has {expected}"
    if diagnosis:
        message += f": {diagnosis}"
    return Finding(check, path, None, actual, expected, diagnosis, "", message)


def sizes_of(rule: Rule, point: Point) -> dict[str, int]:
    """Return the size of every named dimension at `point`; empty where the rule has no contract."""
    if rule.contract is None:
        return {}
    return dict(rule.contract.bind(point.inputs))
