"""The lines to paste that show a failure again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.rules import Point, Rule

__all__ = ["describe_case", "reproduce"]

LARGEST_LITERAL = 40
"""Numbers that a reproduction writes out; a larger point is reproduced by the seed."""


def reproduce(rule: Rule, point: Point, search: str) -> str:
    """Return Python lines that verify `rule` at `point` again, or the call that finds it again.

    `search` are the arguments of `gradcheck.verify` that find it, for a point too large to write out.
    """
    variables = [np.size(value) for _, value in trees.leaves((point.inputs, point.cotangent))]
    if sum(variables) > LARGEST_LITERAL:
        return f"gradcheck.verify({rule.name}, {search})"
    if rule.composition is not None and rule.composition.lines is not None:
        inputs = _literal(rule.composition.at(point.inputs))
        return f"gradcheck.verify_at(gradcheck.network(rules), gradcheck.Point({inputs}))"
    inputs = _literal(point.inputs)
    cotangent = "" if point.cotangent is None else f", {_literal(point.cotangent)}"
    return f"gradcheck.verify_at({rule.name}, gradcheck.Point({inputs}{cotangent}))"


def describe_case(rule: Rule, point: Point) -> str:
    """Name the sizes of a point: ` N=1, D=2`, or the shapes of its inputs without a contract.

    Of a network it is the architecture, line by line, and the shapes of its values.
    """
    if rule.composition is not None:
        lines, values = rule.composition.at(point.inputs)
        return "\n        ".join(["", *lines, _shapes(values)])
    if rule.contract is not None:
        sizes = rule.contract.bind(point.inputs)
        return " " + ", ".join(f"{name}={size}" for name, size in sizes.items())
    return " " + _shapes(dict(zip(rule.input_names, point.inputs, strict=True)))


def _shapes(inputs: Mapping[str, Any]) -> str:
    parts = []
    for name, value in inputs.items():
        shapes = [list(np.shape(leaf)) for _, leaf in trees.leaves(value) if hasattr(leaf, "shape")]
        if shapes:
            parts.append(f"{name} {' '.join(map(str, shapes))}")
        elif value is not None:
            parts.append(f"{name}={value!r}")
    return ", ".join(parts)


def _literal(value: Any) -> str:
    if isinstance(value, np.ndarray):
        dtype = (
            ""
            if value.dtype in (np.float64, np.int64, np.bool_)
            else f", dtype={value.dtype.name!r}"
        )
        text = np.array2string(
            value, separator=", ", floatmode="unique", threshold=LARGEST_LITERAL + 1
        )
        return f"np.array({' '.join(text.split())}{dtype})"
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return "(" + ", ".join(map(_literal, value)) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_literal(part)}" for key, part in value.items()) + "}"
    return repr(value)
