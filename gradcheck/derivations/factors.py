"""The derivative of an array by an array, as authors write it: the factor that the chain rule multiplies by.

`dz/dW = x^T`, `da/dz = f'(z)` and `dz/db = 1` are no Jacobians, which would have four indices. They say
what an upstream gradient is multiplied by, on the side and by the product that its sizes ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from gradcheck.derivations.core import IllShaped
from gradcheck.derivations.dims import ONE, DimensionMismatch
from gradcheck.derivations.interpreter import Interpreter
from gradcheck.derivations.unread import NotUnderstood
from gradcheck.derivations.values import Jacobian, Value

__all__ = ["as_factor", "pulled_alike"]


def pulled_alike(
    left: Jacobian, right: Jacobian, place: str, interpreter: Interpreter
) -> tuple[Value, Value]:
    """Return what two Jacobians make of one upstream gradient.

    Raises:
        NotUnderstood: they are no derivatives of one array by one array.
    """
    same = interpreter.model.dims.compatible
    pairs = ((left.of, right.of), (left.by, right.by))
    if not all(same(a.rows, b.rows) and same(a.cols, b.cols) for a, b in pairs):
        raise NotUnderstood("two derivatives of arrays by arrays are of other arrays")
    seed = interpreter.model.upstream(place, left.of, interpreter)
    return interpreter._pull(left, seed), interpreter._pull(right, seed)


def as_factor(
    jacobian: Jacobian, factor: Value, place: str, interpreter: Interpreter
) -> tuple[Value, Value]:
    """Return what a Jacobian makes of an upstream gradient, and what the factor makes of it.

    Raises:
        NotUnderstood: no product with the factor has the sizes of the result.
    """
    if factor.axes:
        raise NotUnderstood("a derivative of an array by an array is compared with components")
    seed = interpreter.model.upstream(place, jacobian.of, interpreter)
    pulled = interpreter._pull(jacobian, seed)
    dims = interpreter.model.dims
    for product in _products(seed, factor, interpreter):
        try:
            with dims.attempt():
                found = product()
                interpreter.unify(found.rows, pulled.rows)
                interpreter.unify(found.cols, pulled.cols)
        except (IllShaped, DimensionMismatch):
            continue
        return pulled, found
    raise NotUnderstood("no product with this factor has the sizes of the derivative")


def _products(
    seed: Value, factor: Value, interpreter: Interpreter
) -> Iterator[Callable[[], Value]]:
    """Yield the products of an upstream gradient with a factor, the likeliest first."""
    turned = interpreter._transposed(factor)
    assert isinstance(turned, Value)
    same = interpreter.model.dims.same
    alike = same(seed.rows, factor.rows) and same(seed.cols, factor.cols)
    if factor.is_number:
        yield lambda: interpreter._multiply("", factor, seed)
        for axis, (rows, cols) in ((-1, (seed.rows, ONE)), (-2, (ONE, seed.cols))):
            summed = interpreter.make(
                (),
                rows,
                cols,
                lambda axis=axis: interpreter.xp.sum(seed.data, axis=axis, keepdims=True),  # type: ignore[misc]
            )
            yield partial(interpreter._multiply, "", factor, summed)
        return
    if alike:
        yield lambda: interpreter._multiply("odot", seed, factor)
    for one in (turned, factor):
        yield partial(interpreter._matmul, seed, one)
        yield partial(interpreter._matmul, one, seed)
