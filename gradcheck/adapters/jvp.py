"""`gradcheck.jvp`: a forward, and a derivative that takes the inputs and their tangents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.adapters.declaration import Linearise, declare
from gradcheck.complex_parts import on_parts
from gradcheck.errors import RuleError
from gradcheck.rules import Pullback, Rule

__all__ = ["jvp"]

MOST_ENTRIES = 4096
"""Entries of the inputs up to which a JVP is transposed: each costs one run of it."""

LINEARITY_ROUNDING = 2**20
"""Roundings by which a JVP along a mixed tangent may differ from the sum of its parts, relative to the
sum of their magnitudes: far above the rounding of a few thousand terms, far below any wrong term."""


def jvp(
    forward: Callable[..., Any],
    jvp: Callable[[tuple[Any, ...], tuple[Any, ...]], Any],
    /,
    **keywords: Any,
) -> Rule:
    """Make a rule of `forward(*inputs) -> out` and `jvp(inputs, tangents) -> output tangent`.

    A JVP is linear in the tangents, and the gradient for a cotangent u has the entries <u, jvp(e_i)> over
    the basis tangents e_i: it is transposed by as many runs as the inputs have entries. Each basis
    tangent gets a sign and a size, and one tangent mixes them all, so that a JVP that is not linear
    is found out.

    Args:
        forward: returns the output, an array or a tuple of arrays.
        jvp: takes the tuple of inputs and the tuple of their tangents, each of the shape of its
            input (None for an input that is not of real numbers); returns the tangent of the output
            alone, of the output's shape.
        **keywords: the dimensions or the domain of each input by its name, and the options of
            `gradcheck.pair`.

    Raises:
        ContractError: a keyword is unknown or contradicts another.

    >>> import numpy as np
    >>> from gradcheck import jvp, verify
    >>> sine = jvp(np.sin, lambda inputs, tangents: tangents[0] * np.cos(inputs[0]), x="N")
    >>> verify(sine, examples=20, seed=1).verdict
    'pass'
    """

    def transposed(forward: Callable[..., Any], jvp: Callable[..., Any]) -> Linearise:
        def linearise(inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
            output = forward(*inputs)
            return output, lambda cotangent: _transposed(jvp, inputs, output, cotangent)

        return linearise

    rule = declare(
        "jvp",
        {"forward": forward, "jvp": jvp},
        keywords,
        linearise=transposed(forward, jvp),
        primal=lambda inputs: forward(*inputs),
    )
    assert rule.parts is not None  # see OWN_CONVENTION
    on_real = transposed(on_parts(forward), on_parts(jvp))
    return replace(rule, pushforward=jvp, parts=replace(rule.parts, linearise=on_real))


def _transposed(
    jvp: Callable[..., Any], inputs: tuple[Any, ...], output: Any, cotangent: Any
) -> tuple[Any, ...]:
    """Return the gradient of every input for this cotangent, None for one without real numbers."""
    variables = trees.variables(inputs)
    sizes = [int(np.prod(value.shape)) for value in variables]
    if sum(sizes) > MOST_ENTRIES:
        raise RuleError(
            f"the inputs have {sum(sizes)} entries, and gradcheck.jvp runs the JVP once for each; "
            f"declare sizes with at most {MOST_ENTRIES}"
        )
    rng = np.random.default_rng(0)
    weights = [np.ones(size) for size in sizes]
    for weight in weights:
        weight *= rng.uniform(0.5, 2.0, weight.size) * rng.choice([-1.0, 1.0], weight.size)
    weights = [weight.astype(value.dtype) for weight, value in zip(weights, variables, strict=True)]

    def along(tangents: list[Any]) -> Any:
        return _contraction(jvp(inputs, _tangents(inputs, tangents)), output, cotangent)

    products: list[list[Any]] = []
    zeros = [np.zeros(value.shape, value.dtype) for value in variables]
    for place, (value, weight) in enumerate(zip(variables, weights, strict=True)):
        own = []
        for entry, size in enumerate(weight):
            basis = np.zeros(weight.size, value.dtype)
            basis[entry] = size
            tangents = [*zeros[:place], basis.reshape(value.shape), *zeros[place + 1 :]]
            own.append(along(tangents))
        products.append(own)
    if all(type(value) is np.ndarray for value in variables):
        mixed = [
            weight.reshape(value.shape).astype(value.dtype)
            for value, weight in zip(variables, weights, strict=True)
        ]
        _require_linear(along(mixed), [product for own in products for product in own], output)
    found = iter(
        _gradient(own, weight, value)
        for own, weight, value in zip(products, weights, variables, strict=True)
    )
    return tuple(
        trees.map_leaves(lambda leaf: next(found) if trees.is_variable(leaf) else None, value)
        if trees.has_variables(value)
        else None
        for value in inputs
    )


def _tangents(inputs: tuple[Any, ...], tangents: list[Any]) -> tuple[Any, ...]:
    following = iter(tangents)
    return tuple(
        trees.map_leaves(lambda leaf: next(following) if trees.is_variable(leaf) else None, value)
        for value in inputs
    )


def _contraction(tangent: Any, output: Any, cotangent: Any) -> Any:
    """Return <cotangent, tangent>, and require the tangent to have the shapes of the output."""
    ours, theirs = trees.leaves(output), trees.leaves(tangent)
    if [path for path, _ in ours] != [path for path, _ in theirs] or any(
        np.shape(value) != np.shape(other)
        for (_, value), (_, other) in zip(ours, theirs, strict=True)
    ):
        raise RuleError(
            f"the JVP returned {trees.describe(tangent)} for an output of {trees.describe(output)}; it "
            "returns the tangent of the output alone, of the same shape"
        )
    total: Any = 0.0
    for (_, part), (_, weight) in zip(theirs, trees.leaves(cotangent), strict=True):
        total = total + np.sum(weight * part)
    return total


def _gradient(products: list[Any], weight: Any, value: Any) -> Any:
    if not products:
        return np.zeros(value.shape)
    return np.stack(
        [product / size for product, size in zip(products, weight, strict=True)]
    ).reshape(value.shape)


def _require_linear(mixed: Any, products: list[Any], output: Any) -> None:
    """Raise where the JVP along the sum of all tangents is not the sum of those along each."""
    dtypes = [np.asarray(value).dtype for _, value in trees.leaves(output)]
    unit = max((np.finfo(dtype).eps for dtype in dtypes if dtype.kind in "fc"), default=0.0)
    size = abs(mixed) + sum(abs(product) for product in products)
    if abs(mixed - sum(products)) > LINEARITY_ROUNDING * unit * size:
        raise RuleError(
            f"the JVP is not linear in the tangents: along the sum of {len(products)} tangents it gives "
            f"{float(np.real(mixed)):.6g}, and {float(np.real(sum(products))):.6g} added up along each"
        )
