"""Comparing two runs of a rule that must agree, entry by entry.

An entry may differ by rounding: that of single precision, whatever the arrays' own, since a float64 layer
may keep float32 buffers, whose sums come out differently in another order. No faulty behaviour
is that small: it is another computation, not another rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.checks.check import Finding
from gradcheck.resolution import ROUNDING_ALLOWANCE, epsilon_of, natural_scale, tiny_of
from gradcheck.rules import Rule

__all__ = [
    "Difference",
    "Gradients",
    "difference_finding",
    "differences",
    "outputs_agree",
    "plain",
]

Array = NDArray[Any]
Gradients = Mapping[str, Array]

SPREAD_ALLOWANCE = 1000.0
"""How many times the change by one rounding of the inputs two runs may differ.

A backward rounds a few times per operand; sums of a thousand terms and random signs included.
"""


SAME_OUTPUT = 1e-5
"""The relative difference up to which two outputs count as the same: that of a few dozen roundings in
single precision. One that mixes examples, or another mask of a dropout, differs by far more."""


@dataclass(frozen=True)
class Difference:
    """Where two runs disagree most in one array.

    Attributes:
        path: the array.
        index: the entry that is worst off, or None where the shapes differ.
        found, expected: the values of that entry, or the shapes.
        wrong, entries: how many entries disagree, of how many.
        shape: the shape of the array.
    """

    path: str
    index: tuple[int, ...] | None
    found: Any
    expected: Any
    wrong: int
    entries: int
    shape: tuple[int, ...]


def differences(
    values: Mapping[str, Array],
    found: Gradients,
    expected: Gradients,
    size: float,
    spread: Callable[[], Gradients] | None = None,
) -> list[Difference]:
    """Compare two sets of gradients entry by entry; list the arrays that disagree.

    An entry may differ by `ROUNDING_ALLOWANCE` roundings in single precision, each of the size of the
    entry or of its natural scale |output| / |input|. Two NaN agree.

    Args:
        values: the inputs by path, for the natural scale.
        found, expected: the gradients by path; those of `expected` are compared.
        size: the sum of |cotangent * output|; where sums of several runs are compared, of all terms.
        spread: what one rounding of the inputs changes, measured only if something disagrees.
    """
    result = []
    room: Gradients = {}
    for path, theirs in expected.items():
        ours = found.get(path, np.zeros(0))
        if ours.shape != theirs.shape:
            shapes = (ours.shape, theirs.shape)
            result.append(Difference(path, None, *shapes, 0, theirs.size, theirs.shape))
            continue
        wrong = _outside(values[path], ours, theirs, size, 0.0)
        if np.any(wrong) and spread is not None:
            room = room or spread()
            if path in room and room[path].shape == wrong.shape:
                wrong = _outside(values[path], ours, theirs, size, SPREAD_ALLOWANCE * room[path])
        if np.any(wrong):
            index = _worst(wrong, ours, theirs)
            count = int(np.count_nonzero(wrong))
            entry = (ours[index], theirs[index])
            result.append(Difference(path, index, *entry, count, wrong.size, theirs.shape))
    return result


def difference_finding(
    check: str,
    rule: Rule,
    what: str,
    difference: Difference,
    labels: tuple[str, str],
    diagnosis: str = "",
) -> Finding:
    """Report a disagreement of two runs: what differs, where, the two values, the likely cause.

    Args:
        check: the check.
        rule: the rule.
        what: the clause that follows "the gradient of x [2, 3]".
        difference: the worst entry.
        labels: what the found and the expected value are called.
        diagnosis: the likely cause, a sentence.
    """
    path, index = difference.path, difference.index
    shape = f" {list(difference.shape)}" if difference.shape else ""
    headline = f"{rule.name}: the gradient of {path}{shape} {what}"
    if index is not None and difference.entries > 1:
        entry = f"{path}[{', '.join(map(str, index))}]"
        headline += f", in {difference.wrong} of {difference.entries} entries; worst is {entry}"
    width = max(map(len, labels))
    values = (plain(difference.found), plain(difference.expected))
    lines = [headline]
    lines += [
        f"    {label:<{width}}  {value!r}" for label, value in zip(labels, values, strict=True)
    ]
    if diagnosis:
        lines.append(f"    {diagnosis}")
    return Finding(check, path, index, *values, diagnosis, "", "\n".join(lines))


def outputs_agree(one: Array, other: Array, *, entry_by_entry: bool = False) -> bool:
    """Say whether two outputs are the same up to rounding, of the largest entry or of each by itself."""
    if one.shape != other.shape:
        return False
    with np.errstate(all="ignore"):
        largest = np.abs(other) if entry_by_entry else np.max(np.abs(other), initial=0.0)
        size = np.maximum(largest, float(np.finfo(np.float32).tiny))
        return bool(np.all(np.abs(one - other) <= SAME_OUTPUT * size))


def plain(value: Any) -> Any:
    """Return an entry of an array as a Python number, a shape as it is."""
    if isinstance(value, tuple):
        return value
    return complex(value) if np.iscomplexobj(value) else float(value)


def _outside(value: Array, ours: Array, theirs: Array, size: float, room: Any) -> NDArray[np.bool_]:
    """Mark the entries that differ by more than rounding; where the room is NaN nothing is said."""
    dtypes = (np.dtype(np.float32), ours.dtype, theirs.dtype, value.dtype)
    epsilon, smallest = max(map(epsilon_of, dtypes)), max(map(tiny_of, dtypes))
    with np.errstate(all="ignore"):
        natural = natural_scale(value, size) if value.shape == theirs.shape else size
        largest = np.maximum(np.abs(ours), np.abs(theirs))
        rounding = epsilon * np.maximum(largest, natural) + smallest
        allowed = ROUNDING_ALLOWANCE * rounding + room
        same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
        error = np.abs(ours - theirs)
        unknown = np.isnan(np.broadcast_to(room, theirs.shape))
        return np.asarray(~same & ~(error <= allowed) & ~unknown)


def _worst(wrong: NDArray[np.bool_], ours: Array, theirs: Array) -> tuple[int, ...]:
    with np.errstate(all="ignore"):
        error = np.nan_to_num(np.abs(np.asarray(ours - theirs, np.complex128)), nan=np.inf)
    error = np.where(wrong, error, -1.0)
    return tuple(int(axis) for axis in np.unravel_index(int(np.argmax(error)), error.shape))
