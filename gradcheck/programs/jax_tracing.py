"""Code written for JAX arrays, traced by JAX itself; and the pullback of any program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.errors import Abstention
from gradcheck.programs.compat import enable_x64

__all__ = ["pullback_of", "trace_with_jax"]


def trace_with_jax(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Trace `function(*arguments)` by passing JAX tracers through it.

    Args:
        function: takes trees of arrays, returns a tree of arrays, and runs on JAX arrays.
        arguments: the point; its floating arrays become the program's inputs, in leaf order, and
            everything else is a constant.

    Returns:
        The ClosedJaxpr of the program from floating leaves to output leaves, in float64 where the
        arguments are.

    Raises:
        Abstention: the function does not run on JAX arrays; the reason quotes what it raised.
    """
    import jax

    variables = [
        np.asarray(value) for _, value in trees.leaves(arguments) if trees.is_variable(value)
    ]

    def flat(*values: Any) -> list[Any]:
        following = iter(values)
        passed = trees.map_leaves(
            lambda leaf: next(following) if trees.is_variable(leaf) else leaf, arguments
        )
        return [value for _, value in trees.leaves(function(*passed)) if value is not None]

    with enable_x64():
        try:
            return jax.make_jaxpr(flat)(*variables)
        except Exception as error:
            first_line = str(error).strip().split("\n")[0]
            raise Abstention(
                f"the code does not run on JAX arrays ({type(error).__name__}: {first_line})"
            ) from error


def pullback_of(program: Any, cotangents: Sequence[Any]) -> Any:
    """Differentiate a program by JAX: the ClosedJaxpr of (inputs, cotangents) to gradients.

    Args:
        program: a ClosedJaxpr from floating arrays to arrays.
        cotangents: one array for each output of the program, which sets shapes and dtypes.

    Raises:
        Abstention: JAX cannot differentiate the program; the reason quotes what it raised.
    """
    import jax
    from jax.extend import core

    primals = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in program.in_avals]
    run = core.jaxpr_as_fun(program)

    def gradients(inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        _, pullback = jax.vjp(lambda *values: tuple(run(*values)), *inputs)
        return pullback(tuple(outputs))

    with enable_x64():
        matching = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in program.out_avals]
        if len(matching) != len(cotangents):
            raise Abstention(
                f"the program has {len(matching)} outputs for {len(cotangents)} cotangents"
            )
        try:
            return jax.make_jaxpr(gradients)(primals, matching)
        except Exception as error:
            first_line = str(error).strip().split("\n")[0]
            raise Abstention(
                f"JAX cannot differentiate the forward ({type(error).__name__}: {first_line})"
            ) from error
