"""The check `second_order`: what is claimed for the derivative of the claimed gradient is that.

Laws: the Hessian times v is the gradient of <v, grad f(x)>, since the Hessian is symmetric (`hvp=`); and
where a framework differentiates a hand-written backward again, as torch does for `create_graph=True` and
JAX for every gradient of a gradient, what it gets is the derivative of that backward, by the
inputs and by the cotangent. It is not where the backward uses an intermediate that was kept as a constant,
leaves the framework, or stops the gradient: nothing raises, and a gradient penalty is wrong.

Both are judged as any gradient is, by all oracles, with the backward for the forward.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.checks.behaviour import DOES_NOT_APPLY, does_not_apply, undecided
from gradcheck.checks.check import Bench, Examination, Finding, points_for
from gradcheck.checks.gradient import GradientCheck, output_size
from gradcheck.checks.running import copied, like
from gradcheck.checks.tally import Tally
from gradcheck.complex_parts import holds_complex
from gradcheck.errors import Abstention, BackwardError
from gradcheck.resolution import EPSILON, ROUNDING_ALLOWANCE, natural_scale
from gradcheck.rules import Claim, Point, Rule, claim_at
from gradcheck.verdicts import Decision, Judgement, Profile, Verdict

__all__ = ["SecondOrderCheck"]

ONE_HOT_SHARE = 0.125
"""Draws of a direction of which all entries but one are zero: a column of the Hessian by itself. Few, since
zeros beside a single 1 are what the bound of torch's autodiff leaves undecided."""

CAUSES = {
    "torch_function": "save_for_backward keeps the graph of inputs and outputs alone: any other intermediate "
    "is a constant to the second derivative; recompute it, or mark the backward with @once_differentiable",
    "jax_rule": "what the backward stops, or takes from outside its residuals, is a constant to the second "
    "derivative",
}
"""What a wrong second derivative suggests, by the adapter of the rule."""


class SecondOrderCheck(GradientCheck):
    """What is claimed for the derivative of the claimed gradient is that, by every oracle."""

    name = "second_order"
    share = 0.25

    def examine(self, rule: Rule, point: Point, bench: Bench) -> Examination:
        """Compare the derivative of the backward with all oracles, in a direction drawn at random."""
        second = rule.second_order
        if second is None:
            return does_not_apply("no Hessian-vector product is declared (hvp=)")
        try:
            claim = claim_at(rule, point)
        except BackwardError:
            return undecided("the gradient raises here, which the check gradient reports")
        claimed = [variable for variable in claim.variables if variable.claimed is not None]
        if not all(variable.comparable for variable in claimed):
            return undecided("a gradient has not the shape of its input")
        if holds_complex((claim.point.inputs, claim.output)):
            return does_not_apply("second derivatives by complex numbers are not examined")
        # discovery names a rule after its variable
        what = "hvp" if rule.kind == "gradient" else "the backward"
        second = replace(second, name=f"{what} of {rule.name}")
        inputs = point.inputs
        if len(second.input_names) > len(inputs):
            inputs = (*inputs, claim.point.cotangent)
        try:
            gradients = second.primal(copied(inputs))
            direction = like(gradients, lambda leaf: _direction(leaf, bench.rng))
            size = _size_of_gradients(claim, direction)
            own = Point(inputs, direction, point.label)
            found = self.compared(second, own, bench, size)
        except Abstention as abstention:
            return does_not_apply(str(abstention))
        values = {
            path: value
            for name, tree in zip(second.input_names, inputs, strict=True)
            for path, value in trees.leaves(tree, name)
        }
        shown = [
            _with_cause(item, rule)
            for item in found.findings
            if item.index is None
            or _shows(found.judgements[item.input], values[item.input], size, bench.profile.power)
        ]
        if found.findings and not shown:
            return undecided("digits that the gradient keeps are lost in its derivative")
        return replace(found, findings=tuple(shown))

    def when_backward_raises(self, error: BackwardError) -> Examination:
        """Say that there is no second derivative, where the framework says so; else fail."""
        if isinstance(error.__cause__, Abstention):
            return does_not_apply(str(error.__cause__))
        return super().when_backward_raises(error)

    def conclude(self, tally: Tally, profile: Profile) -> tuple[Verdict, str]:
        """Pass as the check `gradient` does, or where no second derivative is offered."""
        if not tally.applies:
            return Verdict.PASS, DOES_NOT_APPLY + tally.inapplicable.most_common(1)[0][0]
        return super().conclude(tally, replace(profile, examples=points_for(self, profile)))


def _size_of_gradients(claim: Claim, direction: Any) -> float:
    """Return what |direction * gradient| may count for by the rule's own output.

    The gradient of a saturated sigmoid is zero because 1 - y was rounded, and so is its derivative: a
    gradient is no better known than to a rounding of |output| / |input|, or of |output| where it changes
    within a unit of a large input, as that of softmax does. Any entry of the output may have been
    rounded on the way, also one that the cotangent leaves out.
    """
    outputs = [np.abs(np.asarray(leaf)) for _, leaf in trees.leaves(claim.output)]
    largest = max((float(np.max(leaf, initial=0.0)) for leaf in outputs), default=0.0)
    size = output_size(claim).cotangent * largest
    parts = trees.leaves(direction)
    variables = claim.variables
    if len(parts) != len(variables):  # a product has directions for the claimed gradients alone
        variables = tuple(item for item in variables if item.claimed is not None)
    pairs = zip([item.value for item in variables], parts, strict=True)
    with np.errstate(all="ignore"):
        total = sum(
            float(np.sum(np.abs(v) * np.maximum(natural_scale(value, size), size)))
            for value, (_, v) in pairs
        )
    return total if np.isfinite(total) else 0.0


def _shows(judgement: Judgement, value: Any, size: float, power: float) -> bool:
    """Say whether a wrong entry is off by more than the profile asks to see, and than rounding.

    A backward that subtracts, such as that of softmax, is differentiated by subtracting once more: it
    loses twice the digits, and is no other function. A fault of second order drops whole terms.
    """
    magnitude = np.abs(value)
    typical = float(np.sqrt(np.mean(magnitude**2))) or 1.0
    with np.errstate(all="ignore"):
        error = np.abs(judgement.claimed - judgement.true)
        rounding = ROUNDING_ALLOWANCE * EPSILON * size / np.maximum(magnitude, min(typical, 1.0))
        small = error <= np.maximum(power * judgement.scale, rounding)
    return bool(np.any((judgement.decisions == Decision.WRONG) & ~small))


def _with_cause(finding: Finding, rule: Rule) -> Finding:
    """Add what a wrong second derivative suggests."""
    cause = CAUSES.get(rule.kind)
    return replace(finding, message=f"{finding.message}\n    {cause}") if cause else finding


def _direction(leaf: Any, rng: np.random.Generator) -> Any:
    values = rng.standard_normal(leaf.shape)
    if leaf.size and rng.random() < ONE_HOT_SHARE:
        values.flat[np.arange(leaf.size) != rng.integers(leaf.size)] = 0
    return values
