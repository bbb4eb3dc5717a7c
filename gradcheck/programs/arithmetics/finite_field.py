"""Residues for exact answers: two rational functions agree at random residues or differ for good.

A value has a residue modulo P; one modulo Q = (P - 1)/2, of the same rational function at other
random inputs, by which exp is a homomorphism: exp(x) is a random Q-th root of unity to the power
x mod Q (Wu et al., Mirage, OSDI 2025; "Identity Testing for Circuits with Exponentiation Gates",
ITCS 2026); and a float64 companion, which decides every comparison. Past one exp the residue modulo
Q is lost, and exp is a function of which only exp(-z) = 1/exp(z) is known. Functions without
algebra are keyed hashes of their argument.

Beside them runs a bound on the degree of numerator and denominator, for the probability that two
different functions agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradcheck.programs.arithmetics import modular
from gradcheck.programs.arithmetics.base import Arithmetic
from gradcheck.programs.arithmetics.field_functions import FieldFunctions, root_of_constant
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
    of_product,
    of_sum,
    of_two,
    residue_of,
    wider,
)
from gradcheck.programs.operations import Operation

__all__ = ["FiniteField", "Redraw", "Residue"]

Array = np.ndarray[Any, Any]


class FiniteField(Arithmetic):
    """Residues modulo P and Q with float64 companions.

    Call `redraw` before the first evaluation and for every further draw.
    """

    name = "finite-field"

    def __init__(self) -> None:
        super().__init__()
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
        self.elementwise = ring | FieldFunctions(self).table()

    def redraw(self, rng: np.random.Generator) -> None:
        """Choose exp's root of unity and the unknown functions anew."""
        root = pow(int(rng.integers(2, P - 1)), 2, P)
        self.draw = Draw(modular.powers_of(root), rng)

    def variable(self, array: Array, rng: np.random.Generator) -> Residue:
        """Return an input: random residues beside the companion `array`."""
        shape = np.shape(array)
        return Residue(
            rng.integers(0, P, shape), rng.integers(0, Q, shape), np.asarray(array, float), VARIABLE
        )

    def constant(self, array: Array) -> Residue:
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
            degree = Degree(
                max((v.degree.above for v in values), default=0),
                max((v.degree.below for v in values), default=0),
            )
            parts = []
            for k in range(3):
                chosen = [o[k] if isinstance(o, Residue) else o for o in operands]
                lost = k == 1 and any(v.exponent is None for v in values)
                parts.append(None if lost else function(*chosen))
            if not isinstance(parts[0], list):
                return _assembled(parts, degree)
            columns = zip(
                *([p if p is not None else [None] * len(parts[0]) for p in parts]), strict=True
            )
            plain = discrete or (False,) * len(parts[0])
            return [
                column[0] if is_plain else _assembled(column, degree)
                for column, is_plain in zip(columns, plain, strict=True)
            ]

        return lifted

    def sum(self, x: Residue, axes: tuple[int, ...]) -> Residue:
        count = int(np.prod([np.shape(x.companion)[axis] for axis in axes], dtype=np.int64))
        residue = np.asarray(np.add.reduce(x.residue, axis=axes)) % P
        exponent = None if x.exponent is None else np.add.reduce(x.exponent, axis=axes) % Q
        companion = np.add.reduce(x.companion, axis=axes)
        gaps = np.any(x.residue < 0, axis=axes) if self.has_gaps else None
        return residue_of(residue, exponent, companion, of_sum(x.degree, count), gaps)

    def cumsum(self, x: Residue, axis: int) -> Residue:
        count = np.shape(x.companion)[axis]
        residue = np.cumsum(x.residue, axis) % P
        exponent = None if x.exponent is None else np.cumsum(x.exponent, axis) % Q
        gaps = np.logical_or.accumulate(x.residue < 0, axis) if self.has_gaps else None
        companion = np.cumsum(x.companion, axis)
        return residue_of(residue, exponent, companion, of_sum(x.degree, count), gaps)

    def matmul(self, a: Residue, b: Residue) -> Residue:
        residue = modular.matmul(a.residue, b.residue, P)
        exponent = None
        if a.exponent is not None and b.exponent is not None:
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
            out, flat = np.array(into), added.reshape(-1)
            where = places if inside is None else places[inside]
            np.add.at(out.reshape(-1), where, flat if inside is None else flat[inside])
            return out

        exponent = None
        if operand.exponent is not None and updates.exponent is not None:
            exponent = scattered(operand.exponent, updates.exponent) % Q
        gaps = None
        if self.has_gaps:
            gaps = scattered((operand.residue < 0) + 0, (updates.residue < 0) + 0) > 0
        most = int(np.max(np.bincount(places), initial=0))
        degree = of_sum(wider(operand.degree, updates.degree), most + 1)
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
        return None

    def gaps(self, *operands: Residue) -> Any:
        """Return where an operand has no residue, or None if nothing ever lacks one."""
        if not self.has_gaps:
            return None
        gaps: Any = operands[0].residue < 0
        for operand in operands[1:]:
            gaps = gaps | (operand.residue < 0)
        return gaps

    def _combine(self, a: Residue, b: Residue, ufunc: Any, degree: Degree) -> Residue:
        exponent = None
        if a.exponent is not None and b.exponent is not None:
            exponent = ufunc(a.exponent, b.exponent) % Q
        residue = ufunc(a.residue, b.residue) % P
        companion = ufunc(a.companion, b.companion)
        return residue_of(residue, exponent, companion, degree, self.gaps(a, b))

    def add(self, a: Residue, b: Residue) -> Residue:
        return self._combine(a, b, np.add, of_two(a.degree, b.degree))

    def subtract(self, a: Residue, b: Residue) -> Residue:
        return self._combine(a, b, np.subtract, of_two(a.degree, b.degree))

    def multiply(self, a: Residue, b: Residue) -> Residue:
        return self._combine(a, b, np.multiply, of_product(a.degree, b.degree))

    def negate(self, a: Residue) -> Residue:
        exponent = None if a.exponent is None else -a.exponent % Q
        return residue_of(-a.residue % P, exponent, -a.companion, a.degree, self.gaps(a))

    def divide(self, a: Residue, b: Residue) -> Residue:
        return self.multiply(a, self.inverse(b))

    def inverse(self, b: Residue) -> Residue:
        residue, exponent = b.residue, b.exponent
        by_zero = (residue == 0) & (b.companion == 0)
        if np.any(by_zero):
            # A branch that is not taken may divide by 0; what it gives must not be used.
            self.has_gaps = True
            residue = np.where(by_zero, NO_RESIDUE, residue)
            exponent = None if exponent is None else np.where(by_zero, 1, exponent)
        if np.any(residue == 0) or (exponent is not None and np.any(exponent == 0)):
            raise Redraw("a divisor is 0 at these residues")
        gaps = residue < 0 if self.has_gaps else None
        if gaps is not None:
            residue = np.where(gaps, 1, residue)
            exponent = None if exponent is None else np.where(exponent == 0, 1, exponent)
        return residue_of(
            modular.inverse(np.asarray(residue), P),
            None if exponent is None else modular.inverse(np.asarray(exponent), Q),
            1 / b.companion,
            Degree(b.degree.below, b.degree.above),
            gaps,
        )


def _assembled(parts: Sequence[Any], degree: Degree) -> Residue:
    residue, exponent, companion = parts
    exponent = None if exponent is None else np.asarray(exponent)
    return Residue(np.asarray(residue), exponent, np.asarray(companion), degree)
