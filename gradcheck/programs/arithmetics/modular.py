"""Residues modulo a prime below 2^31, in int64 arrays that cannot overflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = [
    "UNMIRRORED",
    "P",
    "Q",
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
]

Array = np.ndarray[Any, Any]

P = 2147483579
"""The largest prime below 2^31 such that (P - 1)/2 is prime too: squares form a group of prime order."""

Q = (P - 1) // 2
"""The order of the squares modulo P, and the modulus of exponents."""

LIMB_BITS = 16
"""Matrix products cut one factor in two: 16 bits times 31 bits leaves room for 2^16 terms."""

FEW = 24
"""Entries up to which an inverse for each is faster than a tree of products."""

WINDOW_BITS = 10
"""Powers of a root of unity are looked up by this many bits of the exponent at a time."""


def inverse(x: Array, modulus: int) -> Array:
    """Return the modular inverse of each entry; none may be 0.

    Many entries have one inverse together, that of their product; those of the parts of a product
    follow from its own (Montgomery 1987, "Speeding the Pollard and elliptic curve methods").
    """
    level = x.reshape(-1)
    if level.size <= FEW:
        flat = [pow(entry, -1, modulus) for entry in level.tolist()]
        return np.array(flat, np.int64).reshape(x.shape)
    levels = []
    while level.size > 1:
        if level.size % 2:
            level = np.append(level, 1)
        levels.append(level)
        level = level[::2] * level[1::2] % modulus
    inverses = np.array([pow(int(level[0]), -1, modulus)])
    for level in reversed(levels):
        of_products = inverses[: level.size // 2]
        inverses = np.empty_like(level)
        inverses[::2] = of_products * level[1::2] % modulus
        inverses[1::2] = of_products * level[::2] % modulus
    return inverses[: x.size].reshape(x.shape)


def power(x: Array, exponent: int, modulus: int) -> Array:
    """Return each entry to the power `exponent` >= 0."""
    result = np.ones_like(x)
    while exponent:
        if exponent % 2:
            result = result * x % modulus
        exponent //= 2
        if exponent:
            x = x * x % modulus
    return result


def matmul(a: Array, b: Array, modulus: int) -> Array:
    """Return the product of two stacks of matrices."""
    high, low = a >> LIMB_BITS, a & (2**LIMB_BITS - 1)
    upper = np.matmul(high, b) % modulus << LIMB_BITS
    product: Array = (upper + np.matmul(low, b)) % modulus
    return product


def powers_of(root: int) -> list[Array]:
    """Return tables of root^(k 2^(10 j)) modulo P for k < 1024 and j = 0, 1, 2."""
    tables = []
    for _ in range(3):
        table = np.ones(1, np.int64)
        for _ in range(WINDOW_BITS):
            table = np.concatenate([table, table * root % P])
            root = root * root % P
        tables.append(table)
    return tables


def root_power(tables: list[Array], exponent: Array) -> Array:
    """Return the tables' root to the power of each entry, 0 <= exponent < Q < 2^30."""
    mask = 2**WINDOW_BITS - 1
    low, middle, high = tables
    lower = low[exponent & mask] * middle[(exponent >> WINDOW_BITS) & mask] % P
    return np.asarray(lower * high[exponent >> 2 * WINDOW_BITS] % P)


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


def hashed(x: Array, key: int | Array, modulus: int) -> Array:
    """Return a residue that looks random, the same for the same entry and key."""
    return (mixed(x, key) % np.uint64(modulus)).astype(np.int64)


def odd_hash(x: Array, key: int | Array, modulus: int) -> Array:
    """Return an unknown f(x) with f(-x) = -f(x)."""
    mirrored = x > modulus // 2
    value = hashed(np.where(mirrored, modulus - x, x), key, modulus)
    return np.where(x == 0, 0, np.where(mirrored, -value % modulus, value))


def exponential_hash(x: Array, key: int | Array, modulus: int) -> Array:
    """Return an unknown f(x), not 0, with f(-x) = 1/f(x)."""
    mirrored = x > modulus // 2
    value = np.maximum(hashed(np.where(mirrored, modulus - x, x), key, modulus), 1)
    value = np.where(mirrored, inverse(value, modulus), value)
    return np.where(x == 0, 1, value)


def logistic_hash(x: Array, key: int | Array, modulus: int) -> Array:
    """Return an unknown f(x) with f(-x) = 1 - f(x)."""
    mirrored = x > modulus // 2
    value = hashed(np.where(mirrored, modulus - x, x), key, modulus)
    value = np.where(x == 0, pow(2, -1, modulus), value)
    return np.where(mirrored, (1 - value) % modulus, value)


def logarithmic_hash(x: Array, key: int | Array, modulus: int) -> Array:
    """Return an unknown f(x) with f(1/x) = -f(x)."""
    turned = inverse(np.maximum(x, 1), modulus)
    mirrored = turned < x
    value = hashed(np.where(mirrored, turned, x), key, modulus)
    return np.where(x == 1, 0, np.where(mirrored, -value % modulus, value))


def root_hash(x: Array, key: int | Array, modulus: int) -> Array:
    """Return an unknown f(x), not 0 but at 0, with f(1/x) = 1/f(x)."""
    turned = inverse(np.maximum(x, 1), modulus)
    mirrored = turned < x
    value = np.maximum(hashed(np.where(mirrored, turned, x), key, modulus), 1)
    value = np.where(mirrored, inverse(value, modulus), value)
    return np.where(x <= 1, x, value)


def _itself(x: Array, _: int) -> Array:
    return x


def _unsigned(x: Array, modulus: int) -> Array:
    return np.asarray(np.minimum(x, modulus - x))


def _uninverted(x: Array, modulus: int) -> Array:
    return np.asarray(np.minimum(x, inverse(np.maximum(x, 1), modulus)))


UNMIRRORED: dict[Callable[..., Array], Callable[[Array, int], Array]] = {
    exponential_hash: _unsigned,
    hashed: _itself,
    logarithmic_hash: _uninverted,
    logistic_hash: _unsigned,
    odd_hash: _unsigned,
}
"""For each unknown function, what of an argument is the same for the argument that mirrors it."""
