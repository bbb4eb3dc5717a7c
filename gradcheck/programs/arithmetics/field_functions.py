"""Elementary functions in the finite field: algebra where there is some, unknowns where not.

Each function keeps the identities that derivatives of neural networks need. exp is a homomorphism
where its argument has a residue modulo Q; sigmoid, tanh, sinh and cosh are rational functions of
exp; sine and cosine of one unknown; square roots are exact where they exist. Of every other function
it is known only that equal arguments have equal values, and how it is mirrored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.errors import Abstention
from gradcheck.programs.arithmetics import modular
from gradcheck.programs.arithmetics.modular import P, Q
from gradcheck.programs.arithmetics.residues import (
    CONSTANT,
    VARIABLE,
    Degree,
    Redraw,
    Residue,
    residue_of,
)
from gradcheck.programs.primitives.elementwise import REAL

__all__ = ["FieldFunctions", "root_of_constant"]

Array = np.ndarray[Any, Any]

MOST_RADICANDS = 6
"""Different square roots in one draw: half of all residues are squares, so that many need 2^6
draws until all radicands are."""


ROOT_KEY = 0x5DEECE66D
"""Key of the unknown roots of constants, the same for all draws, as constants are."""


class FieldFunctions:
    """The functions of one `FiniteField`, whose draw says which unknowns they are."""

    def __init__(self, field: Any) -> None:
        self.field = field
        self.one: Residue = field.constant(np.ones(()))
        self.two: Residue = field.constant(np.full((), 2.0))

    def table(self) -> dict[str, Callable[..., Residue]]:
        """Return the functions by the names of their primitives."""
        field = self.field
        known: dict[str, Callable[..., Residue]] = {
            "sqrt": self._sqrt,
            "rsqrt": lambda x: field.inverse(self._sqrt(x)),
            "cbrt": self._cbrt,
            "pow": self._pow,
            "exp": self._exp,
            "expm1": lambda x: field.subtract(self._exp(x), self.one),
            "exp2": lambda x: self._paired("exp2", x, np.exp2),
            "log": self._log,
            "log1p": lambda x: self._log(field.add(x, self.one)),
            "logaddexp": lambda x, y: self._log(field.add(self._exp(x), self._exp(y))),
            "logistic": self._logistic,
            "tanh": self._tanh,
            "sinh": lambda x: self._from_exp(x, field.subtract, np.sinh),
            "cosh": lambda x: self._from_exp(x, field.add, np.cosh),
            "sin": lambda x: self._circle(x)[0],
            "cos": lambda x: self._circle(x)[1],
            "tan": lambda x: field.divide(*self._circle(x)),
            "erfc": lambda x: field.subtract(self.one, self._odd("erf")(x)),
            "atan2": lambda y, x: self._unknown("atan2", (y, x), np.arctan2),
        }
        odd = {name: self._odd(name) for name in ("erf", "asin", "atan", "asinh", "atanh")}
        plain = {name: self._plain(name) for name in ("acos", "acosh", "lgamma", "digamma")}
        return known | odd | plain

    def _sqrt(self, x: Residue) -> Residue:
        if x.degree == CONSTANT and x.exponent is not None:
            return self._sqrt_of_constant(x)
        residue = np.where(x.residue < 0, 1, x.residue)
        if np.any(modular.power(residue, Q, P) > 1):
            raise Redraw("a radicand is no square at these residues")
        self.field.draw.radicands.update(int(entry) for entry in residue.reshape(-1) if entry > 1)
        if len(self.field.draw.radicands) > MOST_RADICANDS:
            raise Abstention(
                f"more than {MOST_RADICANDS} different square roots are beyond the finite field; "
                "smaller sizes have fewer"
            )
        # P is 3 modulo 4: of the two roots, this power is the one that is a square itself.
        root = modular.power(residue, (P + 1) // 4, P)
        return residue_of(root, None, np.sqrt(x.companion), x.degree, self.field.gaps(x))

    def _sqrt_of_constant(self, x: Residue) -> Residue:
        root, exponent = (
            np.array([root_of_constant(int(e), m) for e in part.reshape(-1)], np.int64)
            for part, m in ((np.maximum(x.residue, 0), P), (np.asarray(x.exponent), Q))
        )
        shape, companion = np.shape(x.companion), np.sqrt(x.companion)
        gaps = self.field.gaps(x)
        return residue_of(root.reshape(shape), exponent.reshape(shape), companion, CONSTANT, gaps)

    def _cbrt(self, x: Residue) -> Residue:
        # 3 does not divide P - 1, so every residue has one cube root.
        root = modular.power(np.maximum(x.residue, 0), pow(3, -1, P - 1), P)
        degree = Degree(3 * x.degree.above, 3 * x.degree.below)
        return residue_of(root, None, np.cbrt(x.companion), degree, self.field.gaps(x))

    def _exp(self, x: Residue) -> Residue:
        companion = np.exp(x.companion)
        if x.exponent is None:
            result = self._paired("exp", x, np.exp)
        else:
            self._count(x)
            residue = modular.root_power(self.field.draw.roots, np.asarray(x.exponent))
            result = residue_of(residue, None, companion, VARIABLE, self.field.gaps(x))
        if not self.field.has_gaps:
            return result
        # exp(-inf) is the 0 that a mask means by it.
        masked = x.companion == -np.inf
        return result._replace(residue=np.where(masked, 0, result.residue))

    def _count(self, *operands: Residue) -> None:
        size = max(np.size(x.companion) for x in operands)
        degree = max(2 * (x.degree.above + x.degree.below) for x in operands)
        self.field.draw.collisions += size * (self.field.draw.applied + size) * max(degree, 1)
        self.field.draw.applied += size

    def _unknown(self, name: str, operands: tuple[Residue, ...], real: Any) -> Residue:
        """Apply a function of which nothing is known but that it is one."""
        self._count(*operands)
        key = self.field.draw.key(name)
        residue = np.zeros((), np.int64)
        for operand in operands:
            residue = modular.hashed(residue * P + np.maximum(operand.residue, 0), key)
        companion = real(*(x.companion for x in operands))
        return residue_of(residue, None, companion, VARIABLE, self.field.gaps(*operands))

    def _plain(self, name: str) -> Callable[[Residue], Residue]:
        return lambda x: self._unknown(name, (x,), REAL[name])

    def _odd(self, name: str) -> Callable[[Residue], Residue]:
        """A function of which f(-z) = -f(z) is known."""

        def odd(x: Residue) -> Residue:
            mirrored = x.residue > P // 2
            half = x._replace(residue=np.where(mirrored, P - x.residue, x.residue))
            value = self._unknown(name, (half,), REAL[name])
            residue = np.where(mirrored, -value.residue % P, value.residue)
            residue = np.where(x.residue == 0, 0, residue)
            return residue_of(residue, None, REAL[name](x.companion), VARIABLE, self.field.gaps(x))

        return odd

    def _paired(self, name: str, x: Residue, real: Any) -> Residue:
        """A function of which f(-z) = 1/f(z) is known."""
        mirrored = x.residue > P // 2
        half = x._replace(residue=np.where(mirrored, P - x.residue, x.residue))
        value = self._unknown(name, (half,), real).residue
        value = np.where(x.residue == 0, 1, np.maximum(value, 1))
        residue = np.where(mirrored, modular.inverse(value, P), value)
        return residue_of(residue, None, real(x.companion), Degree(1, 1), self.field.gaps(x))

    def _log(self, x: Residue) -> Residue:
        """A function of which log(1/z) = -log(z) is known."""
        residue = np.maximum(x.residue, 0)
        turned = modular.inverse(np.maximum(residue, 1), P)
        mirrored = turned < residue
        half = x._replace(residue=np.where(mirrored, turned, residue))
        value = self._unknown("log", (half,), np.log).residue
        value = np.where(mirrored, -value % P, value)
        value = np.where(residue == 1, 0, value)
        gaps = self.field.gaps(x)
        if np.any(x.companion == 0):
            self.field.has_gaps = True
            gaps = (x.residue < 0) | (x.companion == 0)
        return residue_of(value, None, np.log(x.companion), VARIABLE, gaps)

    def _logistic(self, x: Residue) -> Residue:
        sigmoid: Residue = self.field.inverse(
            self.field.add(self.one, self._exp(self.field.negate(x)))
        )
        return sigmoid._replace(companion=REAL["logistic"](x.companion))

    def _tanh(self, x: Residue) -> Residue:
        grown = self._exp(x)
        square = self.field.multiply(grown, grown)
        ratio: Residue = self.field.divide(
            self.field.subtract(square, self.one), self.field.add(square, self.one)
        )
        return ratio._replace(companion=np.tanh(x.companion))

    def _from_exp(self, x: Residue, combine: Any, real: Any) -> Residue:
        grown = self._exp(x)
        both: Residue = self.field.divide(combine(grown, self.field.inverse(grown)), self.two)
        return both._replace(companion=real(x.companion))

    def _circle(self, x: Residue) -> tuple[Residue, Residue]:
        """Sine and cosine by one odd unknown t: 2t/(1 + t²) and (1 - t²)/(1 + t²)."""
        t = self._odd("sin")(x)
        square = self.field.multiply(t, t)
        below = self.field.inverse(self.field.add(self.one, square))
        sine = self.field.multiply(self.field.add(t, t), below)
        cosine = self.field.multiply(self.field.subtract(self.one, square), below)
        sine = sine._replace(companion=np.sin(x.companion))
        return sine, cosine._replace(companion=np.cos(x.companion))

    def _pow(self, x: Residue, y: Residue) -> Residue:
        """x^y = x^n x^f with a whole n and 0 <= f < 1, where x^f is unknown unless f is 0 or 1/2."""
        whole = np.floor(y.companion)
        if np.size(whole) == 0 or np.any(whole != whole.reshape(-1)[0]):
            raise Abstention("powers of different exponents in one array have no finite-field form")
        n = int(whole.reshape(-1)[0])
        rest = self.field.subtract(y, self.field.constant(whole))
        companion = np.power(x.companion, y.companion)
        if np.all(rest.residue == 0):
            fraction = self.one
        elif np.all(rest.residue == pow(2, -1, P)):
            fraction = self._sqrt(x)
        else:
            fraction = self._unknown("pow", (x, rest), lambda a, b: np.power(np.abs(a), b))
        result, base = fraction, x if n >= 0 else self.field.inverse(x)
        for _ in range(abs(n)):
            result = self.field.multiply(result, base)
        shape = np.broadcast_shapes(np.shape(x.companion), np.shape(y.companion))
        residue = np.broadcast_to(result.residue, shape)
        return residue_of(residue, None, companion, result.degree, self.field.gaps(x, y))


def root_of_constant(residue: int, modulus: int) -> int:
    """Return the square root of a residue, or an unknown r with r(1/z) = 1/r(z) if it has none.

    A constant cannot be drawn again until it is a square; what holds for an unknown holds for it.
    """
    if modulus == P and pow(residue, Q, P) <= 1:
        return pow(residue, (P + 1) // 4, P)
    if residue <= 1:
        return residue
    turned = pow(residue, -1, modulus)
    unknown = int(modular.hashed(np.array(min(residue, turned)), ROOT_KEY)) % modulus or 1
    return unknown if residue <= turned else pow(unknown, -1, modulus)
