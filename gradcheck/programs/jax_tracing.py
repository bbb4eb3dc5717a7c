"""Code written for JAX arrays, traced by JAX itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck import trees
from gradcheck.errors import Abstention
from gradcheck.programs.compat import enable_x64

__all__ = ["architecture_of", "trace_with_jax", "variables_of"]


def variables_of(arguments: Any) -> list[NDArray[Any]]:
    """List the floating arrays among the leaves of a tree: the inputs of its program."""
    return [np.asarray(value) for value in trees.variables(arguments)]


def architecture_of(arguments: Any) -> Any:
    """Return what two arguments share exactly if one program serves both: shapes, and all constants."""
    return tuple(
        (path, value.shape, value.dtype) if trees.is_variable(value) else (path, _exactly(value))
        for path, value in trees.leaves(arguments)
    )


def _exactly(value: Any) -> Any:
    """Return what tells a constant from others; the repr of a long array leaves entries out."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biu":
        return value.shape, str(value.dtype), value.tobytes()
    return repr(value)


def trace_with_jax(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, Any]:
    """Trace `function(*arguments)` by passing JAX tracers through it.

    Args:
        function: takes trees of arrays, returns a tree of arrays, and runs on JAX arrays.
        arguments: the point; its floating arrays become the program's inputs, in leaf order, and
            everything else is a constant.

    Returns:
        The ClosedJaxpr of the program from floating leaves to output leaves, in float64 where the
        arguments are, and JAX's tree structure of the output.

    Raises:
        Abstention: the function does not run on JAX arrays; the reason quotes what it raised.
    """
    import jax

    def flat(*values: Any) -> Any:
        return function(*trees.with_variables(arguments, values))

    with enable_x64():
        try:
            program, output = jax.make_jaxpr(flat, return_shape=True)(*variables_of(arguments))
        except Exception as error:
            raise Abstention(
                f"the code does not run on JAX arrays ({_first_line(error)})"
            ) from error
    return program, jax.tree_util.tree_structure(output)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
