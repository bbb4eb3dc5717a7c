"""The architecture of a network as lines of Python.

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
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from gradcheck.errors import UsageError

__all__ = ["CONCATENATE", "GLUE", "HALF_SQUARED_ERROR", "SUM", "Step", "read", "write"]

KEPT_ARCHITECTURES = 64
"""Architectures that are kept as steps: a network is run hundreds of times at the same one."""

SUM, CONCATENATE, HALF_SQUARED_ERROR = "+", "concatenate", "half_squared_error"

GLUE = (SUM, CONCATENATE, HALF_SQUARED_ERROR)
"""What connects the rules of a network."""


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
