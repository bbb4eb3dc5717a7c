"""Domains: which values an input may take. A dimension string alone stands for free real numbers.

positive("N D")              real numbers above 0
complex("N D")               complex numbers
integers("N", below="C")     whole numbers 0 <= k < C, such as labels and indices
one_hot("N C")               0 but for a single 1 along the last axis
probabilities("N C")         real numbers from 0 to 1 that sum to 1 along the last axis
booleans("N D")              a mask
elements("N D", strategy)    numbers drawn by a Hypothesis strategy
constant(value)              the same value at every point
one_of(0, 1, -1)             one of these values, such as an axis, a stride, a mode
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gradcheck.contracts import expressions
from gradcheck.contracts.dimensions import Shape, parse_shape
from gradcheck.contracts.expressions import Expression, Number
from gradcheck.errors import ContractError

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "Domain",
    "booleans",
    "complex",
    "constant",
    "elements",
    "integers",
    "one_hot",
    "one_of",
    "positive",
    "probabilities",
    "real",
]

FREE = (-math.inf, math.inf)
NO_SIZES: Mapping[str, int] = {}


@dataclass(frozen=True, eq=False)
class Domain:
    """Which values an input may take; made by the functions of this module.

    Attributes:
        kind: the name of the function that made it.
        shape: the dimensions; None for `constant` and `one_of`, whose values are passed as they are.
        differentiable: whether its entries may be varied by small steps, so that it has a gradient.
        limits: the open interval inside which a varied entry must stay.
        at_least: the smallest whole number (`integers`).
        below: what whole numbers stay below (`integers`), a number or an expression of sizes.
        strategy: the Hypothesis strategy of single entries (`elements`).
        choices: the values (`constant`, `one_of`).
    """

    kind: str
    shape: Shape | None
    differentiable: bool = True
    limits: tuple[float, float] = FREE
    at_least: int = 0
    below: Expression | None = None
    strategy: Any = None
    choices: tuple[Any, ...] = ()

    @property
    def has_gradient(self) -> bool:
        """Whether a gradient is expected: of labels, one-hot ones too, a backward may leave it out."""
        return self.differentiable and self.kind != "one_hot"

    def named(self, quantity: str) -> Domain:
        """Return this domain with its nameless axes named after the input that it belongs to."""
        if self.shape is None:
            return self
        return replace(self, shape=parse_shape(self.shape.text, quantity))

    def sample(
        self,
        rng: np.random.Generator,
        sizes: Mapping[str, int],
        style: str = "normal",
        *,
        start: int = 1,
        shape: tuple[int, ...] | None = None,
        pool: Any = None,
    ) -> Any:
        """Return values of this domain: a float64, complex128, int64 or bool array, or a choice.

        Args:
            rng: where all randomness comes from.
            sizes: the size of every name.
            style: one of `gradcheck.contracts.sampling.STYLES`.
            start: the number that the style "counting" begins with.
            shape: the dimensions, where they are not those of `sizes` (a broadcast axis of size 1).
            pool: values drawn by the strategy of an `elements` domain, which then fill the array.

        Raises:
            ContractError: a size is not given.
            UsageError: the domain is `elements` and no pool is given.
        """
        from gradcheck.contracts.sampling import sample

        if self.shape is None:
            return self.choices[int(rng.integers(len(self.choices)))]
        dimensions = self.shape.sizes(sizes) if shape is None else shape
        return sample(self, rng, dimensions, sizes, style, start=start, pool=pool)

    def contains(self, value: Any, sizes: Mapping[str, int] = NO_SIZES) -> str | None:
        """Return why `value` is not of this domain, as a clause after its name; None if it is.

        The dimensions are not looked at; `Contract.bind` does that. An upper bound of integers that
        depends on sizes is looked at only where `sizes` gives them.

        >>> import numpy as np
        >>> positive("N").contains(np.array([1.0, -2.0]))
        'has the entry -2.0 at (1,), but a positive input is above 0'
        """
        from gradcheck.contracts.sampling import refusal

        return refusal(self, value, sizes)

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.kind}({', '.join(map(repr, self.choices))})"
        return f"{self.kind}({self.shape.text!r})"


def real(shape: str) -> Domain:
    """Free real numbers; what a dimension string alone stands for."""
    return Domain("real", parse_shape(shape))


def positive(shape: str) -> Domain:
    """Real numbers above 0, such as variances; finite differences stay above 0 too."""
    return Domain("positive", parse_shape(shape), limits=(0, math.inf))


def complex(shape: str) -> Domain:
    """Free complex numbers; `conjugation=` says which convention their gradients keep."""
    return Domain("complex", parse_shape(shape))


def integers(shape: str, *, below: int | str, at_least: int = 0) -> Domain:
    """Whole numbers from `at_least` up to but without `below`, as an int64 array.

    Args:
        shape: the dimensions.
        below: a number, or an expression of dimension names such as "C".
        at_least: the smallest of them.

    Raises:
        ContractError: no whole number is left.
    """
    if isinstance(below, bool) or not isinstance(below, (int, str)):
        raise ContractError(
            f"integers: below is {below!r}; a number or a dimension name was expected"
        )
    limit = Number(below) if isinstance(below, int) else expressions.parse(below.strip(), below, 0)
    if isinstance(limit, Number) and limit.value <= at_least:
        raise ContractError(
            f"integers: no whole number is at least {at_least} and below {limit.value}"
        )
    return Domain(
        "integers", parse_shape(shape), differentiable=False, at_least=at_least, below=limit
    )


def booleans(shape: str) -> Domain:
    """True and False, such as a mask."""
    return Domain("booleans", parse_shape(shape), differentiable=False)


def one_hot(shape: str) -> Domain:
    """Labels as rows of 0 with a single 1, along the last axis, as a float64 array.

    Raises:
        ContractError: `shape` has no axis.
    """
    return Domain("one_hot", _with_last_axis("one_hot", shape))


def probabilities(shape: str) -> Domain:
    """Real numbers from 0 to 1 that sum to 1 along the last axis, one-hot rows among them.

    Raises:
        ContractError: `shape` has no axis.
    """
    return Domain("probabilities", _with_last_axis("probabilities", shape), limits=(0, 1))


def elements(shape: str, strategy: Any) -> Domain:
    """Numbers that a Hypothesis strategy draws one by one, such as `st.floats(-1, 1)`.

    Raises:
        ContractError: `strategy` is no Hypothesis strategy.
    """
    if not hasattr(strategy, "example") or not hasattr(strategy, "map"):
        raise ContractError(
            f"elements: strategy is {strategy!r}; a Hypothesis strategy of single numbers was expected, such "
            "as hypothesis.strategies.floats(-1, 1)"
        )
    return Domain("elements", parse_shape(shape), strategy=strategy)


def constant(value: Any) -> Domain:
    """The same value at every point, passed as it is (an array as a copy)."""
    return Domain("constant", None, differentiable=False, choices=(value,))


def one_of(*choices: Any) -> Domain:
    """One of these values at each point, such as an axis, a stride or a mode; each is visited.

    Raises:
        ContractError: there is no choice.
    """
    if not choices:
        raise ContractError("one_of: no choice is given; write for example one_of(0, 1, -1)")
    return Domain("one_of", None, differentiable=False, choices=choices)


def _with_last_axis(kind: str, text: str) -> Shape:
    shape = parse_shape(text)
    if not shape.axes:
        raise ContractError(
            f"{kind}: {text!r} has no axis, but {kind} needs a last one to lie along"
        )
    return shape
