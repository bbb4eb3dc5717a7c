"""Evaluation of expressions: first their sizes, then their numbers, by one and the same walk.

Without numbers the walk infers sizes (`numeric=False`); with them it computes, in JAX's namespace, so
that a claim becomes a program and a derivative is JAX's own. Names are looked up in a `Model`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.dims import ONE, Dim, DimensionMismatch
from gradcheck.derivations.functions import ELEMENTWISE, generic
from gradcheck.derivations.limits import LIMITS
from gradcheck.derivations.resolve import NotUnderstood
from gradcheck.derivations.values import Axes, Jacobian, Value

if TYPE_CHECKING:
    from gradcheck.derivations.model import Model

__all__ = ["Frame", "FreeIndex", "IllShaped", "Interpreter", "OutOfRange"]

Result = Value | Jacobian


class IllShaped(Exception):
    """Sizes do not fit; the message names the operands, what was expected and what came."""


class OutOfRange(Exception):
    """A member of a family does not exist (the layer behind the last)."""


class FreeIndex(Exception):
    """An index is free where it must be bound."""


@dataclass
class Frame:
    """Where an expression stands.

    Attributes:
        row: the number of the row; symbols mean what they mean there.
        family: the members that the family letters stand for.
        letters: the size that each component index runs over.
        bound: arguments of a function definition by name.
        target: the left side of the row, to which a bare sum reduces.
        free: letters that the row's left side leaves free (a bare sum runs over the others).
    """

    row: int
    family: dict[str, int]
    letters: dict[str, Dim] = field(default_factory=dict)
    bound: dict[str, Value] = field(default_factory=dict)
    free: frozenset[str] = frozenset()
    target: Value | None = None


class Interpreter:
    """Evaluate expressions of a document.

    Args:
        model: the document's definitions and leaves.
        numeric: whether to compute numbers, or sizes only.
        overrides: values that replace members of symbols (what a derivative varies).
        strict: whether a vector may not be spread over a matrix in products.
    """

    def __init__(
        self,
        model: Model,
        numeric: bool,
        overrides: dict[tuple[str, tuple[int, ...]], Value] | None = None,
        memo: dict[Any, Any] | None = None,
        base: Interpreter | None = None,
    ) -> None:
        self.model = model
        self.numeric = numeric
        self.overrides = overrides or {}
        self.memo: dict[Any, Any] = {} if memo is None else memo
        self.touched: set[tuple[str, tuple[int, ...]]] = set()
        self.active: list[Any] = []
        self.base = base
        self.leaf_overrides: set[tuple[str, tuple[int, ...]]] = set()

    @property
    def xp(self) -> Any:
        import jax.numpy as jnp

        return jnp

    # ---- small helpers ---------------------------------------------------------------------------

    def number(self, value: Fraction | float | int) -> Value:
        data = None
        if self.numeric:
            if isinstance(value, Fraction) and value.denominator != 1:
                data = self.xp.full((1, 1), float(value.numerator)) / float(value.denominator)
            else:
                data = self.xp.full((1, 1), float(value))
        return Value((), ONE, ONE, data)

    def make(self, axes: Axes, rows: Dim, cols: Dim, compute: Callable[[], Any]) -> Value:
        """Return a value whose numbers are computed only where numbers are asked for."""
        order = sorted(range(len(axes)), key=lambda k: axes[k][0])
        if not self.numeric:
            return Value(tuple(axes[k] for k in order), rows, cols)
        size = rows.value * cols.value
        for _, dim in axes:
            size *= dim.value
        if size > LIMITS.elements:
            raise NotUnderstood(f"an intermediate array would have {size:,} numbers")
        data = compute()
        if order != list(range(len(axes))):
            data = self.xp.transpose(data, (*order, len(axes), len(axes) + 1))
        return Value(tuple(axes[k] for k in order), rows, cols, data)

    def unify(self, a: Dim, b: Dim) -> Dim:
        return self.model.dims.unify(a, b)

    def align(self, values: Sequence[Value]) -> tuple[Axes, list[Any]]:
        """Return the union of the axes, and the numbers of each value spread over it."""
        union: dict[str, Dim] = {}
        for value in values:
            for letter, dim in value.axes:
                if letter in union:
                    try:
                        self.unify(union[letter], dim)
                    except DimensionMismatch:
                        raise IllShaped(
                            f"the index {letter} runs over {union[letter].root().name} in one factor "
                            f"and over {dim.root().name} in another"
                        ) from None
                else:
                    union[letter] = dim
        axes = tuple(sorted(union.items()))
        if not self.numeric:
            return axes, [None] * len(values)
        spread = []
        for value in values:
            own = iter(value.data.shape)
            shape = [next(own) if letter in value.letters else 1 for letter, _ in axes]
            spread.append(value.data.reshape(*shape, *value.data.shape[-2:]))
        return axes, spread

    def value(self, expression: ex.Expression, frame: Frame) -> Value:
        """Return the value of an expression that is no formal Jacobian."""
        result = self.evaluate(expression, frame)
        if isinstance(result, Jacobian):
            if result.matrix is None:
                raise NotUnderstood("the derivative of an array by an array is more than a matrix")
            return result.matrix()
        return result

    # ---- the walk ------------------------------------------------------------------------------------

    def evaluate(self, expression: ex.Expression, frame: Frame) -> Result:
        """Return the value of an expression, or the Jacobian that it stands for.

        Raises:
            NotUnderstood, IllShaped, OutOfRange, FreeIndex: as their docstrings say.
        """
        match expression:
            case ex.Number(value):
                return self.number(value)
            case ex.Known():
                return self._known(expression, frame)
            case ex.Symbol():
                return self._symbol(expression, frame)
            case ex.Plus(signs, terms):
                return self._plus(signs, terms, frame)
            case ex.Product(sign, left, right):
                return self._product(sign, left, right, frame)
            case ex.Divided(above, below):
                return self._divided(above, below, frame)
            case ex.Power(base, exponent):
                return self._power(base, exponent, frame)
            case ex.Transposed(body):
                return self._transposed(self.evaluate(body, frame))
            case ex.Rooted(body):
                inner = self.value(body, frame)
                return self.make(
                    inner.axes, inner.rows, inner.cols, lambda: self.xp.sqrt(inner.data)
                )
            case ex.Absolute(body):
                inner = self.value(body, frame)
                return self.make(
                    inner.axes, inner.rows, inner.cols, lambda: self.xp.abs(inner.data)
                )
            case ex.NormOf(body, order, squared):
                return self._norm(self.value(body, frame), order, squared)
            case ex.Call():
                return self._call(expression, frame)
            case ex.Derivative(of, by):
                return self._derivative(of, by, frame)
            case ex.SumOver():
                return self._sum(expression, frame)
            case ex.Kronecker():
                return self._kronecker(expression, frame)
            case ex.Picked(body, components):
                return self._pick(self.value(body, frame), components, frame)
            case ex.Concatenated(parts):
                return self._concatenated(parts, [self.value(part, frame) for part in parts])
        raise NotUnderstood("this is not read")

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
                    first = value
                    total = self.make(value.axes, value.rows, value.cols, lambda v=first: -v.data)
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
        a = self.evaluate(left, frame)
        b = self.evaluate(right, frame)
        if isinstance(a, Jacobian) or isinstance(b, Jacobian):
            return self._chain(a, b)
        return self._multiply(sign, a, b)

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
            try:
                return self._matmul(a, b)
            except IllShaped as error:
                if not (self.model.loose_products and self._both_columns(a, b)):
                    raise
                try:
                    out = self._hadamard(a, b)
                except IllShaped:
                    raise error from None
                self.model.note("two vectors side by side are multiplied element by element")
                return out
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

    def _both_columns(self, a: Value, b: Value) -> bool:
        return (a.is_column and b.is_column) or (a.is_row and b.is_row)

    def _hadamard(self, a: Value, b: Value) -> Value:
        axes, (x, y) = self.align([a, b])
        rows, cols = self._broadcast(a, b, "multiplied element by element with", self.model.spreads)
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

    # ---- names ---------------------------------------------------------------------------------------

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
        whole = self.whole(symbol, frame)
        return self._pick(whole, symbol.components, frame)

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
            value, touched = self.memo[memo_key]
            self.touched |= touched
            return value
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
        dims = [(whole.rows, whole.cols)[place] for place in places]
        for letter, dim in zip(letters, dims, strict=True):
            self._run(letter, dim, frame)
        return self._as_axes(whole, letters, places)

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

    # ---- sums and deltas -----------------------------------------------------------------------------

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
            axes, (x, y) = self.align([body, unequal])
            body = self.make(axes, body.rows, body.cols, lambda x=x, y=y: x * y)
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
            whole = body
            body = self.make(
                whole.axes,
                whole.rows,
                whole.cols,
                lambda whole=whole, dim=dim: whole.data * float(dim.value),
            )
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

    # ---- functions -----------------------------------------------------------------------------------

    def _call(self, node: ex.Call, frame: Frame) -> Result:
        name = node.function.name
        if name in ("diag", "Diag"):
            return self._diag(self.value(node.arguments[0], frame))
        if name in ("tr", "Tr", "trace"):
            body = self.value(node.arguments[0], frame)
            self._square(body)
            return self.make(
                body.axes,
                ONE,
                ONE,
                lambda: self.xp.trace(body.data, axis1=-2, axis2=-1)[..., None, None],
            )
        if name in self.model.scalar_functions:
            return self._arbitrary(node, self._known_arguments(node, frame))
        arguments = [self.value(argument, frame) for argument in node.arguments]
        own = self.model.function(name, frame.row)
        if own is not None:
            return self._own_function(own, node.primes, arguments, frame)
        if len(arguments) != 1:
            return self._arbitrary(node, arguments)
        argument = arguments[0]
        if name in ("softmax", "Softmax"):
            return self._softmax(argument, node.primes)
        if name == "max" or name == "min":
            raise NotUnderstood(f"{name} is not read")
        if name == "sum":
            return self.make((), ONE, ONE, lambda: self.xp.sum(argument.data).reshape(1, 1))
        if name == "Sigma" and node.primes:
            small = ex.Call(ex.Symbol("sigma"), node.primes, node.arguments)
            return self._diag(self.value(small, frame))
        member = self.member(node.function, frame)
        return self._elementwise(name, member, node.primes, argument)

    def _known_arguments(self, node: ex.Call, frame: Frame) -> list[Value | None]:
        """Return the values of the arguments of an unknown loss; None for one that is not known."""
        out: list[Value | None] = []
        for argument in node.arguments:
            try:
                out.append(self.value(argument, frame))
            except NotUnderstood:
                out.append(None)
        if not any(value is not None for value in out):
            raise NotUnderstood(f"nothing that {node.function.name} depends on is known")
        return out

    def _elementwise(self, name: str, member: tuple[int, ...], primes: int, x: Value) -> Value:
        known = ELEMENTWISE.get(self.model.meanings.get(name, name))

        def compute() -> Any:
            function = (
                known(self.xp) if known else generic(self.xp, self.model.parameters(name, member))
            )
            return _derived(function, primes)(x.data)

        if known is None:
            self.model.parameters(name, member)
        return self.make(x.axes, x.rows, x.cols, compute)

    def _arbitrary(self, node: ex.Call, arguments: Sequence[Value | None]) -> Value:
        """A function of which nothing is known but that it is smooth, to a number."""
        if node.primes:
            raise NotUnderstood("the prime of a function of several arguments is not read")
        return self.model.arbitrary(node.function.name, arguments, self)

    def _softmax(self, x: Value, primes: int) -> Value:
        if primes:
            raise NotUnderstood("the prime of softmax is not read")
        axis = -2 if x.is_column else -1

        def compute() -> Any:
            e = self.xp.exp(x.data)
            return e / self.xp.sum(e, axis=axis, keepdims=True)

        return self.make(x.axes, x.rows, x.cols, compute)

    def _diag(self, x: Value) -> Value:
        if not (x.is_column or x.is_row):
            raise NotUnderstood("diag of a matrix is not read")
        n = x.rows if x.is_column else x.cols

        def compute() -> Any:
            flat = x.data.reshape(*x.data.shape[:-2], n.value)
            return flat[..., None] * self.xp.eye(n.value)

        return self.make(x.axes, n, n, compute)

    def _square(self, x: Value) -> None:
        try:
            self.unify(x.rows, x.cols)
        except DimensionMismatch:
            raise IllShaped(f"the trace of {x.spelled()}, which is not square") from None

    def _own_function(
        self, own: Any, primes: int, arguments: Sequence[Value], frame: Frame
    ) -> Value:
        names, body, row = own
        if len(names) != len(arguments) or (primes and len(names) != 1):
            raise NotUnderstood(
                "a function is called with other arguments than it was defined with"
            )

        def apply(*given: Value) -> Value:
            bound = dict(zip(names, given, strict=True))
            return self.value(body, Frame(row, dict(frame.family), {}, bound))

        if not primes:
            return apply(*arguments)
        x = arguments[0]
        if not self.numeric:
            return apply(x)

        def raw(data: Any) -> Any:
            return apply(Value(x.axes, x.rows, x.cols, data)).data

        return Value(x.axes, x.rows, x.cols, _derived(raw, primes)(x.data))

    # ---- derivatives ---------------------------------------------------------------------------------

    def _derivative(self, of: ex.Expression, by: ex.Expression, frame: Frame) -> Result:
        flipped = False
        while isinstance(by, ex.Transposed):
            by, flipped = by.body, not flipped
        if isinstance(by, ex.Picked) and isinstance(by.body, ex.Symbol):
            by = ex.Symbol(by.body.name, by.body.family, (*by.body.components, *by.components))
        if isinstance(by, ex.Power):
            by = self.model.power_symbol(by)
        if not isinstance(by, ex.Symbol):
            raise NotUnderstood("a derivative by an expression is not read")
        if by.name in frame.bound:
            raise NotUnderstood("a derivative by an argument of a function is not read")
        if isinstance(of, ex.Symbol) and of == by and not by.components:
            raise NotUnderstood("a derivative of a symbol by itself is not read")
        if isinstance(of, ex.Symbol) and of.name in self.model.table.functions:
            of = ex.Call(ex.Symbol(of.name, of.family), 0, (by,))
        whole = self.whole(ex.Symbol(by.name, by.family), frame)
        member = self.member(by, frame)
        name = by.name
        if not by.family:
            name, member = self.model.last_member(name, frame.row)
        key = (name, member)
        try:
            result, base = self._differentiate(of, key, whole, frame)
        except NotUnderstood as error:
            last = (by.name, (self.model.depth,))
            family = by.name in self.model.table.layered | self.model.table.counted
            if by.family or not family or "depend" not in str(error) or key == last:
                raise
            whole = self.whole(ex.Symbol(by.name, (ex.Index(None, self.model.depth),)), frame)
            result, base = self._differentiate(of, last, whole, frame)
        if flipped:
            if isinstance(result, Jacobian):
                raise NotUnderstood("a Jacobian by a transpose is not read")
            result = self._transposed(result)
        if not by.components:
            return result
        if isinstance(result, Jacobian):
            raise NotUnderstood("a derivative of an array by a component is not read")
        del base
        return self._pick(result, by.components, frame)

    def _differentiate(
        self, of: ex.Expression, key: tuple[str, tuple[int, ...]], by: Value, frame: Frame
    ) -> tuple[Result, Value]:
        def run(data: Any) -> tuple[Value, bool, dict[str, Dim]]:
            replaced = Value(by.axes, by.rows, by.cols, data)
            inner = Interpreter(
                self.model, self.numeric, {**self.overrides, key: replaced}, base=self.base or self
            )
            inner.active = list(self.active)
            inner.leaf_overrides = set(self.leaf_overrides)
            if self.model.definition(*key, frame.row) is None:
                inner.leaf_overrides.add(key)
            own = Frame(frame.row, dict(frame.family), dict(frame.letters), frame.bound, frame.free)
            value = inner.value(of, own)
            self.touched |= inner.touched - {key}
            return value, key in inner.touched, own.letters

        if not self.numeric:
            value, reached, letters = run(None)
            data = None
        else:
            import jax

            box: list[Any] = []

            def forward(data: Any) -> Any:
                value, reached, letters = run(data)
                box.append((value, reached, letters))
                return value.data

            out, pullback = jax.vjp(forward, by.data)
            value, reached, letters = box[-1]
            value = Value(value.axes, value.rows, value.cols, out)
            data = pullback
        for letter, dim in letters.items():
            self._run(letter, dim, frame)
        if not reached:
            raise NotUnderstood(
                f"nothing that was read makes {ex_text(of)} depend on {_shown(key)}"
            )
        if by.is_number and not value.is_number:
            return self._by_number(value, data), value
        if value.is_number:
            return self._gradient(value, by, data), value
        return self._jacobian(value, by, data), value

    def _gradient(self, value: Value, by: Value, pullback: Any) -> Value:
        """The derivative of numbers (one for each index) by an array: the array's shape."""

        def compute() -> Any:
            import jax

            if not value.axes:
                return pullback(self.xp.ones((1, 1)))[0]
            count = 1
            for size in value.data.shape:
                count *= size
            basis = self.xp.eye(count).reshape(count, *value.data.shape)
            rows = jax.vmap(lambda seed: pullback(seed)[0])(basis)
            return rows.reshape(*value.data.shape[:-2], *by.data.shape[-2:])

        return self.make(value.axes, by.rows, by.cols, compute)

    def _by_number(self, value: Value, pullback: Any) -> Value:
        def compute() -> Any:
            import jax

            count = 1
            for size in value.data.shape:
                count *= size
            basis = self.xp.eye(count).reshape(count, *value.data.shape)
            return jax.vmap(lambda seed: pullback(seed)[0].reshape(()))(basis).reshape(
                value.data.shape
            )

        return self.make(value.axes, value.rows, value.cols, compute)

    def _jacobian(self, value: Value, by: Value, pullback: Any) -> Jacobian:
        if value.axes:
            raise NotUnderstood("components of a Jacobian of arrays are not read")

        def pull(cotangent: Value) -> Value:
            return self.make(
                cotangent.axes, by.rows, by.cols, lambda: self._pulled(pullback, cotangent, by)
            )

        matrix = None
        vectors = (value.is_column or value.is_row) and (by.is_column or by.is_row)
        if vectors:
            n = value.rows if value.is_column else value.cols
            m = by.rows if by.is_column else by.cols

            def whole() -> Value:
                def compute() -> Any:
                    import jax

                    basis = self.xp.eye(n.value).reshape(n.value, *value.data.shape)
                    found = jax.vmap(lambda seed: pullback(seed)[0])(basis)
                    return found.reshape(n.value, m.value)

                return self.make((), n, m, compute)

            matrix = whole
        return Jacobian(value, by, pull, matrix)

    def _pulled(self, pullback: Any, cotangent: Value, by: Value) -> Any:
        if not cotangent.axes:
            return pullback(cotangent.data)[0]
        import jax

        shape = cotangent.data.shape
        flat = cotangent.data.reshape(-1, *shape[-2:])
        rows = jax.vmap(lambda seed: pullback(seed)[0])(flat)
        return rows.reshape(*shape[:-2], *by.data.shape[-2:])

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


def _derived(function: Callable[[Any], Any], primes: int) -> Callable[[Any], Any]:
    """Return the derivative of an elementwise function, `primes` times."""
    for _ in range(primes):
        function = _once(function)
    return function


def _once(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def derivative(x: Any) -> Any:
        import jax
        import jax.numpy as jnp

        return jax.jvp(function, (x,), (jnp.ones_like(x),))[1]

    return derivative


def _diagonal(xp: Any, data: Any, names: list[int], out: list[int]) -> Any:
    """Return the entries where axes of one name have one index."""
    while len(set(names)) < len(names):
        first = next(k for k, name in enumerate(names) if name in names[k + 1 :])
        second = names.index(names[first], first + 1)
        data = xp.diagonal(data, axis1=first, axis2=second)
        name = names[first]
        names = [n for k, n in enumerate(names) if k not in (first, second)] + [name]
    return xp.transpose(data, [names.index(name) for name in out])


def _shown(key: tuple[str, tuple[int, ...]]) -> str:
    return f"{key[0]}_{','.join(map(str, key[1]))}" if key[1] else key[0]


def ex_text(expression: ex.Expression) -> str:
    """Return a short name of an expression for a sentence."""
    return str(expression) if isinstance(expression, ex.Symbol) else "this expression"
