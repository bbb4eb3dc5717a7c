"""How a network runs forward and backward, by the rules that it is composed of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.errors import BackwardError, GradcheckError, UsageError
from gradcheck.rules import Pullback, Rule, by_leaf
from gradcheck.strategies.architecture import (
    CONCATENATE,
    GLUE,
    HALF_SQUARED_ERROR,
    SUM,
    Step,
    read,
    write,
)

__all__ = ["JOINTS", "Composition", "Linearise", "linearise", "part_of_network", "primal"]

Linearise = Callable[[tuple[Any, ...]], tuple[Any, Pullback]]


@dataclass(frozen=True)
class Composition:
    """What a network is composed of.

    Attributes:
        parts: the rules by the names that lines call them.
        lines: the architecture; None where it is the first input of the network, and the dict of its values
            the second.
        names: the names of the values that are the inputs of a network of one architecture, in order.
        in_place: whether gradients of an array that is used several times are added into the first.
    """

    parts: Mapping[str, Rule]
    lines: tuple[str, ...] | None = None
    names: tuple[str, ...] = ()
    in_place: bool = False

    def at(self, inputs: tuple[Any, ...]) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Return the lines of the network at these inputs, and its values by name."""
        if self.lines is not None:
            return self.lines, dict(zip(self.names, inputs, strict=True))
        lines, values = inputs
        return lines, values

    def primal(self, inputs: tuple[Any, ...]) -> Any:
        """Return the loss."""
        lines, values = self.at(inputs)
        return primal(read(lines, self.parts, values), self.parts, values)

    def linearise(self, inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
        """Return the loss, and the pullback that is composed of those of the parts."""
        lines, values = self.at(inputs)
        steps = read(lines, self.parts, values)
        calls = {name: part_of_network(rule) for name, rule in self.parts.items()}
        loss, gradients = linearise(steps, calls, values, self.in_place)
        if self.lines is None:
            return loss, lambda _: (None, gradients())
        return loss, lambda _: tuple(gradients().values())


def part_of_network(rule: Rule) -> Linearise:
    """Return how a network runs a rule: its pullback gives one gradient per input, in its containers."""

    def linearise(inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
        output, pullback = rule.linearise(inputs)

        def gradients(cotangent: Any) -> tuple[Any, ...]:
            try:
                raw = pullback(cotangent)
            except GradcheckError:
                raise
            except Exception as error:
                raise BackwardError(
                    f"the backward of {rule.name} raised {type(error).__name__} at {trees.describe(inputs)}: "
                    f"{error}"
                ) from error
            found = by_leaf(rule, inputs, rule.gradients_by_input(raw, inputs))
            return tuple(
                _in_containers(value, [found[path] for path, _ in trees.leaves(value, name)])
                for name, value in zip(rule.input_names, inputs, strict=True)
            )

        return output, gradients

    return linearise


def _in_containers(value: Any, gradients: Sequence[Any]) -> Any:
    if all(gradient is None for gradient in gradients):
        return None
    return trees.rebuild(value, gradients)


def primal(steps: Sequence[Step], rules: Mapping[str, Rule], values: Mapping[str, Any]) -> Any:
    """Return the loss of a network: the forwards of its steps, one after the other."""
    known = dict(values)
    for step in steps:
        arguments = tuple(known[name] for name in step.arguments)
        rule = rules.get(step.call)
        output = JOINTS[step.call](arguments)[0] if rule is None else rule.primal(arguments)
        known.update(_named_results(step, output))
    return known[steps[-1].results[0]]


def linearise(
    steps: Sequence[Step],
    rules: Mapping[str, Linearise],
    values: Mapping[str, Any],
    in_place: bool = False,
) -> tuple[Any, Callable[[], dict[str, Any]]]:
    """Return the loss of a network, and a function that composes the backwards of its steps.

    Arrays go from step to step as they are, as in a training loop: no copy hides that a backward writes
    into its cotangent, or later into a gradient that it has handed out.

    Args:
        steps: the architecture.
        rules: from inputs to output and pullback, by the names that lines call them; a pullback returns one
            gradient per input.
        values: the arrays that no step gives.
        in_place: whether the gradients of an array that is used several times are added into the
            first of them, instead of into a new array.

    Returns:
        The loss, and a function to the gradient of every value by its name, of which each is None where no
        gradient is claimed.
    """
    known = dict(values)
    pullbacks: list[tuple[Step, Any, Pullback]] = []
    for step in steps:
        arguments = tuple(known[name] for name in step.arguments)
        output, pullback = (rules.get(step.call) or JOINTS[step.call])(arguments)
        pullbacks.append((step, output, pullback))
        known.update(_named_results(step, output))
    loss = known[steps[-1].results[0]]

    def gradients() -> dict[str, Any]:
        found: dict[str, list[Any]] = {name: [] for name in known}
        found[steps[-1].results[0]].append(np.ones_like(loss))
        for step, output, pullback in reversed(pullbacks):
            cotangent = _cotangent(step, output, found, in_place)
            claimed = (None,) * len(step.arguments) if cotangent is None else pullback(cotangent)
            for name, gradient in zip(step.arguments, claimed, strict=True):
                ours = in_place and step.call in GLUE and gradient is not None
                found[name].append(gradient.copy() if ours else gradient)
        return {name: _total(found[name], in_place) for name in values}

    return loss, gradients


def _named_results(step: Step, output: Any) -> dict[str, Any]:
    parts = [part for _, part in trees.leaves(output)]
    if len(parts) != len(step.results):
        raise UsageError(
            f"the line {write(step)!r} of the network names {len(step.results)} results, and there are "
            f"{len(parts)}"
        )
    return dict(zip(step.results, parts, strict=True))


def _cotangent(step: Step, output: Any, found: Mapping[str, list[Any]], in_place: bool) -> Any:
    """Return the cotangent of a step's output; None where a later step claims no gradient for it."""
    if any(gradient is None for name in step.results for gradient in found[name]):
        return None
    parts = [
        _total(found[name], in_place) if found[name] else np.zeros_like(part)
        for (_, part), name in zip(trees.leaves(output), step.results, strict=True)
    ]
    return trees.rebuild(output, parts)


def _total(gradients: Sequence[Any], in_place: bool) -> Any:
    """Add up the gradients of one name; None if one of its uses claims none, or there is no use."""
    if not gradients or any(gradient is None for gradient in gradients):
        return None
    total, *others = gradients
    for gradient in others:
        total = _added(total, gradient, in_place)
    return total


def _added(one: Any, other: Any, in_place: bool) -> Any:
    """Add two gradients, each an array or the same containers of arrays, with None for no claim."""
    sums: list[Any] = []
    for (_, left), (_, right) in zip(trees.leaves(one), trees.leaves(other), strict=True):
        if left is None or right is None:
            sums.append(None)
        elif in_place and isinstance(left, np.ndarray):
            left += right
            sums.append(left)
        else:
            sums.append(left + right)
    return trees.rebuild(one, sums)


def _sum(arguments: tuple[Any, ...]) -> tuple[Any, Pullback]:
    total = arguments[0]
    for argument in arguments[1:]:
        total = total + argument
    return total, lambda cotangent: (cotangent,) * len(arguments)


def _concatenate(arguments: tuple[Any, ...]) -> tuple[Any, Pullback]:
    ends = np.cumsum([np.shape(argument)[-1] for argument in arguments])[:-1]
    return np.concatenate(arguments, axis=-1), lambda cotangent: tuple(
        np.split(cotangent, ends, axis=-1)
    )


def _half_squared_error(arguments: tuple[Any, ...]) -> tuple[Any, Pullback]:
    h, t = arguments
    return 0.5 * np.sum((h - t) ** 2), lambda cotangent: (
        cotangent * (h - t),
        cotangent * (t - h),
    )


JOINTS: Mapping[str, Linearise] = {
    SUM: _sum,
    CONCATENATE: _concatenate,
    HALF_SQUARED_ERROR: _half_squared_error,
}
"""What connects the rules of a network, with the pullback of each."""
