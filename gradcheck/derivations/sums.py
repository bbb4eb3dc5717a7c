"""Sums over indices, Kronecker deltas."""

from __future__ import annotations

import dataclasses

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.core import Frame, IllShaped, OutOfRange
from gradcheck.derivations.dims import ONE, Dim
from gradcheck.derivations.lookups import CLASS, Lookups
from gradcheck.derivations.unread import NotUnderstood
from gradcheck.derivations.values import Jacobian, Value
from gradcheck.derivations.walks import family_letters

__all__ = ["Sums"]


class Sums(Lookups):
    """Evaluate what runs over component indices."""

    def _sum(self, node: ex.SumOver, frame: Frame) -> Value:
        unrolled = next((x for x in node.letters if x in family_letters(node.body)), None)
        if unrolled is not None:
            return self._unrolled(node, unrolled, frame)
        if node.start is not None:
            raise NotUnderstood("a sum over components that begins at another index is not read")
        inner = Frame(frame.row, frame.family, dict(frame.letters), frame.bound, frame.free)
        for letter in node.letters:
            inner.letters.pop(letter, None)
        try:
            body = self.evaluate(node.body, inner)
        except IllShaped:
            if not node.letters:
                raise NotUnderstood("a sum does not say over what") from None
            raise
        if isinstance(body, Jacobian):
            raise NotUnderstood("a sum of Jacobians is not read")
        for a, b in node.skipped:
            if a in body.letters and b not in body.letters:
                inner.letters.setdefault(b, inner.letters.get(a, dict(body.axes)[a]))
            unequal = self._unequal(a, b, inner)
            body = self._multiply("", unequal, body)
        if node.last is not None and isinstance(node.last, ex.Symbol):
            for letter in node.letters:
                if letter in body.letters:
                    self.model.note_count(
                        node.last, self._count_member(node.last, frame), dict(body.axes)[letter]
                    )
        for letter in node.letters:
            if letter in body.letters and node.last is None:
                for name in self.model.divisors.get(letter, ()):
                    self.model.note_count(ex.Symbol(name), (), dict(body.axes)[letter])
        letters = node.letters or tuple(x for x in body.letters if x not in frame.free)
        if not letters:
            if body.letters:
                raise NotUnderstood("a sum does not say over what")
            return self._sum_to(body, frame.target)
        for letter in letters:
            if letter in body.letters:
                continue
            if letter not in self.model.table.samples:
                raise NotUnderstood(
                    f"a sum over {letter} of something without {letter} is not read"
                )
            dim = self.model.sample_size(letter)
            if isinstance(node.last, ex.Symbol):
                self.model.note_count(node.last, self._count_member(node.last, frame), dim)
            body = self._multiply("", self.size_number(dim), body)
        letters = tuple(letter for letter in letters if letter in body.letters)
        if not letters:
            return body
        for letter, dim in inner.letters.items():
            if letter not in node.letters:
                frame.letters.setdefault(letter, dim)
        kept = tuple(axis for axis in body.axes if axis[0] not in letters)
        places = tuple(k for k, letter in enumerate(body.letters) if letter in letters)
        fold = self.xp.prod if node.product else self.xp.sum
        return self.make(kept, body.rows, body.cols, lambda: fold(body.data, axis=places))

    def _unrolled(self, node: ex.SumOver, letter: str, frame: Frame) -> Value:
        """A sum over members of a family, steps or examples, term by term."""
        if node.skipped:
            raise NotUnderstood("a sum over all members of a family but one is not read")
        rest = tuple(x for x in node.letters if x != letter)
        body = dataclasses.replace(node, letters=rest) if rest else node.body
        first = 1 if node.first is None else node.first
        if node.start is not None:
            (first,) = self.member(ex.Symbol("", (node.start,)), frame)
        total: Value | None = None
        for step in range(first, self._last_step(node.last, frame) + 1):
            own = Frame(
                frame.row, {**frame.family, letter: step}, frame.letters, frame.bound, frame.free
            )
            term = self.value(body, own)
            if total is None:
                total = term
            elif node.product:
                total = self._multiply("", total, term)
            else:
                total = self._add(total, term, 1)
        if total is None:
            raise OutOfRange("a sum over no member")
        return total

    def _last_step(self, last: ex.Expression | None, frame: Frame) -> int:
        """Return the member with which a sum ends: `T`, `t-1`, a number, or the last where none is said."""
        depth = self.model.depth
        match last:
            case None:
                return depth
            case ex.Number(value) if value.denominator == 1 and value <= depth:
                return int(value)
            case ex.Symbol(name, (), ()):
                return frame.family.get(name, depth)
            case ex.Plus((1, sign), (ex.Symbol(name, (), ()), ex.Number(value))):
                return frame.family.get(name, depth) + sign * int(value)
        raise NotUnderstood("the end of a sum over members of a family is not read")

    def _sum_to(self, body: Value, target: Value | None) -> Value:
        """A sum that does not say over what: to the sizes of the left side, else over all."""
        same = self.model.dims.compatible
        axis: int | None = None
        if target is not None and target.is_column and same(target.rows, body.rows):
            axis = -1
        elif target is not None and target.is_row and same(target.cols, body.cols):
            axis = -2
        elif target is not None and not target.is_number:
            raise NotUnderstood("a sum does not say over what")
        rows = ONE if axis != -1 else body.rows
        cols = ONE if axis != -2 else body.cols
        if axis is None:
            return self.make((), ONE, ONE, lambda: self.xp.sum(body.data).reshape(1, 1))
        return self.make((), rows, cols, lambda: self.xp.sum(body.data, axis=axis, keepdims=True))

    def size_number(self, dim: Dim) -> Value:
        """Return a size as a number."""
        return self.make((), ONE, ONE, lambda: self.xp.full((1, 1), float(dim.value)))

    def _count_member(self, symbol: ex.Symbol, frame: Frame) -> tuple[int, ...]:
        try:
            return self.member(symbol, frame)
        except OutOfRange:
            return ()

    def _unequal(self, a: str, b: str, frame: Frame) -> Value:
        delta = self._kronecker(ex.Kronecker(ex.Index(a), ex.Index(b)), frame)
        return self.make(delta.axes, ONE, ONE, lambda: 1 - delta.data)

    def _kronecker(self, delta: ex.Kronecker, frame: Frame) -> Value:
        left, right = delta.left, delta.right
        if left.letter is None or right.letter is None or left.offset or right.offset:
            raise NotUnderstood("a Kronecker delta of numbers is not read")
        classes = self.model.table.classes
        if left.letter in classes or right.letter in classes:
            return self._of_class(right if left.letter in classes else left, delta, frame)
        a = frame.letters.get(left.letter) or frame.letters.get(right.letter)
        a = a or self.model.fitting(delta, frame.row, frame.family)
        self._run(left.letter, a, frame)
        self._run(right.letter, a, frame)
        if left.letter == right.letter:
            return self.number(1)
        axes = tuple(sorted([(left.letter, a), (right.letter, a)]))
        return self.make(axes, ONE, ONE, lambda: self.xp.eye(a.value)[..., None, None])

    def _of_class(self, index: ex.Index, delta: ex.Kronecker, frame: Frame) -> Value:
        """1 where an index is the class of the example."""
        letter = str(index.letter)
        dim = frame.letters.get(letter) or self.model.fitting(delta, frame.row, frame.family)
        self._run(letter, dim, frame)
        return self.make(
            ((letter, dim),), ONE, ONE, lambda: self.xp.eye(dim.value)[CLASS][..., None, None]
        )
