"""`gradcheck.jax_rule`: a function with a custom derivative rule of JAX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.adapters.declaration import declare
from gradcheck.adapters.second_order import rule_of_backward
from gradcheck.complex_parts import on_parts
from gradcheck.errors import Abstention, RuleError
from gradcheck.rules import Pullback, Rule

__all__ = ["jax_rule"]


def jax_rule(f: Callable[..., Any], /, **keywords: Any) -> Rule:
    """Make a rule of a `jax.custom_vjp` or `jax.custom_jvp` function, or of one that uses such.

    The claimed derivative is what `jax.vjp` gives, custom rules and all. The true one is that of the
    primal, in which every custom rule that is not JAX's own is inlined, nested ones too. The second
    derivative that JAX takes of the claimed one is looked at as well.

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
    own, tangent = _Traced(f), _Traced(_tangent_of(f))
    differentiated = keywords.get("derivative_of") or f
    backward = _Traced(_gradients_of(f))

    def primal(inputs: tuple[Any, ...]) -> Any:
        try:
            return own.evaluate(inputs)
        except Abstention as abstention:
            raise RuleError(
                f"{abstention}; gradcheck.jax_rule takes a function of JAX arrays, written with jax.numpy: "
                "NumPy code is declared by gradcheck.pair or gradcheck.vjp"
            ) from abstention.__cause__

    def linearise(inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
        return primal(inputs), lambda cotangent: own.pulled_back(inputs, cotangent)

    def linearise_backward(inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
        return (
            backward.evaluate(inputs),
            lambda cotangent: backward.pulled_back(inputs, cotangent),
        )

    rule = declare(
        "jax_rule",
        {"f": f},
        keywords,
        linearise=linearise,
        primal=primal,
        run=lambda function, inputs: _Traced(function).evaluate(inputs),
    )
    true = _gradients_of(differentiated, inlined=True)
    assert rule.parts is not None  # JAX has a convention
    functions = tuple(map(on_parts, rule.functions))
    return replace(
        rule,
        parts=replace(rule.parts, functions=functions),
        pushforward=lambda *point: tangent.evaluate(point),
        second_order=rule_of_backward(rule, linearise_backward, (true, backward.function)),
    )


class _Traced:
    """A function of JAX, traced once for all inputs of the same shapes that follow each other."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self._key: Any = None
        self._program: Any = None
        self._output: Any = None
        self._pullback: Any = None

    def evaluate(self, inputs: tuple[Any, ...]) -> Any:
        """Return the output, computed by NumPy."""
        import jax

        from gradcheck.programs.evaluation import evaluate
        from gradcheck.programs.jax_tracing import variables_of

        self._trace(inputs)
        found = evaluate(self._program, variables_of(inputs))
        return jax.tree_util.tree_unflatten(self._output, found)

    def pulled_back(self, inputs: tuple[Any, ...], cotangent: Any) -> tuple[Any, ...]:
        """Return the gradient of each input, computed by NumPy; None for what has none."""
        from gradcheck.programs.differentiation import pullback_of
        from gradcheck.programs.evaluation import evaluate
        from gradcheck.programs.jax_tracing import variables_of

        self._trace(inputs)
        if self._pullback is None:
            self._pullback = pullback_of(self._program)
        cotangents = [np.asarray(value) for _, value in trees.leaves(cotangent)]
        found = iter(evaluate(self._pullback, [*variables_of(inputs), *cotangents]))
        return tuple(
            trees.map_leaves(lambda leaf: next(found) if trees.is_variable(leaf) else None, value)
            for value in inputs
        )

    def _trace(self, inputs: tuple[Any, ...]) -> None:
        from gradcheck.programs.jax_tracing import architecture_of, trace_with_jax

        key = architecture_of(inputs)
        if key != self._key:
            self._key = None
            self._program, self._output = trace_with_jax(self.function, inputs)
            if any(equation.primitive.name == NO_JVP for equation in self._program.jaxpr.eqns):
                raise Abstention("JAX has no forward-mode derivative of a custom_vjp")
            self._key, self._pullback = key, None


NO_JVP = "custom_lin"
"""The primitive that JAX puts where a `jax.custom_vjp` is asked for its JVP; running it raises."""


def _flat(f: Callable[..., Any], inputs: Any) -> tuple[Callable[..., Any], list[Any]]:
    """Return `f` as a function of the arrays of real numbers among its inputs, and those."""

    def flat(*values: Any) -> Any:
        return f(*trees.with_variables(inputs, values))

    return flat, trees.variables(inputs)


def _tangent_of(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function of inputs and tangents to the tangent of the output, by `jax.jvp`."""

    def tangent(inputs: Any, tangents: Any) -> Any:
        import jax

        flat, primals = _flat(f, inputs)
        return jax.jvp(flat, primals, trees.variables(tangents))[1]

    return tangent


def _gradients_of(f: Callable[..., Any], *, inlined: bool = False) -> Callable[..., Any]:
    """Return the function of inputs and a cotangent, last, to the gradients of the real arrays.

    Args:
        f: the function.
        inlined: whether custom rules are left out, so that the gradients are the true ones.
    """

    def gradients(*arguments: Any) -> tuple[Any, ...]:
        import jax
        from jax.extend.core import jaxpr_as_fun

        from gradcheck.programs.inlining import inline_custom_rules

        *inputs, cotangent = arguments
        flat, primals = _flat(f, tuple(inputs))
        if not inlined:
            output, pullback = jax.vjp(flat, *primals)
            return tuple(pullback(_like(output, cotangent)))
        program = inline_custom_rules(jax.make_jaxpr(flat)(*primals))
        _, pullback = jax.vjp(jaxpr_as_fun(program), *primals)
        return tuple(pullback(jax.tree_util.tree_leaves(cotangent)))

    return gradients


def _like(output: Any, cotangent: Any) -> Any:
    """Return the cotangent in the containers of the output."""
    import jax

    leaves, structure = jax.tree_util.tree_flatten(output)
    found = jax.tree_util.tree_leaves(cotangent)
    return jax.tree_util.tree_unflatten(structure, found[: len(leaves)])
