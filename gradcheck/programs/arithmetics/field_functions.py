"""Elementary functions in the finite field: algebra where there is some, unknowns where not.

Each function keeps the identities that derivatives of neural networks need. exp is a homomorphism,
and the inverse of log; sigmoid, tanh, sinh and cosh are rational functions of exp; sine and cosine of
one unknown; square roots are exact where they exist. Of every other function it is known only that
equal arguments have equal values, and how it is mirrored.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from gradcheck.errors import Abstention
from gradcheck.programs.arithmetics import modular
from gradcheck.programs.arithmetics.rationals import meant_by
from gradcheck.programs.arithmetics.residues import (
    CONSTANT,
    NO_RESIDUE,
    VARIABLE,
    Residue,
    degree_of_each,
    of_product,
)
from gradcheck.programs.operations import Operation
from gradcheck.programs.primitives.elementwise import REAL

__all__ = ["FieldFunctions"]

Array = np.ndarray[Any, Any]
Hash = Callable[[Array, Array, Array], Array]

ROOT_KEY = 0x5DEECE66D
"""Key of the roots of which nothing is known but that equal numbers have equal ones."""


class FieldFunctions:
    """The functions of one `FiniteField`, whose draws say which unknowns they are."""

    def __init__(self, field: Any) -> None:
        self.field = field
        self.draws, self.moduli = field.draws, field.moduli
        count = self.draws.count
        self.primes, self.orders = self.moduli[:count], self.moduli[count:]
        self._roots_of_primes: dict[int, Array] = {}
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

    def _halves(self, lanes: Array) -> tuple[Array, Array]:
        """Cut lanes, none of them a gap, into the residues modulo P and those modulo Q."""
        count = self.draws.count
        return lanes[..., :count], lanes[..., count:]

    def _unknown(self, name: str, x: Residue, real: Any, form: Hash) -> Residue:
        """Apply a function of which nothing is known but its mirrored form."""
        by_both = self.field.uninterpreted
        self.draws.met(name, x.companion.size, x.degree.larger, by_both)
        lanes, key = np.maximum(x.lanes, 0), self.draws.key(name)
        if by_both:
            # Each residue of the argument enters the other's key, as far as it is not mirrored.
            own, other = self._halves(modular.UNMIRRORED[form](lanes, self.moduli))
            key = modular.mixed(np.concatenate([other, own], -1), key)
        degree = degree_of_each(1, int(form is modular.exponential_hash), x.companion.size)
        found: Residue = self.field.value(
            form(lanes, key, self.moduli), real(x.companion), degree, self.field.gaps(x)
        )
        return found

    def _of_two(self, name: str, x: Residue, y: Residue, real: Any) -> Residue:
        """Apply an unknown function of two arguments."""
        size = max(x.companion.size, y.companion.size)
        self.draws.met(name, size, x.degree.larger + y.degree.larger, by_both=False)
        key = self.draws.key(name)
        first = modular.hashed(np.maximum(x.lanes, 0), key, self.moduli)
        lanes = modular.hashed(first * self.moduli + np.maximum(y.lanes, 0), key, self.moduli)
        found: Residue = self.field.value(
            lanes, real(x.companion, y.companion), VARIABLE, self.field.gaps(x, y)
        )
        return found

    def _sqrt(self, x: Residue) -> Residue:
        if x.degree == CONSTANT:
            return self._sqrt_of_constant(x)
        residue, exponent = self._halves(np.where(x.lanes < 0, 1, x.lanes))
        root = self.draws.root(residue)
        unknown = modular.root_hash(exponent, ROOT_KEY, self.orders)
        lanes = np.concatenate([root, unknown], -1)
        found: Residue = self.field.value(lanes, np.sqrt(x.companion), x.degree, self.field.gaps(x))
        return found

    def _sqrt_of_constant(self, x: Residue) -> Residue:
        """The number that the root would be if the program had written it, else an unknown one."""
        flat = x.lanes.reshape(-1, self.moduli.size)
        numbers = np.sqrt(x.companion)
        roots = [
            self._root_as_written(number, lanes)
            for number, lanes in zip(numbers.reshape(-1), flat, strict=True)
        ]
        lanes = np.array(roots, np.int64).reshape(x.lanes.shape)
        found: Residue = self.field.value(lanes, numbers, CONSTANT, self.field.gaps(x))
        return found

    def _root_as_written(self, number: Any, square: Array) -> Array:
        meant = meant_by(number) if np.isfinite(number) else None
        if meant is not None:
            written = self.field.number(meant)
            rational = self.field.number(meant._replace(is_root=False))
            again = rational if meant.is_root else rational * rational % self.moduli
            if np.array_equal(again, square):
                return np.asarray(written)
        return modular.root_hash(np.maximum(square, 0), ROOT_KEY, self.moduli)

    def root_of_rational(self, square: Fraction) -> Array:
        """Return the residues of a positive rational's root: the product of those of its primes.

        A constant cannot be drawn again until it is a square. The root of a prime that is none is an
        unknown number, and which of two roots a prime has does not matter, for no algebra tells.
        """
        above, below = (self._root_of(part) for part in (square.numerator, square.denominator))
        return np.asarray(above * modular.inverse(below, self.moduli) % self.moduli)

    def _root_of(self, number: int) -> Array:
        product: Array = np.ones_like(self.moduli)
        divisor = 2
        while number > 1:
            while number % divisor**2 == 0:
                product, number = product * divisor % self.moduli, number // divisor**2
            if number % divisor == 0:
                product = product * self._root_of_prime(divisor) % self.moduli
                number //= divisor
            divisor += 1
        return product

    def _root_of_prime(self, prime: int) -> Array:
        known = self._roots_of_primes.get(prime)
        if known is None:
            number = np.full_like(self.primes, prime)
            root = modular.power(number, (self.primes + 1) // 4, self.primes)
            unknown = np.maximum(modular.hashed(np.array(prime), ROOT_KEY, self.moduli), 1)
            known = unknown.copy()
            known[: root.size] = np.where(
                root * root % self.primes == prime, root, self._halves(unknown)[0]
            )
            self._roots_of_primes[prime] = known
        return known

    def _cbrt(self, x: Residue) -> Residue:
        # 3 divides neither P - 1 nor Q - 1, so every residue has one cube root.
        third = np.array([pow(3, -1, modulus - 1) for modulus in self.moduli.tolist()])
        lanes = modular.power(np.maximum(x.lanes, 0), third, self.moduli)
        degree = of_product(x.degree, of_product(x.degree, x.degree))
        found: Residue = self.field.value(lanes, np.cbrt(x.companion), degree, self.field.gaps(x))
        return found

    def _exp(self, x: Residue) -> Residue:
        if self.field.uninterpreted:
            return self._unknown("exp", x, np.exp, modular.exponential_hash)
        size = x.companion.size
        self.draws.met("exp", size, x.degree.larger, by_both=False)
        _, exponent = self._halves(np.maximum(x.lanes, 0))
        residue = modular.root_power(self.draws.roots, exponent, self.primes)
        _, key = self._halves(self.draws.key("exp"))
        unknown = modular.exponential_hash(exponent, key, self.orders)
        degree = degree_of_each(1, 1, size)
        if x.factor is not None:
            residue = residue * x.factor % self.primes
            degree = of_product(degree, x.factor_degree)
        lanes = np.concatenate([residue, unknown], -1)
        found: Residue = self.field.value(lanes, np.exp(x.companion), degree, self.field.gaps(x))
        return found

    def _masked_exp(self, x: Residue, masked: Array | None) -> Residue:
        """The exp that a program writes: where it underflows it is the 0 that a mask means by it."""
        result = self._exp(x)
        if masked is None:
            return result
        return result._replace(lanes=np.where(masked[..., None], 0, result.lanes))

    def _log(self, x: Residue) -> Residue:
        """An unknown with log(1/z) = -log(z), of which exp(log(z)) = z is known beside."""
        if np.any(x.companion == 0):
            self.field.has_gaps = True
            lanes = np.where((x.companion == 0)[..., None], NO_RESIDUE, x.lanes)
            x = x._replace(lanes=lanes)
        result = self._unknown("log", x, np.log, modular.logarithmic_hash)
        if self.field.uninterpreted:
            return result
        residue, _ = self._halves(np.maximum(x.lanes, 1))
        _, exponent = self._halves(np.maximum(result.lanes, 0))
        own = modular.root_power(self.draws.roots, -exponent % self.orders, self.primes)
        degree = of_product(x.degree, degree_of_each(1, 1, x.companion.size))
        return result._replace(factor=residue * own % self.primes, factor_degree=degree)

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
        if np.all(rest.lanes == 0):
            fraction = self.one
        elif np.all(rest.lanes == (self.moduli + 1) // 2):
            fraction = self._sqrt(x)
        else:
            fraction = self._of_two("pow", x, rest, lambda a, b: np.power(np.abs(a), b))
        result, base = fraction, x if n >= 0 else self.field.inverse(x)
        for _ in range(abs(n)):
            result = self.field.multiply(result, base)
        companion = np.power(x.companion, y.companion)
        lanes = np.broadcast_to(result.lanes, (*companion.shape, self.moduli.size))
        found: Residue = self.field.value(
            np.ascontiguousarray(lanes), companion, result.degree, self.field.gaps(x, y)
        )
        return found
