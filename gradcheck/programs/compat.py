"""All that depends on the version of JAX, in one place.

The project reaches JAX's intermediate representation through `jax.extend` where it offers it; the
rest of the differences between the supported versions ends here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache, lru_cache
from typing import Any

__all__ = [
    "CUSTOM_CALLS",
    "PLAIN_CALLS",
    "array_type",
    "bind",
    "defined_in_jax",
    "enable_x64",
    "fresh_variable",
    "is_array_type",
    "is_literal",
    "literal_value",
    "nested_jaxpr",
    "open_jaxpr",
    "run_by_xla",
    "source_line",
    "with_outputs",
]

PLAIN_CALLS = frozenset(
    {"checkpoint", "closed_call", "core_call", "jit", "pjit", "remat", "remat2"}
)
"""Primitives that do no more than call their jaxpr."""

CUSTOM_CALLS = frozenset({"custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"})
"""Primitives that call their jaxpr and have a derivative rule of its author's."""

NESTED_JAXPR_PARAMETERS = ("jaxpr", "call_jaxpr", "fun_jaxpr")
"""The parameters under which call-like primitives keep the jaxpr that they call."""

LOCATION = re.compile(r"[^():]+:\d+")
"""A source line as `path:line`, inside a name stack or before a column."""


def enable_x64(enabled: bool = True) -> AbstractContextManager[Any]:
    """Return a context in which JAX traces in 64 bits, without touching the global setting."""
    import jax

    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(enabled)  # type: ignore[no-any-return]
    from jax.experimental import enable_x64 as experimental

    return experimental(enabled)  # type: ignore[no-any-return]


def defined_in_jax(jaxpr: Any) -> bool:
    """Say whether the function that a jaxpr was traced from is one of JAX's own."""
    from pathlib import Path

    import jax

    opened, _ = open_jaxpr(jaxpr)
    debug_info = getattr(opened, "debug_info", None)
    source = str(getattr(debug_info, "func_src_info", None) or "")
    return str(Path(jax.__file__).parent) in source


def is_literal(atom: Any) -> bool:
    """Say whether an equation's input is a literal, not a variable."""
    return hasattr(atom, "val")


def literal_value(literal: Any) -> Any:
    """Return the number of a literal in the dtype that its type has: some versions keep Python's."""
    import numpy as np

    return np.asarray(literal.val, getattr(literal.aval, "dtype", None))


def is_array_type(aval: Any) -> bool:
    """Say whether a type is that of an array that NumPy can hold (no random key, no token)."""
    import numpy as np

    dtype = getattr(aval, "dtype", None)
    return isinstance(dtype, np.dtype)


def open_jaxpr(jaxpr: Any) -> tuple[Any, tuple[Any, ...]]:
    """Split a jaxpr, closed or open, into its open jaxpr and its constants."""
    if hasattr(jaxpr, "jaxpr"):
        return jaxpr.jaxpr, tuple(jaxpr.consts)
    return jaxpr, ()


def nested_jaxpr(parameters: dict[str, Any]) -> Any:
    """Return the one jaxpr that a call-like equation calls, closed or open, or None."""
    for key in NESTED_JAXPR_PARAMETERS:
        if key in parameters:
            return parameters[key]
    return None


def bind(primitive: Any, parameters: dict[str, Any], arguments: Sequence[Any]) -> list[Any]:
    """Apply one primitive, to arrays or tracers, and return its results as a list."""
    bound = primitive.get_bind_params(parameters)
    # Some versions return sub-functions beside the parameters, others the parameters alone.
    functions, keywords = bound if isinstance(bound, tuple) else ((), bound)
    results = primitive.bind(*functions, *arguments, **keywords)
    return list(results) if primitive.multiple_results else [results]


def run_by_xla(primitive: Any, parameters: dict[str, Any], arguments: tuple[Any, ...]) -> list[Any]:
    """Apply one primitive eagerly by XLA and return its results as a list."""
    with enable_x64():
        return bind(primitive, parameters, arguments)


@lru_cache(maxsize=4096)
def array_type(shape: tuple[int, ...], dtype: Any) -> Any:
    """Return the type of arrays of this shape and dtype."""
    from jax.core import ShapedArray

    return ShapedArray(shape, dtype)


def fresh_variable(aval: Any) -> Any:
    """Return a new variable of a jaxpr."""
    from jax.extend.core import Var

    return Var(aval) if _names_no_variables() else Var("", aval)


@cache
def _names_no_variables() -> bool:
    """Say whether this version's variables are made from their type alone; older ones have a suffix."""
    from inspect import signature

    from jax.extend.core import Var

    return next(iter(signature(Var).parameters)) == "aval"


def with_outputs(closed_jaxpr: Any, keep: Sequence[bool]) -> Any:
    """Return the program of some outputs alone, without what only the others need."""
    from jax.extend.core import ClosedJaxpr
    from jax.interpreters.partial_eval import dce_jaxpr

    opened, _ = dce_jaxpr(closed_jaxpr.jaxpr, list(keep), instantiate=True)
    return ClosedJaxpr(opened, closed_jaxpr.consts)


def source_line(source_info: Any) -> str | None:
    """Return the user's source line of an equation as `path:line`, or None if JAX kept none.

    A tracer of other code than JAX's names the line itself by `jax.named_scope("path:line")`; the
    innermost such scope, which derivatives keep, wins over JAX's own traceback.
    """
    scopes = LOCATION.findall(str(source_info.name_stack))
    if scopes:
        return str(scopes[-1]).replace("//", "/")
    from jax.extend import source_info_util

    traced = LOCATION.match(str(source_info_util.summarize(source_info)))
    return traced.group() if traced else None
