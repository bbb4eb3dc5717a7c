"""The symbol table of a document: what each letter is, inferred from how it is used.

The table is printed with every report, and an author overrides it with a comment
`<!-- gradcheck: ... -->` (see `directives`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from gradcheck.derivations import syntax
from gradcheck.derivations.rows import Row
from gradcheck.derivations.scripts import Piece, pieces, run_of_letters
from gradcheck.derivations.table import (
    CLASS_LETTERS,
    COMPONENT_LETTERS,
    FUNCTIONS,
    LAST,
    USUAL_FUNCTIONS,
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

__all__ = ["infer"]

_MOST_INDICES = 2
"""Component indices of a matrix; arrays of more (`x_{n,c,h,w}`) are not read, and say nothing of others."""


def infer(rows: Sequence[Row], displays: bool = True) -> SymbolTable:
    """Return the symbol table of a document.

    Args:
        rows: its rows.
        displays: whether a display says of which array its entries are elements; else it claims so.
    """
    table = SymbolTable(displays=displays)
    table.last_letters.add(LAST)
    _find_label_runs(rows, table)
    _find_classes(rows, table)
    for row in rows:
        for node in _row_nodes(row):
            _note_indices(node, row.block, table)
    _choose_last_letters(rows, table)
    _find_samples(rows, table)
    _find_functions(rows, table)
    _find_called(rows, table)
    _find_words(rows, table)
    _find_shorthand(rows, table)
    _find_ranks(rows, table)
    _find_numbered_above(rows, table)
    _find_indexed(rows, table)
    _find_entries(rows, table)
    if displays:
        _find_displays(rows, table)
    return table


def _find_entries(rows: Sequence[Row], table: SymbolTable) -> None:
    """Small letters with numbers that fill a matrix, `a_{11}` and `a_{12}`, are numbers."""
    for row in rows:
        for node in _row_nodes(row):
            if not isinstance(node, syntax.Table):
                continue
            for cell in (cell for line in node.rows for cell in line):
                name = name_of(base_of(cell))
                indices = [p.index for _, ps in _script_pieces(cell, table) for p in ps]
                if name and name.islower() and indices and all(i and not i.letter for i in indices):
                    table.entries.add(name)


def _find_displays(rows: Sequence[Row], table: SymbolTable) -> None:
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


def _row_nodes(row: Row) -> Iterator[syntax.Node]:
    for item in row.items:
        for side in item.sides:
            yield from sub_nodes(side)


def _script_pieces(node: syntax.Node, table: SymbolTable) -> Iterator[tuple[str, list[Piece]]]:
    for script in scripts_of(node):
        if script.kind != "PRIME":
            yield script.kind, pieces(script.inner, script.kind == "SUP", table.label_runs)


def _find_label_runs(rows: Sequence[Row], table: SymbolTable) -> None:
    """`W_{hh}`, `W_{xh}` name matrices: a run with a letter that nothing sums over is no list of indices."""
    runs: dict[str, set[str]] = defaultdict(set)
    indices: set[str] = set()
    for row in rows:
        for node in _row_nodes(row):
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


def _find_classes(rows: Sequence[Row], table: SymbolTable) -> None:
    """The y of `log p_y`, or of `1(y = k)` beside `p_k`, is the class of an example: one component."""
    bound: set[str] = set()
    found: set[str] = set()
    for row in rows:
        for node in _row_nodes(row):
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


def _note_indices(node: syntax.Node, block: int, table: SymbolTable) -> None:
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
    for kind, found in _script_pieces(node, table):
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


def _choose_last_letters(rows: Sequence[Row], table: SymbolTable) -> None:
    """A capital beside a small family letter names the last member: `x_L` beside `x_i`."""
    slots: dict[tuple[str, str], set[str]] = defaultdict(set)
    rising: set[str] = set()
    for row in rows:
        for node in _row_nodes(row):
            name = name_of(node.base) if isinstance(node, syntax.Scripted) else None
            if name is None:
                continue
            for kind, found in _script_pieces(node, table):
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
        for node in _row_nodes(row):
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


def _find_samples(rows: Sequence[Row], table: SymbolTable) -> None:
    """A sum over a letter that no array is indexed with (`x`, `e`) runs over examples."""
    for row in rows:
        for node in _row_nodes(row):
            base = base_of(node)
            if not (isinstance(base, syntax.Leaf) and base.kind == "SUM"):
                continue
            for script in scripts_of(node):
                letters = bound_letters(script)[0] if script.kind == "SUB" else []
                if len(letters) == 1 and letters[0] not in COMPONENT_LETTERS:
                    table.samples.update(letters)
    for row in rows:
        for item in row.items:
            head = item.sides[0]
            name = name_of(base_of(head)) if head is not None else None
            inner = [n for side in item.sides[1:] for n in sub_nodes(side)]
            plain = head is not None and not scripts_of(head)
            within = any(isinstance(n, syntax.Scripted) and name_of(n.base) == name for n in inner)
            if name and plain and within:
                table.per_sample.add(name)
                if name in USUAL_LOSSES and any(is_sum(n) for n in inner):
                    table.summed_losses.add(name)


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
        for node in _row_nodes(row):
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
        for node in _row_nodes(row):
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


def _find_indexed(rows: Iterable[Row], table: SymbolTable) -> None:
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
        for kind, found in _script_pieces(node, table)
        if kind == "SUB" and len(found) == 1 and found[0].index and found[0].index.letter
    }


def _find_ranks(rows: Iterable[Row], table: SymbolTable) -> None:
    """Count component indices: one makes a vector, two a matrix."""
    for row in rows:
        for node in _row_nodes(row):
            if isinstance(node, syntax.Juxtaposed):
                _rank_of_array(node, table)
            elif isinstance(node, syntax.Scripted | syntax.Accented):
                name = name_of(base_of(node))
                if name is not None:
                    _rank_of_scripts(node, name, row.block, table)


def _find_numbered_above(rows: Iterable[Row], table: SymbolTable) -> None:
    """`a^0` beside `a^t` is the first member of a family: nobody writes the powers 0 and 1."""
    counting: set[str] = set()
    first: set[str] = set()
    for row in rows:
        for node in _row_nodes(row):
            name = name_of(base_of(node))
            if name is None or name in table.functions:
                continue
            for script in scripts_of(node):
                text = "".join(token.text for token in script.inner)
                if script.kind == "SUP" and text in ("0", "1"):
                    first.add(name)
            for kind, found in _script_pieces(node, table):
                counting.update(
                    name
                    for piece in found
                    if kind == "SUP" and piece.index and not piece.bracketed
                    if piece.index.letter and table.is_family(piece.index.letter, row.block)
                )
    table.numbered_above = counting & first


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
    for kind, found in _script_pieces(node, table):
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
