"""Sums over indices, Kronecker deltas, stacked vectors."""

from __future__ import annotations

from collections.abc import Sequence

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.core import Frame, IllShaped, OutOfRange
from gradcheck.derivations.dims import ONE, Dim
from gradcheck.derivations.lookups import Lookups
from gradcheck.derivations.resolve import NotUnderstood
from gradcheck.derivations.values import Jacobian, Value

__all__ = ["Sums"]


class Sums(Lookups):
    """Evaluate what runs over component indices."""

    def _sum(self, node: ex.SumOver, frame: Frame) -> Value:
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
        a = frame.letters.get(left.letter) or frame.letters.get(right.letter)
        a = a or self.model.fitting(delta, frame.row, frame.family)
        self._run(left.letter, a, frame)
        self._run(right.letter, a, frame)
        if left.letter == right.letter:
            return self.number(1)
        axes = tuple(sorted([(left.letter, a), (right.letter, a)]))
        return self.make(axes, ONE, ONE, lambda: self.xp.eye(a.value)[..., None, None])

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
