"""Dimension strings: the named axes of an array, in the grammar of jaxtyping.

    "N D"           two axes of the sizes N and D; a name has one size in the whole contract
    "3 3"           two axes of size 3
    "" or "()"      no axis: a scalar
    "H-k+1"         arithmetic over names (+ - * // % and brackets), written without spaces
    "*batch D"      any number of axes, then one of size D
    "... D"         any number of axes that are named nowhere else
    "#N"            an axis of size N, or of size 1 that broadcasts to it; likewise "*#batch"
    "_", "_note"    an axis of any size that is named nowhere else
    "rows=3"        an axis of size 3, with a word for the reader

A name of several axes, such as `*batch`, is kept among the sizes as the product `batch` and the
sizes `batch[0]`, `batch[1]`, ...; a nameless axis as the array and its axis: `x[1]`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from gradcheck.contracts import expressions
from gradcheck.contracts.expressions import Expression, Name
from gradcheck.errors import ContractError

__all__ = ["Axes", "Axis", "Shape", "bind_several", "parse_shape", "several"]


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        size: its size.
        broadcasts: whether it may also have size 1 ("#").
    """

    size: Expression
    broadcasts: bool = False


@dataclass(frozen=True)
class Axes:
    """Any number of axes under one name.

    Attributes:
        name: the name of them all.
        broadcasts: whether each may also have size 1, and the first ones be missing ("#").
    """

    name: str
    broadcasts: bool = False


@dataclass(frozen=True)
class Shape:
    """The axes of one array, as its dimension string names them; made by `parse_shape`.

    Attributes:
        text: the dimension string.
        axes: an `Axis` or `Axes` for each word of it; at most one is `Axes`.
    """

    text: str
    axes: tuple[Axis | Axes, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of single sizes, each once, in the order of writing."""
        found = [expressions.names(axis.size) for axis in self.axes if isinstance(axis, Axis)]
        return tuple(dict.fromkeys(name for part in found for name in part))

    def named(self, count: int) -> bool:
        """Say whether one of the first `count` axes has a name, so that its size may differ.

        >>> parse_shape("1 D").named(1), parse_shape("N D").named(1)
        (False, True)
        """
        first = self.axes[:count]
        return any(isinstance(axis, Axes) or expressions.names(axis.size) for axis in first)

    @property
    def variadic(self) -> Axes | None:
        """The part that stands for any number of axes, or None."""
        return next((axis for axis in self.axes if isinstance(axis, Axes)), None)

    def sizes(self, bindings: Mapping[str, int]) -> tuple[int, ...]:
        """Return the sizes of the axes, given the size of every name; a "#" axis in full.

        Raises:
            ContractError: a name has no size, or an expression divides by zero or is negative.

        >>> parse_shape("*batch 4*H").sizes({"batch": 6, "batch[0]": 2, "batch[1]": 3, "H": 5})
        (2, 3, 20)
        """
        result: list[int] = []
        for axis in self.axes:
            try:
                if isinstance(axis, Axes):
                    result += several(axis.name, bindings)
                else:
                    result.append(expressions.evaluate(axis.size, bindings))
            except KeyError as error:
                raise ContractError(
                    f"the size of {error.args[0]!r} in {self.text!r} is not given; given are "
                    f"{', '.join(bindings) or 'none'}"
                ) from None
            except ZeroDivisionError:
                raise ContractError(
                    f"{self.text!r} divides by zero at {_listed(bindings)}"
                ) from None
        if min(result, default=0) < 0:
            raise ContractError(
                f"{self.text!r} gives the negative size {min(result)} at {_listed(bindings)}"
            )
        return tuple(result)

    def match(
        self,
        actual: tuple[int, ...],
        bindings: Mapping[str, int] | None = None,
        quantity: str = "array",
    ) -> dict[str, int]:
        """Return the sizes of the names, given the dimensions that an array has.

        Args:
            actual: the dimensions.
            bindings: sizes that are known already; they are kept and must agree.
            quantity: what the message calls the array.

        Raises:
            ShapeError: `actual` does not fit.

        >>> parse_shape("N 4*H").match((3, 20))
        {'N': 3, 'H': 5}
        """
        from gradcheck.contracts.matching import Observed, match

        return match([Observed(quantity, self, tuple(actual))], bindings or {})


def several(name: str, bindings: Mapping[str, int]) -> tuple[int, ...]:
    """Return the sizes of the axes that go under one name, from `name[0]` on.

    Raises:
        KeyError: the name has no sizes; without axes it has the empty product 1.
    """
    bindings[name]
    sizes: list[int] = []
    while (key := f"{name}[{len(sizes)}]") in bindings:
        sizes.append(bindings[key])
    return tuple(sizes)


def bind_several(name: str, sizes: tuple[int, ...]) -> dict[str, int]:
    """Return the bindings of the axes that go under one name; the inverse of `several`.

    >>> bind_several("batch", (2, 3))
    {'batch': 6, 'batch[0]': 2, 'batch[1]': 3}
    """
    parts = {f"{name}[{index}]": size for index, size in enumerate(sizes)}
    return {name: math.prod(sizes), **parts}


WORD = re.compile(r"\S+")
MARKS = re.compile(r"(?P<marks>[*#?]*)(?:(?P<note>[^\W\d]\w*)=(?!=))?(?P<rest>.*)")


def parse_shape(text: str, quantity: str = "array") -> Shape:
    """Return the shape that a dimension string writes.

    Args:
        text: the dimension string; the module describes its grammar.
        quantity: the name of the array, by which its nameless axes are known.

    Raises:
        ContractError: `text` is no dimension string; the message names the character, from 1.

    >>> parse_shape("N 4*H").names
    ('N', 'H')
    """
    if not isinstance(text, str):
        raise ContractError(
            f"{quantity} is {text!r}; a dimension string such as 'N D' was expected"
        )
    words = [] if text.strip() == "()" else list(WORD.finditer(text))
    axes: list[Axis | Axes] = []
    for word in words:
        seen_variadic = any(isinstance(axis, Axes) for axis in axes)
        place = len(axes) - len(words) if seen_variadic else len(axes)
        axis = _parse_axis(word.group(), text, word.start(), f"{quantity}[{place}]")
        if isinstance(axis, Axes) and seen_variadic:
            raise _error(
                text, word.start(), "only one of * and ... can stand in a dimension string"
            )
        axes.append(axis)
    shape = Shape(text, tuple(axes))
    if shape.variadic is not None and shape.variadic.name in shape.names:
        raise ContractError(
            f"dimension string {text!r}: {shape.variadic.name!r} is one size and, with *, any number of sizes"
        )
    return shape


def _parse_axis(word: str, text: str, start: int, nameless: str) -> Axis | Axes:
    if word == "...":
        return Axes(nameless)
    found = MARKS.fullmatch(word)
    assert found is not None
    marks, rest = found["marks"], found["rest"]
    start += found.start("rest")
    if "?" in marks:
        raise _error(
            text,
            start,
            "'?' marks a dimension of a tree; give the tree a dimension string per array",
        )
    if len(set(marks)) != len(marks):
        raise _error(text, start, f"a mark is written twice in {word!r}")
    broadcasts = "#" in marks
    anonymous = rest.isidentifier() and rest.startswith("_")
    if "*" not in marks:
        size = Name(nameless) if anonymous else expressions.parse(rest, text, start)
        return Axis(size, broadcasts)
    if not rest.isidentifier():
        raise _error(
            text, start, f"expected the name of any number of axes after '*', got {rest!r}"
        )
    return Axes(nameless if anonymous else rest, broadcasts)


def _error(text: str, start: int, what: str) -> ContractError:
    return ContractError(f"dimension string {text!r}, character {start + 1}: {what}")


def _listed(bindings: Mapping[str, int]) -> str:
    return ", ".join(f"{name} = {size}" for name, size in bindings.items())
