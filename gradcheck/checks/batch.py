"""The check `batch`: the gradient of a batch is made of the gradients of its examples.

Law, for a rule that declares its batch dimension (`batch="N"`) and whose output for a batch is that of
its examples side by side, or the sum or mean of theirs: the gradient of an input with that
dimension has the gradients of the examples as its slices, and the gradient of any other input, such as a
weight, is their sum (or mean). Forward and backward run on the batch and on every example alone.

A forward that mixes examples, as batch normalisation does, is not examined.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradcheck import trees
from gradcheck.checks.behaviour import BehaviourCheck, does_not_apply
from gradcheck.checks.check import Bench, Examination, Finding
from gradcheck.checks.comparison import (
    Gradients,
    difference_finding,
    differences,
    outputs_agree,
)
from gradcheck.checks.running import (
    Case,
    claimed_by,
    copied,
    forward_is_random,
    last_place_spread,
)
from gradcheck.contracts.dimensions import Axis
from gradcheck.contracts.expressions import Name
from gradcheck.errors import BackwardError, RuleError
from gradcheck.rules import Rule

__all__ = ["BatchCheck"]

Array = NDArray[Any]


class BatchCheck(BehaviourCheck):
    """The gradient of a batch is made of the gradients of its examples."""

    name = "batch"

    def applies(self, rule: Rule) -> str:
        """Say so where no batch dimension is declared."""
        declared = rule.contract is not None and rule.contract.batch is not None
        return "" if declared else "no batch dimension is declared (batch=)"

    def examine_case(self, case: Case, bench: Bench) -> Examination:
        """Compare the gradients of the batch with those of its examples, one by one."""
        assert case.rule.contract is not None
        assert case.rule.contract.batch is not None
        count = case.rule.contract.bind(case.inputs)[case.rule.contract.batch]
        if count < 2:
            return does_not_apply("the batch has one example")
        axes = _input_axes(case)
        try:
            examples = [_example(case, axes, number) for number in range(count)]
        except BackwardError as error:
            message = f"{error}, in a batch of one"
            return self.outcome(
                case.rule, [Finding(self.name, "", None, None, None, "", "", message)]
            )
        except RuleError:
            return does_not_apply("the forward does not take a batch of one")
        weight = _weight(case, examples)
        if weight is None:
            return does_not_apply("the forward mixes the examples of a batch")
        expected = _assembled(examples, axes, weight, case.gradients)
        size = max(case.size(case.cotangent), *(weight * item.size for item in examples))
        finding = self._finding(case, expected, count * size, bench)
        if finding is not None and _weight(case, examples, entry_by_entry=True) is None:
            return does_not_apply("the forward mixes the examples of a batch, beside large entries")
        if finding is not None and forward_is_random(case, bench.rng):
            return does_not_apply("the forward draws random numbers")
        return self.outcome(case.rule, [finding] if finding else [])

    def _finding(
        self, case: Case, expected: Gradients, size: float, bench: Bench
    ) -> Finding | None:
        finite = {path: value for path, value in expected.items() if np.all(np.isfinite(value))}
        wrong = differences(
            case.values,
            case.gradients,
            finite,
            size,
            lambda: last_place_spread(case, case.cotangent, bench.rng),
        )
        if not wrong:
            return None
        says = "of a batch is not made of those of its examples"
        cause = (
            "the backward mixes examples, or divides by the batch size where the forward does not"
        )
        labels = ("batch", "examples")
        return difference_finding(self.name, case.rule, says, wrong[0], labels, cause)


class Example(NamedTuple):
    """One example alone: its output, the part of the cotangent that belongs to it, its gradients."""

    output: Any
    cotangent: Any
    gradients: Gradients
    number: int
    size: float


def _input_axes(case: Case) -> dict[str, int]:
    """Return the axis of each input array that counts examples, by the array's path."""
    contract = case.rule.contract
    assert contract is not None
    assert contract.batch is not None
    found = {}
    for path, domain in contract.domains.items():
        axes = () if domain.shape is None else domain.shape.axes
        for place, axis in enumerate(axes):
            if isinstance(axis, Axis) and axis.size == Name(contract.batch):
                # counted from the end where axes of any number stand in front
                fixed = all(isinstance(other, Axis) for other in axes[:place])
                found[path] = place if fixed else place - len(axes)
                break
    return found


def _example(case: Case, axes: dict[str, int], number: int) -> Example:
    """Run the rule on one example."""
    inputs = tuple(
        trees.rebuild(
            value,
            [
                _slice(leaf, axes[path], number) if path in axes else leaf
                for path, leaf in trees.leaves(value, name)
            ],
        )
        for name, value in zip(case.rule.input_names, case.inputs, strict=True)
    )
    output, pullback = case.rule.vjp(copied(inputs))
    output = copied(output)
    own = [
        _own_part(np.asarray(whole), np.asarray(part), np.asarray(cotangent), number)
        for (_, whole), (_, part), (_, cotangent) in zip(
            trees.leaves(case.output),
            trees.leaves(output),
            trees.leaves(case.cotangent),
            strict=True,
        )
    ]
    cotangent = trees.rebuild(output, own)
    gradients = claimed_by(case.rule, inputs, pullback, copied(cotangent))
    alone = Case(case.rule, inputs, cotangent, output, {}, gradients)
    return Example(output, cotangent, gradients, number, alone.size(cotangent))


def _slice(array: Any, axis: int, number: int) -> Array:
    index = [slice(None)] * np.ndim(array)
    index[axis] = slice(number, number + 1)
    return np.array(np.asarray(array)[tuple(index)])


def _output_axis(whole: Array, part: Array) -> int | None:
    """Return the axis along which a batch of one has one entry and the batch many; None if none."""
    if whole.ndim != part.ndim:
        return None
    changed = [axis for axis in range(whole.ndim) if whole.shape[axis] != part.shape[axis]]
    return changed[0] if len(changed) == 1 and part.shape[changed[0]] == 1 else None


def _own_part(whole: Array, part: Array, cotangent: Array, number: int) -> Array:
    axis = _output_axis(whole, part)
    return cotangent if axis is None else _slice(cotangent, axis, number)


def _weight(case: Case, examples: list[Example], *, entry_by_entry: bool = False) -> float | None:
    """Return what each example's gradient counts: 1, or 1/N for a mean; None where examples mix.

    Outputs are compared by their largest entry, or each by its own size: a bias of 1e8 in one column hides
    that the others mix, and rounding parts entries that cancel.
    """

    def close(one: Array, other: Array) -> bool:
        return outputs_agree(one, other, entry_by_entry=entry_by_entry)

    columns = [[leaf for _, leaf in trees.leaves(example.output)] for example in examples]
    weights = set()
    for place, (_, leaf) in enumerate(trees.leaves(case.output)):
        whole = np.asarray(leaf)
        parts = [np.asarray(column[place]) for column in columns]
        axis = _output_axis(whole, parts[0])
        if axis is not None:
            if not close(whole, np.concatenate(parts, axis)):
                return None
            weights.add(1.0)
        elif any(part.shape != whole.shape for part in parts):
            return None
        elif close(whole, np.sum(parts, axis=0)):
            weights.add(1.0)
        elif close(whole, np.mean(parts, axis=0)):
            weights.add(1 / len(examples))
        else:
            return None
    return weights.pop() if len(weights) == 1 else None


def _assembled(
    examples: list[Example], axes: dict[str, int], weight: float, like: Gradients
) -> Gradients:
    """Put the examples' gradients side by side along the batch axis, and add up those of other inputs."""
    found = {}
    for path in like:
        parts = [example.gradients[path] for example in examples if path in example.gradients]
        if len(parts) != len(examples):
            continue
        with np.errstate(all="ignore"):
            joined = (
                np.concatenate(parts, axes[path]) if path in axes else np.sum(parts, axis=0)
            ) * weight
        found[path] = np.asarray(joined)
    return found
