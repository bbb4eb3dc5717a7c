"""Indices of a document: which letters count layers, components, examples, and which only label."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from gradcheck.derivations import syntax
from gradcheck.derivations.rows import Row
from gradcheck.derivations.scripts import Piece, pieces, run_of_letters
from gradcheck.derivations.table import (
    CLASS_LETTERS,
    COMPONENT_LETTERS,
    USUAL_LOSSES,
    SymbolTable,
    array_index,
    base_of,
    bound_letters,
    is_sum,
    name_of,
    scripts_of,
    sub_nodes,
)

__all__ = [
    "choose_last_letters",
    "find_classes",
    "find_indexed",
    "find_label_runs",
    "find_numbered_above",
    "find_samples",
    "note_indices",
    "row_nodes",
    "script_pieces",
]


def row_nodes(row: Row) -> Iterator[syntax.Node]:
    for item in row.items:
        for side in item.sides:
            yield from sub_nodes(side)


def script_pieces(node: syntax.Node, table: SymbolTable) -> Iterator[tuple[str, list[Piece]]]:
    for script in scripts_of(node):
        if script.kind != "PRIME":
            yield script.kind, pieces(script.inner, script.kind == "SUP", table.label_runs)


def find_label_runs(rows: Sequence[Row], table: SymbolTable) -> None:
    """`W_{hh}`, `W_{xh}` name matrices: a run with a letter that nothing sums over is no list of indices."""
    runs: dict[str, set[str]] = defaultdict(set)
    indices: set[str] = set()
    for row in rows:
        for node in row_nodes(row):
            base = name_of(base_of(node))
            for script in scripts_of(node) if isinstance(node, syntax.Scripted) else ():
                if is_sum(base_of(node)):
                    indices.update(bound_letters(script)[0])
                run = run_of_letters(script.inner) if script.kind == "SUB" else ""
                if run and base is not None and base != "delta":
                    runs[base].add(run)
    for own in runs.values():
        known = COMPONENT_LETTERS | indices
        named = {run for run in own if run.islower() and set(run) - known}
        table.label_runs |= named | {
            run
            for run in own
            if run[-1] in {other[-1] for other in named} and not set(run) & indices
        }


def find_classes(rows: Sequence[Row], table: SymbolTable) -> None:
    """The y of `log p_y`, or of `1(y = k)` beside `p_k`, is the class of an example: one component."""
    bound: set[str] = set()
    found: set[str] = set()
    for row in rows:
        for node in row_nodes(row):
            scripts = scripts_of(node) if isinstance(node, syntax.Scripted) else ()
            if is_sum(base_of(node)):
                bound.update(x for script in scripts for x in bound_letters(script)[0])
                continue
            for script in scripts:
                if any(token.text == "=" for token in script.inner):
                    found.update(token.text for token in script.inner)
            if isinstance(node, syntax.Bracket) and len(node.items) == 1:
                item = node.items[0]
                if item.relations == ("=",):
                    found.update(name_of(base_of(s)) or "" for s in item.sides if s is not None)
            if isinstance(node, syntax.Juxtaposed):
                for left, right in pairwise(node.factors):
                    if array_index(left, right):
                        found.update(_class_subscripts(right))
                    if name_of(left) in ("log", "ln"):
                        found.update(t.text for s in scripts_of(right) for t in s.inner)
    picked = {letter for row in rows for item in row.items for letter in _picked_by_loss(item)}
    table.classes = (found & CLASS_LETTERS | picked) - bound
    for row in rows:
        for item in row.items:
            if item.relations in (("=",), ("!=",)):
                sides = {name_of(base_of(s)) for s in item.sides if s is not None}
                table.stated_classes |= {name for name in sides if name in table.classes}


def _picked_by_loss(item: syntax.Item) -> Iterator[str]:
    """`L = -log p_k`, of a loss without index, says that k is the class of the example."""
    head = item.sides[0]
    if head is None or name_of(head) is None or scripts_of(head):
        return
    for side in item.sides[1:]:
        node = side.terms[0] if isinstance(side, syntax.Summed) and len(side.terms) == 1 else side
        factors = node.factors if isinstance(node, syntax.Juxtaposed) else ()
        if len(factors) != 2 or name_of(factors[0]) not in ("log", "ln"):
            continue
        inner = factors[1]
        if isinstance(inner, syntax.Bracket) and len(inner.items) == 1 and inner.items[0].sides[0]:
            inner = inner.items[0].sides[0]
        for script in scripts_of(inner) if name_of(base_of(inner)) else ():
            if script.kind == "SUB" and len(script.inner) == 1 and script.inner[0].kind == "NAME":
                yield script.inner[0].text


def _class_subscripts(bracket: syntax.Node) -> set[str]:
    """Return the y of `P[i, y_i]`."""
    items = bracket.items if isinstance(bracket, syntax.Bracket) else ()
    sides = [side for item in items for side in item.sides]
    return {name_of(s.base) or "" for s in sides if isinstance(s, syntax.Scripted)}


def note_indices(node: syntax.Node, block: int, table: SymbolTable) -> None:
    if not isinstance(node, syntax.Scripted):
        _note_array_index(node, block, table)
        return
    if isinstance(node.base, syntax.Leaf) and node.base.kind == "SUM":
        for script in node.scripts:
            if script.kind == "SUB":
                table.components[block].update(bound_letters(script)[0])
        return
    name = name_of(node.base)
    if name is None or name in ("e", "exp"):
        return
    for kind, found in script_pieces(node, table):
        letters = [p.index for p in found if p.kind == "index" and p.index and p.index.letter]
        for piece in found:
            index = piece.index
            if piece.kind != "index" or index is None or index.letter is None:
                continue
            if (piece.bracketed and kind == "SUP") or index.offset:
                table.family_letters.add(index.letter)
                table.shifted[block].add(index.letter)
        if kind == "SUB" and len(letters) > 1:
            table.components[block].update(i.letter for i in letters if i.letter)


def _note_array_index(node: syntax.Node, block: int, table: SymbolTable) -> None:
    """`X[i,p]` has component indices."""
    if not isinstance(node, syntax.Juxtaposed):
        return
    for left, right in pairwise(node.factors):
        letters = array_index(left, right)
        if letters and len(letters) > 1:
            table.arrays = True
            table.components[block].update(letters)


def choose_last_letters(rows: Sequence[Row], table: SymbolTable) -> None:
    """A capital beside a small family letter names the last member: `x_L` beside `x_i`."""
    slots: dict[tuple[str, str], set[str]] = defaultdict(set)
    rising: set[str] = set()
    for row in rows:
        for node in row_nodes(row):
            name = name_of(node.base) if isinstance(node, syntax.Scripted) else None
            if name is None:
                continue
            for kind, found in script_pieces(node, table):
                for piece in found:
                    if piece.kind == "index" and piece.index and piece.index.letter:
                        slots[name, kind].add(piece.index.letter)
                        if piece.index.offset > 0:
                            rising.add(piece.index.letter)
    for (_, kind), letters in slots.items():
        if letters & table.family_letters:
            for letter in letters:
                beside = letter == "L" or letter.lower() in table.family_letters
                transpose = letter == "T" and kind == "SUP"
                if letter.isupper() and letter not in rising and beside and not transpose:
                    table.last_letters.add(letter)
    table.last_letters |= {x for x in table.family_letters if x.isupper() and x not in rising}
    table.family_letters |= table.last_letters


def find_samples(rows: Sequence[Row], table: SymbolTable) -> None:
    """A sum over a letter that no array is indexed with (`x`, `e`) runs over examples."""
    for row in rows:
        for node in row_nodes(row):
            base = base_of(node)
            if not (isinstance(base, syntax.Leaf) and base.kind == "SUM"):
                continue
            for script in scripts_of(node):
                letters = bound_letters(script)[0] if script.kind == "SUB" else []
                if len(letters) == 1 and letters[0] not in COMPONENT_LETTERS:
                    table.samples.update(letters)
    each = {
        name_of(base_of(item.sides[0]))
        for row in rows
        for item in row.items
        if item.relations[:1] == ("=",) and item.sides[0] is not None
        if len(_single_subscripts(item.sides[0], table)) == 1
    }
    for row in rows:
        for item in row.items:
            head = _without_variables(item.sides[0])
            name = name_of(base_of(head)) if head is not None else None
            inner = [n for side in item.sides[1:] for n in sub_nodes(side)]
            plain = head is not None and not scripts_of(head)
            within = any(isinstance(n, syntax.Scripted) and name_of(n.base) == name for n in inner)
            sums = any(is_sum(n) for n in inner)
            if name and plain and within:
                table.per_sample.add(name)
            if name in USUAL_LOSSES and plain and sums and (within or name in each):
                table.summed_losses.add(str(name))


def _without_variables(head: syntax.Node | None) -> syntax.Node | None:
    """Return the J of `J(w, b)`."""
    factors = head.factors if isinstance(head, syntax.Juxtaposed) else ()
    called = len(factors) == 2 and isinstance(factors[1], syntax.Bracket)
    return factors[0] if called else head


def find_indexed(rows: Iterable[Row], table: SymbolTable) -> None:
    """`n_i = x_i / s` defines components of n: the index of its left side is used on the right."""
    for row in rows:
        for item in row.items:
            head = item.sides[0]
            name = None if head is None else name_of(base_of(head))
            if name is None or head is None or len(item.sides) < 2:
                continue
            own = _single_subscripts(head, table)
            others = {
                letter
                for side in item.sides[1:]
                for node in sub_nodes(side)
                if name_of(base_of(node)) not in (None, name)
                for letter in _single_subscripts(node, table)
            }
            if own & others:
                table.indexed.add(name)


def _single_subscripts(node: syntax.Node, table: SymbolTable) -> set[str]:
    return {
        found[0].index.letter
        for kind, found in script_pieces(node, table)
        if kind == "SUB" and len(found) == 1 and found[0].index and found[0].index.letter
    }


def find_numbered_above(rows: Iterable[Row], table: SymbolTable) -> None:
    """`a^0` beside `a^t` is the first member of a family: nobody writes the powers 0 and 1."""
    counting: set[str] = set()
    first: set[str] = set()
    for row in rows:
        for node in row_nodes(row):
            name = name_of(base_of(node))
            if name is None or name in table.functions:
                continue
            for script in scripts_of(node):
                text = "".join(token.text for token in script.inner)
                if script.kind == "SUP" and text in ("0", "1"):
                    first.add(name)
            for kind, found in script_pieces(node, table):
                counting.update(
                    name
                    for piece in found
                    if kind == "SUP" and piece.index and not piece.bracketed
                    if piece.index.letter and table.is_family(piece.index.letter, row.block)
                )
    table.numbered_above = counting & first
