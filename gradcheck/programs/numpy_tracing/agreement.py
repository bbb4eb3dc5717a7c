"""Whether two runs of the same code agree, to rounding or bit for bit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from gradcheck import trees
from gradcheck.errors import Abstention

__all__ = ["REPETITION_STEPS", "ROUNDING_STEPS", "is_number", "require_agreement", "rounding_unit"]

ROUNDING_STEPS = 2**14
"""Rounding errors, of the largest magnitude in an output, by which two evaluations of the same
formula in another order may differ. Sums of some thousand terms stay far below it, and a wrong
program differs by much more."""

REPETITION_STEPS = 64
"""Likewise where the same NumPy calls are repeated: only a threaded product of matrices may add in
another order."""


def is_number(leaf: Any) -> bool:
    """Say whether a leaf of an output is an output of the program: of floating numbers."""
    return isinstance(leaf, (float, complex)) or trees.is_variable(leaf)


def rounding_unit(dtypes: Iterable[Any]) -> float:
    """Return the relative rounding error of the narrowest of some floating dtypes."""
    return max((float(jax.numpy.finfo(dtype).eps) for dtype in dtypes), default=0.0)


def require_agreement(what: str, one: Any, other_what: str, other: Any, tolerance: float) -> None:
    """Abstain where two outputs differ by more, relative to the largest entry, and say where."""
    ones, others = trees.leaves(one), trees.leaves(other)
    if [path for path, _ in ones] != [path for path, _ in others]:
        raise Abstention(f"{what} and {other_what} code return different structures")
    for (path, left), (_, right) in zip(ones, others, strict=True):
        if not is_number(left) and not is_number(right):
            continue
        a, b = np.asarray(left), np.asarray(right)
        if a.shape != b.shape or a.dtype != b.dtype:
            raise Abstention(
                f"{what} and {other_what} code part at output{path}: "
                f"{a.dtype}{list(a.shape)} and {b.dtype}{list(b.shape)}"
            )
        differs = ~_agree(a, b, tolerance)
        if np.any(differs):
            index = tuple(int(i) for i in np.argwhere(differs)[0])
            place = f"{path}[{', '.join(map(str, index))}]" if index else path
            raise Abstention(
                f"{what} and {other_what} code part at output{place}: {a[index]} and {b[index]}"
            )


def _agree(a: NDArray[Any], b: NDArray[Any], tolerance: float) -> Any:
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if not tolerance:
        return same
    finite = np.abs(b[np.isfinite(b)])
    allowed = tolerance * float(np.max(finite, initial=0))
    with np.errstate(invalid="ignore"):
        return same | (np.abs(a - b) <= allowed)
