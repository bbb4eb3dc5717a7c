"""The symbol table of a document: what each letter is, inferred from how it is used.

The table is printed with every report, and an author overrides it with a comment
`<!-- gradcheck: ... -->` (see `directives`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from gradcheck.derivations import syntax
from gradcheck.derivations.indices import (
    choose_last_letters,
    find_classes,
    find_indexed,
    find_label_runs,
    find_numbered_above,
    find_samples,
    note_indices,
    row_nodes,
)
from gradcheck.derivations.ranks import find_displays, find_entries, find_ranks, find_stacked
from gradcheck.derivations.rows import Row
from gradcheck.derivations.table import (
    FUNCTIONS,
    LAST,
    USUAL_FUNCTIONS,
    USUAL_LOSSES,
    SymbolTable,
    array_index,
    base_of,
    name_of,
    scripts_of,
    sub_nodes,
)

__all__ = ["infer"]


def infer(rows: Sequence[Row], displays: bool = True) -> SymbolTable:
    """Return the symbol table of a document.

    Args:
        rows: its rows.
        displays: whether a display says of which array its entries are elements; else it claims so.
    """
    table = SymbolTable(displays=displays)
    table.last_letters.add(LAST)
    find_label_runs(rows, table)
    find_classes(rows, table)
    for row in rows:
        for node in row_nodes(row):
            note_indices(node, row.block, table)
    choose_last_letters(rows, table)
    find_samples(rows, table)
    _find_functions(rows, table)
    _find_called(rows, table)
    _find_words(rows, table)
    _find_shorthand(rows, table)
    find_ranks(rows, table)
    find_stacked(rows, table)
    find_numbered_above(rows, table)
    find_indexed(rows, table)
    find_entries(rows, table)
    if displays:
        find_displays(rows, table)
    return table


def _find_functions(rows: Sequence[Row], table: SymbolTable) -> None:
    applied: Counter[str] = Counter()
    primed: set[str] = set()
    words: set[str] = set()
    defined: set[str] = set()
    for row in rows:
        for item in row.items:
            for place, side in enumerate(item.sides):
                if place < len(item.sides) - 1 and side is not None:
                    own = side.base if isinstance(side, syntax.Scripted) else side
                    name = name_of(own)
                    if name is not None and item.relations and item.relations[0] in ("=", ":="):
                        defined.add(name)
        for node in row_nodes(row):
            factors = node.factors if isinstance(node, syntax.Juxtaposed) else ()
            for left, right in pairwise(factors):
                name = name_of(left.base if isinstance(left, syntax.Scripted) else left)
                if (
                    name
                    and isinstance(right, syntax.Bracket)
                    and right.sign in "([{"
                    and not array_index(left, right)
                ):
                    applied[name] += 1
                    if isinstance(left, syntax.Leaf) and left.kind == "WORD":
                        words.add(name)
                    scripts = left.scripts if isinstance(left, syntax.Scripted) else ()
                    if any(script.kind == "PRIME" for script in scripts):
                        primed.add(name)
    for name in applied:
        usual = name in USUAL_FUNCTIONS and name not in defined
        likely = name in primed or usual or name in words
        if name in FUNCTIONS or (likely and name not in defined):
            table.functions.add(name)


def _find_called(rows: Sequence[Row], table: SymbolTable) -> None:
    """`C(W, b) = ...` names the variables of C; elsewhere C stands bare, or with a bracket of names."""
    bare = _plainly_called(rows)
    for row in rows:
        for item in row.items:
            for side in item.sides:
                for node in sub_nodes(side):
                    parts = (node.above,) if isinstance(node, syntax.Fraction_) else (node,)
                    for part in parts:
                        factors = part.factors if isinstance(part, syntax.Juxtaposed) else ()
                        bare.update(name_of(base_of(f)) or "" for f in factors[-1:])
            head = item.sides[0]
            bare.add(name_of(base_of(head)) or "" if head is not None else "")
    for row in rows:
        for item in row.items:
            head = item.sides[0]
            if (
                len(item.sides) < 2
                or not isinstance(head, syntax.Juxtaposed)
                or len(head.factors) != 2
            ):
                continue
            name, bracket = name_of(base_of(head.factors[0])), head.factors[1]
            named = isinstance(bracket, syntax.Bracket) and bracket.sign == "("
            if name and named and name in bare and not array_index(*head.factors):
                table.called.add(name)
                table.functions.discard(name)


def _plainly_called(rows: Sequence[Row]) -> set[str]:
    """Return losses that have nothing but names in the brackets behind them: `J(w)`, `C(W, b)`."""
    plain: set[str] = set()
    others: set[str] = set()
    for row in rows:
        for node in row_nodes(row):
            factors = node.factors if isinstance(node, syntax.Juxtaposed) else ()
            for left, right in pairwise(factors):
                name = name_of(base_of(left))
                if name in USUAL_LOSSES and isinstance(right, syntax.Bracket):
                    sides = [side for item in right.items for side in item.sides]
                    (plain if all(map(_is_plain_name, sides)) else others).add(str(name))
    return plain - others


def _is_plain_name(side: syntax.Node | None) -> bool:
    return side is not None and name_of(side) is not None and not scripts_of(side)


def _find_words(rows: Sequence[Row], table: SymbolTable) -> None:
    """A word that a row has on its left is a symbol if other rows use it, else a caption."""
    heads: set[str] = set()
    used: set[str] = set()
    for row in rows:
        for item in row.items:
            head = item.sides[0] if item.relations else None
            own = None if head is None else base_of(head)
            if isinstance(own, syntax.Leaf) and own.kind == "WORD":
                heads.add(own.text)
            for node in (n for side in item.sides for n in sub_nodes(side)):
                if isinstance(node, syntax.Leaf) and node.kind == "WORD" and node is not own:
                    used |= {node.text, node.text.removeprefix("d")}
    table.words = heads & used - FUNCTIONS


def _find_shorthand(rows: Sequence[Row], table: SymbolTable) -> None:
    """`dW = ...` on a left side makes `dX` the gradient by X throughout."""
    for row in rows:
        for item in row.items:
            side = item.sides[0]
            if (
                len(item.sides) > 1
                and isinstance(side, syntax.Juxtaposed)
                and len(side.factors) == 2
            ):
                first, second = side.factors
                base = second.base if isinstance(second, syntax.Scripted) else second
                head = isinstance(first, syntax.Leaf) and first.text == "d"
                if head and name_of(base) is not None and not any(side.slashes):
                    table.shorthand = True
    numerators: Counter[str] = Counter()
    for row in rows:
        for node in row_nodes(row):
            above = node.above if isinstance(node, syntax.Fraction_) else None
            if isinstance(above, syntax.Juxtaposed) and len(above.factors) == 2:
                sign, name = above.factors[0], name_of(above.factors[1])
                if isinstance(sign, syntax.Leaf) and sign.text in ("partial", "d") and name:
                    numerators[name] += 1
    if numerators:
        table.loss = numerators.most_common(1)[0][0]
    if table.shorthand and (table.loss is None or not table.loss.split(" ")[-1][0].isupper()):
        table.loss = _defined_loss(rows)


def _defined_loss(rows: Sequence[Row]) -> str:
    """Return the one usual name of a loss that a row defines; "loss" where there is none or several."""
    heads = {
        name_of(base_of(item.sides[0]))
        for row in rows
        for item in row.items
        if item.relations[:1] in (("=",), (":=",)) and item.sides[0] is not None
    }
    found = sorted(USUAL_LOSSES & heads)
    return found[0] if len(found) == 1 else "loss"
