"""One equation of a program, as the evaluator sees it: what is done, to which shapes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from gradcheck.programs.compat import source_line

__all__ = ["ArrayType", "Operation", "is_real_or_complex", "line_among"]


def line_among(source_infos: Iterable[Any]) -> str | None:
    """Return the first of the user's source lines that JAX's notes know, as `path:line`."""
    lines = (source_line(info) for info in source_infos)
    return next((line for line in lines if line), None)


@lru_cache(maxsize=256)
def is_real_or_complex(dtype: Any) -> bool:
    """Say whether `dtype` holds floating numbers, of which bfloat16 is no NumPy kind."""
    return dtype.kind in "fc" or "float" in dtype.name


class ArrayType(NamedTuple):
    """Shape and dtype of one array, as traced, and whether it holds floating numbers."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_floating: bool

    @classmethod
    def of(cls, shape: tuple[int, ...], dtype: np.dtype[Any]) -> ArrayType:
        """Return the type of arrays of this shape and dtype."""
        return cls(shape, dtype, is_real_or_complex(dtype))


class Operation(NamedTuple):
    """One equation: a primitive with its parameters, the types of its operands and results.

    `source_infos` are JAX's notes on where it was traced: its own, then those of enclosing calls.
    `compares_with_itself` says that both operands stem from one array by moving and choosing entries,
    as in `x >= x.max()`: equal numbers there are one number, which no rounding error can part.
    `written` has for each operand the value that the program itself writes there, or None.
    """

    primitive: Any
    parameters: dict[str, Any]
    inputs: tuple[ArrayType, ...]
    outputs: tuple[ArrayType, ...]
    source_infos: tuple[Any, ...] = ()
    compares_with_itself: bool = False
    written: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        return str(self.primitive.name)

    @property
    def is_floating(self) -> bool:
        """Whether any operand or result holds floating numbers."""
        return any(t.is_floating for t in (*self.inputs, *self.outputs))

    @property
    def where(self) -> str | None:
        """The user's source line as `path:line`, found when asked for, for that is slow.

        An equation inside a library's own jitted function has the line of the call.
        """
        return line_among(self.source_infos)
