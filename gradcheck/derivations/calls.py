"""Functions: known by name, defined by the document, generic, or of several arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.core import Frame, IllShaped, Result
from gradcheck.derivations.dims import ONE, DimensionMismatch
from gradcheck.derivations.functions import ELEMENTWISE
from gradcheck.derivations.layouts import Layouts
from gradcheck.derivations.limits import LIMITS
from gradcheck.derivations.unread import NotUnderstood
from gradcheck.derivations.values import Value
from gradcheck.programs.unknown_functions import unknown

__all__ = ["Calls"]


class Calls(Layouts):
    """Evaluate calls."""

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
        if name == "sum" and len(node.arguments) == 2:
            return self._sum_along(self.value(node.arguments[0], frame), node.arguments[1])
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

    def _sum_along(self, x: Value, axis: ex.Expression) -> Value:
        """`sum(x, axis=1)` adds up the columns, and keeps that dimension."""
        if not isinstance(axis, ex.Number) or axis.value not in (0, 1):
            raise NotUnderstood("a sum over this axis is not read")
        over_columns = axis.value == 1
        rows, cols = (x.rows, ONE) if over_columns else (ONE, x.cols)
        place = -1 if over_columns else -2
        return self.make(x.axes, rows, cols, lambda: self.xp.sum(x.data, axis=place, keepdims=True))

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
        if primes > LIMITS.derivative_order:
            raise NotUnderstood(f"a derivative of order {primes} is not read")
        known = ELEMENTWISE.get(self.model.meanings.get(name, name))

        def compute() -> Any:
            if known:
                return _derived(known(self.xp), primes)(x.data)
            spelled = ex.member_name(name, member)
            return _derived(lambda data: unknown(spelled, data, parameters), primes)(x.data)

        parameters = [] if known else self.model.parameters(name, member)
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
        wrong_call = len(names) != len(arguments) or (primes and len(names) != 1)
        if wrong_call or primes > LIMITS.derivative_order:
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
