"""Arrays displayed entry by entry: the family that `x_1, x_2, ..., x_n` stands for.

A display with an ellipsis is compared corner by corner: indices that change along a row count columns,
those that change down a column count rows, and what is left is the entry at any place. A sum with an
ellipsis, `x_1 + ... + x_n`, is the sum over such a family. The index letters are ones that the document
does not use.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from gradcheck.derivations import syntax
from gradcheck.derivations.rows import Row
from gradcheck.derivations.table import COMPONENT_LETTERS, sub_nodes
from gradcheck.derivations.tokens import Token

__all__ = ["folded"]

_LAYOUTS = frozenset(["cases", "dcases", "rcases"])
_FRESH = "qpruvsjkinm"
"""Index letters in the order in which they are taken, those that authors use least first."""

MOST_SHOWN = 8
"""Terms before an ellipsis that are compared: authors show two or three, and a hostile sum has thousands."""

Grid = list[list[syntax.Node | None]]
Unit = tuple[Token, ...]


def folded(rows: Sequence[Row]) -> list[Row]:
    """Return the rows, each display with an ellipsis as a `syntax.Array`, each such sum as a sum."""
    used = _used(rows)
    letters = [letter for letter in _FRESH if letter not in used]
    if len(letters) < 3:
        return list(rows)
    fold = _Fold(letters[0], letters[1], letters[2])
    return [
        dataclasses.replace(row, items=tuple(fold.item(item) for item in row.items))
        if any(_is_dots(node) for item in row.items for s in item.sides for node in sub_nodes(s))
        else row
        for row in rows
    ]


def _used(rows: Sequence[Row]) -> set[str]:
    """Return the index letters of the document."""
    found: set[str] = set()
    stack: list[Any] = [row.items for row in rows]
    while stack:
        value = stack.pop()
        if isinstance(value, Token):
            found.add(value.text)
            stack.append(value.inner)
        elif isinstance(value, tuple):
            stack.extend(value)
        elif dataclasses.is_dataclass(value):
            stack.extend(getattr(value, field.name) for field in dataclasses.fields(value))
    return found & COMPONENT_LETTERS


@dataclasses.dataclass(frozen=True)
class _Fold:
    """Folds the displays of a document, with letters for rows, columns and summands."""

    row: str
    column: str
    summand: str

    def item(self, item: syntax.Item) -> syntax.Item:
        """Return an equation with its displays folded; a list in brackets is one only as a whole side."""
        sides = tuple(
            None if side is None else self._list(self._inside(side)) for side in item.sides
        )
        return syntax.Item(item.relations, sides)

    def _inside(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(self._inside, value))
        if isinstance(value, Token | syntax.Script) or not dataclasses.is_dataclass(value):
            return value
        names = [field.name for field in dataclasses.fields(value)]
        changed = {name: self._inside(getattr(value, name)) for name in names}
        new: Any = dataclasses.replace(value, **changed)  # type: ignore[type-var]
        match new:
            case syntax.Table(name, rows) if name not in _LAYOUTS:
                return self._array(_grid(rows)) or new
            case syntax.Summed():
                return self._sum(new)
        return new

    def _list(self, side: syntax.Node) -> syntax.Node:
        """A side `(x_1, ..., x_n)` or `[x_1, ..., x_n]^T` is a vector."""
        match side:
            case syntax.Bracket(sign, items) if sign in "([":
                found = self._array([_listed(items)])
                if found is not None and sign == "(":
                    return dataclasses.replace(found, loose=True)
                return found or side
            case syntax.Scripted(syntax.Bracket() as bracket, scripts):
                inner = self._list(bracket)
                return side if inner is bracket else syntax.Scripted(inner, scripts)
        return side

    def _array(self, grid: Grid) -> syntax.Array | None:
        """Return the family that a grid with ellipses stands for, or None where none is found."""
        dotted = any(_is_dots(cell) for line in grid for cell in line)
        grid = [[None if _is_dots(cell) else cell for cell in line] for line in grid]
        wide = max(map(len, grid), default=0)
        grid = [line + [None] * (wide - len(line)) for line in grid]
        if not dotted or wide * len(grid) < 2:
            return None
        for digits in (True, False):
            found = _family(grid, digits, self.row, self.column) or _diagonal(
                grid, digits, self.row, self.column
            )
            if found is not None:
                return found
        return None

    def _sum(self, node: syntax.Summed) -> syntax.Node:
        place = next((k for k, term in enumerate(node.terms) if _is_dots(term)), None)
        if place is None or place == 0:
            return node
        after = node.terms[place + 1 : place + 2]
        for start in range(max(0, place - MOST_SHOWN), place):
            terms: list[syntax.Node | None] = [*node.terms[start:place], *after]
            signs = node.signs[start : place + 1 + len(after)]
            if len(terms) < 2 or any(sign < 0 for sign in signs):
                continue
            found = _family([terms], True, "", self.summand) or _family(
                [terms], False, "", self.summand
            )
            if found is None or found.flaw:
                continue
            total = _summed(found, self.summand, bool(after))
            behind = place + 1 + len(after)
            kept = (*node.terms[:start], total, *node.terms[behind:])
            if len(kept) == 1:
                return total
            return syntax.Summed((*node.signs[:start], 1, *node.signs[behind:]), kept)
        return node


def _summed(family: syntax.Array, letter: str, bounded: bool) -> syntax.Node:
    line = 0
    below = (Token("NAME", letter, line), Token("REL", "=", line), *family.firsts[1])
    scripts = [syntax.Script("SUB", below)]
    if bounded:
        scripts.append(syntax.Script("SUP", family.lasts[1]))
    head = syntax.Scripted(syntax.Leaf(Token("SUM", "sum", line)), tuple(scripts))
    body = syntax.Bracket("(", (syntax.Item((), (family.entry,)),))
    return syntax.Juxtaposed((head, body), (False, False))


def _is_dots(node: syntax.Node | None) -> bool:
    return isinstance(node, syntax.Leaf) and node.kind == "DOTS"


def _listed(items: Sequence[syntax.Item]) -> list[syntax.Node | None]:
    """Return the members of a list, separated by commas or by spaces."""
    sides = [item.sides[0] for item in items if len(item.sides) == 1 and item.sides[0] is not None]
    if len(sides) == 1:
        return _spaced(sides[0])
    return list(sides)


def _spaced(cell: syntax.Node) -> list[syntax.Node | None]:
    """Return the members of `x_1 x_2 ... x_n`, which nothing but spaces separate."""
    if isinstance(cell, syntax.Juxtaposed) and any(map(_is_dots, cell.factors)):
        return list(cell.factors)
    return [cell]


def _grid(rows: Sequence[Sequence[syntax.Node]]) -> Grid:
    """Return the cells of a matrix, without rows of nothing but bars; None for an empty cell."""
    out: Grid = []
    for row in rows:
        cells = [_plain(cell) for cell in row]
        if len(cells) == 1 and cells[0] is not None:
            cells = _spaced(cells[0])
        if any(cell is not None for cell in cells):
            out.append(cells)
    return out


def _plain(cell: syntax.Node) -> syntax.Node | None:
    """Return a cell without a comma behind it; None for nothing, and for a bar that shows a column."""
    if isinstance(cell, syntax.Bracket) and cell.sign == "{}":
        sides = [s for item in cell.items for s in item.sides if s is not None]
        return sides[0] if len(sides) == 1 else None
    bar = isinstance(cell, syntax.Leaf) and cell.kind == "OPAQUE" and cell.text == "|"
    return None if bar else cell


def _family(grid: Grid, digits: bool, row: str, column: str) -> syntax.Array | None:
    """Return the entry at any place, if all entries that are shown are of one family."""
    height, width = len(grid), len(grid[0])
    corners = [grid[r][c] for r in (0, -1) for c in (0, -1)]
    if any(corner is None for corner in corners):
        return None
    shapes, units = zip(*(_taken_apart(corner, digits) for corner in corners), strict=True)
    if len(set(shapes)) > 1:
        return None
    roles: list[str] = []
    for a, b, c, d in zip(*units, strict=True):
        if a == b == c == d:
            roles.append("")
        elif (a, b) == (c, d):
            roles.append(column)
        elif (a, c) == (b, d):
            roles.append(row)
        else:
            return None
    ends = {
        letter: {
            (start, end)
            for start, end, role in zip(units[0], units[3], roles, strict=True)
            if role == letter
        }
        for letter in (row, column)
    }
    if any(len(found) > 1 or not all(_begins(a) for a, _ in found) for found in ends.values()):
        return None
    flaws = _flaws(grid, digits, shapes[0], roles, (row, column), units[0])
    if flaws is None or len(flaws) > 1:
        return None
    (firsts, lasts) = zip(*(next(iter(ends[x]), ((), ())) for x in (row, column)), strict=True)
    entry = _put_together(corners[0], digits, roles)
    return syntax.Array(
        entry,
        None,
        row if height > 1 else "",
        column if width > 1 else "",
        firsts,
        lasts,
        flaw=flaws[0] if flaws else "",
    )


def _begins(unit: Unit) -> bool:
    return len(unit) == 1 and unit[0].text in ("0", "1")


def _flaws(
    grid: Grid,
    digits: bool,
    shape: Any,
    roles: Sequence[str],
    letters: tuple[str, str],
    first: Sequence[Unit],
) -> list[str] | None:
    """Return what breaks the pattern; None where some entry is of another kind altogether."""
    seen: dict[tuple[str, int], dict[Unit, int]] = {}
    cells: list[tuple[int, int, list[Unit]]] = []
    for r, line in enumerate(grid):
        for c, cell in enumerate(line):
            if cell is None:
                continue
            own, units = _taken_apart(cell, digits)
            if own != shape:
                return None
            cells.append((r, c, units))
            for role, unit in zip(roles, units, strict=True):
                if role:
                    place = (role, r if role == letters[0] else c)
                    counts = seen.setdefault(place, {})
                    counts[unit] = counts.get(unit, 0) + 1
    starts = {role: int(unit[0].text) for role, unit in zip(roles, first, strict=True) if role}
    if not all(_counts_on(seen, role, start) for role, start in starts.items()):
        return None
    out = []
    for r, c, units in cells:
        for role, unit, start in zip(roles, units, first, strict=True):
            usual = start
            if role:
                counts = seen[role, r if role == letters[0] else c]
                usual = max(counts, key=lambda u: counts[u])
            if unit != usual:
                out.append(
                    f"the entry in row {r + 1}, column {c + 1} has the index {_text(unit)} where "
                    f"those beside it have {_text(usual)}"
                )
    return out


def _counts_on(seen: dict[tuple[str, int], dict[Unit, int]], role: str, start: int) -> bool:
    """Whether the numbers before an ellipsis follow each other: `x_1, x_1, ..., x_n` is no family."""
    place = 0
    while (counts := seen.get((role, place))) is not None:
        usual = max(counts, key=lambda unit: counts[unit])
        if usual[0].kind == "NUM" and usual[0].text != str(start + place):
            return False
        place += 1
    return True


def _text(unit: Unit) -> str:
    return "".join(token.text or _text(token.inner) for token in unit)


def _diagonal(grid: Grid, digits: bool, row: str, column: str) -> syntax.Array | None:
    """Return a square array whose diagonal is of another kind than the rest, as a Jacobian matrix."""
    if len(grid) < 2 or len(grid[0]) < 2:
        return None
    first, last, above, below = grid[0][0], grid[-1][-1], grid[0][-1], grid[-1][0]
    if first is None or last is None or above is None or below is None:
        return None
    (shape, a), (other, d) = _taken_apart(first, digits), _taken_apart(last, digits)
    (rest, b), (same, c) = _taken_apart(above, digits), _taken_apart(below, digits)
    if shape != other or rest != same:
        return None
    ends = {(x, y) for x, y in zip(a, d, strict=True) if x != y}
    if len(ends) != 1 or not _begins(next(iter(ends))[0]):
        return None
    (start, end) = next(iter(ends))
    roles = ["" if x == y else row for x, y in zip(a, d, strict=True)]
    off: list[str] = []
    for x, y in zip(b, c, strict=True):
        off.append({(start, end): row, (end, start): column}.get((x, y), "" if x == y else "?"))
    if "?" in off:
        return None
    return syntax.Array(
        _put_together(above, digits, off),
        _put_together(first, digits, roles),
        row,
        column,
        (start, start),
        (end, end),
    )


def _taken_apart(node: Any, digits: bool) -> tuple[Any, list[Unit]]:
    """Return what a node is apart from its indices, and the indices in their order."""
    units: list[Unit] = []

    def shape(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(shape, value))
        if isinstance(value, syntax.Script):
            return (value.kind, *(_marked(value, digits, units)))
        if isinstance(value, Token):
            return (value.kind, value.text, shape(value.inner))
        if dataclasses.is_dataclass(value):
            parts = (getattr(value, field.name) for field in dataclasses.fields(value))
            return (type(value).__name__, *map(shape, parts))
        return value

    return shape(node), units


def _marked(script: syntax.Script, digits: bool, units: list[Unit]) -> Iterator[Any]:
    for unit, index in _units(script.inner, digits):
        if index:
            units.append(_bare(unit))
            yield "#"
        else:
            yield (unit[0].kind, unit[0].text)


def _bare(unit: Sequence[Token]) -> Unit:
    """Return tokens without their lines, so that equal ones compare equal."""
    return tuple(Token(t.kind, t.text, 0, _bare(t.inner)) for t in unit)


def _put_together(node: Any, digits: bool, roles: Sequence[str]) -> Any:
    """Return a node with letters in place of the indices that have a role."""
    left = iter(roles)

    def rebuilt(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(rebuilt, value))
        if isinstance(value, syntax.Script):
            inner: list[Token] = []
            for unit, index in _units(value.inner, digits):
                letter = next(left) if index else ""
                inner.extend([Token("NAME", letter, unit[0].line)] if letter else unit)
            return syntax.Script(value.kind, tuple(inner))
        if isinstance(value, Token) or not dataclasses.is_dataclass(value):
            return value
        names = [field.name for field in dataclasses.fields(value)]
        return dataclasses.replace(value, **{n: rebuilt(getattr(value, n)) for n in names})  # type: ignore[type-var]

    return rebuilt(node)


def _units(tokens: Sequence[Token], digits: bool) -> Iterator[tuple[Unit, bool]]:
    """Yield the parts of a script, and whether each is an index: `1`, `n`, `n^{l-1}`, `m+1`."""
    tokens = [t for t in tokens if t.kind not in ("LBRACE", "RBRACE")]
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.kind == "NUM":
            numbers = token.text if digits and token.text.isdigit() else (token.text,)
            yield from (((Token("NUM", text, token.line),), True) for text in numbers)
            at += 1
            continue
        end = at + 1
        if token.kind == "NAME":
            while end + 1 < len(tokens) and tokens[end].kind in ("SUP", "SUB"):
                end += 2
            if end + 1 < len(tokens) and tokens[end].kind == "ADD":
                end += 2
        yield tuple(tokens[at:end]), token.kind == "NAME"
        at = end
