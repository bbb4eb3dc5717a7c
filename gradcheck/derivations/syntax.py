"""The syntax tree of one row of a derivation: what was written, before anything is resolved."""

from __future__ import annotations

from dataclasses import dataclass

from gradcheck.derivations.tokens import Token

__all__ = [
    "Accented",
    "Array",
    "Bracket",
    "Fraction_",
    "Item",
    "Juxtaposed",
    "Leaf",
    "Multiplied",
    "Node",
    "Norm",
    "Root",
    "Script",
    "Scripted",
    "Summed",
    "Table",
]


@dataclass(frozen=True)
class Leaf:
    """A name, number, word, sign or anything else that is one token."""

    token: Token

    @property
    def kind(self) -> str:
        """The terminal of the grammar."""
        return self.token.kind

    @property
    def text(self) -> str:
        """The normal spelling."""
        return self.token.text


@dataclass(frozen=True)
class Script:
    """One script: `kind` is SUP, SUB or PRIME; `inner` the tokens of its argument."""

    kind: str
    inner: tuple[Token, ...]


@dataclass(frozen=True)
class Scripted:
    """A base with its scripts in the order written."""

    base: Node
    scripts: tuple[Script, ...]


@dataclass(frozen=True)
class Accented:
    """A hat, bar or tilde over an expression."""

    accent: str
    body: Node


@dataclass(frozen=True)
class Bracket:
    """A bracketed list of items; `sign` is ( [ { < or the TeX group `{}`."""

    sign: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Norm:
    """A norm (double bars) or an absolute value (single bars)."""

    double: bool
    body: Node


@dataclass(frozen=True)
class Fraction_:
    """A built fraction; its parts stay items, because a derivative is one too."""

    above: Node
    below: Node


@dataclass(frozen=True)
class Root:
    """A square root."""

    body: Node


@dataclass(frozen=True)
class Table:
    """A matrix environment: rows of cells."""

    name: str
    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True)
class Array:
    """An array displayed with ellipses.

    Attributes:
        entry: the entry at any place; off the diagonal where that has entries of its own.
        diagonal: the entry at any place of the diagonal, where it is another.
        row, column: the letters that count rows and columns, "" along a dimension of one.
        firsts, lasts: the tokens of the first and the last index of rows and of columns.
        loose: whether it is a list in round brackets: a vector, standing or lying.
        flaw: what is wrong with one of its entries, or "".
    """

    entry: Node
    diagonal: Node | None
    row: str
    column: str
    firsts: tuple[tuple[Token, ...], tuple[Token, ...]]
    lasts: tuple[tuple[Token, ...], tuple[Token, ...]]
    loose: bool = False
    flaw: str = ""


@dataclass(frozen=True)
class Juxtaposed:
    """Factors side by side; `slashes[k]` says that factor k divides what stands left of it."""

    factors: tuple[Node, ...]
    slashes: tuple[bool, ...]


@dataclass(frozen=True)
class Multiplied:
    """Factors joined by multiplication signs, left to right."""

    signs: tuple[str, ...]
    factors: tuple[Node, ...]


@dataclass(frozen=True)
class Summed:
    """Terms with their signs (+1 or -1)."""

    signs: tuple[int, ...]
    terms: tuple[Node, ...]


@dataclass(frozen=True)
class Item:
    """Sides joined by relations; an empty side is None."""

    relations: tuple[str, ...]
    sides: tuple[Node | None, ...]


Node = (
    Leaf
    | Scripted
    | Accented
    | Bracket
    | Norm
    | Fraction_
    | Root
    | Table
    | Array
    | Juxtaposed
    | Multiplied
    | Summed
)
