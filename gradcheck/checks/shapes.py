"""The check `shapes`: every gradient has the dimensions of its input.

Law: for a scalar loss E and an input x, dE/dx has the shape of x; and the output has the shape that the
rule's contract gives it. Broadcast axes and dimensions of size 1 are among the points; and each named
dimension becomes 0 in turn, as in the last batch of a data set that divides evenly.

A backward that cannot take an empty array, where the forward does, is a note; and so is one that gives
anything but zeros where the output has no entry, or an empty array of another shape than the input's; and a
gradient (2,) of a parameter (1, 2): broadcasting adds it as if it had the shape.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.checks.check import Bench, Examination, Finding, backward_raised, strictly
from gradcheck.checks.tally import Tally
from gradcheck.diagnosis import explain_shape
from gradcheck.errors import BackwardError, GradcheckError, ShapeError
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
        notes = [
            f"the gradient of {variable.path} holds no real numbers ({variable.claimed.dtype})"
            for variable in claim.variables
            if variable.claimed is not None and variable.claimed.dtype.kind in "biu"
        ]
        if not findings:
            findings, risks = self._at_size_zero(rule, point, bench)
            risks += _left_out(claim)
            findings += strictly(self.name, rule, risks)
            notes += risks
        compared = any(variable.claimed is not None for variable in claim.variables)
        found = Verdict.PASS if compared else Verdict.INCONCLUSIVE
        verdict = Verdict.FAIL if findings else found
        reasons = () if compared else (NOTHING_CLAIMED,)
        return Examination(verdict, tuple(findings), notes=tuple(notes), reasons=reasons)

    def conclude(self, tally: Tally, profile: Profile) -> tuple[Verdict, str]:
        """Pass if any gradient was claimed, and so compared."""
        if tally.points > tally.reasons[NOTHING_CLAIMED]:
            return Verdict.PASS, ""
        return Verdict.INCONCLUSIVE, NOTHING_CLAIMED

    def _at_size_zero(
        self, rule: Rule, point: Point, bench: Bench
    ) -> tuple[list[Finding], list[str]]:
        """Examine the rule with one dimension of size 0: return what is wrong, and what is risky."""
        emptied = emptied_inputs(rule, point, bench.rng)
        if emptied is None:
            return [], []
        name, inputs = emptied
        try:
            with warnings.catch_warnings():  # NumPy warns of the mean of nothing
                warnings.simplefilter("ignore")
                claim = claim_at(rule, Point(inputs))
        except BackwardError:
            return [], [f"the backward raises for {name} = 0, where the forward runs"]
        except GradcheckError:  # the forward may well need one entry
            return [], []
        misshapen = [
            (shape_finding(rule, self.name, claim, variable), variable.value.size or claimed.size)
            for variable in claim.variables
            if (claimed := variable.claimed) is not None and not variable.comparable
        ]
        findings = [finding for finding, entries in misshapen if entries]
        nothing = all(np.size(leaf) == 0 for _, leaf in trees.leaves(claim.output))
        notes = [
            f"the gradient of {variable.path} is not zero for {name} = 0, where the output is empty"
            for variable in claim.variables
            if nothing and variable.claimed is not None and np.any(variable.claimed != 0)
        ]
        notes += [
            f"for {name} = 0 the gradient of {finding.input} is empty, and of another shape"
            for finding, entries in misshapen
            if not entries
        ]
        return findings, notes

    def _contract_findings(self, rule: Rule, claim: Claim) -> list[Finding]:
        if rule.contract is None:
            return []
        try:
            rule.contract.assert_output(claim.output, rule.contract.bind(claim.point.inputs))
        except ShapeError as error:
            message = f"{rule.name}: {error}"
            return [Finding(self.name, "", None, error.actual, error.expected, "", "", message)]
        return []


def _left_out(claim: Claim) -> list[str]:
    """Name the gradients that left out leading axes of size 1, which broadcasting puts back."""
    return [
        f"the gradient of {variable.path} leaves out leading axes of size 1: right where it is only "
        f"ever added to {variable.path}, where broadcasting puts them back"
        for variable in claim.variables
        if variable.comparable and variable.returned_shape != variable.value.shape
    ]


def emptied_inputs(
    rule: Rule, point: Point, rng: np.random.Generator
) -> tuple[str, tuple[Any, ...]] | None:
    """Return the inputs of a point with one named dimension of size 0, and the name; None if none can be.

    Points of different sizes take different names, so that each has its turn; the same point takes
    the same.
    """
    contract = rule.contract
    if contract is None or not contract.problem.names:
        return None
    sizes = contract.bind(point.inputs)
    name = contract.problem.names[sum(sizes.values()) % len(contract.problem.names)]
    sizes[name] = 0

    def emptied(path: str, value: Any) -> Any:
        domain = contract.domains.get(path)  # none for an entry of a choice, such as axis=(0, 2)
        if domain is None or domain.shape is None or name not in domain.shape.names:
            return value
        return domain.sample(rng, sizes)

    try:
        inputs = tuple(
            trees.rebuild(
                value, [emptied(path, leaf) for path, leaf in trees.leaves(value, parameter)]
            )
            for parameter, value in zip(rule.input_names, point.copy().inputs, strict=True)
        )
        return (name, inputs) if contract.contains(inputs) is None else None
    except (GradcheckError, ShapeError, ValueError):  # no size 0: a size below it, no label left
        return None


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
