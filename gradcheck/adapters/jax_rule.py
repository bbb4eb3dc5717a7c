"""`gradcheck.jax_rule`: a function with a custom derivative rule of JAX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.adapters.declaration import declare
from gradcheck.complex_parts import on_parts
from gradcheck.errors import Abstention
from gradcheck.rules import Pullback, Rule

__all__ = ["jax_rule"]


def jax_rule(f: Callable[..., Any], /, **keywords: Any) -> Rule:
    """Make a rule of a `jax.custom_vjp` or `jax.custom_jvp` function, or of one that uses such.

    The claimed derivative is what `jax.vjp` gives, custom rules and all. The true one is that of the
    primal, in which every custom rule that is not JAX's own is inlined, nested ones too.

    Args:
        f: takes and returns arrays or trees of arrays; arguments that are not arrays of real
            numbers, such as those of `nondiff_argnums`, are passed as they are.
        **keywords: the dimensions or the domain of each input by its name, and the options of
            `gradcheck.pair`.

    The function is traced by JAX in 64 bits and evaluated by NumPy: XLA would compile it anew for each
    of the shapes that the search draws. JAX's global settings are left alone.

    Raises:
        ContractError: a keyword is unknown or contradicts another.

    >>> import jax
    >>> from gradcheck import jax_rule, verify
    >>> @jax.custom_vjp
    ... def square(x):
    ...     return x**2
    >>> square.defvjp(lambda x: (x**2, x), lambda x, g: (g * x,))
    >>> verify(jax_rule(square, x="N"), examples=20, seed=1).findings[0].diagnosis
    'claimed = true × 0.5: a factor is wrong'
    """

    def primal(inputs: tuple[Any, ...]) -> Any:
        return _evaluate(f, inputs)

    def linearise(inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
        return _evaluate_with_pullback(f, inputs)

    rule = declare(
        "jax_rule", {"f": f}, keywords, linearise=linearise, primal=primal, run=_evaluate
    )
    assert rule.parts is not None  # JAX has a convention
    functions = tuple(map(on_parts, rule.functions))
    return replace(
        rule,
        pushforward=lambda *point: _pushforward(f, *point),
        parts=replace(rule.parts, functions=functions),
    )


def _evaluate(f: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
    import jax

    from gradcheck.programs.evaluation import evaluate
    from gradcheck.programs.jax_tracing import trace_with_jax, variables_of

    program, output = trace_with_jax(f, inputs)
    return jax.tree_util.tree_unflatten(output, evaluate(program, variables_of(inputs)))


def _evaluate_with_pullback(f: Callable[..., Any], inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
    import jax

    from gradcheck.programs.differentiation import pullback_of
    from gradcheck.programs.evaluation import evaluate
    from gradcheck.programs.jax_tracing import trace_with_jax, variables_of

    program, output = trace_with_jax(f, inputs)
    variables = variables_of(inputs)

    def pullback(cotangent: Any) -> Any:
        cotangents = [np.asarray(value) for _, value in trees.leaves(cotangent)]
        found = iter(evaluate(pullback_of(program), [*variables, *cotangents]))
        return tuple(
            trees.map_leaves(lambda leaf: next(found) if trees.is_variable(leaf) else None, value)
            for value in inputs
        )

    return jax.tree_util.tree_unflatten(output, evaluate(program, variables)), pullback


def _pushforward(f: Callable[..., Any], inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
    """Return the tangent of the output by `jax.jvp`, evaluated by NumPy.

    Raises:
        Abstention: JAX has no JVP of the function, as for a `jax.custom_vjp`.
    """
    import jax

    from gradcheck.programs.evaluation import evaluate
    from gradcheck.programs.jax_tracing import trace_with_jax, variables_of

    def tangent(inputs: Any, tangents: Any) -> Any:
        def flat(*values: Any) -> Any:
            following = iter(values)
            return f(
                *trees.map_leaves(
                    lambda leaf: next(following) if trees.is_variable(leaf) else leaf, inputs
                )
            )

        primals, directions = (
            [leaf for _, leaf in trees.leaves(tree) if trees.is_variable(leaf)]
            for tree in (inputs, tangents)
        )
        return jax.jvp(flat, primals, directions)[1]

    program, output = trace_with_jax(tangent, (inputs, tangents))
    if any(equation.primitive.name == "custom_lin" for equation in program.jaxpr.eqns):
        raise Abstention("JAX has no forward-mode derivative of a custom_vjp")
    return jax.tree_util.tree_unflatten(output, evaluate(program, variables_of((inputs, tangents))))
