"""What a backward returned, gradient by gradient: a tuple, a list, one array, a dict by name."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gradcheck import trees
from gradcheck.errors import RuleError

__all__ = ["by_input", "by_leaf", "named"]


def by_input(
    raw: Any, names: Sequence[str], values: Sequence[Any], expected: Sequence[bool]
) -> tuple[Any, ...]:
    """Return one gradient per input out of what a backward returned, in any of its forms.

    Args:
        raw: what it returned.
        names: the names of the inputs.
        values: the inputs.
        expected: which of them are expected to have a gradient; labels, masks and configuration are
            not, so that a backward may leave them out.

    Raises:
        RuleError: the gradients cannot be told apart.

    >>> by_input({"dw": 1.0}, ["x", "w"], [0.0, 0.0], [True, True])
    (None, 1.0)
    """
    if isinstance(raw, Mapping):
        return _by_name(raw, names, values)
    sequence = isinstance(raw, (tuple, list))
    if len(names) == 1 and (not sequence or (_is_container(values[0]) and len(raw) != 1)):
        return (raw,)
    if not sequence:
        if sum(expected) == 1 and raw is not None:
            return tuple(raw if own else None for own in expected)
        forgotten = " (a return is missing?)" if raw is None else ""
        raise RuleError(
            f"the backward returned {trees.describe(raw)} for the {_count(names)}{forgotten}; return "
            "one gradient per input in that order, None for an input without one, or a dict by input name"
        )
    if len(raw) == len(names):
        return tuple(raw)
    if len(raw) < len(names) and not any(expected[len(raw) :]):
        return (*raw, *[None] * (len(names) - len(raw)))
    if len(raw) == sum(expected):
        gradients = iter(raw)
        return tuple(next(gradients) if own else None for own in expected)
    raise RuleError(
        f"the backward returned {len(raw)} gradient{'s' * (len(raw) != 1)} for the {_count(names)}; "
        "return one per input in that order, None for an input without one"
    )


def named(name: str, keys: Collection[str], taken: Collection[str] = ()) -> str | None:
    """Return the key under which the gradient of `name` is found: `w`, `dw`, `d_w`, `grad_w`, `w_grad`.

    Args:
        name: of an input or parameter.
        keys: of what the backward returned or left.
        taken: names of inputs, which stand for themselves alone.
    """
    spellings = [f"d{name}", f"d_{name}", f"grad_{name}", f"{name}_grad"]
    candidates = [name, *(key for key in spellings if key not in taken)]
    return next((key for key in candidates if key in keys), None)


def by_leaf(
    names: Sequence[str], inputs: Sequence[Any], gradients: Sequence[Any]
) -> dict[str, Any]:
    """Return the gradient of each leaf of the inputs by its path; None where there is none.

    Raises:
        RuleError: a gradient is not in the containers of its input.
    """
    found: dict[str, Any] = {}
    for name, value, gradient in zip(names, inputs, gradients, strict=True):
        paths = [path for path, _ in trees.leaves(value, name)]
        if gradient is None:
            found |= dict.fromkeys(paths)
        else:
            found |= zip(paths, _matching_parts(name, value, gradient), strict=True)
    return found


def _by_name(
    raw: Mapping[Any, Any], names: Sequence[str], values: Sequence[Any]
) -> tuple[Any, ...]:
    """Read gradients by the names of the inputs, or of the entries of an input that is a dict."""
    if len(names) == 1 and isinstance(values[0], dict) and set(raw) <= set(values[0]):
        return (dict(raw),)
    left = {str(key): value for key, value in raw.items()}
    found: list[Any] = []
    for name, value in zip(names, values, strict=True):
        key = named(name, left, names)
        if key is not None:
            found.append(left.pop(key))
            continue
        inner = value if isinstance(value, dict) else {}
        keys = {part: named(str(part), left, names) for part in inner}
        found.append({part: left.pop(key) for part, key in keys.items() if key is not None} or None)
    if left:
        known = [
            *names,
            *(str(key) for value in values if isinstance(value, dict) for key in value),
        ]
        near = difflib.get_close_matches(key := next(iter(left)), known, n=1)
        raise RuleError(
            f"the backward returned a gradient for {key!r}, which is none of the {_count(names)}"
            + (f"; did you mean {near[0]!r}?" if near else "")
        )
    return tuple(found)


def _count(names: Sequence[str]) -> str:
    return f"{len(names)} {'input' if len(names) == 1 else 'inputs'} {', '.join(names)}"


def _is_container(value: Any) -> bool:
    return isinstance(value, (list, tuple, dict))


def _matching_parts(name: str, value: Any, gradient: Any) -> list[Any]:
    """List the parts of `gradient` that belong to the leaves of `value`; containers must agree."""
    if not _is_container(value):
        return [gradient]
    if isinstance(value, dict):
        if not isinstance(gradient, dict):
            raise _structure_error(name, value, gradient)
        pairs = [(f"{name}[{key!r}]", part, gradient.get(key)) for key, part in value.items()]
    else:
        if not isinstance(gradient, (list, tuple)) or len(gradient) != len(value):
            raise _structure_error(name, value, gradient)
        pairs = [
            (f"{name}[{index}]", part, claim)
            for index, (part, claim) in enumerate(zip(value, gradient, strict=True))
        ]
    found: list[Any] = []
    for path, part, claim in pairs:
        nothing = [None] * len(trees.leaves(part))
        found += nothing if claim is None else _matching_parts(path, part, claim)
    return found


def _structure_error(name: str, value: Any, gradient: Any) -> RuleError:
    return RuleError(
        f"the gradient of {name} is {trees.describe(gradient)}, but {name} is "
        f"{trees.describe(value)}; return gradients in the same containers as the input"
    )
