"""Derivatives: JAX differentiates, whatever the document defines in between."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.calls import Calls
from gradcheck.derivations.core import Frame, Result
from gradcheck.derivations.dims import Dim
from gradcheck.derivations.unread import NotUnderstood
from gradcheck.derivations.values import Jacobian, Value

__all__ = ["Differentiation"]


class Differentiation(Calls):
    """Evaluate derivatives: gradients, component derivatives, formal Jacobians."""

    def _derivative(self, of: ex.Expression, by: ex.Expression, frame: Frame) -> Result:
        flipped = False
        while isinstance(by, ex.Transposed):
            by, flipped = by.body, not flipped
        if isinstance(by, ex.Picked) and isinstance(by.body, ex.Symbol):
            by = ex.Symbol(by.body.name, by.body.family, (*by.body.components, *by.components))
        if isinstance(by, ex.Power) and by.exponent == ex.Number(Fraction(2)):
            return self._by_square(of, by.base, frame)
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
            result = self._known_derivative(of, key, whole, frame)
        except NotUnderstood as error:
            last = (by.name, (self.model.depth,))
            family = by.name in self.model.table.layered | self.model.table.counted
            if by.family or not family or "depend" not in str(error) or key == last:
                raise
            whole = self.whole(ex.Symbol(by.name, (ex.Index(None, self.model.depth),)), frame)
            result = self._known_derivative(of, last, whole, frame)
        if flipped:
            if isinstance(result, Jacobian):
                raise NotUnderstood("a Jacobian by a transpose is not read")
            result = self._transposed(result)
        if not by.components:
            return result
        if isinstance(result, Jacobian):
            raise NotUnderstood("a derivative of an array by a component is not read")
        return self._picked(by, result, frame)

    def _of_each_example(self, gradient: Result) -> Result:
        """The gradient of a cost, as one of each example's own loss if its array is over examples."""
        size = self.model.examples
        if size is None or isinstance(gradient, Jacobian):
            return gradient
        if size.root() not in (gradient.rows.root(), gradient.cols.root()):
            return gradient
        return self._multiply("", self.size_number(size), gradient)

    def _by_square(self, of: ex.Expression, root: ex.Expression, frame: Frame) -> Value:
        """The derivative by `sigma^2`, of which sigma is the positive root: that by sigma over 2 sigma."""
        inner = self._derivative(of, root, frame)
        below = self.value(root, frame)
        if isinstance(inner, Jacobian) or not below.is_number:
            raise NotUnderstood("a derivative by the square of an array is not read")
        axes, (x, y) = self.align([inner, below])
        return self.make(axes, inner.rows, inner.cols, lambda: x / (2 * y))

    def _known_derivative(
        self, of: ex.Expression, key: tuple[str, tuple[int, ...]], by: Value, frame: Frame
    ) -> Result:
        """Differentiate; what was differentiated before, at a row where all means the same, is kept."""
        if self.overrides or not isinstance(of, ex.Symbol) or of.components:
            return self._differentiate(of, key, by, frame)
        known = (of, self.member(of, frame), key, self.model.epoch(frame.row))
        if known not in self.memo:
            outer, self.touched = self.touched, set()
            try:
                result = self._differentiate(of, key, by, frame)
                self.memo[known] = (result, self.touched)
            finally:
                self.touched |= outer
        kept: Result = self.memo[known][0]
        self.touched |= self.memo[known][1]
        return kept

    def _differentiate(
        self, of: ex.Expression, key: tuple[str, tuple[int, ...]], by: Value, frame: Frame
    ) -> Result:
        def run(data: Any) -> tuple[Value, bool, dict[str, Dim]]:
            replaced = Value(by.axes, by.rows, by.cols, data)
            inner = type(self)(
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
                f"nothing that was read makes {_spelled(of)} depend on {_shown(key)}"
            )
        if by.is_number and not value.is_number:
            return self._by_number(value, data)
        if value.is_number:
            gradient = self._gradient(value, by, data)
            flipped = self.model.numerator_layout and (by.is_column or by.is_row)
            turned = self._transposed(gradient) if flipped else gradient
            assert isinstance(turned, Value)
            return turned
        return self._jacobian(value, by, data)

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


def _shown(key: tuple[str, tuple[int, ...]]) -> str:
    return f"{key[0]}_{','.join(map(str, key[1]))}" if key[1] else key[0]


def _spelled(expression: ex.Expression) -> str:
    """Return a short name of an expression for a sentence."""
    return str(expression) if isinstance(expression, ex.Symbol) else "this expression"
