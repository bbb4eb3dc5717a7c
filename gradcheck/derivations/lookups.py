"""Symbols: which member, which definition, which component."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.algebra import Algebra
from gradcheck.derivations.core import Frame, FreeIndex, IllShaped, OutOfRange, Result
from gradcheck.derivations.dims import ONE, Dim, DimensionMismatch
from gradcheck.derivations.unread import NotUnderstood
from gradcheck.derivations.values import Value

__all__ = ["CLASS", "Lookups"]

CLASS = 1
"""The component that a class stands for. Every size is at least 2, and any component is as good."""


class Lookups(Algebra):
    """Look symbols up, and turn component indices into axes."""

    def member(self, symbol: ex.Symbol, frame: Frame) -> tuple[int, ...]:
        """Return which member of its family a symbol is.

        Raises:
            OutOfRange: there is no such member.
        """
        members = []
        for index in symbol.family:
            if index.letter is None:
                members.append(index.offset)
            elif index.letter in frame.family:
                members.append(frame.family[index.letter] + index.offset)
            elif index.letter in self.model.table.last_letters:
                members.append(self.model.depth + index.offset)
            else:
                self.model.note(f"{index.letter} is read as one current step where it stands alone")
                members.append(self.model.depth + index.offset)
        counted = [m for m, index in zip(members, symbol.family, strict=True) if index.letter]
        if any(not 0 <= member <= self.model.depth for member in counted):
            raise OutOfRange(f"{symbol.name} has no member {members}")
        return tuple(members)

    def _symbol(self, symbol: ex.Symbol, frame: Frame) -> Result:
        if symbol.name in frame.bound and not symbol.family:
            return self._pick(frame.bound[symbol.name], symbol.components, frame)
        return self._picked(symbol, self.whole(symbol, frame), frame)

    def _picked(self, symbol: ex.Symbol, whole: Value, frame: Frame) -> Value:
        """Return the components of a symbol: a number each, or of stacked vectors the vector."""
        stacked = symbol.name in self.model.table.stacked or any(
            len(definition.letters) == 1 for definition in self.model.by_name.get(symbol.name, ())
        )
        vector = whole.is_number or whole.is_column or whole.is_row
        if stacked and not vector and len(symbol.components) == 1:
            return self._row(whole, symbol.components[0], frame)
        return self._pick(whole, symbol.components, frame)

    def _row(self, whole: Value, index: ex.Index, frame: Frame) -> Value:
        """Return a row of a matrix as a vector, over an axis for its index."""
        letter = index.letter
        if letter is None or index.offset or whole.axes or letter in self.model.table.classes:
            raise NotUnderstood("one component index on a matrix is not read")
        self._run(letter, whole.rows, frame)
        axes = ((letter, whole.rows),)
        if self.model.vector == "row":
            return self.make(axes, ONE, whole.cols, lambda: whole.data[:, None, :])
        return self.make(axes, whole.cols, ONE, lambda: whole.data[:, :, None])

    def whole(self, symbol: ex.Symbol, frame: Frame) -> Value:
        """Return the array of a symbol, its component indices aside."""
        member = self.member(symbol, frame)
        name = symbol.name
        if not symbol.family and (name, ()) not in self.overrides:
            name, member = self.model.last_member(name, frame.row)
        key = (name, member)
        definition = self.model.definition(name, member, frame.row)
        if key in self.overrides and (definition is None) == (key in self.leaf_overrides):
            self.touched.add(key)
            return self.overrides[key]
        if definition is None:
            return self.model.leaf(name, member, self)
        memo_key = (definition.number, member, self.model.epoch(frame.row))
        if memo_key in self.memo:
            known: Value = self.memo[memo_key][0]
            self.touched |= self.memo[memo_key][1]
            return known
        if memo_key in self.active:
            raise NotUnderstood(f"{symbol} is defined by itself")
        self.active.append(memo_key)
        outer = self.touched
        self.touched = set()
        try:
            try:
                value = self.model.define(definition, member, self, frame.row)
            except (IllShaped, FreeIndex, DimensionMismatch) as error:
                raise NotUnderstood(
                    f"{symbol.name} is not known: its definition does not fit"
                ) from error
            self.memo[memo_key] = (value, self.touched)
        finally:
            self.active.pop()
            self.touched |= outer
        return value

    def _pick(self, whole: Value, components: Sequence[ex.Index], frame: Frame) -> Value:
        """Return components of an array, as an axis for each letter."""
        if not components:
            return whole
        if any(index.letter is None or index.offset for index in components):
            raise NotUnderstood("a single numbered component is not read")
        letters = [str(index.letter) for index in components]
        if len(letters) == 1:
            if whole.is_number and whole.axes:
                raise NotUnderstood("a component of a component is not read")
            if not (whole.is_column or whole.is_row):
                raise NotUnderstood("one component index on a matrix is not read")
            places = [0 if whole.is_column else 1]
        elif len(letters) == 2:
            if whole.is_column or whole.is_row or whole.is_number:
                raise NotUnderstood("two component indices on a vector are not read")
            places = [0, 1]
        else:
            raise NotUnderstood("more than two component indices are not read")
        for letter, place in zip(letters, places, strict=True):
            if letter in self.model.table.classes:
                whole = self._one_class(whole, place)
        counted = [
            (letter, place)
            for letter, place in zip(letters, places, strict=True)
            if letter not in self.model.table.classes
        ]
        for letter, place in counted:
            self._run(letter, (whole.rows, whole.cols)[place], frame)
        return self._as_axes(whole, [x for x, _ in counted], [p for _, p in counted])

    def _one_class(self, whole: Value, place: int) -> Value:
        """Return the component that a class names, the other dimension kept."""
        rows, cols = (ONE, whole.cols) if place == 0 else (whole.rows, ONE)
        one = slice(CLASS, CLASS + 1)
        at = (..., one, slice(None)) if place == 0 else (..., one)
        return self.make(whole.axes, rows, cols, lambda: whole.data[at])

    def _run(self, letter: str, dim: Dim, frame: Frame) -> None:
        """Let an index letter run over a size."""
        known = frame.letters.get(letter)
        if known is None:
            frame.letters[letter] = dim
            return
        try:
            self.unify(known, dim)
        except DimensionMismatch:
            raise IllShaped(
                f"the index {letter} runs over {known.root().name} in one place and over "
                f"{dim.root().name} in another"
            ) from None

    def _as_axes(self, whole: Value, letters: Sequence[str], places: Sequence[int]) -> Value:
        """Turn matrix dimensions into axes; a letter that is there already takes the diagonal."""
        if not letters:
            return whole
        sizes = (whole.rows, whole.cols)
        new = [(letter, sizes[place]) for letter, place in zip(letters, places, strict=True)]
        kept = [1 - place for place in places] if len(places) == 1 else []
        rows, cols = ONE, ONE
        if kept and sizes[kept[0]].root() is not ONE:
            raise NotUnderstood("one component index on a matrix is not read")
        all_axes = [*whole.axes, *new]
        names = [letter for letter, _ in all_axes]
        unique = list(dict(all_axes).items())

        def compute() -> Any:
            data = whole.data
            data = data.reshape(*data.shape[:-2], *(sizes[place].value for place in places))
            if len(set(names)) == len(names):
                return data[..., None, None]
            codes = {letter: k for k, letter in enumerate(dict.fromkeys(names))}
            out = [codes[letter] for letter, _ in unique]
            return _diagonal(self.xp, data, [codes[name] for name in names], out)[..., None, None]

        return self.make(tuple(unique), rows, cols, compute)


def _diagonal(xp: Any, data: Any, names: list[int], out: list[int]) -> Any:
    """Return the entries where axes of one name have one index."""
    while len(set(names)) < len(names):
        first = next(k for k, name in enumerate(names) if name in names[k + 1 :])
        second = names.index(names[first], first + 1)
        data = xp.diagonal(data, axis1=first, axis2=second)
        name = names[first]
        names = [n for k, n in enumerate(names) if k not in (first, second)] + [name]
    return xp.transpose(data, [names.index(name) for name in out])
