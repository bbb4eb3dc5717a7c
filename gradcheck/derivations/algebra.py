"""Sums, products, powers and transposes, of arrays and of formal Jacobians."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.core import Core, Frame, IllShaped, Result
from gradcheck.derivations.dims import ONE, Dim, DimensionMismatch
from gradcheck.derivations.unread import NotUnderstood
from gradcheck.derivations.unwritten import factors_of
from gradcheck.derivations.values import Jacobian, Value

__all__ = ["SIDE_BY_SIDE", "SPREADING", "Algebra"]

SPREADING = "unless the vector is spread over the matrix"
"""What the sentence on a product by elements ends with that has a meaning in NumPy, and may be meant."""

SIDE_BY_SIDE = "arrays of one size side by side are read as multiplied element by element"
"""What a document that has no sign for the elementwise product means by juxtaposition."""


class Algebra(Core):
    """Combine values; a product with a Jacobian is a pullback."""

    def _known(self, known: ex.Known, frame: Frame) -> Value:
        if known.name == "pi":
            return self.number(3.141592653589793)
        if known.name == "0":
            return self.number(0)
        rows = self.model.fitting(known, frame.row, frame.family)
        if known.name == "I":
            return self.make((), rows, rows, lambda: self.xp.eye(rows.value))
        return self.make((), rows, ONE, lambda: self.xp.ones((rows.value, 1)))

    def _plus(self, signs: Sequence[int], terms: Sequence[ex.Expression], frame: Frame) -> Result:
        if len(terms) == 1:
            only = self.evaluate(terms[0], frame)
            if isinstance(only, Jacobian):
                if signs[0] > 0:
                    return only
                return self._scaled(only, self.number(-1))
            return self.make(only.axes, only.rows, only.cols, lambda: signs[0] * only.data)
        total: Value | None = None
        for sign, term in zip(signs, terms, strict=True):
            value = self.number(1) if _is_one(term) else self.value(term, frame)
            if total is None:
                total = value
                if sign < 0:
                    total = self._multiply("", self.number(-1), value)
            else:
                total = self._add(total, value, sign)
        assert total is not None
        return total

    def _add(self, a: Value, b: Value, sign: int) -> Value:
        axes, (x, y) = self.align([a, b])
        rows, cols = self._broadcast(a, b, "added to", spread=True)
        return self.make(axes, rows, cols, lambda: x + y if sign > 0 else x - y)

    def _broadcast(self, a: Value, b: Value, verb: str, spread: bool) -> tuple[Dim, Dim]:
        """Return the sizes of an elementwise combination.

        A number combines with everything; a vector is spread over a matrix with `spread`.
        """
        if a.is_number:
            return b.rows, b.cols
        if b.is_number:
            return a.rows, a.cols
        dims = self.model.dims
        try:
            with dims.attempt():
                return self.unify(a.rows, b.rows), self.unify(a.cols, b.cols)
        except DimensionMismatch:
            pass
        if spread:
            for vector, other in ((a, b), (b, a)):
                try:
                    with dims.attempt():
                        if vector.is_column and not other.is_row:
                            self.unify(vector.rows, other.rows)
                            return other.rows, other.cols
                        if vector.is_row and not other.is_column:
                            self.unify(vector.cols, other.cols)
                            return other.rows, other.cols
                except DimensionMismatch:
                    continue
        raise IllShaped(f"{a.spelled()} cannot be {verb} {b.spelled()}")

    def _product(
        self, sign: str, left: ex.Expression, right: ex.Expression, frame: Frame
    ) -> Result:
        if isinstance(left, ex.Written) and isinstance(right, ex.Written) and not sign:
            return self.evaluate(_block_product(left, right), frame)
        a = self.evaluate(left, frame)
        b = self.evaluate(right, frame)
        if isinstance(a, Jacobian) or isinstance(b, Jacobian):
            return self._chain(a, b)
        counted = _mean_over(left)
        if counted is not None:
            self.model.note_count(counted, (), b.rows)
        try:
            return self._multiply(sign, a, b)
        except IllShaped:
            if sign or not self._are_elementwise(left, a, b, frame):
                raise
        self.model.note(SIDE_BY_SIDE)
        self.model.loose_rows.add(frame.row)
        return self._hadamard(a, b)

    def _are_elementwise(self, left: ex.Expression, a: Value, b: Value, frame: Frame) -> bool:
        """Whether two arrays side by side can only be meant element by element.

        Their sizes are the same, no row of the document has a sign for it, and what stands left of them is
        no matrix product: within one term juxtaposition keeps its meaning.
        """
        if not self.model.loose_products or not self._same_shape(a, b):
            return False
        arrays = [f for f in factors_of(left) if not self.value(f, frame).is_number]
        return len(arrays) == 1

    def _multiply(self, sign: str, a: Value, b: Value) -> Value:
        if a.is_number or b.is_number:
            axes, (x, y) = self.align([a, b])
            shape = b if a.is_number else a
            return self.make(axes, shape.rows, shape.cols, lambda: x * y)
        meaning = self.model.table.signs.get(sign)
        if sign in ("circ", "odot") and meaning is None:
            meaning = "hadamard"
        if meaning == "hadamard":
            return self._hadamard(a, b)
        if meaning == "matmul":
            return self._matmul(a, b)
        if sign == "":
            return self._matmul(a, b)
        order = (
            (self._hadamard, self._matmul)
            if sign in ("times", "otimes", "star")
            else (self._matmul, self._hadamard)
        )
        if (a.is_column and b.is_column) or (a.is_row and b.is_row):
            order = (self._hadamard, self._matmul)
        try:
            with self.model.dims.attempt():
                return order[0](a, b)
        except IllShaped as first:
            try:
                return order[1](a, b)
            except IllShaped:
                raise first from None

    def _hadamard(self, a: Value, b: Value) -> Value:
        axes, (x, y) = self.align([a, b])
        verb = "multiplied element by element with"
        try:
            rows, cols = self._broadcast(a, b, verb, self.model.spreads)
        except IllShaped as error:
            try:
                self._broadcast(a, b, verb, spread=True)
            except IllShaped:
                raise error from None
            raise IllShaped(f"{error} {SPREADING}") from None
        return self.make(axes, rows, cols, lambda: x * y)

    def _matmul(self, a: Value, b: Value) -> Value:
        try:
            self.unify(a.cols, b.rows)
        except DimensionMismatch:
            raise IllShaped(
                f"{a.spelled()} times {b.spelled()}: {a.cols.root().name} columns meet "
                f"{b.rows.root().name} rows"
            ) from None
        axes, (x, y) = self.align([a, b])
        return self.make(axes, a.rows, b.cols, lambda: self.xp.matmul(x, y))

    def _divided(self, above: ex.Expression, below: ex.Expression, frame: Frame) -> Result:
        a = self.number(1) if _is_one(above) else self.evaluate(above, frame)
        b = self.value(below, frame)
        if isinstance(a, Jacobian):
            if not b.is_number:
                raise NotUnderstood("a Jacobian divided by an array is not read")
            return self._scaled(a, self.make(b.axes, b.rows, b.cols, lambda: 1 / b.data))
        axes, (x, y) = self.align([a, b])
        rows, cols = self._broadcast(a, b, "divided by", spread=True)
        return self.make(axes, rows, cols, lambda: x / y)

    def _power(self, base: ex.Expression, exponent: ex.Expression, frame: Frame) -> Value:
        x = self.value(base, frame)
        if isinstance(exponent, ex.Symbol) and not exponent.family and not exponent.components:
            raise NotUnderstood(
                f"the superscript {exponent.name} is neither a power nor an index here"
            )
        power = _rational(exponent)
        if power is None:
            e = self.value(exponent, frame)
            if not e.is_number:
                raise NotUnderstood("a power with an array in it is not read")
            axes, (y, z) = self.align([x, e])
            return self.make(axes, x.rows, x.cols, lambda: y**z)
        return self.make(x.axes, x.rows, x.cols, lambda: _raised(self.xp, x.data, power))

    def _transposed(self, body: Result) -> Result:
        if isinstance(body, Jacobian):
            return body
        return self.make(
            body.axes, body.cols, body.rows, lambda: self.xp.swapaxes(body.data, -1, -2)
        )

    def _norm(self, body: Value, order: str, squared: bool) -> Value:
        def compute() -> Any:
            if order == "1":
                return self.xp.sum(self.xp.abs(body.data), axis=(-2, -1), keepdims=True)
            total = self.xp.sum(body.data * body.data, axis=(-2, -1), keepdims=True)
            return total if squared else self.xp.sqrt(total)

        return self.make(body.axes, ONE, ONE, compute)

    def _chain(self, a: Result, b: Result) -> Result:
        """A product with a Jacobian is read as the chain rule uses it: as the pullback."""
        if isinstance(a, Value) and isinstance(b, Jacobian):
            if a.is_number:
                return self._scaled(b, a)
            return self._pull(b, a)
        if isinstance(a, Jacobian) and isinstance(b, Value):
            if b.is_number:
                return self._scaled(a, b)
            return self._pull(a, b)
        assert isinstance(a, Jacobian)
        assert isinstance(b, Jacobian)
        if self._same_shape(b.of, a.by):
            inner, outer = a, b
        elif self._same_shape(a.of, b.by):
            inner, outer = b, a
        else:
            raise NotUnderstood("two Jacobians that do not follow each other are not read")
        return Jacobian(
            inner.of, outer.by, lambda cotangent: outer.pull(inner.pull(cotangent)), None
        )

    def _same_shape(self, a: Value, b: Value) -> bool:
        same = self.model.dims.same
        return same(a.rows, b.rows) and same(a.cols, b.cols)

    def _pull(self, jacobian: Jacobian, cotangent: Value) -> Value:
        of = jacobian.of
        try:
            with self.model.dims.attempt():
                self.unify(cotangent.rows, of.rows)
                self.unify(cotangent.cols, of.cols)
        except DimensionMismatch:
            matrix = jacobian.matrix
            if matrix is not None:
                return self._matmul(cotangent, matrix())
            raise IllShaped(
                f"{cotangent.spelled()} weights the derivative of {of.spelled()}"
            ) from None
        out = jacobian.pull(cotangent)
        if jacobian.scale is None:
            return out
        return self._multiply("", jacobian.scale, out)

    def _scaled(self, jacobian: Jacobian, by: Value) -> Jacobian:
        if by.axes:
            raise NotUnderstood("a component times a Jacobian is not read")

        def pull(cotangent: Value) -> Value:
            return self._multiply("", by, jacobian.pull(cotangent))

        matrix = jacobian.matrix
        scaled = None if matrix is None else lambda: self._multiply("", by, matrix())
        return Jacobian(jacobian.of, jacobian.by, pull, scaled, jacobian.scale)


def _block_product(left: ex.Written, right: ex.Written) -> ex.Expression:
    """Return the product of two matrices written out, block by block."""
    inner, wide = left.columns, right.columns
    if len(right.entries) != inner * wide:
        raise IllShaped(f"{inner} columns meet {len(right.entries) // wide} rows")
    entries = []
    for start in range(0, len(left.entries), inner):
        for column in range(wide):
            pairs = zip(
                left.entries[start : start + inner], right.entries[column::wide], strict=True
            )
            entries.append(ex.Plus((1,) * inner, tuple(ex.Product("", a, b) for a, b in pairs)))
    return entries[0] if len(entries) == 1 else ex.Written(tuple(entries), wide)


def _mean_over(left: ex.Expression) -> ex.Symbol | None:
    """Return the d of `1/d 1^T` in front of a vector, which takes the mean of its d elements."""
    match left:
        case ex.Product("", ex.Divided(_, ex.Symbol() as below), ex.Transposed(ones)) if _is_one(
            ones
        ):
            return None if below.family else below
    return None


def _is_one(expression: ex.Expression) -> bool:
    """Whether an expression is a bold 1, which beside an array has that array's size."""
    return isinstance(expression, ex.Known) and expression.name == "1"


def _rational(expression: ex.Expression) -> Fraction | None:
    match expression:
        case ex.Number(value):
            return value
        case ex.Plus((sign,), (term,)):
            inner = _rational(term)
            return None if inner is None else sign * inner
        case ex.Divided(above, below):
            a, b = _rational(above), _rational(below)
            return None if a is None or not b else a / b
    return None


def _raised(xp: Any, data: Any, power: Fraction) -> Any:
    """Raise to a rational power by products, roots and one division, which every arithmetic has."""
    if power < 0:
        return 1 / _raised(xp, data, -power)
    if power.denominator == 2:
        return _raised(xp, xp.sqrt(data), Fraction(power.numerator))
    if power.denominator == 1 and power.numerator <= 16:
        out = None
        for _ in range(power.numerator):
            out = data if out is None else out * data
        return xp.ones_like(data) if out is None else out
    return data ** float(power)
