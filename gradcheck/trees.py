"""Trees of arrays: lists, tuples and dicts whose leaves are arrays or plain values.

An input of a rule may be a tree, such as a list of weight matrices. Everything below the rules
works on the flat list of its leaves, in the order of the containers (of insertion, for dicts), each
named by its path: `weights[2]`, `params['bias']`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

__all__ = [
    "describe",
    "has_variables",
    "is_variable",
    "leaves",
    "map_leaves",
    "rebuild",
    "signature",
    "variables",
    "with_variables",
]

CONTAINERS = (dict, list, tuple)
"""What is a node of a tree; everything else is a leaf."""


def is_variable(value: Any) -> bool:
    """Say whether `value` is an array (or NumPy scalar) of floating numbers of any precision."""
    dtype = getattr(value, "dtype", None)
    return dtype is not None and (dtype.kind in "fc" or "float" in str(dtype))


def has_variables(tree: Any) -> bool:
    """Say whether any leaf of `tree` is an array of real or complex numbers."""
    return any(is_variable(value) for value in _values(tree))


def variables(tree: Any) -> list[Any]:
    """List the leaves of `tree` that are arrays of real or complex numbers, in order.

    >>> import numpy as np
    >>> variables([np.float32(0.5), {"axis": 1}])
    [np.float32(0.5)]
    """
    return [value for value in _values(tree) if is_variable(value)]


def with_variables(tree: Any, values: Iterable[Any]) -> Any:
    """Return `tree` with `values` for its arrays of real or complex numbers, in order.

    >>> import numpy as np
    >>> with_variables([np.float32(0.5), {"axis": 1}], ["x"])
    ['x', {'axis': 1}]
    """
    following = iter(values)
    return map_leaves(lambda leaf: next(following) if is_variable(leaf) else leaf, tree)


def leaves(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    """List the leaves of `tree` as pairs of path and value; None and other values are leaves too.

    >>> leaves([1.0, {"bias": 2.0}], "w")
    [('w[0]', 1.0), ("w[1]['bias']", 2.0)]
    """
    if not isinstance(tree, CONTAINERS):
        return [(path, tree)]
    if isinstance(tree, dict):
        return [leaf for key in tree for leaf in leaves(tree[key], f"{path}[{key!r}]")]
    if hasattr(tree, "_fields"):
        return [
            leaf for key in tree._fields for leaf in leaves(getattr(tree, key), f"{path}.{key}")
        ]
    return [leaf for index, part in enumerate(tree) for leaf in leaves(part, f"{path}[{index}]")]


def rebuild(tree: Any, values: Iterable[Any]) -> Any:
    """Return a tree of the same containers as `tree`, with `values` for its leaves, in order.

    >>> rebuild([1.0, {"bias": 2.0}], ["a", "b"])
    ['a', {'bias': 'b'}]
    """
    following = iter(values)
    return map_leaves(lambda _: next(following), tree)


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """Return `tree` with `function` applied to every leaf.

    >>> map_leaves(abs, (-1, [-2, 3]))
    (1, [2, 3])
    """
    if not isinstance(tree, CONTAINERS):
        return function(tree)
    if isinstance(tree, dict):
        return {key: map_leaves(function, part) for key, part in tree.items()}
    parts = [map_leaves(function, part) for part in tree]
    return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)


def signature(tree: Any) -> tuple[Any, ...]:
    """Return what two trees must share to have the same leaves: the paths, in order.

    >>> signature({"w": 1, "b": 2}) == signature({"w": 3, "b": 4})
    True
    """
    return tuple(path for path, _ in leaves(tree))


LONGEST_REPR = 40
"""Characters of a value that fit into a sentence; a longer one is named by its type."""


def describe(value: Any) -> str:
    """Name a value by its type and shape, never by its contents.

    >>> describe(("relu", [1, 2]))
    "('relu', a list of 2)"
    """
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return "(" + ", ".join(describe(part) for part in value) + ")"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, (list, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    text = repr(value)
    return text if len(text) <= LONGEST_REPR else f"a {type(value).__name__}"


def _values(tree: Any) -> list[Any]:
    """List the leaves without their paths, in the same order."""
    if not isinstance(tree, CONTAINERS):
        return [tree]
    parts = tree.values() if isinstance(tree, dict) else tree
    return [value for part in parts for value in _values(part)]
