"""Residues modulo primes below 2^31, in int64 arrays that cannot overflow.

A modulus is a number, or one for each entry of the last axis.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

__all__ = [
    "SMALLEST_Q",
    "UNMIRRORED",
    "exponential_hash",
    "hashed",
    "inverse",
    "logarithmic_hash",
    "logistic_hash",
    "matmul",
    "mixed",
    "odd_hash",
    "power",
    "powers_of",
    "root_hash",
    "root_power",
    "safe_primes",
]

Array = np.ndarray[Any, Any]

LARGEST_P = 2**31
"""Products of two residues, and sums of some, fit into 63 bits."""

STEP = 840
"""All primes P are -1 modulo 840, so that 2, 3, 5 and 7 are squares modulo P, as they are of reals, and
-1 is none (quadratic reciprocity): the root of 4x² that is a square is twice that of x², and P is 3 mod 4."""

CANDIDATES = 12_000
"""Numbers that are looked through for primes, from the largest down: some 480 are found in 5 ms."""

SMALLEST_Q = (LARGEST_P - STEP * (CANDIDATES + 1)) // 2
"""What every order of squares exceeds: the modulus by which the probability of a coincidence is bounded."""

LIMB_BITS = 16
"""Matrix products cut one factor in two: 16 bits times 31 bits leaves room for 2^16 terms."""

WINDOW_BITS = 10
"""Powers of a root of unity are looked up by this many bits of the exponent at a time."""


@cache
def safe_primes() -> Array:
    """Return the primes P below 2^31, -1 modulo 840, such that (P - 1)/2 is prime too.

    The squares modulo such a prime form a group of prime order.
    """
    last = LARGEST_P // STEP
    p = STEP * np.arange(last - CANDIDATES + 1, last + 1) - 1
    stays = np.ones(CANDIDATES, bool)
    for divisor in _primes_below(int(LARGEST_P**0.5) + 1):
        if STEP % divisor:
            inverse_step = pow(STEP, -1, divisor)
            for rest in (0, 1):  # P itself, and P - 1 = 2Q
                first = (rest - int(p[0])) * inverse_step % divisor
                stays[first::divisor] = False
    return np.asarray(p[stays])


def _primes_below(limit: int) -> list[int]:
    stays = np.ones(limit, bool)
    stays[:2] = False
    for k in range(2, int(limit**0.5) + 1):
        stays[k * k :: k] &= not stays[k]
    return [int(k) for k in np.flatnonzero(stays)]


def inverse(x: Array, modulus: Array) -> Array:
    """Return the modular inverse of each entry of an array (..., moduli); none may be 0.

    Many entries have one inverse together, that of their product; those of the parts of a product
    follow from its own (Montgomery 1987, "Speeding the Pollard and elliptic curve methods").
    """
    level = x.reshape(-1, modulus.size)
    levels = []
    while level.shape[0] > 1:
        if level.shape[0] % 2:
            level = np.append(level, np.ones_like(level[:1]), 0)
        levels.append(level)
        level = level[::2] * level[1::2] % modulus
    last = zip(level.reshape(-1).tolist(), modulus.tolist(), strict=False)  # of no entries: none
    inverses = np.array([pow(entry, -1, m) for entry, m in last], np.int64)
    inverses = inverses.reshape(-1, modulus.size)
    for level in reversed(levels):
        of_products = inverses[: level.shape[0] // 2]
        inverses = np.empty_like(level)
        inverses[::2] = of_products * level[1::2] % modulus
        inverses[1::2] = of_products * level[::2] % modulus
    return inverses[: x.size // modulus.size].reshape(x.shape)


def power(x: Array, exponent: Array, modulus: Array) -> Array:
    """Return each entry of an array (..., moduli) to the power >= 0 that belongs to its modulus."""
    result = np.ones_like(x)
    for bit in range(int(np.max(exponent)).bit_length()):
        result = np.where(exponent >> bit & 1, result * x % modulus, result)
        x = x * x % modulus
    return result


def matmul(a: Array, b: Array, modulus: Array) -> Array:
    """Return the product of two stacks of matrices; the modulus spreads over that stack."""
    high, low = a >> LIMB_BITS, a & (2**LIMB_BITS - 1)
    upper = np.matmul(high, b) % modulus << LIMB_BITS
    product: Array = (upper + np.matmul(low, b)) % modulus
    return product


def powers_of(roots: Array, modulus: Array) -> Array:
    """Return tables [j, n, k] of roots[n]^(k 2^(10 j)) for k < 1024 and j = 0, 1, 2."""
    tables = []
    root, modulus = roots[:, None], modulus[:, None]
    for _ in range(3):
        table = np.ones_like(root)
        for _ in range(WINDOW_BITS):
            table = np.concatenate([table, table * root % modulus], 1)
            root = root * root % modulus
        tables.append(table)
    return np.stack(tables)


def root_power(tables: Array, exponent: Array, modulus: Array) -> Array:
    """Return each table's root to the powers 0 <= (..., n) < 2^30 that belong to it."""
    mask = 2**WINDOW_BITS - 1
    low, middle, high = tables
    number = np.arange(modulus.size)
    lower = low[number, exponent & mask] * middle[number, exponent >> WINDOW_BITS & mask] % modulus
    return np.asarray(lower * high[number, exponent >> 2 * WINDOW_BITS] % modulus)


def mixed(x: Array, key: int | Array) -> Array:
    """Return 64 bits that look random, the same for the same entry and key.

    The finaliser of splitmix64: Steele, Lea and Flood (2014), "Fast splittable pseudorandom number
    generators".
    """
    with np.errstate(over="ignore"):
        z = x.astype(np.uint64) + np.asarray(key, np.uint64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def hashed(x: Array, key: int | Array, modulus: Array) -> Array:
    """Return a residue that looks random, the same for the same entry and key."""
    return (mixed(x, key) % np.asarray(modulus, np.uint64)).astype(np.int64)


def odd_hash(x: Array, key: int | Array, modulus: Array) -> Array:
    """Return an unknown f(x) with f(-x) = -f(x)."""
    mirrored = x > modulus // 2
    value = hashed(np.where(mirrored, modulus - x, x), key, modulus)
    return np.where(x == 0, 0, np.where(mirrored, -value % modulus, value))


def exponential_hash(x: Array, key: int | Array, modulus: Array) -> Array:
    """Return an unknown f(x), not 0, with f(-x) = 1/f(x)."""
    mirrored = x > modulus // 2
    value = np.maximum(hashed(np.where(mirrored, modulus - x, x), key, modulus), 1)
    value = np.where(mirrored, inverse(value, modulus), value)
    return np.where(x == 0, 1, value)


def logistic_hash(x: Array, key: int | Array, modulus: Array) -> Array:
    """Return an unknown f(x) with f(-x) = 1 - f(x)."""
    mirrored = x > modulus // 2
    value = hashed(np.where(mirrored, modulus - x, x), key, modulus)
    value = np.where(x == 0, (modulus + 1) // 2, value)  # a half
    return np.where(mirrored, (1 - value) % modulus, value)


def logarithmic_hash(x: Array, key: int | Array, modulus: Array) -> Array:
    """Return an unknown f(x) with f(1/x) = -f(x)."""
    turned = inverse(np.maximum(x, 1), modulus)
    mirrored = turned < x
    value = hashed(np.where(mirrored, turned, x), key, modulus)
    return np.where(x == 1, 0, np.where(mirrored, -value % modulus, value))


def root_hash(x: Array, key: int | Array, modulus: Array) -> Array:
    """Return an unknown f(x), not 0 but at 0, with f(1/x) = 1/f(x)."""
    turned = inverse(np.maximum(x, 1), modulus)
    mirrored = turned < x
    value = np.maximum(hashed(np.where(mirrored, turned, x), key, modulus), 1)
    value = np.where(mirrored, inverse(value, modulus), value)
    return np.where(x <= 1, x, value)


def _itself(x: Array, _: Array) -> Array:
    return x


def _unsigned(x: Array, modulus: Array) -> Array:
    return np.asarray(np.minimum(x, modulus - x))


def _uninverted(x: Array, modulus: Array) -> Array:
    return np.asarray(np.minimum(x, inverse(np.maximum(x, 1), modulus)))


UNMIRRORED: dict[Callable[..., Array], Callable[[Array, Array], Array]] = {
    exponential_hash: _unsigned,
    hashed: _itself,
    logarithmic_hash: _uninverted,
    logistic_hash: _unsigned,
    odd_hash: _unsigned,
}
"""For each unknown function, what of an argument is the same for the argument that mirrors it."""
