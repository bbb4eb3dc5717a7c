"""The architecture of a network as lines of Python, and how they run forward and backward.

A line gives names to the results of one step, each name once:

    h1 = dense(x_1, w_1, b_1)           a rule; the same parameters in another line share the layer
    h2 = h1 + x_1                       a sum of arrays of one shape, such as a residual connection
    h3 = concatenate(h2, h1)            along the last axis
    h4 = half_squared_error(h3, t_4)    the sum of (h3 - t_4)^2 / 2
    loss = h4                           the last line: a scalar

What no line gives is a value of the network: its inputs, parameters, labels and settings.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.errors import BackwardError, GradcheckError, UsageError
from gradcheck.rules import Pullback, Rule, by_leaf

__all__ = [
    "CONCATENATE",
    "GLUE",
    "HALF_SQUARED_ERROR",
    "SUM",
    "Composition",
    "Step",
    "linearise",
    "part_of_network",
    "primal",
    "read",
    "write",
]

KEPT_ARCHITECTURES = 64
"""Architectures that are kept as steps: a network is run hundreds of times at the same one."""

SUM, CONCATENATE, HALF_SQUARED_ERROR = "+", "concatenate", "half_squared_error"

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


@dataclass(frozen=True)
class Step:
    """One line: the names of its results, what is called, and the names of its arguments."""

    results: tuple[str, ...]
    call: str
    arguments: tuple[str, ...]


def write(step: Step) -> str:
    """Return the line of a step.

    >>> write(Step(("h2",), "+", ("h1", "x_1")))
    'h2 = h1 + x_1'
    """
    if step.call == SUM:
        return f"{', '.join(step.results)} = {' + '.join(step.arguments)}"
    return f"{', '.join(step.results)} = {step.call}({', '.join(step.arguments)})"


def read(lines: Iterable[str], rules: Iterable[str], values: Iterable[str]) -> tuple[Step, ...]:
    """Return the steps that lines write; the inverse of `write`.

    Args:
        lines: the architecture.
        rules: the names of the rules that a line may call.
        values: the names of the arrays that no line gives.

    Raises:
        UsageError: a line is none of those that the module lists, or calls or takes what there is not.

    >>> read(["h1 = relu(x_1)", "loss = h1 + h1"], ["relu"], ["x_1"])[1]
    Step(results=('loss',), call='+', arguments=('h1', 'h1'))
    """
    return _read_all(tuple(lines), tuple(rules), tuple(values))


@lru_cache(maxsize=KEPT_ARCHITECTURES)
def _read_all(
    lines: tuple[str, ...], rules: tuple[str, ...], values: tuple[str, ...]
) -> tuple[Step, ...]:
    steps: list[Step] = []
    taken = {*values}
    for line in lines:
        step = _read(line)
        if step is None:
            raise UsageError(
                f"the line {line!r} of the network cannot be read; a line names the results of a rule, as "
                "'h1 = dense(x, w)', or of a sum of names"
            )
        if step.call not in (*rules, *GLUE):
            raise UsageError(
                f"the line {line!r} of the network calls {step.call!r}; its rules are {', '.join(rules)}"
            )
        unknown = [name for name in step.arguments if name not in taken]
        if unknown:
            raise UsageError(
                f"the line {line!r} of the network takes {unknown[0]!r}, which is no value of the network "
                "and no result of a line before"
            )
        taken.update(step.results)
        steps.append(step)
    if not steps or len(steps[-1].results) != 1:
        raise UsageError("the last line of a network gives its loss, as 'loss = h2'")
    return tuple(steps)


def _read(line: str) -> Step | None:
    try:
        (statement,) = ast.parse(line).body
    except (SyntaxError, ValueError):
        return None
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target, value = statement.targets[0], statement.value
    targets = target.elts if isinstance(target, ast.Tuple) else [target]
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and not value.keywords:
        call, arguments = value.func.id, list(value.args)
    else:
        call, arguments = SUM, _summands(value)
    names = [item.id for item in (*targets, *arguments) if isinstance(item, ast.Name)]
    if len(names) != len(targets) + len(arguments):
        return None
    return Step(tuple(names[: len(targets)]), call, tuple(names[len(targets) :]))


def _summands(value: ast.expr) -> list[ast.expr]:
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return [*_summands(value.left), value.right]
    return [value]


def primal(steps: Sequence[Step], rules: Mapping[str, Rule], values: Mapping[str, Any]) -> Any:
    """Return the loss of a network: the forwards of its steps, one after the other."""
    known = dict(values)
    for step in steps:
        arguments = tuple(known[name] for name in step.arguments)
        rule = rules.get(step.call)
        output = GLUE[step.call](arguments)[0] if rule is None else rule.primal(arguments)
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
        output, pullback = (rules.get(step.call) or GLUE[step.call])(arguments)
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


GLUE: Mapping[str, Linearise] = {
    SUM: _sum,
    CONCATENATE: _concatenate,
    HALF_SQUARED_ERROR: _half_squared_error,
}
"""What connects the rules of a network, each with its own pullback."""
