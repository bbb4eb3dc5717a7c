"""Custom derivative rules inlined to their primals, so that autodiff does not believe them.

A rule under test must not vouch for itself, nor a wrong rule inside it for the one around it: every
`jax.custom_vjp` and `jax.custom_jvp` that is not JAX's own is replaced by its primal, at any depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradcheck.programs.compat import (
    CUSTOM_CALLS,
    PLAIN_CALLS,
    bind,
    defined_in_jax,
    enable_x64,
    is_literal,
    literal_value,
    open_jaxpr,
)

__all__ = ["inline_custom_rules"]


def inline_custom_rules(program: Any) -> Any:
    """Return the ClosedJaxpr of the same function in which no custom rule of a user is left.

    Args:
        program: a ClosedJaxpr. JAX's own rules, such as that of `jax.nn.relu`, stay.

    >>> import jax
    >>> @jax.custom_jvp
    ... def cube(x):
    ...     return x**3
    >>> _ = cube.defjvp(lambda primals, tangents: (cube(*primals), tangents[0]))
    >>> [eqn.primitive.name for eqn in inline_custom_rules(jax.make_jaxpr(cube)(2.0)).jaxpr.eqns]
    ['integer_pow']
    """
    import jax

    if not _has_custom_rule(program):
        return program
    with enable_x64():
        avals = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in program.in_avals]
        return jax.make_jaxpr(lambda *values: _run(program, values))(*avals)


def _has_custom_rule(jaxpr: Any) -> bool:
    return any(
        _is_custom_rule(equation) or any(_has_custom_rule(inner) for inner in _inner(equation))
        for equation in open_jaxpr(jaxpr)[0].eqns
    )


def _is_custom_rule(equation: Any) -> bool:
    return equation.primitive.name in CUSTOM_CALLS and not defined_in_jax(_primal(equation))


def _primal(equation: Any) -> Any:
    parameters = equation.params
    return parameters["call_jaxpr"] if "call_jaxpr" in parameters else parameters["fun_jaxpr"]


def _inner(equation: Any) -> list[Any]:
    """List the jaxprs among an equation's parameters."""
    found = []
    for value in equation.params.values():
        parts = value if isinstance(value, (tuple, list)) else (value,)
        found += [part for part in parts if hasattr(open_jaxpr(part)[0], "eqns")]
    return found


def _run(jaxpr: Any, arguments: Sequence[Any]) -> list[Any]:
    """Apply a jaxpr to tracers, equation by equation, entering custom rules by their primal."""
    opened, constants = open_jaxpr(jaxpr)
    values: dict[Any, Any] = {}
    values.update(zip(opened.constvars, constants, strict=True))
    values.update(zip(opened.invars, arguments, strict=True))

    def read(atom: Any) -> Any:
        return literal_value(atom) if is_literal(atom) else values[atom]

    for equation in opened.eqns:
        operands = [read(atom) for atom in equation.invars]
        values.update(zip(equation.outvars, _apply(equation, operands), strict=True))
    return [read(atom) for atom in opened.outvars]


def _apply(equation: Any, operands: list[Any]) -> list[Any]:
    name, parameters = equation.primitive.name, equation.params
    if _is_custom_rule(equation):
        return _run(_primal(equation), operands)
    if any(_has_custom_rule(inner) for inner in _inner(equation)):
        if name in PLAIN_CALLS:
            (inner,) = _inner(equation)
            return _run(inner, operands)
        parameters = {key: _inlined_parameter(value) for key, value in parameters.items()}
    return bind(equation.primitive, parameters, operands)


def _inlined_parameter(value: Any) -> Any:
    """Inline the rules inside the body of a loop or the branches of a condition."""
    if isinstance(value, (tuple, list)):
        return type(value)(_inlined_parameter(part) for part in value)
    if hasattr(value, "jaxpr") and hasattr(value.jaxpr, "eqns"):
        return inline_custom_rules(value)
    return value
