"""`gradcheck.gradient`: a scalar function and its gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gradcheck import trees
from gradcheck.adapters.declaration import declare
from gradcheck.adapters.second_order import rule_of_products
from gradcheck.errors import RuleError
from gradcheck.rules import Pullback, Rule

__all__ = ["gradient"]


def gradient(
    f: Callable[..., Any],
    grad: Callable[..., Any],
    /,
    *,
    hvp: Callable[..., Any] | None = None,
    **keywords: Any,
) -> Rule:
    """Make a rule of a scalar `f(*inputs)` and its gradient `grad(*inputs) -> gradients`.

    Args:
        f: returns one real number (a float, or an array of one entry).
        grad: returns one gradient per input in the order of `f` (None: no claim), or a dict by
            input name; the gradient of a list of arrays is a list of arrays. A single array among
            several inputs is the gradient of the first, as in `jax.grad`.
        hvp: the product of the Hessian with a direction, `hvp(*inputs, *directions)`: after the inputs
            one direction of the shape of each gradient that `grad` claims, so `hvp(x, v)` for one
            input. It returns one product per direction, in any form that `grad` may have; the check
            `second_order` compares them with the derivative of `grad`.
        **keywords: the dimensions or the domain of each input by its name, and the options of
            `gradcheck.pair`.

    Raises:
        ContractError: a keyword is unknown or contradicts another, or `hvp` takes no directions.

    >>> import numpy as np
    >>> from gradcheck import gradient, verify
    >>> energy = gradient(
    ...     lambda x: np.sum(x**3), lambda x: 3 * x**2, hvp=lambda x, v: 3 * x * v, x="N"
    ... )
    >>> verify(energy, examples=20, seed=1).findings[0].diagnosis
    'claimed = true × 0.5: a factor is wrong'
    """

    def primal(inputs: tuple[Any, ...]) -> Any:
        return _scalar(f, inputs)

    def linearise(inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
        return primal(inputs), lambda _: _first_alone(grad(*inputs), inputs)

    rule = declare(
        "gradient",
        {"f": f, "grad": grad},
        keywords,
        linearise=linearise,
        primal=primal,
        run=_scalar,
        scalar=True,
    )
    return rule if hvp is None else replace(rule, second_order=rule_of_products(rule, grad, hvp))


def _first_alone(raw: Any, inputs: tuple[Any, ...]) -> Any:
    """Return one gradient per input; a single array is that of the first."""
    if len(inputs) > 1 and trees.is_variable(raw):
        return (raw, *[None] * (len(inputs) - 1))
    return raw


def _scalar(f: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
    value = f(*inputs)
    if getattr(value, "size", 1) != 1 or len(trees.leaves(value)) != 1:
        raise RuleError(
            f"{getattr(f, '__name__', 'f')} returned {trees.describe(value)}; gradcheck.gradient expects a "
            "scalar function: use gradcheck.vjp for an output of several entries"
        )
    return value
