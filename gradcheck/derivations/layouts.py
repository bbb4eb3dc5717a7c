"""Arrays made of parts: vectors stacked on each other, matrices displayed entry by entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.core import Frame
from gradcheck.derivations.dims import ONE, Dim, DimensionMismatch
from gradcheck.derivations.sums import Sums
from gradcheck.derivations.unread import NotUnderstood
from gradcheck.derivations.values import Value

__all__ = ["Layouts"]


class Layouts(Sums):
    """Evaluate what puts arrays together."""

    def _concatenated(self, nodes: Sequence[ex.Expression], parts: Sequence[Value]) -> Value:
        if any(part.axes for part in parts):
            raise NotUnderstood("components stacked on each other are not read")
        column = all(part.is_column for part in parts)
        if not column and not all(part.is_row for part in parts):
            raise NotUnderstood("only vectors are stacked")
        names = tuple(str(getattr(node, "name", node)) for node in nodes)
        total = self.model.stacked(names, tuple(p.rows if column else p.cols for p in parts))
        axis = 0 if column else 1
        rows, cols = (total, ONE) if column else (ONE, total)
        return self.make(
            (), rows, cols, lambda: self.xp.concatenate([p.data for p in parts], axis=axis)
        )

    def _arrayed(self, node: ex.Arrayed, frame: Frame) -> Value:
        """Return the array whose entry at any place is given: axes become rows and columns."""
        row, column = node.row, node.column
        if node.loose and self.model.vector == "column":
            row, column = column, row
        letters = dict(frame.letters)
        for letter in (row, column):
            letters.pop(letter, None)
        inner = Frame(frame.row, frame.family, letters, frame.bound, frame.free)
        entry = self.value(node.entry, inner)
        sizes = {letter: self._extent(node, letter, entry, frame) for letter in (row, column)}
        if not entry.is_number:
            return self._side_by_side(entry, row, column, sizes)
        for letter, count in ((node.row, node.rows), (node.column, node.columns)):
            if letter and isinstance(count, ex.Symbol):
                member = self._count_member(count, frame)
                if (count.name, member) not in self.model.counts:
                    self.model.note_count(count, member, sizes[letter])
        kept = tuple(axis for axis in entry.axes if axis[0] not in (row, column))

        def compute() -> Any:
            data = entry.data[..., 0, 0]
            names = list(entry.letters)
            for letter in (row, column):
                if letter in names:
                    data = self.xp.moveaxis(data, names.index(letter), -1)
                    names.remove(letter)
                else:
                    data = self.xp.broadcast_to(data[..., None], (*data.shape, sizes[letter].value))
                names.append(letter)
            return data

        return self.make(kept, sizes[row], sizes[column], compute)

    def _side_by_side(self, entry: Value, row: str, column: str, sizes: dict[str, Dim]) -> Value:
        """Return columns side by side, or rows one below the other."""
        upright = bool(column) and not row and entry.is_column
        if not upright and not (row and not column and entry.is_row):
            raise NotUnderstood("an array whose entries are arrays is not read")
        letter, place = (column, -1) if upright else (row, -2)
        rows, cols = (entry.rows, sizes[column]) if upright else (sizes[row], entry.cols)
        kept = tuple(axis for axis in entry.axes if axis[0] != letter)

        def compute() -> Any:
            if letter in entry.letters:
                data = self.xp.squeeze(entry.data, place)
                return self.xp.moveaxis(data, entry.letters.index(letter), place)
            return self.xp.repeat(entry.data, sizes[letter].value, axis=place)

        return self.make(kept, rows, cols, compute)

    def _extent(self, node: ex.Arrayed, letter: str, entry: Value, frame: Frame) -> Dim:
        """Return what a letter runs over; a size of its own where no entry depends on it."""
        if not letter:
            return ONE
        known = dict(entry.axes).get(letter)
        side = node.entry if letter == node.row else node
        return known or self.model.fitting(side, frame.row, frame.family)

    def _written(self, node: ex.Written, frame: Frame) -> Value:
        """Return a matrix whose entries are numbers, or the matrix that blocks make."""
        parts = [self.value(entry, frame) for entry in node.entries]
        if any(part.axes for part in parts):
            raise NotUnderstood("components in a matrix written out are not read")
        lines = [parts[k : k + node.columns] for k in range(0, len(parts), node.columns)]
        try:
            for line in lines:
                for part in line[1:]:
                    self.unify(line[0].rows, part.rows)
            for column in zip(*lines, strict=True):
                for part in column[1:]:
                    self.unify(column[0].cols, part.cols)
        except DimensionMismatch:
            raise NotUnderstood("the blocks of a matrix do not fit each other") from None
        rows = self._total(node, "rows", [line[0].rows for line in lines])
        cols = self._total(node, "columns", [part.cols for part in lines[0]])
        return self.make(
            (), rows, cols, lambda: self.xp.block([[part.data for part in line] for line in lines])
        )

    def _total(self, node: ex.Written, side: str, sizes: Sequence[Dim]) -> Dim:
        if len(sizes) == 1:
            return sizes[0]
        if all(size.root() is ONE for size in sizes):
            return self.model.dims.fixed(len(sizes))
        return self.model.stacked((side, *map(str, node.entries)), tuple(sizes))
