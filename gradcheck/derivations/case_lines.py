"""Cells of what is written in lines: the value and the condition of a case, the entries of a matrix."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gradcheck.derivations import syntax
from gradcheck.derivations.commands import tokenize
from gradcheck.derivations.grammar import parse
from gradcheck.derivations.notation import side_by_side
from gradcheck.derivations.tex import lex
from gradcheck.derivations.unread import NotUnderstood

__all__ = ["matrix_entry", "value_and_condition"]

_CASE_WORDS = frozenset(["if", "for", "when", "where", "otherwise", "else"])
"""Words beside the condition of a case."""


def matrix_entry(cell: syntax.Node) -> syntax.Node | None:
    """Return a cell of a matrix without a comma behind it, or None where it is empty."""
    if not (isinstance(cell, syntax.Bracket) and cell.sign == "{}"):
        return cell
    sides = [side for item in cell.items for side in item.sides if side is not None]
    return sides[0] if len(sides) == 1 else None


def value_and_condition(
    cells: Sequence[syntax.Node],
) -> tuple[syntax.Node | None, syntax.Item | None]:
    """Return the value and the condition of one case; no condition for `otherwise`."""
    items = [
        item
        for cell in cells
        for item in (
            cell.items
            if isinstance(cell, syntax.Bracket) and cell.sign == "{}"
            else (syntax.Item((), (cell,)),)
        )
    ]
    items = [item for item in map(_without_words, items) if any(s is not None for s in item.sides)]
    values = [item for item in items if not item.relations]
    conditions = [item for item in items if item.relations]
    if len(values) > 1 or len(conditions) > 1:
        raise NotUnderstood("a case has more than one value or condition")
    return (values[0].sides[0] if values else None), (conditions[0] if conditions else None)


def _without_words(item: syntax.Item) -> syntax.Item:
    """Drop `if`, `for` and `otherwise`; read a condition that stands in text as a whole."""
    texts = [
        leaf.text
        for side in item.sides
        for leaf in (side.factors if isinstance(side, syntax.Juxtaposed) else (side,))
        if isinstance(leaf, syntax.Leaf) and leaf.kind == "TEXT"
    ]
    if not item.relations and texts and _spoken(item.sides[0]) is None:
        words = rf"\b(?:{'|'.join(sorted(_CASE_WORDS))})\b|[$]"
        inner = tokenize(lex(re.sub(words, " ", texts[0])))
        if any(token.kind == "REL" for token in inner):
            parsed = parse(inner)
            return parsed[0] if len(parsed) == 1 else item
    return syntax.Item(item.relations, tuple(_spoken(side) for side in item.sides))


def _spoken(side: syntax.Node | None) -> syntax.Node | None:
    """Return a side without the words in it."""
    if isinstance(side, syntax.Juxtaposed):
        kept = [k for k, f in enumerate(side.factors) if not _is_word(f)]
        return side_by_side([side.factors[k] for k in kept], [side.slashes[k] for k in kept])
    return None if side is None or _is_word(side) else side


def _is_word(node: syntax.Node) -> bool:
    return isinstance(node, syntax.Leaf) and (node.kind == "TEXT" or node.text in _CASE_WORDS)
