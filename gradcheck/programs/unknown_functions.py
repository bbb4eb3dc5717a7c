"""Functions of one variable of which a program knows nothing but that they are smooth.

`unknown(name, x, parameters)` traces to one primitive, whose derivative is the same primitive one
order up. In the finite field each order of each name is an unknown of its own, so that what is proven
there holds for every function. Everywhere else the function is a sample of all: a x + b tanh(c x + d),
of which neither the value at a point nor the derivative there says anything of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from gradcheck.programs.operations import Operation

__all__ = ["UNKNOWN", "sample", "unknown"]

UNKNOWN = "unknown_function"
"""The name of the primitive; its parameters are the function's name and the order of derivative."""


def unknown(name: str, x: Any, parameters: Sequence[Any]) -> Any:
    """Return f(x), entry by entry, of the unknown function f called `name`.

    Args:
        name: tells one function from another.
        x: an array, traced by JAX.
        parameters: a, b, c and d of the sample: arrays that spread over `x`, never differentiated by.

    >>> import jax
    >>> def squared(x): return unknown("f", x, (1.0, 2.0, 1.0, 0.0)) ** 2
    >>> [str(e.primitive) for e in jax.make_jaxpr(jax.grad(squared))(0.5).eqns][:2]
    ['unknown_function', 'unknown_function']
    """
    return _primitive().bind(x, *parameters, name=name, order=0)


@cache
def _primitive() -> Any:
    import jax.numpy as jnp
    from jax.extend.core import Primitive
    from jax.interpreters import ad, batching

    primitive = Primitive(UNKNOWN)
    primitive.def_abstract_eval(lambda x, *_, **__: x)

    def slope(tangent: Any, *operands: Any, name: str, order: int) -> Any:
        return tangent * primitive.bind(*operands, name=name, order=order + 1)

    def batch(arguments: Sequence[Any], axes: Sequence[Any], **kind: Any) -> Any:
        x, *parameters = arguments
        return primitive.bind(jnp.moveaxis(x, axes[0], 0), *parameters, **kind), 0

    ad.defjvp(primitive, slope, None, None, None, None)
    batching.primitive_batchers[primitive] = batch
    return primitive


def sample(operation: Operation, arithmetic: Any) -> Callable[..., Any]:
    """Return the sample function's derivative of the operation's order, in an arithmetic."""
    order = operation.parameters["order"]
    slopes = _slopes(order)
    add, multiply = arithmetic.elementwise["add"], arithmetic.elementwise["mul"]
    tanh, constant = arithmetic.elementwise["tanh"], arithmetic.constant

    def function(x: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
        t = tanh(add(multiply(c, x), d))
        bent = constant(slopes[-1])
        for coefficient in slopes[-2::-1]:
            bent = add(multiply(bent, t), constant(coefficient))
        for factor in (b, *[c] * order):
            bent = multiply(factor, bent)
        if order > 1:
            return bent
        return add(multiply(a, x) if order == 0 else a, bent)

    return function


def _slopes(order: int) -> list[Any]:
    """Return the coefficients, lowest first, of a derivative of tanh as a polynomial in tanh."""
    slopes = np.array([0.0, 1.0])
    for _ in range(order):
        slopes = np.polynomial.polynomial.polymul(
            np.polynomial.polynomial.polyder(slopes), (1.0, 0.0, -1.0)
        )
    return [np.array(coefficient) for coefficient in slopes]
