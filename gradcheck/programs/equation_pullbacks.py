"""The pullback of one equation, which JAX makes once for every kind of equation.

Random architectures never repeat their shapes, so equations are of one kind whatever the sizes of
their axes, as far as that is certain: JAX is asked for axes of enormous prime sizes, which stand for
the sizes of the equation. Where an integer of the pullback is enormous and none of these primes, it was
computed from sizes, and the pullback is made for the very sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gradcheck.programs.compat import array_type, bind, open_jaxpr, with_outputs

__all__ = ["KINDS_KEPT", "Part", "pullback_of_equation", "resized", "resized_type"]

PRIMES = (1000003, 1000033, 1000037, 1000039, 1000081, 1000099, 1000117, 1000121)
"""Sizes that stand for those of an equation; no axis number or window comes near them."""

ENORMOUS = 10**6
"""Integers from here on are sizes, or computed from sizes."""

ELEMENTWISE = frozenset(
    {
        "abs", "acos", "acosh", "add", "add_any", "asin", "asinh", "atan", "atan2", "atanh", "cbrt",
        "convert_element_type", "copy", "cos", "cosh", "digamma", "div", "erf", "erf_inv", "erfc",
        "exp", "exp2", "expm1", "integer_pow", "lgamma", "log", "log1p", "logistic", "max", "min",
        "mul", "neg", "pow", "rsqrt", "select_n", "sign", "sin", "sinh", "sqrt", "square", "sub",
        "tan", "tanh",
    }
)  # fmt: skip
"""Primitives that do the same with every entry, whatever the sizes of the axes."""

OF_ANY_SIZE = ELEMENTWISE | {
    "broadcast_in_dim", "dot_general", "reduce_sum", "reshape", "squeeze", "transpose"
}  # fmt: skip
"""Primitives whose derivatives are the same for any sizes, as long as equal ones stay equal and 0 and 1
stay themselves."""

SIZE_PARAMETERS = frozenset({"shape", "new_sizes"})
"""Parameters of these that are sizes; all their other integers are numbers of axes."""

KINDS_KEPT = 4096
"""Kinds of equations whose pullbacks are kept: some kilobytes each."""


Shape = tuple[int, ...]
Parameters = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, eq=False)
class Part:
    """A jaxpr that is written into others.

    Attributes:
        equations: each with the names of the parameters that mention enormous sizes.
        sizes: the enormous sizes that occur.
    """

    inputs: tuple[Any, ...]
    equations: tuple[tuple[Any, tuple[str, ...]], ...]
    outputs: tuple[Any, ...]
    constants: dict[Any, Any]
    sizes: frozenset[int]

    @classmethod
    def of(cls, closed: Any) -> Part:
        jaxpr, constants = open_jaxpr(with_outputs(closed, [True] * len(closed.out_avals)))
        mentioned = [
            {key: found for key, value in equation.params.items() if (found := _enormous(value))}
            for equation in jaxpr.eqns
        ]
        shapes = [tuple(v.aval.shape) for equation in jaxpr.eqns for v in equation.outvars]
        return cls(
            tuple(jaxpr.invars),
            tuple((eqn, tuple(keys)) for eqn, keys in zip(jaxpr.eqns, mentioned, strict=True)),
            tuple(jaxpr.outvars),
            dict(zip(jaxpr.constvars, constants, strict=True)),
            frozenset().union(
                _enormous(shapes), *(sizes for of in mentioned for sizes in of.values())
            ),
        )


@dataclass(frozen=True, slots=True)
class _Kind:
    """What JAX is asked about an equation: all of it but its numbers, and perhaps its sizes."""

    primitive: Any
    parameters: Parameters
    operands: tuple[tuple[Shape, Any], ...]
    results: tuple[tuple[Shape, Any], ...]
    asked: tuple[bool, ...]
    given: tuple[bool, ...]

    def renamed(self, rename: Callable[[Shape], Shape], parameters: Parameters) -> _Kind:
        """Return the kind with other names for the sizes of its shapes, and these parameters."""
        operands, results = (
            tuple((rename(shape), dtype) for shape, dtype in types)
            for types in (self.operands, self.results)
        )
        return _Kind(self.primitive, parameters, operands, results, self.asked, self.given)


def pullback_of_equation(
    equation: Any, asked: tuple[bool, ...], given: tuple[bool, ...]
) -> tuple[Part, dict[int, int]]:
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
    shapes = {shape for shape, _ in (*kind.operands, *kind.results)}
    whole = kind.results[0][0]
    if kind.primitive.name in ELEMENTWISE and shapes <= {whole, ()} and len(whole) <= len(PRIMES):
        primes = PRIMES[: len(whole)]
        general = kind.renamed(lambda shape: primes if shape else (), kind.parameters)
        return general, dict(zip(primes, whole, strict=True))
    found = dict.fromkeys(size for shape in shapes for size in shape if size > 1)
    if not found or len(found) > len(PRIMES):
        return None, {}
    names = dict(zip(found, PRIMES, strict=False))
    parameters = tuple(
        (key, resized(value, names) if key in SIZE_PARAMETERS else value)
        for key, value in kind.parameters
    )
    general = kind.renamed(lambda shape: resized(shape, names), parameters)
    return general, {prime: size for size, prime in names.items()}


@lru_cache(maxsize=KINDS_KEPT)
def _made_for_any_size(general: _Kind) -> Part | None:
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
def _made(kind: _Kind) -> Part:
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
    return Part.of(
        jax.make_jaxpr(pullback)(
            [jax.ShapeDtypeStruct(*operand) for operand in kind.operands],
            [jax.ShapeDtypeStruct(*result) for result in given],
        )
    )


def _enormous(value: Any) -> set[int]:
    """Collect the enormous integers among nested parameters: sizes, or computed from sizes."""
    if isinstance(value, (tuple, list)):
        return {size for part in value for size in _enormous(part)}
    return {value} if isinstance(value, int) and value >= ENORMOUS else set()


def resized(value: Any, sizes: dict[int, int]) -> Any:
    """Replace sizes among nested parameters."""
    if type(value) in (tuple, list):
        return type(value)(resized(part, sizes) for part in value)
    return sizes.get(value, value) if type(value) is int else value


def resized_type(aval: Any, sizes: dict[int, int]) -> Any:
    return array_type(resized(tuple(aval.shape), sizes), aval.dtype) if sizes else aval
