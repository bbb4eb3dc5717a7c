"""Elementary functions in the finite field: algebra where there is some, unknowns where not.

Each function keeps the identities that derivatives of neural networks need. exp is a homomorphism,
and the inverse of log; sigmoid, tanh, sinh and cosh are rational functions of exp; sine and cosine of
one unknown; square roots are exact where they exist. Of every other function it is known only that
equal arguments have equal values, and how it is mirrored.
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
    Residue,
    degree_of_each,
    of_product,
    residue_of,
)
from gradcheck.programs.operations import Operation
from gradcheck.programs.primitives.elementwise import REAL

__all__ = ["FieldFunctions", "root_of_constant"]

Array = np.ndarray[Any, Any]
Hash = Callable[[Array, int, int], Array]

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
        self.exponentials: dict[str, Callable[..., Residue]] = {
            "exp": self._masked_exp,
            "expm1": lambda x, masked: field.subtract(self._masked_exp(x, masked), self.one),
        }

    def table(self) -> dict[str, Callable[..., Residue]]:
        """Return the functions by the names of their primitives; in a program `exponentials` mask."""
        field = self.field
        known: dict[str, Callable[..., Residue]] = {
            "sqrt": self._sqrt,
            "rsqrt": lambda x: field.inverse(self._sqrt(x)),
            "cbrt": self._cbrt,
            "pow": self._pow,
            "exp": self._exp,
            "expm1": lambda x: field.subtract(self._exp(x), self.one),
            "exp2": self._named("exp2", modular.exponential_hash),
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
            "erfc": lambda x: field.subtract(self.one, known["erf"](x)),
            "atan2": lambda y, x: self._of_two("atan2", y, x, np.arctan2),
        }
        for name in ("erf", "asin", "atan", "asinh", "atanh"):
            known[name] = self._named(name, modular.odd_hash)
        for name in ("acos", "acosh", "lgamma", "digamma"):
            known[name] = self._named(name, modular.hashed)
        if field.uninterpreted:
            known["tanh"] = self._named("tanh", modular.odd_hash)
            known["logistic"] = self._named("logistic", modular.logistic_hash)
        return known

    def _named(self, name: str, form: Hash) -> Callable[[Residue], Residue]:
        return lambda x: self._unknown(name, x, REAL[name], form)

    def unknown(self, operation: Operation, real: Any) -> Callable[..., Residue]:
        """Return the function of a primitive of `unknown_functions`: each order is one of its own."""
        name = operation.parameters["name"] + "'" * operation.parameters["order"]

        def function(x: Residue, *parameters: Residue) -> Residue:
            return self._unknown(
                name, x, lambda at: real(at, *(p.companion for p in parameters)), modular.hashed
            )

        return function

    def _unknown(self, name: str, x: Residue, real: Any, form: Hash) -> Residue:
        """Apply a function of which nothing is known but its mirrored form."""
        by_both = self.field.uninterpreted
        self.field.draw.count(name, x.companion.size, x.degree.larger, by_both)
        argument, key = np.maximum(x.residue, 0), self.field.draw.key(name)
        keys: tuple[Any, Any] = key, key
        if by_both:
            # Each residue of the argument enters the other's key, as far as it is not mirrored.
            unmirrored = modular.UNMIRRORED[form]
            other, own = unmirrored(x.exponent, Q), unmirrored(argument, P)
            keys = modular.mixed(other, key), modular.mixed(own, key)
        residue, exponent = form(argument, keys[0], P), form(x.exponent, keys[1], Q)
        degree = degree_of_each(1, int(form is modular.exponential_hash), x.companion.size)
        return residue_of(residue, exponent, real(x.companion), degree, self.field.gaps(x))

    def _of_two(self, name: str, x: Residue, y: Residue, real: Any) -> Residue:
        """Apply an unknown function of two arguments."""
        size = max(x.companion.size, y.companion.size)
        self.field.draw.count(name, size, x.degree.larger + y.degree.larger, by_both=False)
        key = self.field.draw.key(name)
        residue, exponent = (
            modular.hashed(modular.hashed(a, key, m) * m + b, key, m)
            for a, b, m in (
                (np.maximum(x.residue, 0), np.maximum(y.residue, 0), P),
                (x.exponent, y.exponent, Q),
            )
        )
        companion = real(x.companion, y.companion)
        return residue_of(residue, exponent, companion, VARIABLE, self.field.gaps(x, y))

    def _sqrt(self, x: Residue) -> Residue:
        if x.degree == CONSTANT:
            return self._sqrt_of_constant(x)
        residue = np.where(x.residue < 0, 1, x.residue)
        self.field.draw.require_squares(residue)
        if len(self.field.draw.radicands) > MOST_RADICANDS:
            raise Abstention(
                f"more than {MOST_RADICANDS} different square roots are beyond the finite field; "
                "smaller sizes have fewer"
            )
        # P is 3 modulo 4: of the two roots, this power is the one that is a square itself.
        root = modular.power(residue, (P + 1) // 4, P)
        exponent = modular.root_hash(x.exponent, ROOT_KEY, Q)
        return residue_of(root, exponent, np.sqrt(x.companion), x.degree, self.field.gaps(x))

    def _sqrt_of_constant(self, x: Residue) -> Residue:
        """The number that the root would be if the program had written it, where it is a root."""
        written: Residue = self.field.constant(np.sqrt(x.companion))
        roots = [root_of_constant(int(entry), P) for entry in x.residue.reshape(-1)]
        is_root = written.residue * written.residue % P == x.residue
        residue = np.where(is_root, written.residue, np.reshape(roots, x.residue.shape))
        unknown = modular.root_hash(x.exponent, ROOT_KEY, Q)
        exponent = np.where(is_root, written.exponent, unknown)
        return residue_of(residue, exponent, written.companion, CONSTANT, self.field.gaps(x))

    def _cbrt(self, x: Residue) -> Residue:
        # 3 divides neither P - 1 nor Q - 1, so every residue has one cube root.
        residue, exponent = (
            modular.power(np.maximum(part, 0), pow(3, -1, m - 1), m)
            for part, m in ((x.residue, P), (x.exponent, Q))
        )
        degree = of_product(x.degree, of_product(x.degree, x.degree))
        return residue_of(residue, exponent, np.cbrt(x.companion), degree, self.field.gaps(x))

    def _exp(self, x: Residue) -> Residue:
        if self.field.uninterpreted:
            return self._unknown("exp", x, np.exp, modular.exponential_hash)
        size = x.companion.size
        self.field.draw.count("exp", size, x.degree.larger, by_both=False)
        residue = modular.root_power(self.field.draw.roots, x.exponent)
        exponent = modular.exponential_hash(x.exponent, self.field.draw.key("exp"), Q)
        degree = degree_of_each(1, 1, size)
        if x.factor is not None:
            residue, degree = residue * x.factor % P, of_product(degree, x.factor_degree)
        return residue_of(residue, exponent, np.exp(x.companion), degree, self.field.gaps(x))

    def _masked_exp(self, x: Residue, masked: Array | None) -> Residue:
        """The exp that a program writes: where it underflows it is the 0 that a mask means by it."""
        result = self._exp(x)
        if masked is None:
            return result
        return result._replace(
            residue=np.where(masked, 0, result.residue),
            exponent=np.where(masked, 0, result.exponent),
        )

    def _log(self, x: Residue) -> Residue:
        """An unknown with log(1/z) = -log(z), of which exp(log(z)) = z is known beside."""
        if np.any(x.companion == 0):
            self.field.has_gaps = True
            x = x._replace(residue=np.where(x.companion == 0, -1, x.residue))
        result = self._unknown("log", x, np.log, modular.logarithmic_hash)
        if self.field.uninterpreted:
            return result
        own = modular.root_power(self.field.draw.roots, -result.exponent % Q)
        factor = np.maximum(x.residue, 1) * own % P
        degree = of_product(x.degree, degree_of_each(1, 1, factor.size))
        return result._replace(factor=factor, factor_degree=degree)

    def _logistic(self, x: Residue) -> Residue:
        below = self.field.add(self.one, self._exp(self.field.negate(x)))
        sigmoid: Residue = self.field.inverse(below)
        return sigmoid._replace(companion=REAL["logistic"](x.companion))

    def _tanh(self, x: Residue) -> Residue:
        grown = self._exp(x)
        square = self.field.multiply(grown, grown)
        above, below = self.field.subtract(square, self.one), self.field.add(square, self.one)
        ratio: Residue = self.field.divide(above, below)
        return ratio._replace(companion=np.tanh(x.companion))

    def _from_exp(self, x: Residue, combine: Any, real: Any) -> Residue:
        grown = self._exp(x)
        both: Residue = self.field.divide(combine(grown, self.field.inverse(grown)), self.two)
        return both._replace(companion=real(x.companion))

    def _circle(self, x: Residue) -> tuple[Residue, Residue]:
        """Sine and cosine by one odd unknown t: 2t/(1 + t²) and (1 - t²)/(1 + t²)."""
        t = self._unknown("sin", x, np.tan, modular.odd_hash)
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
        if np.all(rest.residue == 0):
            fraction = self.one
        elif np.all(rest.residue == pow(2, -1, P)):
            fraction = self._sqrt(x)
        else:
            fraction = self._of_two("pow", x, rest, lambda a, b: np.power(np.abs(a), b))
        result, base = fraction, x if n >= 0 else self.field.inverse(x)
        for _ in range(abs(n)):
            result = self.field.multiply(result, base)
        companion = np.power(x.companion, y.companion)
        residue, exponent = (
            np.broadcast_to(part, companion.shape) for part in (result.residue, result.exponent)
        )
        return residue_of(residue, exponent, companion, result.degree, self.field.gaps(x, y))


def root_of_constant(residue: int, modulus: int) -> int:
    """Return the square root of a residue, or an unknown r with r(1/z) = 1/r(z) if it has none.

    A constant cannot be drawn again until it is a square; what holds for an unknown holds for it.
    Modulo Q every root is unknown.
    """
    if modulus == P and pow(max(residue, 0), Q, P) <= 1:
        return pow(max(residue, 0), (P + 1) // 4, P)
    return int(modular.root_hash(np.array(max(residue, 0)), ROOT_KEY, modulus))
