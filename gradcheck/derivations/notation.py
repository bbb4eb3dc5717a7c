"""What parts of a syntax tree look like: differentials, lists, sums and their subscripts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from gradcheck.derivations import expressions as ex
from gradcheck.derivations import syntax
from gradcheck.derivations.scripts import pieces
from gradcheck.derivations.table import (
    base_of,
    name_of,
)
from gradcheck.derivations.unread import NotUnderstood

__all__ = [
    "differential",
    "excluded",
    "free_labels",
    "is_d",
    "is_differential",
    "is_flag",
    "is_indicator",
    "is_list",
    "keyword_of",
    "second_derivative",
    "side_by_side",
    "starts_at",
    "with_signed_bodies",
    "without_components",
]


def second_derivative(
    node: syntax.Fraction_,
) -> tuple[syntax.Node, syntax.Node, syntax.Node] | None:
    """Return (what, by, by) of `\\partial^2 A / \\partial x \\partial y`, or None where it is none."""
    above = node.above.factors if isinstance(node.above, syntax.Juxtaposed) else (node.above,)
    below = node.below.factors if isinstance(node.below, syntax.Juxtaposed) else (node.below,)
    if len(above) < 2 or not _is_squared(above[0]) or not is_differential(base_of(above[0])):
        return None
    of = side_by_side(above[1:], (False,) * (len(above) - 1))
    assert of is not None
    if len(below) == 2 and is_differential(below[0]) and _is_squared(below[1]):
        assert isinstance(below[1], syntax.Scripted)
        kept = below[1].scripts[:-1]
        by = syntax.Scripted(below[1].base, kept) if kept else below[1].base
        return of, by, by
    if len(below) == 4 and is_differential(below[0]) and is_differential(below[2]):
        return of, below[1], below[3]
    return None


def is_differential(node: syntax.Node) -> bool:
    """Return whether a node is the sign of a differential."""
    return isinstance(node, syntax.Leaf) and (node.kind == "PARTIAL" or node.text == "d")


def _is_squared(node: syntax.Node) -> bool:
    last = node.scripts[-1] if isinstance(node, syntax.Scripted) else None
    return last is not None and last.kind == "SUP" and [t.text for t in last.inner] == ["2"]


def is_indicator(node: syntax.Node) -> bool:
    """Whether a bracket with a condition behind a node makes an indicator: `1(y = k)`, `I[z > 0]`."""
    return isinstance(node, syntax.Leaf) and node.text in ("1", "ones", "bb 1", "bb I", "I", "chi")


def with_signed_bodies(node: syntax.Summed, opener: Callable[[syntax.Node], Any]) -> syntax.Summed:
    """A sum with nothing behind it takes the next term and its sign: `sum_i -2 x_i`."""
    signs: list[int] = []
    terms: list[syntax.Node] = []
    for sign, term in zip(node.signs, node.terms, strict=True):
        last = opener(terms[-1]) if terms else None
        if last is not None and last[2] is None:
            terms[-1] = syntax.Juxtaposed(
                (terms[-1], syntax.Summed((sign,), (term,))), (False,) * 2
            )
        else:
            signs.append(sign)
            terms.append(term)
    return syntax.Summed(tuple(signs), tuple(terms))


def is_list(bracket: syntax.Bracket) -> bool:
    """Whether a bracket lists several arguments, as in `l(o, y)`."""
    plain = all(len(item.sides) == 1 and item.sides[0] is not None for item in bracket.items)
    return bracket.sign == "(" and len(bracket.items) > 1 and plain


def keyword_of(item: syntax.Item) -> str | None:
    """Return the name before the sign of a keyword argument, or None."""
    head = item.sides[0]
    return name_of(head) if len(item.sides) == 2 and head is not None else None


def is_flag(item: syntax.Item) -> bool:
    """Whether an argument only says how an array is laid out: `keepdims=True`."""
    return keyword_of(item) == "keepdims"


def side_by_side(factors: Sequence[syntax.Node], slashes: Sequence[bool]) -> syntax.Node | None:
    if not factors:
        return None
    if len(factors) == 1:
        return factors[0]
    return syntax.Juxtaposed(tuple(factors), (False, *tuple(slashes)[1 : len(factors)]))


def is_d(node: syntax.Node) -> bool:
    factors = node.factors if isinstance(node, syntax.Juxtaposed) else (node,)
    return isinstance(factors[0], syntax.Leaf) and factors[0].text == "d"


def differential(node: syntax.Node) -> list[syntax.Node] | None:
    """Return what is differentiated in `\\partial A` or `dA`, or None where it is no differential."""
    factors: list[syntax.Node] = (
        list(node.factors) if isinstance(node, syntax.Juxtaposed) else [node]
    )
    if isinstance(node, syntax.Juxtaposed) and any(node.slashes):
        return None
    head = factors[0]
    base = head.base if isinstance(head, syntax.Scripted) else head
    if not isinstance(base, syntax.Leaf):
        return None
    if base.kind == "PARTIAL":
        return factors[1:]
    if base.text == "d" and base.kind == "NAME" and base is head and len(factors) > 1:
        return factors[1:]
    return None


def excluded(script: syntax.Script) -> list[tuple[str, str]]:
    """Return (a, b) for `a \\ne b` in a sum's subscript."""
    tokens = [token for token in script.inner if token.kind not in ("LBRACE", "RBRACE")]
    out = []
    for place, token in enumerate(tokens):
        if token.kind == "REL" and token.text == "!=" and 0 < place < len(tokens) - 1:
            out.append((tokens[place - 1].text, tokens[place + 1].text))
    return out


def starts_at(script: syntax.Script) -> tuple[int | None, ex.Index | None]:
    """Return the number, or else the index, that a sum's subscript begins with (`k = t + 1`)."""
    tokens = [token for token in script.inner if token.kind not in ("LBRACE", "RBRACE")]
    place = next((k for k, t in enumerate(tokens) if t.kind == "REL" and t.text == "="), None)
    behind = [] if place is None else tokens[place + 1 :]
    if not behind:
        return None, None
    if len(behind) == 1 and behind[0].kind == "NUM" and behind[0].text.isdigit():
        return int(behind[0].text), None
    found = pieces(behind, False)
    if len(found) == 1 and found[0].kind == "index":
        return None, found[0].index
    raise NotUnderstood("the beginning of a sum is not read")


def free_labels(body: ex.Expression) -> set[str]:
    """Return the letters that label symbols of the body: `C_x` depends on the sample x."""
    return {s.name.split("[")[1].rstrip("]") for s in ex.symbols(body) if "[" in s.name}


def without_components(body: ex.Expression, letters: set[str]) -> ex.Expression:
    """Return the body with component indices over the given letters dropped."""
    if isinstance(body, ex.Symbol):
        kept = tuple(index for index in body.components if index.letter not in letters)
        return ex.Symbol(body.name, body.family, kept)
    if isinstance(body, ex.Call):
        function = without_components(body.function, letters)
        body = dataclasses.replace(body, function=function)  # type: ignore[arg-type]
    return ex.with_parts(body, lambda part: without_components(part, letters))
