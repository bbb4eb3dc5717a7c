"""Walks over expressions: parts, symbols, calls; one expression matched with another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gradcheck.derivations import expressions as ex

if TYPE_CHECKING:
    from gradcheck.derivations.definitions import Definition

__all__ = [
    "calls_of",
    "derivatives_of",
    "family_letters",
    "key_of",
    "mapped_derivatives",
    "mapped_symbols",
    "matches",
    "nodes_of",
    "overlap",
    "plain_symbols",
    "substituted",
    "used_symbols",
    "with_body",
]


def nodes_of(body: ex.Expression) -> list[ex.Expression]:
    return [body, *(node for part in ex.children(body) for node in nodes_of(part))]


def calls_of(body: ex.Expression) -> list[ex.Call]:
    own = [body] if isinstance(body, ex.Call) else []
    return own + [call for part in ex.children(body) for call in calls_of(part)]


def derivatives_of(body: ex.Expression) -> list[ex.Derivative]:
    own = [body] if isinstance(body, ex.Derivative) else []
    return own + [node for part in ex.children(body) for node in derivatives_of(part)]


def plain_symbols(body: ex.Expression) -> list[ex.Symbol]:
    """Return the symbols of a body but those that are differentiated."""
    if isinstance(body, ex.Symbol):
        return [body]
    parts = ex.children(body)
    if isinstance(body, ex.Derivative) and isinstance(body.of, ex.Symbol):
        parts = ()
    return [symbol for part in parts for symbol in plain_symbols(part)]


def used_symbols(body: ex.Expression) -> list[ex.Symbol]:
    """Return the symbols of a body, functions included."""
    out = list(ex.symbols(body))
    out.extend(call.function for call in calls_of(body))
    return out


def family_letters(body: ex.Expression) -> set[str]:
    """Return the letters that count members of families and that no sum of the body binds."""
    own: set[str] = set()
    if isinstance(body, ex.Symbol):
        own = {index.letter for index in body.family if index.letter}
    if isinstance(body, ex.Call):
        own = {index.letter for index in body.function.family if index.letter}
    for part in ex.children(body):
        own |= family_letters(part)
    return own - set(body.letters) if isinstance(body, ex.SumOver) else own


def substituted(body: ex.Expression, part: ex.Expression, by: ex.Expression) -> ex.Expression:
    """Return a body with every occurrence of a part replaced."""
    if body == part:
        return by
    if isinstance(part, ex.Symbol):
        return body
    return ex.with_parts(body, lambda inner: substituted(inner, part, by))


def _head(body: ex.Expression) -> object:
    """Return what an expression is apart from its parts."""
    match body:
        case ex.Call(function, primes):
            return (function, primes)
        case ex.SumOver(letters=letters, product=product):
            return (letters, product)
        case ex.Product(sign):
            return sign
        case ex.Plus(signs):
            return signs
    return None


def matches(
    known: ex.Expression, other: ex.Expression, found: dict[ex.Symbol, ex.Expression]
) -> bool:
    """Match two expressions; collect what the symbols of `other` stand for where they differ."""
    if known == other:
        return True
    if isinstance(other, ex.Symbol) and not isinstance(known, ex.Symbol):
        return found.setdefault(other, known) == known
    if type(known) is not type(other):
        return False
    if _head(known) != _head(other):
        return False
    a, b = ex.children(known), ex.children(other)
    if not a or len(a) != len(b):
        return False
    return all(matches(x, y, found) for x, y in zip(a, b, strict=True))


def overlap(a: Sequence[ex.Index], b: Sequence[ex.Index]) -> bool:
    """Return whether two family patterns can name one member."""
    if len(a) != len(b):
        return False
    return all(x.letter or y.letter or x.offset == y.offset for x, y in zip(a, b, strict=True))


def key_of(symbol: ex.Symbol) -> str:
    """Return what tells a symbol from others of its name: numbered members are symbols of their own."""
    return str(ex.Symbol(symbol.name, symbol.family))


def with_body(body: ex.Expression, definition: Definition, meaning: ex.Expression) -> ex.Expression:
    """Return a body with what a definition says in place of its symbol, members shifted alike."""

    def replaced(symbol: ex.Symbol) -> ex.Expression:
        if symbol.name != definition.name or len(symbol.family) != len(definition.pattern):
            return symbol
        pairs = list(zip(definition.pattern, symbol.family, strict=True))
        pairs += list(zip(map(ex.Index, definition.letters), symbol.components, strict=False))
        if any(old.letter is None and old != new for old, new in pairs):
            return symbol
        moved = {old.letter: (new, old.offset) for old, new in pairs if old.letter}
        inner = _reindexed(meaning, moved)
        whole = symbol.components and not definition.letters
        return ex.Picked(inner, symbol.components) if whole else inner

    return mapped_symbols(body, replaced)


def _reindexed(body: ex.Expression, moved: dict[str, tuple[ex.Index, int]]) -> ex.Expression:
    """Return a body with other index letters: each letter is the given index, less an offset."""

    def index(old: ex.Index) -> ex.Index:
        if old.letter not in moved:
            return old
        new, offset = moved[old.letter]
        return ex.Index(new.letter, new.offset + old.offset - offset)

    def renamed(symbol: ex.Symbol) -> ex.Expression:
        return ex.Symbol(
            symbol.name, tuple(map(index, symbol.family)), tuple(map(index, symbol.components))
        )

    return mapped_symbols(body, renamed)


def mapped_derivatives(
    body: ex.Expression, change: Callable[[ex.Derivative], ex.Expression]
) -> ex.Expression:
    """Return a body with every derivative changed, those inside others left as they are."""
    if isinstance(body, ex.Derivative):
        return change(body)
    return ex.with_parts(body, lambda part: mapped_derivatives(part, change))


def mapped_symbols(
    body: ex.Expression, change: Callable[[ex.Symbol], ex.Expression]
) -> ex.Expression:
    """Return a body with every symbol changed."""
    if isinstance(body, ex.Symbol):
        return change(body)
    return ex.with_parts(body, lambda part: mapped_symbols(part, change))
