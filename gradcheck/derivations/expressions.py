"""The meaning of a formula: expressions over symbols, free of notation.

What `syntax` holds is what was written; an expression says what it stands for. A symbol is named,
may belong to a family (layers, time steps) and may have component indices. Every expression has an
array of two dimensions as its value (a number is 1 x 1, a column n x 1) over one axis for each free
component index.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any

__all__ = [
    "Absolute",
    "Arrayed",
    "Call",
    "Concatenated",
    "Derivative",
    "Divided",
    "Expression",
    "Held",
    "Index",
    "Known",
    "Kronecker",
    "NormOf",
    "Number",
    "Picked",
    "Plus",
    "Power",
    "Product",
    "Rooted",
    "SumOver",
    "Symbol",
    "Transposed",
    "Written",
    "children",
    "member_name",
    "with_parts",
]


@dataclass(frozen=True)
class Index:
    """An index `letter + offset`, or the number `offset` where there is no letter."""

    letter: str | None
    offset: int = 0

    def __str__(self) -> str:
        if self.letter is None:
            return str(self.offset)
        return f"{self.letter}{self.offset:+d}" if self.offset else self.letter


@dataclass(frozen=True)
class Symbol:
    """A symbol, one member of its family, one component of its array."""

    name: str
    family: tuple[Index, ...] = ()
    components: tuple[Index, ...] = ()

    def __str__(self) -> str:
        marks = ",".join(map(str, (*self.family, *self.components)))
        return (
            f"{self.name}_{{{marks}}}"
            if len(marks) > 1
            else f"{self.name}_{marks}" * bool(marks) or self.name
        )


def member_name(name: str, member: tuple[int, ...]) -> str:
    """Return the name of one member of a family: `W_2`.

    >>> member_name("W", (2,)), member_name("t", ())
    ('W_2', 't')
    """
    return f"{name}_{','.join(map(str, member))}" if member else name


@dataclass(frozen=True)
class Number:
    """A rational number."""

    value: Fraction


@dataclass(frozen=True)
class Known:
    """The identity, ones or zeros (`I`, `1`, `0`): of the size that a subscript names, or that fits."""

    name: str
    size: str = ""


@dataclass(frozen=True)
class Plus:
    """A sum of terms with signs."""

    signs: tuple[int, ...]
    terms: tuple[Expression, ...]


@dataclass(frozen=True)
class Product:
    """`left` times `right`; `sign` is the sign between them, "" where there is none."""

    sign: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Divided:
    """`above` over `below`, elementwise."""

    above: Expression
    below: Expression


@dataclass(frozen=True)
class Power:
    """`base` to an exponent, elementwise; the inverse of a square matrix where the exponent is -1."""

    base: Expression
    exponent: Expression


@dataclass(frozen=True)
class Transposed:
    """The transpose."""

    body: Expression


@dataclass(frozen=True)
class Rooted:
    """The square root, elementwise."""

    body: Expression


@dataclass(frozen=True)
class NormOf:
    """A norm: `order` "1" or "2"; squared where `squared`."""

    body: Expression
    order: str
    squared: bool


@dataclass(frozen=True)
class Held:
    """A value that a derivative around it holds fixed, as a partial derivative does."""

    body: Expression


@dataclass(frozen=True)
class Absolute:
    """Absolute values."""

    body: Expression


@dataclass(frozen=True)
class Call:
    """A function, derived `primes` times, of its arguments."""

    function: Symbol
    primes: int
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Derivative:
    """The derivative of `of` by `by`; a gradient where `of` is a number.

    Attributes:
        of, by: what is differentiated, and by what.
        shorthand: whether it was written `dX`, which of an array over examples may mean each
            example's own gradient.
    """

    of: Expression
    by: Expression
    shorthand: bool = False


@dataclass(frozen=True)
class SumOver:
    """A sum (or product) of `body` over component letters; no letters: over all that are free.

    Attributes:
        letters: the summed letters.
        body: what is summed.
        product: whether terms are multiplied.
        skipped: pairs of letters that may not be equal.
        first, last: the written range, where it is one.
        start: the index that the range begins with, where that is no number.
    """

    letters: tuple[str, ...]
    body: Expression
    product: bool = False
    skipped: tuple[tuple[str, str], ...] = ()
    first: int | None = None
    last: Expression | None = None
    start: Index | None = None


@dataclass(frozen=True)
class Kronecker:
    """1 where two indices are equal, else 0."""

    left: Index
    right: Index


@dataclass(frozen=True)
class Picked:
    """Components of a compound expression: `(...)_{jk}`."""

    body: Expression
    components: tuple[Index, ...]


@dataclass(frozen=True)
class Concatenated:
    """Columns stacked one below the other."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Arrayed:
    """An array by its entry at any place.

    Attributes:
        entry: a number for each row and column letter.
        row, column: those letters, "" along a dimension of one.
        rows, columns: what counts them, where that is written.
        loose: whether it is a vector of either orientation.
    """

    entry: Expression
    row: str
    column: str
    rows: Expression | None = None
    columns: Expression | None = None
    loose: bool = False


@dataclass(frozen=True)
class Written:
    """A matrix of so many columns whose entries are all written, row by row; an entry may be a block."""

    entries: tuple[Expression, ...]
    columns: int


Expression = (
    Symbol
    | Number
    | Known
    | Plus
    | Product
    | Divided
    | Power
    | Transposed
    | Rooted
    | NormOf
    | Absolute
    | Held
    | Call
    | Derivative
    | SumOver
    | Kronecker
    | Picked
    | Concatenated
    | Arrayed
    | Written
)


def children(expression: Expression) -> tuple[Expression, ...]:
    """Return the direct parts of an expression, left to right."""
    match expression:
        case Plus(terms=parts) | Concatenated(parts=parts) | Call(arguments=parts):
            return parts
        case Written(entries=parts):
            return parts
        case Arrayed(entry=entry):
            return (entry,)
        case Product(left=a, right=b) | Divided(a, b) | Power(a, b) | Derivative(a, b):
            return (a, b)
        case SumOver(body=body, last=last):
            return (body,) if last is None else (body, last)
        case Transposed(body) | Rooted(body) | NormOf(body=body) | Absolute(body) | Held(body):
            return (body,)
        case Picked(body=body):
            return (body,)
    return ()


def symbols(expression: Expression) -> list[Symbol]:
    """Return every symbol of an expression, functions left out, in the order written."""
    if isinstance(expression, Symbol):
        return [expression]
    return [symbol for part in children(expression) for symbol in symbols(part)]


def with_parts(expression: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """Return an expression with each of its direct parts changed; functions and indices stay."""
    changes: dict[str, Any] = {}
    for field in fields(expression):
        value = getattr(expression, field.name)
        if field.name == "function":
            continue
        if isinstance(value, Expression):
            changes[field.name] = change(value)
        elif isinstance(value, tuple) and value and isinstance(value[0], Expression):
            changes[field.name] = tuple(map(change, value))
    return replace(expression, **changes)
