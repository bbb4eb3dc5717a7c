"""The pullback of a program, composed of the pullbacks of its equations, each of which JAX makes.

The derivative rules are JAX's, every one. What is ours is the chain rule: JAX spends most of its time
on tracing the same few rules anew for each equation of each program, so the pullback of an equation
is asked for once for every kind of equation and written into the program wherever that kind occurs.

Random architectures never repeat their shapes, so equations are of one kind whatever the sizes of
their axes, as far as that is certain: JAX is asked for axes of enormous prime sizes, which stand for
the sizes of the equation. Where an integer of the pullback is enormous and none of these primes, it was
computed from sizes, and the pullback is made for the very sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np

from gradcheck.errors import Abstention
from gradcheck.programs.compat import (
    array_type,
    bind,
    enable_x64,
    fresh_variable,
    is_literal,
    nested_jaxpr,
    open_jaxpr,
    with_outputs,
)

__all__ = ["pullback_of"]

PRIMES = (1000003, 1000033, 1000037, 1000039, 1000081, 1000099, 1000117, 1000121)
"""Sizes that stand for those of an equation; no axis number or window comes near them."""

ENORMOUS = 10**6
"""Integers from here on are sizes, or computed from sizes."""

CALLS = frozenset({"closed_call", "core_call", "jit", "pjit", "remat", "remat2", "checkpoint"})
"""Primitives that do no more than call their jaxpr."""

OF_ANY_SIZE = frozenset(
    {
        "abs", "acos", "acosh", "add", "add_any", "asin", "asinh", "atan", "atan2", "atanh",
        "broadcast_in_dim", "cbrt", "convert_element_type", "copy", "cos", "cosh", "digamma", "div",
        "dot_general", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1", "integer_pow", "lgamma",
        "log", "log1p", "logistic", "max", "min", "mul", "neg", "pow", "reduce_sum", "reshape",
        "rsqrt", "select_n", "sign", "sin", "sinh", "sqrt", "square", "squeeze", "sub", "tan",
        "tanh", "transpose",
    }
)  # fmt: skip
"""Primitives whose derivatives are the same for any sizes, as long as equal ones stay equal and 0 and 1
stay themselves."""

SIZE_PARAMETERS = frozenset({"shape", "new_sizes"})
"""Parameters of these that are sizes; all their other integers are numbers of axes."""

KINDS_KEPT = 4096
"""Kinds of equations whose pullbacks are kept: some kilobytes each."""


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


@dataclass(frozen=True, eq=False)
class _Part:
    """A jaxpr that is written into others.

    Attributes:
        equations: each with whether its parameters mention enormous sizes.
        sizes: the enormous sizes that occur.
    """

    inputs: tuple[Any, ...]
    equations: tuple[tuple[Any, bool], ...]
    outputs: tuple[Any, ...]
    constants: dict[Any, Any]
    sizes: frozenset[int]

    @classmethod
    def of(cls, closed: Any) -> _Part:
        jaxpr, constants = open_jaxpr(with_outputs(closed, [True] * len(closed.out_avals)))
        mentioned = [_enormous([*equation.params.values()]) for equation in jaxpr.eqns]
        shapes = [tuple(v.aval.shape) for equation in jaxpr.eqns for v in equation.outvars]
        return cls(
            tuple(jaxpr.invars),
            tuple((eqn, bool(found)) for eqn, found in zip(jaxpr.eqns, mentioned, strict=True)),
            tuple(jaxpr.outvars),
            dict(zip(jaxpr.constvars, constants, strict=True)),
            frozenset().union(_enormous(shapes), *mentioned),
        )


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
            if equation.primitive.name in CALLS:
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
                part, sizes = _pullback_of_equation(equation, asked, given)
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
        self, part: _Part, arguments: Sequence[Any], sizes: dict[int, int], forward: Any = None
    ) -> list[Any]:
        """Write a part with these arguments and sizes; what the forward computed is not repeated."""
        self.constants.update(part.constants)
        names: dict[Any, Any] = dict(zip(part.inputs, arguments, strict=True))
        names.update((variable, variable) for variable in part.constants)
        for equation, is_sized in part.equations:
            operands = _read(equation.invars, names)
            parameters = equation.params
            if is_sized:
                parameters = {key: _resized(value, sizes) for key, value in parameters.items()}
            if (
                forward is not None
                and equation.primitive is forward.primitive
                and operands == forward.invars
                and parameters == forward.params
            ):
                names.update(zip(equation.outvars, forward.outvars, strict=True))
                continue
            results = [fresh_variable(_resized_type(v.aval, sizes)) for v in equation.outvars]
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


# The pullback of one equation


@dataclass(frozen=True, slots=True)
class _Kind:
    """What JAX is asked about an equation: all of it but its numbers, and perhaps its sizes."""

    primitive: Any
    parameters: tuple[tuple[str, Any], ...]
    operands: tuple[tuple[tuple[int, ...], Any], ...]
    results: tuple[tuple[tuple[int, ...], Any], ...]
    asked: tuple[bool, ...]
    given: tuple[bool, ...]


def _pullback_of_equation(
    equation: Any, asked: tuple[bool, ...], given: tuple[bool, ...]
) -> tuple[_Part, dict[int, int]]:
    """Return the pullback of an equation, and the sizes that its enormous primes stand for.

    Its inputs are the operands and the cotangents that are `given`, its outputs the gradients that
    are `asked` for.
    """
    operands, results = (
        tuple((tuple(atom.aval.shape), atom.aval.dtype) for atom in atoms)
        for atoms in (equation.invars, equation.outvars)
    )
    kind = _Kind(
        equation.primitive, tuple(sorted(equation.params.items())), operands, results, asked, given
    )
    general, sizes = _generalised(kind)
    if general is not None:
        part = _made_for_any_size(general)
        if part is not None:
            return part, sizes
    try:
        return _made(kind), {}
    except TypeError:  # a parameter that cannot be hashed
        return _made.__wrapped__(kind), {}


def _generalised(kind: _Kind) -> tuple[_Kind | None, dict[int, int]]:
    """Return the kind with enormous primes for its sizes, and the sizes that they stand for.

    None where the pullback may depend on the sizes in another way.
    """
    if kind.primitive.name not in OF_ANY_SIZE:
        return None, {}
    shapes = [shape for shape, _ in (*kind.operands, *kind.results)]
    found = dict.fromkeys(size for shape in shapes for size in shape if size > 1)
    if not found or len(found) > len(PRIMES):
        return None, {}
    names = dict(zip(found, PRIMES, strict=False))
    general = _Kind(
        kind.primitive,
        tuple(
            (key, _resized(value, names) if key in SIZE_PARAMETERS else value)
            for key, value in kind.parameters
        ),
        tuple((_resized(shape, names), dtype) for shape, dtype in kind.operands),
        tuple((_resized(shape, names), dtype) for shape, dtype in kind.results),
        kind.asked,
        kind.given,
    )
    return general, {prime: size for size, prime in names.items()}


@lru_cache(maxsize=KINDS_KEPT)
def _made_for_any_size(general: _Kind) -> _Part | None:
    """Let JAX make the pullback of an equation with primes for sizes; None if that does not hold.

    So it is where one size is computed from others: JAX finds that they do not fit, or the pullback
    mentions one that is none of the primes.
    """
    try:
        part = _made.__wrapped__(general)
    except Exception:
        return None
    named = {size for shape, _ in (*general.operands, *general.results) for size in shape}
    return part if part.sizes <= named else None


@lru_cache(maxsize=KINDS_KEPT)
def _made(kind: _Kind) -> _Part:
    """Let JAX make the pullback of an equation of this kind."""
    import jax

    parameters = dict(kind.parameters)

    def pullback(operands: list[Any], cotangents: list[Any]) -> Any:
        moved = [value for value, is_asked in zip(operands, kind.asked, strict=True) if is_asked]

        def run(*values: Any) -> tuple[Any, ...]:
            following = iter(values)
            arguments = [
                next(following) if is_asked else value
                for value, is_asked in zip(operands, kind.asked, strict=True)
            ]
            results = bind(kind.primitive, parameters, arguments)
            return tuple(r for r, is_given in zip(results, kind.given, strict=True) if is_given)

        # The transpose of the JVP: half the tracing of jax.vjp, the same equations.
        transposed = jax.linear_transpose(lambda *t: jax.jvp(run, tuple(moved), t)[1], *moved)
        return transposed(tuple(cotangents))

    given = [kept for kept, is_given in zip(kind.results, kind.given, strict=True) if is_given]
    return _Part.of(
        jax.make_jaxpr(pullback)(
            [jax.ShapeDtypeStruct(*operand) for operand in kind.operands],
            [jax.ShapeDtypeStruct(*result) for result in given],
        )
    )


@lru_cache(maxsize=KINDS_KEPT)
def _zeros_of(shape: tuple[int, ...], dtype: Any) -> _Part:
    import jax

    return _Part.of(jax.make_jaxpr(lambda: jax.lax.full(shape, 0, dtype))())


@cache
def _addition() -> Any:
    import jax
    from jax.extend.core.primitives import add_jaxvals_p

    return jax.make_jaxpr(add_jaxvals_p.bind)(1.0, 1.0).eqns[0]


# Sizes


def _enormous(value: Any) -> set[int]:
    """Collect the enormous integers among nested parameters: sizes, or computed from sizes."""
    if isinstance(value, (tuple, list)):
        return {size for part in value for size in _enormous(part)}
    return {value} if isinstance(value, int) and value >= ENORMOUS else set()


def _resized(value: Any, sizes: dict[int, int]) -> Any:
    """Replace sizes among nested parameters."""
    if type(value) in (tuple, list):
        return type(value)(_resized(part, sizes) for part in value)
    return sizes.get(value, value) if type(value) is int else value


def _resized_type(aval: Any, sizes: dict[int, int]) -> Any:
    return array_type(_resized(tuple(aval.shape), sizes), aval.dtype) if sizes else aval
