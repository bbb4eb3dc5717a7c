"""What a walk over expressions rests on: where it stands, what can go wrong, arrays over axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.dims import ONE, Dim, DimensionMismatch
from gradcheck.derivations.limits import LIMITS
from gradcheck.derivations.unread import NotUnderstood
from gradcheck.derivations.values import Axes, Jacobian, Value

if TYPE_CHECKING:
    from gradcheck.derivations.model import Model

__all__ = ["Core", "Frame", "FreeIndex", "IllShaped", "OutOfRange", "Result"]

Result = Value | Jacobian

LARGEST_WHOLE = 2**52
"""Whole numbers below it are exact in float64, and so are the parts that larger ones are made of."""


class IllShaped(Exception):
    """Sizes do not fit; the message names the operands, what was expected and what came."""


class OutOfRange(Exception):
    """A member of a family does not exist (the layer behind the last)."""


class FreeIndex(Exception):
    """An index is free where it must be bound."""


@dataclass
class Frame:
    """Where an expression stands.

    Attributes:
        row: the number of the row; symbols mean what they mean there.
        family: the members that the family letters stand for.
        letters: the size that each component index runs over.
        bound: arguments of a function definition by name.
        target: the left side of the row, to which a bare sum reduces.
        free: letters that the row's left side leaves free (a bare sum runs over the others).
    """

    row: int
    family: dict[str, int]
    letters: dict[str, Dim] = field(default_factory=dict)
    bound: dict[str, Value] = field(default_factory=dict)
    free: frozenset[str] = frozenset()
    target: Value | None = None


class Core:
    """What every walk over expressions needs: numbers, aligned axes, sizes made equal.

    Args:
        model: the document's definitions and leaves.
        numeric: whether to compute numbers, or sizes only.
        overrides: values that replace members of symbols (what a derivative varies).
        memo: values of definitions that were computed before.
        base: the walk without overrides, for what a derivative holds fixed.
    """

    def __init__(
        self,
        model: Model,
        numeric: bool,
        overrides: dict[tuple[str, tuple[int, ...]], Value] | None = None,
        memo: dict[Any, Any] | None = None,
        base: Core | None = None,
    ) -> None:
        self.model = model
        self.numeric = numeric
        self.overrides = overrides or {}
        self.memo: dict[Any, Any] = {} if memo is None else memo
        self.touched: set[tuple[str, tuple[int, ...]]] = set()
        self.active: list[Any] = []
        self.base = base
        self.leaf_overrides: set[tuple[str, tuple[int, ...]]] = set()

    @property
    def xp(self) -> Any:
        import jax.numpy as jnp

        return jnp

    def number(self, value: Fraction | float | int) -> Value:
        if not self.numeric:
            return Value((), ONE, ONE)
        if not isinstance(value, Fraction):
            return Value((), ONE, ONE, self.xp.full((1, 1), float(value)))
        data = self._whole(value.numerator)
        if value.denominator != 1:
            data = data / self._whole(value.denominator)
        return Value((), ONE, ONE, data)

    def _whole(self, value: int) -> Any:
        """Return a whole number, in parts that float64 holds: 1.00000000000000001 is not 1."""
        upper, lower = divmod(abs(value), LARGEST_WHOLE)
        data = self.xp.full((1, 1), float(lower if value >= 0 else -lower))
        if not upper:
            return data
        return self._whole(upper if value >= 0 else -upper) * float(LARGEST_WHOLE) + data

    def make(self, axes: Axes, rows: Dim, cols: Dim, compute: Callable[[], Any]) -> Value:
        """Return a value whose numbers are computed only where numbers are asked for."""
        order = sorted(range(len(axes)), key=lambda k: axes[k][0])
        if not self.numeric:
            return Value(tuple(axes[k] for k in order), rows, cols)
        size = rows.value * cols.value
        for _, dim in axes:
            size *= dim.value
        if size > LIMITS.elements:
            raise NotUnderstood(f"an intermediate array would have {size:,} numbers")
        data = compute()
        if order != list(range(len(axes))):
            data = self.xp.transpose(data, (*order, len(axes), len(axes) + 1))
        return Value(tuple(axes[k] for k in order), rows, cols, data)

    def unify(self, a: Dim, b: Dim) -> Dim:
        return self.model.dims.unify(a, b)

    def align(self, values: Sequence[Value]) -> tuple[Axes, list[Any]]:
        """Return the union of the axes, and the numbers of each value spread over it."""
        union: dict[str, Dim] = {}
        for value in values:
            for letter, dim in value.axes:
                if letter in union:
                    try:
                        self.unify(union[letter], dim)
                    except DimensionMismatch:
                        raise IllShaped(
                            f"the index {letter} runs over {union[letter].root().name} in one factor "
                            f"and over {dim.root().name} in another"
                        ) from None
                else:
                    union[letter] = dim
        axes = tuple(sorted(union.items()))
        if not self.numeric:
            return axes, [None] * len(values)
        spread = []
        for value in values:
            own = iter(value.data.shape)
            shape = [next(own) if letter in value.letters else 1 for letter, _ in axes]
            spread.append(value.data.reshape(*shape, *value.data.shape[-2:]))
        return axes, spread

    def value(self, expression: ex.Expression, frame: Frame) -> Value:
        """Return the value of an expression that is no formal Jacobian."""
        result = self.evaluate(expression, frame)
        if isinstance(result, Jacobian):
            if result.matrix is None:
                raise NotUnderstood("the derivative of an array by an array is more than a matrix")
            return result.matrix()
        return result

    def whole(self, symbol: ex.Symbol, frame: Frame) -> Value:
        """Return the array of a symbol, its component indices aside."""
        raise NotImplementedError

    def evaluate(self, expression: ex.Expression, frame: Frame) -> Result:
        """Return the value of an expression, or the Jacobian that it stands for."""
        raise NotImplementedError
