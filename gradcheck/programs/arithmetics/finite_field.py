"""Residues for exact answers: two rational functions agree at random residues or differ for good.

A value has a residue modulo P; one modulo Q = (P - 1)/2, of the same function at other random
inputs; and a float64 companion, which decides every comparison. exp is a homomorphism: exp(x) modulo
P is a random Q-th root of unity to the power x modulo Q (Wu et al., Mirage, OSDI 2025; "Identity
Testing for Circuits with Exponentiation Gates", ITCS 2026). Modulo Q it is a function of which only
exp(-z) = 1/exp(z) is known, so that exp of exp is no homomorphism of what is inside. Functions
without algebra are keyed hashes of their argument. An *uninterpreted* field takes exp, tanh and
logistic for such functions too: what holds there holds of every function with their derivative
relation, and is much cheaper to be sure of.

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
from gradcheck.programs.arithmetics.field_functions import FieldFunctions, root_of_constant
from gradcheck.programs.arithmetics.floating import FLOAT64
from gradcheck.programs.arithmetics.modular import P, Q
from gradcheck.programs.arithmetics.rationals import meant_by
from gradcheck.programs.arithmetics.residues import (
    CONSTANT,
    NO_RESIDUE,
    VARIABLE,
    Degree,
    Draw,
    Redraw,
    Residue,
    moved,
    of_inverse,
    of_product,
    of_sum,
    of_two,
    residue_of,
)
from gradcheck.programs.operations import Operation
from gradcheck.programs.unknown_functions import UNKNOWN, sample

__all__ = ["FiniteField", "Redraw", "Residue"]

Array = np.ndarray[Any, Any]


class FiniteField(Arithmetic):
    """Residues modulo P and Q with float64 companions.

    Call `redraw` before the first evaluation and for every further draw.

    Args:
        uninterpreted: whether exp, tanh and logistic are functions without algebra.
    """

    name = "finite-field"

    def __init__(self, uninterpreted: bool = False) -> None:
        super().__init__()
        self.uninterpreted = uninterpreted
        self.recognised: dict[float, str] = {}
        self.has_gaps = False
        self.draw = Draw([], np.random.default_rng(0))
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

    def redraw(self, rng: np.random.Generator) -> None:
        """Choose exp's root of unity and the unknown functions anew."""
        root = pow(int(rng.integers(2, P - 1)), 2, P)
        self.draw = Draw([] if self.uninterpreted else modular.powers_of(root), rng)

    def variable(self, array: Array, rng: np.random.Generator) -> Residue:
        """Return an input: random residues beside the companion `array`."""
        shape = np.shape(array)
        return Residue(
            rng.integers(0, P, shape), rng.integers(0, Q, shape), np.asarray(array, float), VARIABLE
        )

    def constant(self, array: Array) -> Residue:
        if np.iscomplexobj(array):
            raise Abstention(f"a complex constant has no {self.name} arithmetic")
        companion = np.asarray(array).astype(np.float64)
        if np.all(companion == np.rint(companion)) and np.all(np.abs(companion) < 2**53):
            whole = companion.astype(np.int64)
            return Residue(whole % P, whole % Q, companion, CONSTANT)
        pairs = [self._rational(entry) for entry in np.asarray(array).reshape(-1)]
        residue, exponent = (np.array(part, np.int64) for part in zip(*pairs, strict=True))
        shape = companion.shape
        return Residue(residue.reshape(shape), exponent.reshape(shape), companion, CONSTANT)

    def _rational(self, entry: Any) -> tuple[int, int]:
        if not np.isfinite(entry):
            self.has_gaps = True
            return NO_RESIDUE, 0
        meant = meant_by(entry)
        if meant.rational.denominator != 1 or meant.is_root:
            self.recognised[float(entry)] = str(meant)
        above, below = meant.rational.numerator, meant.rational.denominator
        residue, exponent = above * pow(below, -1, P) % P, above * pow(below, -1, Q) % Q
        if meant.is_root:
            return root_of_constant(residue, P), root_of_constant(exponent, Q)
        return residue, exponent

    def companion(self, value: Any) -> Array:
        return value.companion if isinstance(value, Residue) else value

    def lift(self, function: Callable[..., Any], discrete: Sequence[bool] = ()) -> Any:
        def lifted(*operands: Any) -> Any:
            values = [o for o in operands if isinstance(o, Residue)]
            degree = moved([v.degree for v in values])
            parts = [
                function(*(o[k] if isinstance(o, Residue) else o for o in operands))
                for k in range(3)
            ]
            if isinstance(parts[0], list):
                plain = discrete or (False,) * len(parts[0])
                return [
                    column[0]
                    if is_plain
                    else residue_of(column[0], column[1], column[2], degree, None)
                    for column, is_plain in zip(zip(*parts, strict=True), plain, strict=True)
                ]
            result = residue_of(parts[0], parts[1], parts[2], degree, None)
            if all(v.factor is None for v in values):
                return result
            factor = function(*(_factor(o) if isinstance(o, Residue) else o for o in operands))
            # A 0 was filled in by the function, for the number 0, whose exp is 1.
            return result._replace(
                factor=np.where(factor == 0, 1, factor),
                factor_degree=moved([v.factor_degree for v in values]),
            )

        return lifted

    def sum(self, x: Residue, axes: tuple[int, ...]) -> Residue:
        count = prod(x.companion.shape[axis] for axis in axes)
        residue = np.asarray(np.add.reduce(x.residue, axis=axes)) % P
        exponent = np.add.reduce(x.exponent, axis=axes) % Q
        companion = np.add.reduce(x.companion, axis=axes)
        gaps = np.any(x.residue < 0, axis=axes) if self.has_gaps else None
        return residue_of(residue, exponent, companion, of_sum(x.degree, count), gaps)

    def cumsum(self, x: Residue, axis: int) -> Residue:
        count = np.shape(x.companion)[axis]
        residue = np.cumsum(x.residue, axis) % P
        exponent = np.cumsum(x.exponent, axis) % Q
        gaps = np.logical_or.accumulate(x.residue < 0, axis) if self.has_gaps else None
        companion = np.cumsum(x.companion, axis)
        return residue_of(residue, exponent, companion, of_sum(x.degree, count), gaps)

    def matmul(self, a: Residue, b: Residue) -> Residue:
        residue = modular.matmul(a.residue, b.residue, P)
        exponent = modular.matmul(a.exponent, b.exponent, Q)
        gaps = None
        if self.has_gaps:
            gaps = np.any(a.residue < 0, -1)[..., None] | np.any(b.residue < 0, -2)[..., None, :]
        count = np.shape(a.companion)[-1]
        degree = of_sum(of_product(a.degree, b.degree), count)
        return residue_of(residue, exponent, np.matmul(a.companion, b.companion), degree, gaps)

    def scatter_add(
        self, operand: Residue, places: Array, inside: Array | None, updates: Residue
    ) -> Residue:
        def scattered(into: Array, added: Array) -> Array:
            out, flat = np.array(into, order="C"), added.reshape(-1)
            where = places if inside is None else places[inside]
            np.add.at(out.reshape(-1), where, flat if inside is None else flat[inside])
            return out

        exponent = scattered(operand.exponent, updates.exponent) % Q
        gaps = None
        if self.has_gaps:
            gaps = scattered((operand.residue < 0) + 0, (updates.residue < 0) + 0) > 0
        most = int(np.max(np.bincount(places), initial=0))
        degree = of_sum(moved([operand.degree, updates.degree]), most + 1)
        return residue_of(
            scattered(operand.residue, updates.residue) % P,
            exponent,
            scattered(operand.companion, updates.companion),
            degree,
            gaps,
        )

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
        gaps: Any = operands[0].residue < 0
        for operand in operands[1:]:
            gaps = gaps | (operand.residue < 0)
        return gaps

    def _combine(self, a: Residue, b: Residue, ufunc: Any, degree: Degree) -> Residue:
        return residue_of(
            ufunc(a.residue, b.residue) % P,
            ufunc(a.exponent, b.exponent) % Q,
            ufunc(a.companion, b.companion),
            degree,
            self.gaps(a, b),
        )

    def add(self, a: Residue, b: Residue) -> Residue:
        total = self._combine(a, b, np.add, of_two(a.degree, b.degree))
        if a.factor is None and b.factor is None:
            return total
        return total._replace(
            factor=_factor(a) * _factor(b) % P,
            factor_degree=of_product(a.factor_degree, b.factor_degree),
        )

    def subtract(self, a: Residue, b: Residue) -> Residue:
        if a.factor is None and b.factor is None:
            return self._combine(a, b, np.subtract, of_two(a.degree, b.degree))
        return self.add(a, self.negate(b))

    def multiply(self, a: Residue, b: Residue) -> Residue:
        return self._combine(a, b, np.multiply, of_product(a.degree, b.degree))

    def negate(self, a: Residue) -> Residue:
        gaps = self.gaps(a)
        negative = residue_of(-a.residue % P, -a.exponent % Q, -a.companion, a.degree, gaps)
        if a.factor is None:
            return negative
        turned = of_inverse(a.factor_degree, a.factor.size)
        return negative._replace(factor=modular.inverse(a.factor, P), factor_degree=turned)

    def divide(self, a: Residue, b: Residue) -> Residue:
        return self.multiply(a, self.inverse(b))

    def inverse(self, b: Residue) -> Residue:
        residue, exponent = b.residue, b.exponent
        by_zero = (residue == 0) & (b.companion == 0)
        if np.any(by_zero):
            # A branch that is not taken may divide by 0; what it gives must not be used.
            self.has_gaps = True
            residue = np.where(by_zero, NO_RESIDUE, residue)
            exponent = np.where(by_zero, 1, exponent)
        gaps = None
        if self.has_gaps:
            gaps = residue < 0
            residue, exponent = np.where(gaps, 1, residue), np.where(gaps, 1, exponent)
        if np.any(residue == 0) or np.any(exponent == 0):
            raise Redraw("a divisor is 0 at these residues")
        return residue_of(
            modular.inverse(residue, P),
            modular.inverse(exponent, Q),
            1 / b.companion,
            of_inverse(b.degree, b.companion.size),
            gaps,
        )


def _factor(value: Residue) -> Array:
    return np.ones_like(value.residue) if value.factor is None else value.factor
