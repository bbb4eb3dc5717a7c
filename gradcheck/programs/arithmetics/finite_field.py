"""Residues for exact answers: two rational functions agree at random residues or differ for good.

A value has a residue modulo a prime P; one modulo Q = (P - 1)/2, of the same function at other random
inputs; and a float64 companion, which decides every comparison. All draws of a proof, each with a prime
of its own, are evaluated at once: they are the last axis of the residues, beside one companion.

exp is a homomorphism: exp(x) modulo P is a random Q-th root of unity to the power x modulo Q (Wu et
al., Mirage, OSDI 2025; "Identity Testing for Circuits with Exponentiation Gates", ITCS 2026). Modulo Q
it is a function of which only exp(-z) = 1/exp(z) is known, so that exp of exp is no homomorphism of
what is inside. Functions without algebra are keyed hashes of their argument. An *uninterpreted* field
takes exp, tanh and logistic for such functions too: what holds there holds of every function with their
derivative relation, and is much cheaper to be sure of.

Beside them runs a bound on the degree of numerator and denominator, for the probability that two
different functions agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from gradcheck.errors import Abstention
from gradcheck.programs.arithmetics import modular
from gradcheck.programs.arithmetics.base import Arithmetic
from gradcheck.programs.arithmetics.cells import EXPONENTIALS, vanishing
from gradcheck.programs.arithmetics.field_functions import FieldFunctions
from gradcheck.programs.arithmetics.floating import FLOAT64
from gradcheck.programs.arithmetics.rationals import Meant, meant_by
from gradcheck.programs.arithmetics.residues import (
    CONSTANT,
    NO_RESIDUE,
    VARIABLE,
    Degree,
    Draws,
    Residue,
    moved,
    of_inverse,
    of_product,
    of_sum,
    of_two,
    tightened,
)
from gradcheck.programs.operations import Operation
from gradcheck.programs.unknown_functions import UNKNOWN, sample

__all__ = ["FiniteField", "Residue"]

Array = np.ndarray[Any, Any]


class FiniteField(Arithmetic):
    """Residues of some draws with float64 companions.

    Args:
        draws: the primes and unknown functions; they learn of each draw whether it will do.
        uninterpreted: whether exp, tanh and logistic are functions without algebra.

    Attributes:
        recognised: float constants that were met, and the rationals that they were read as.
        has_gaps: whether any value may lack residues.
    """

    name = "finite-field"

    def __init__(self, draws: Draws, *, uninterpreted: bool = False) -> None:
        super().__init__()
        self.uninterpreted = uninterpreted
        self.recognised: dict[float, str] = {}
        self.has_gaps = False
        self.draws = draws
        self.moduli = draws.moduli
        self._entry = np.dtype((np.void, 8 * self.moduli.size))
        self._factor_entry = np.dtype((np.void, 8 * draws.count))
        self._known_constants: dict[Any, Array] = {}
        ring: dict[str, Callable[..., Residue]] = {
            "add": self.add,
            "add_any": self.add,
            "sub": self.subtract,
            "mul": self.multiply,
            "div": self.divide,
            "neg": self.negate,
        }
        self.functions = FieldFunctions(self)
        self.elementwise = ring | self.functions.table()

    def variable(self, array: Any, lanes: Array | None = None) -> Residue:
        """Return an input: random residues, new ones unless they are given, beside the companion `array`."""
        residues = self.draws.variable(np.shape(array)) if lanes is None else lanes
        return Residue(residues, np.asarray(array, float), VARIABLE)

    def constant(self, array: Array) -> Residue:
        if np.iscomplexobj(array):
            raise Abstention(f"a complex constant has no {self.name} arithmetic")
        array = np.asarray(array)
        if array.ndim == 0:
            return Residue(self._written(array[()]), array.astype(np.float64), CONSTANT)
        companion = array.astype(np.float64)
        if (companion == np.rint(companion)).all() and (np.abs(companion) < 2**53).all():
            lanes = companion.astype(np.int64)[..., None] % self.moduli
        else:
            entries = [self._written(entry) for entry in array.reshape(-1)]
            lanes = np.reshape(entries, (*companion.shape, self.moduli.size))
        return Residue(lanes, companion, CONSTANT)

    def _written(self, entry: Any) -> Array:
        """Return the residues of a constant that the program writes."""
        known = self._known_constants.get((entry.dtype, entry))
        if known is None:
            self._known_constants[entry.dtype, entry] = known = self._read(entry)
        return known

    def _read(self, entry: Any) -> Array:
        if not np.isfinite(entry):
            self.has_gaps = True
            return np.full(self.moduli.size, NO_RESIDUE)
        meant = meant_by(entry)
        if meant.rational.denominator != 1 or meant.is_root:
            self.recognised[float(entry)] = str(meant)
        return self.number(meant)

    def number(self, meant: Meant) -> Array:
        """Return the residues of a rational number, or of its square root."""
        if meant.is_root:
            return self.functions.root_of_rational(meant.rational)
        above, below = (
            np.array([part % modulus for modulus in self.moduli.tolist()])
            for part in (meant.rational.numerator, meant.rational.denominator)
        )
        return np.asarray(above * modular.inverse(below, self.moduli) % self.moduli)

    def companion(self, value: Any) -> Array:
        return value.companion if isinstance(value, Residue) else value

    def lift(self, function: Callable[..., Any], discrete: Sequence[bool] = ()) -> Any:
        def lifted(*operands: Any) -> Any:
            values = [o for o in operands if isinstance(o, Residue)]
            degree = moved([v.degree for v in values])
            lanes = function(*(_packed(o, self._entry) for o in operands))
            companion = function(*(o.companion if isinstance(o, Residue) else o for o in operands))
            if isinstance(lanes, list):
                plain = discrete or (False,) * len(lanes)
                return [
                    part if is_plain else self.value(_unpacked(part), number, degree)
                    for part, number, is_plain in zip(lanes, companion, plain, strict=True)
                ]
            result = self.value(_unpacked(lanes), companion, degree)
            if all(v.factor is None for v in values):
                return result
            factors = (
                _packed_lanes(self.factor(o), self._factor_entry) if isinstance(o, Residue) else o
                for o in operands
            )
            # A 0 was filled in by the function, for the number 0, whose exp is 1.
            return result._replace(
                factor=np.maximum(_unpacked(function(*factors)), 1),
                factor_degree=moved([v.factor_degree for v in values]),
            )

        return lifted

    def value(
        self, lanes: Array, companion: Any, degree: Degree, gaps: Array | None = None
    ) -> Residue:
        """Put a value together; where `gaps` say so it has no residue."""
        if gaps is not None:
            lanes = np.where(gaps[..., None], NO_RESIDUE, lanes)
        companion = np.asarray(companion)
        return Residue(lanes, companion, tightened(degree, companion.size))

    def sum(self, x: Residue, axes: tuple[int, ...]) -> Residue:
        count = prod(x.companion.shape[axis] for axis in axes)
        lanes = np.add.reduce(x.lanes, axis=axes) % self.moduli
        companion = np.add.reduce(x.companion, axis=axes)
        gaps = np.any(_gaps(x), axis=axes) if self.has_gaps else None
        return self.value(lanes, companion, of_sum(x.degree, count), gaps)

    def cumsum(self, x: Residue, axis: int) -> Residue:
        count = np.shape(x.companion)[axis]
        lanes = np.cumsum(x.lanes, axis) % self.moduli
        gaps = np.logical_or.accumulate(_gaps(x), axis) if self.has_gaps else None
        companion = np.cumsum(x.companion, axis)
        return self.value(lanes, companion, of_sum(x.degree, count), gaps)

    def matmul(self, a: Residue, b: Residue) -> Residue:
        axes = range(a.lanes.ndim)
        first, second = (x.lanes.transpose(axes[-1], *axes[:-1]) for x in (a, b))
        moduli = self.moduli.reshape(-1, *(1,) * (a.lanes.ndim - 1))
        product = modular.matmul(first, second, moduli)
        lanes = np.ascontiguousarray(product.transpose(*axes[1:], 0))
        gaps = None
        if self.has_gaps:
            gaps = np.any(_gaps(a), -1)[..., None] | np.any(_gaps(b), -2)[..., None, :]
        count = np.shape(a.companion)[-1]
        degree = of_sum(of_product(a.degree, b.degree), count)
        return self.value(lanes, np.matmul(a.companion, b.companion), degree, gaps)

    def scatter_add(
        self, operand: Residue, places: Array, inside: Array | None, updates: Residue
    ) -> Residue:
        kept = slice(None) if inside is None else inside

        def scattered(into: Array, added: Array) -> Array:
            shape = into.shape[operand.companion.ndim :]
            out = np.array(into, order="C")
            np.add.at(out.reshape(-1, *shape), places[kept], added.reshape(-1, *shape)[kept])
            return out

        gaps = None
        if self.has_gaps:
            gaps = scattered(_gaps(operand) + 0, _gaps(updates) + 0) > 0
        most = int(np.max(np.bincount(places), initial=0))
        degree = of_sum(moved([operand.degree, updates.degree]), most + 1)
        lanes = scattered(operand.lanes, updates.lanes) % self.moduli
        companion = scattered(operand.companion, updates.companion)
        return self.value(lanes, companion, degree, gaps)

    def special(self, operation: Operation) -> Any:
        if any(t.dtype.kind == "c" for t in (*operation.inputs, *operation.outputs)):
            return self.missing(operation)
        if operation.name == UNKNOWN:
            return self.functions.unknown(operation, sample(operation, FLOAT64))
        return None

    def compile(self, operation: Operation) -> tuple[Callable[..., Any], bool]:
        if operation.name not in EXPONENTIALS:
            return super().compile(operation)
        decide, exponential = vanishing(operation), self.functions.exponentials[operation.name]
        return (lambda decisions, x: exponential(x, decide(decisions, x.companion))), True

    def gaps(self, *operands: Residue) -> Any:
        """Return where an operand has no residue, or None if nothing ever lacks one."""
        if not self.has_gaps:
            return None
        gaps: Any = _gaps(operands[0])
        for operand in operands[1:]:
            gaps = gaps | _gaps(operand)
        return gaps

    def _combine(self, a: Residue, b: Residue, ufunc: Any, degree: Degree) -> Residue:
        lanes = ufunc(a.lanes, b.lanes) % self.moduli
        return self.value(lanes, ufunc(a.companion, b.companion), degree, self.gaps(a, b))

    def factor(self, value: Residue) -> Array:
        """Return the factor of a value: ones where it has none."""
        count = self.draws.count
        return np.ones_like(value.lanes[..., :count]) if value.factor is None else value.factor

    def add(self, a: Residue, b: Residue) -> Residue:
        total = self._combine(a, b, np.add, of_two(a.degree, b.degree))
        if a.factor is None and b.factor is None:
            return total
        return total._replace(
            factor=self.factor(a) * self.factor(b) % self.draws.primes,
            factor_degree=of_product(a.factor_degree, b.factor_degree),
        )

    def subtract(self, a: Residue, b: Residue) -> Residue:
        if a.factor is None and b.factor is None:
            return self._combine(a, b, np.subtract, of_two(a.degree, b.degree))
        return self.add(a, self.negate(b))

    def multiply(self, a: Residue, b: Residue) -> Residue:
        return self._combine(a, b, np.multiply, of_product(a.degree, b.degree))

    def negate(self, a: Residue) -> Residue:
        negative = self.value(-a.lanes % self.moduli, -a.companion, a.degree, self.gaps(a))
        if a.factor is None:
            return negative
        turned = of_inverse(a.factor_degree, a.companion.size)
        factor = modular.inverse(a.factor, self.draws.primes)
        return negative._replace(factor=factor, factor_degree=turned)

    def divide(self, a: Residue, b: Residue) -> Residue:
        return self.multiply(a, self.inverse(b))

    def inverse(self, b: Residue) -> Residue:
        lanes, count = b.lanes, self.draws.count
        zeros = lanes == 0
        if zeros.any():
            by_zero = np.all(zeros[..., :count] | ~self.draws.alive, -1) & (b.companion == 0)
            if by_zero.any():
                # A branch that is not taken may divide by 0; what it gives must not be used.
                self.has_gaps = True
                lanes = np.where(by_zero[..., None], NO_RESIDUE, lanes)
                zeros &= ~by_zero[..., None]
            self.draws.end_where(zeros)
        gaps = lanes[..., 0] < 0 if self.has_gaps else None
        inverses = modular.inverse(np.maximum(lanes, 1), self.moduli)
        degree = of_inverse(b.degree, b.companion.size)
        return self.value(inverses, 1 / b.companion, degree, gaps)


def _gaps(value: Residue) -> Array:
    return np.asarray(value.lanes[..., 0] < 0)


def _packed(operand: Any, entry: np.dtype[Any]) -> Any:
    return _packed_lanes(operand.lanes, entry) if isinstance(operand, Residue) else operand


def _packed_lanes(lanes: Array, entry: np.dtype[Any]) -> Array:
    """View the residues of each entry as one opaque number, that moves as the entry does."""
    if lanes.strides[-1] != lanes.itemsize:  # a view of others
        lanes = np.ascontiguousarray(lanes)
    return np.asarray(lanes.view(entry)[..., 0])


def _unpacked(packed: Any) -> Array:
    return np.asarray(np.asarray(packed)[..., None].view(np.int64))
