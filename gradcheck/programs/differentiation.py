"""The pullback of a program, composed of the pullbacks of its equations, each of which JAX makes.

The derivative rules are JAX's, every one. What is ours is the chain rule: JAX spends most of its time
on tracing the same few rules anew for each equation of each program, so the pullback of an equation
is asked for once for every kind of equation and written into the program wherever that kind occurs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

from gradcheck.errors import Abstention
from gradcheck.programs.compat import (
    PLAIN_CALLS,
    enable_x64,
    fresh_variable,
    is_literal,
    nested_jaxpr,
    open_jaxpr,
)
from gradcheck.programs.equation_pullbacks import (
    KINDS_KEPT,
    Part,
    pullback_of_equation,
    resized,
    resized_type,
)

__all__ = ["pullback_of"]


def pullback_of(program: Any, outputs: int | None = None) -> Any:
    """Differentiate a program by JAX: the ClosedJaxpr of (*inputs, *cotangents) to gradients.

    Args:
        program: a ClosedJaxpr from floating arrays to arrays; a cotangent has the shape and dtype
            of its output.
        outputs: how many of the program's outputs are differentiated, from the first; the others
            follow the gradients as they are. None for all.

    Raises:
        Abstention: JAX cannot differentiate the program; the reason quotes what it raised.

    >>> import jax, numpy as np
    >>> from gradcheck.programs.evaluation import evaluate
    >>> program = jax.make_jaxpr(lambda x, y: x * x * y)(3.0, 2.0)
    >>> [float(gradient) for gradient in evaluate(pullback_of(program), np.array([3, 2, 1.0]))]
    [12.0, 9.0]
    """
    with enable_x64():
        try:
            return _Pullback(program, outputs).closed()
        except Abstention:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            raise Abstention(f"JAX cannot differentiate the forward ({reason})") from error


class _Pullback:
    """A program that is being written: the forward's equations, then those of the pullback."""

    def __init__(self, program: Any, outputs: int | None) -> None:
        jaxpr, constants = open_jaxpr(program)
        self.jaxpr = jaxpr
        self.constants = dict(zip(jaxpr.constvars, constants, strict=True))
        self.equations: list[Any] = []
        self.cotangents: dict[Any, Any] = {}
        found = self._write_forward(jaxpr, {v: v for v in (*jaxpr.invars, *jaxpr.constvars)})
        seeds = [fresh_variable(atom.aval) for atom in found[:outputs]]
        self._write_backward(_active(jaxpr.invars, self.equations), found[:outputs], seeds)
        self.inputs = [*jaxpr.invars, *seeds]
        self.outputs = [
            *(self.cotangents.get(variable) or self._zeros(variable) for variable in jaxpr.invars),
            *(found[outputs:] if outputs is not None else ()),
        ]

    def closed(self) -> Any:
        """Return what has been written as a ClosedJaxpr."""
        from jax.extend.core import ClosedJaxpr

        written = self.jaxpr.replace(
            constvars=list(self.constants),
            invars=self.inputs,
            outvars=self.outputs,
            eqns=self.equations,
        )
        return ClosedJaxpr(written, list(self.constants.values()))

    def _write_forward(self, jaxpr: Any, names: dict[Any, Any]) -> list[Any]:
        """Write the equations of `jaxpr`, calls entered; `names` has the atoms of its variables."""
        for equation in jaxpr.eqns:
            operands = _read(equation.invars, names)
            if equation.primitive.name in PLAIN_CALLS:
                inner, constants = open_jaxpr(nested_jaxpr(equation.params))
                inside = dict(zip(inner.invars, operands, strict=True))
                for variable, constant in zip(inner.constvars, constants, strict=True):
                    inside[variable] = fresh_variable(variable.aval)
                    self.constants[inside[variable]] = constant
                results = self._write_forward(inner, inside)
            else:
                results = [fresh_variable(variable.aval) for variable in equation.outvars]
                self.equations.append(equation.replace(invars=operands, outvars=results))
            names.update(zip(equation.outvars, results, strict=True))
        return _read(jaxpr.outvars, names)

    def _write_backward(self, active: set[Any], found: Sequence[Any], seeds: Sequence[Any]) -> None:
        for atom, seed in zip(found, seeds, strict=True):
            self._add_cotangents([atom], [seed], active)
        for equation in self.equations[::-1]:
            cotangents = [self.cotangents.get(variable) for variable in equation.outvars]
            asked = tuple(_is_among(atom, active) for atom in equation.invars)
            given = tuple(cotangent is not None for cotangent in cotangents)
            if any(asked) and any(given):
                part, sizes = pullback_of_equation(equation, asked, given)
                known = [cotangent for cotangent in cotangents if cotangent is not None]
                gradients = self._write(part, [*equation.invars, *known], sizes, equation)
                operands = [
                    a for a, is_asked in zip(equation.invars, asked, strict=True) if is_asked
                ]
                self._add_cotangents(operands, gradients, active, equation.source_info)

    def _add_cotangents(
        self,
        atoms: Sequence[Any],
        cotangents: Sequence[Any],
        active: set[Any],
        source_info: Any = None,
    ) -> None:
        for atom, cotangent in zip(atoms, cotangents, strict=True):
            if not _is_among(atom, active):
                continue
            known = self.cotangents.get(atom)
            if known is not None:
                total = fresh_variable(atom.aval)
                self.equations.append(
                    _addition().replace(
                        invars=[known, cotangent], outvars=[total], source_info=source_info
                    )
                )
                cotangent = total
            self.cotangents[atom] = cotangent

    def _zeros(self, variable: Any) -> Any:
        (result,) = self._write(_zeros_of(variable.aval.shape, variable.aval.dtype), [], {})
        return result

    def _write(
        self, part: Part, arguments: Sequence[Any], sizes: dict[int, int], forward: Any = None
    ) -> list[Any]:
        """Write a part with these arguments and sizes; what the forward computed is not repeated."""
        self.constants.update(part.constants)
        names: dict[Any, Any] = dict(zip(part.inputs, arguments, strict=True))
        names.update((variable, variable) for variable in part.constants)
        for equation, sized in part.equations:
            operands = _read(equation.invars, names)
            parameters = equation.params
            if sized:
                parameters = parameters | {key: resized(parameters[key], sizes) for key in sized}
            if (
                forward is not None
                and equation.primitive is forward.primitive
                and operands == forward.invars
                and parameters == forward.params
            ):
                names.update(zip(equation.outvars, forward.outvars, strict=True))
                continue
            results = [fresh_variable(resized_type(v.aval, sizes)) for v in equation.outvars]
            source = equation.source_info if forward is None else forward.source_info
            self.equations.append(
                equation.replace(
                    invars=operands, outvars=results, params=parameters, source_info=source
                )
            )
            names.update(zip(equation.outvars, results, strict=True))
        return _read(part.outputs, names)


def _read(atoms: Sequence[Any], names: dict[Any, Any]) -> list[Any]:
    return [atom if is_literal(atom) else names[atom] for atom in atoms]


def _is_among(atom: Any, variables: set[Any]) -> bool:
    return not is_literal(atom) and atom in variables


def _active(inputs: Sequence[Any], equations: Sequence[Any]) -> set[Any]:
    """Return the variables of real or complex numbers that depend on the inputs."""
    from jax.dtypes import issubdtype

    def reals(variables: Sequence[Any]) -> list[Any]:
        return [v for v in variables if issubdtype(getattr(v.aval, "dtype", bool), np.inexact)]

    active = set(reals(inputs))
    for equation in equations:
        if any(_is_among(atom, active) for atom in equation.invars):
            active.update(reals(equation.outvars))
    return active


@lru_cache(maxsize=KINDS_KEPT)
def _zeros_of(shape: tuple[int, ...], dtype: Any) -> Part:
    import jax

    return Part.of(jax.make_jaxpr(lambda: jax.lax.full(shape, 0, dtype))())


@cache
def _addition() -> Any:
    import jax
    from jax.extend.core.primitives import add_jaxvals_p

    return jax.make_jaxpr(add_jaxvals_p.bind)(1.0, 1.0).eqns[0]
