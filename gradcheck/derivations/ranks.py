"""Ranks of a document's symbols: how many component indices each is written with."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from gradcheck.derivations import syntax
from gradcheck.derivations.indices import row_nodes, script_pieces
from gradcheck.derivations.rows import Row
from gradcheck.derivations.scripts import pieces
from gradcheck.derivations.table import (
    COMPONENT_LETTERS,
    SymbolTable,
    array_index,
    base_of,
    name_of,
    scripts_of,
)

__all__ = ["find_displays", "find_entries", "find_ranks", "find_stacked"]

_MOST_INDICES = 2
"""Component indices of a matrix; arrays of more (`x_{n,c,h,w}`) are not read, and say nothing of others."""


def find_entries(rows: Sequence[Row], table: SymbolTable) -> None:
    """Small letters with numbers that fill a matrix, `a_{11}` and `a_{12}`, are numbers."""
    for row in rows:
        for node in row_nodes(row):
            if not isinstance(node, syntax.Table):
                continue
            for cell in (cell for line in node.rows for cell in line):
                name = name_of(base_of(cell))
                indices = [p.index for _, ps in script_pieces(cell, table) for p in ps]
                if name and name.islower() and indices and all(i and not i.letter for i in indices):
                    table.entries.add(name)


def find_displays(rows: Sequence[Row], table: SymbolTable) -> None:
    """`W = (w_11 ... w_nm)` says that w_jk is an element of W."""
    for row in rows:
        for item in row.items:
            for left, array in pairwise(item.sides):
                if left is None or not isinstance(array, syntax.Array):
                    continue
                whole, entry = name_of(base_of(left)), name_of(base_of(array.entry))
                if whole is None or entry is None or whole == entry or array.diagonal is not None:
                    continue
                scripts = [s for s in scripts_of(array.entry) if s.kind != "SUB"]
                below = [
                    t.text for s in scripts_of(array.entry) if s.kind == "SUB" for t in s.inner
                ]
                same = [_spelled(s) for s in scripts] == [_spelled(s) for s in scripts_of(left)]
                layered = any(entry == name and flag for name, flag in table.ranks)
                if not same or below != [array.row, array.column]:
                    continue
                if table.ranks[entry, layered] == {2} and whole not in table.functions:
                    table.aliases[entry] = table.displayed[entry] = whole
                    table.ranks[whole, layered].add(2)
                    table.matrices.add(whole)


def _spelled(script: syntax.Script) -> tuple[str, ...]:
    return (
        script.kind,
        *(token.text for token in script.inner if token.kind not in ("LBRACE", "RBRACE")),
    )


def find_ranks(rows: Iterable[Row], table: SymbolTable) -> None:
    """Count component indices: one makes a vector, two a matrix."""
    for row in rows:
        for node in row_nodes(row):
            if isinstance(node, syntax.Juxtaposed):
                _rank_of_array(node, table)
            elif isinstance(node, syntax.Scripted | syntax.Accented):
                name = name_of(base_of(node))
                if name is not None:
                    _rank_of_scripts(node, name, row.block, table)


def _rank_of_array(node: syntax.Juxtaposed, table: SymbolTable) -> None:
    for left, right in pairwise(node.factors):
        letters = array_index(left, right)
        name = name_of(base_of(left))
        if letters and name and table.arrays:
            (table.matrices if len(letters) == 2 else table.vectors).add(name)
            table.ranks[name, bool(scripts_of(left))].add(len(letters))


def _rank_of_scripts(node: syntax.Node, name: str, block: int, table: SymbolTable) -> None:
    single: list[str] = []
    count = numbers = 0
    layered = False
    for kind, found in script_pieces(node, table):
        for piece in found:
            index = piece.index
            if piece.kind != "index" or index is None:
                continue
            letter = index.letter
            counts = letter is not None and table.is_family(letter, block)
            if piece.bracketed or counts:
                (table.counted if kind == "SUB" else table.layered).add(name)
                layered = True
            if kind == "SUB" and letter is None:
                table.numbered.add(name)
                numbers += 1
            elif kind == "SUB" and letter is not None:
                count += not counts
                if not index.offset:
                    single.append(letter)
    known = COMPONENT_LETTERS | table.family_letters | table.classes
    if len(single) == 1 and single[0] not in known:
        table.labelled.add(name)
    label = name in table.labelled or (bool(single) and single[0] in table.samples)
    count += numbers if count and set(single) <= known else 0
    if 0 < count <= _MOST_INDICES and not (count == 1 and label):
        table.ranks[name, layered].add(count)
    if count > _MOST_INDICES:
        return
    if count == 1:
        table.vectors.add(name)
    elif count == 2:
        table.matrices.add(name)


def find_stacked(rows: Sequence[Row], table: SymbolTable) -> None:
    """`x_i` in `w^T x_i` is a vector, one for each i; where `X w` stands as well, X has them as rows."""
    partners: dict[str, set[str]] = defaultdict(set)
    spaces: dict[str, tuple[str, ...]] = {}
    for row in rows:
        for item in row.items:
            if item.relations[:1] == ("in",):
                spaces.update(_space(item, row.block, table))
        for node in row_nodes(row):
            if _is_transposed(node) and (name := _indexed_name(node, row.block, table)):
                partners[name].update(())
            for left, right in pairwise(
                node.factors if isinstance(node, syntax.Juxtaposed) else ()
            ):
                name = _indexed_name(right, row.block, table)
                if name and _is_transposed(left):
                    partners[name].add(name_of(base_of(left)) or "")
    table.stacked = partners.keys() - _whole_names(rows) - {"ones", "I"}
    for name in table.stacked:
        whole = name.upper()
        beside = any(
            name_of(base_of(left)) == whole and name_of(right) in partners[name]
            for row in rows
            for node in row_nodes(row)
            if isinstance(node, syntax.Juxtaposed)
            for left, right in pairwise(node.factors)
        )
        columns = name in spaces and spaces.get(whole, ("",))[:1] == spaces[name]
        if len(name) == 1 and whole != name and beside and not columns:
            table.aliases[whole] = name


def _whole_names(rows: Sequence[Row]) -> set[str]:
    """Return the names that stand without index somewhere: vectors or numbers themselves."""
    bare: Counter[str] = Counter()
    for row in rows:
        for node in row_nodes(row):
            if isinstance(node, syntax.Leaf):
                bare[node.text] += 1
            elif isinstance(node, syntax.Scripted) and isinstance(node.base, syntax.Leaf):
                bare[node.base.text] -= any(script.kind == "SUB" for script in node.scripts)
    return {name for name, count in bare.items() if count > 0}


def _indexed_name(node: syntax.Node, block: int, table: SymbolTable) -> str:
    """Return the name of a symbol with one component letter below and nothing else, or ""."""
    name = name_of(base_of(node)) if isinstance(node, syntax.Scripted) else None
    found = [p for kind, ps in script_pieces(node, table) if kind == "SUB" for p in ps]
    others = [p for kind, ps in script_pieces(node, table) if kind == "SUP" for p in ps]
    index = found[0].index if len(found) == 1 else None
    if name is None or index is None or index.letter is None or index.offset:
        return ""
    plain = all(piece.kind == "transpose" for piece in others)
    counts = index.letter in COMPONENT_LETTERS and not table.is_family(index.letter, block)
    return name if plain and counts else ""


def _is_transposed(node: syntax.Node) -> bool:
    last = node.scripts[-1] if isinstance(node, syntax.Scripted) else None
    found = pieces(last.inner, True) if last is not None and last.kind == "SUP" else []
    return [piece.kind for piece in found] == ["transpose"]


def _space(item: syntax.Item, block: int, table: SymbolTable) -> dict[str, tuple[str, ...]]:
    """Return the sizes, as they are spelled, of the name that an item declares a vector or a matrix."""
    left, right = item.sides[0], item.sides[1]
    real = isinstance(right, syntax.Scripted) and name_of(right.base) == "bb R"
    if left is None or not real or right is None:
        return {}
    name = _indexed_name(left, block, table) or name_of(left)
    sizes = "".join(t.text for s in scripts_of(right) for t in s.inner).split("times")
    return {name: tuple(sizes)} if name else {}
