"""Random values of a domain, in the styles that hide the fewest faults; and who is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.contracts import expressions
from gradcheck.contracts.domains import Domain
from gradcheck.errors import ContractError, UsageError

__all__ = ["PLAIN_STYLES", "STYLES", "numbers", "refusal", "sample"]

Array = NDArray[Any]
Generator = np.random.Generator

SPECIAL_VALUES = (0.0, 1.0, -1.0)
"""Where activations, powers and logarithms are exact, flat or kinked."""

SPECIAL_SHARE = 0.5
"""The share of entries that the style "special" replaces: most rows then hold one and lack another."""

EXTREME_VALUES = (1e8, -1e8, 1e-8, -1e-8)
"""Magnitudes whose squares leave float64's 16 digits apart, and whose tenth powers do not overflow."""

EXTREME_SHARE = 1 / 16
"""The share of entries that become extreme: few, since one of 1e8 hides the others of its sum."""

LARGE_EXPONENTS = (1.0, 3.0)
"""The decimal exponents of the scale of "large": beyond saturation, and mostly short of overflow."""

SMALL_EXPONENTS = (-4.0, -1.0)
"""The decimal exponents of the scale of "small": an absolute tolerance of 1e-5 would hide a gradient."""

COUNTING_LENGTH = 9
"""How far "counting" counts before it starts again with the other sign: single digits to read."""

COUNTING_STEP = 1 / 16
"""What "counting" adds after each two rounds, so that the first 288 entries are distinct."""

LOWEST_LOGIT = -18.0
"""The least exponent of a soft probability before rows are divided by their sum: e^-18 is the square root
of eps, beyond which 1 - p is 1 and a sum of the row says nothing of p."""

ROW_SUM_TOLERANCE = 4.0
"""How far from 1 a row of n probabilities may sum, in units of n * eps of its precision.

Dividing n numbers by their sum and adding them up again rounds each entry once, each partial sum twice
and each quotient once: within 4 n roundings of eps / 2, and doubled for rows made elsewhere."""


def _counting(shape: tuple[int, ...], start: int) -> Array:
    index = np.arange(int(np.prod(shape))) + start - 1
    rounds = index // COUNTING_LENGTH
    values = (index % COUNTING_LENGTH + 1) * (1 - 2 * (rounds % 2)) + rounds // 2 * COUNTING_STEP
    return values.reshape(shape).astype(np.float64)


def _normal(rng: Generator, shape: tuple[int, ...]) -> Array:
    return np.asarray(rng.standard_normal(shape))


def _uniform(rng: Generator, shape: tuple[int, ...]) -> Array:
    return np.asarray(rng.uniform(-2, 2, shape))


def _integers(rng: Generator, shape: tuple[int, ...]) -> Array:
    return np.asarray(rng.integers(-3, 4, shape)).astype(np.float64)


def _special(rng: Generator, shape: tuple[int, ...]) -> Array:
    values = _normal(rng, shape)
    tie = values.flat[0] if values.size else 0.0
    special = rng.choice([*SPECIAL_VALUES, tie], shape)
    values = np.where(rng.random(shape) < SPECIAL_SHARE, special, values)
    return np.where(rng.random(shape) < EXTREME_SHARE, rng.choice(EXTREME_VALUES, shape), values)


def _large(rng: Generator, shape: tuple[int, ...]) -> Array:
    return _normal(rng, shape) * 10 ** rng.uniform(*LARGE_EXPONENTS)


def _small(rng: Generator, shape: tuple[int, ...]) -> Array:
    return _normal(rng, shape) * 10 ** rng.uniform(*SMALL_EXPONENTS)


RANDOM_STYLES: dict[str, Callable[[Generator, tuple[int, ...]], Array]] = {
    "normal": _normal,
    "uniform": _uniform,
    "integers": _integers,
    "special": _special,
    "large": _large,
    "small": _small,
}

STYLES = ("counting", *RANDOM_STYLES)
"""The styles of real arrays, the easiest to read first; every domain is made from them.

"counting" is 1, 2, 3, ... from `start`: distinct, without 0, and neither symmetric nor equal to the
next input's."""

PLAIN_STYLES = ("counting", "normal", "uniform")
"""The styles without kinks, ties and extremes, at which an oracle decides every entry."""


def numbers(rng: Generator, shape: tuple[int, ...], style: str, start: int = 1) -> Array:
    """Return real numbers in a style of `STYLES`; "counting" begins with `start`."""
    drawn = _counting(shape, start) if style == "counting" else RANDOM_STYLES[style](rng, shape)
    return np.asarray(drawn)  # of no axes, arithmetic gives a NumPy scalar


def sample(
    domain: Domain,
    rng: Generator,
    shape: tuple[int, ...],
    sizes: Mapping[str, int],
    style: str,
    *,
    start: int = 1,
    pool: Any = None,
) -> Array:
    """Return an array of `shape` with values of `domain`; `Domain.sample` says more."""
    if style not in STYLES:
        raise UsageError(
            f"there is no style {style!r} of values; the styles are {', '.join(STYLES)}"
        )
    if domain.kind == "elements":
        return _from_pool(domain, rng, shape, pool)
    if domain.kind == "integers":
        return _whole(domain, rng, shape, sizes, style, start)
    values = numbers(rng, shape, style, start)
    match domain.kind:
        case "positive":
            magnitude = np.abs(values)
            return np.asarray(np.where(magnitude > 0, magnitude, 1.0))
        case "complex":
            return np.asarray(values + 1j * numbers(rng, shape, style, start + 1))
        case "booleans":
            return np.asarray(_whole(domain, rng, shape, {}, style, start) == 1)
        case "one_hot":
            return _one_hot(rng, shape, style, start)
        case "probabilities":
            return _probabilities(rng, values, style, start)
    return values


def _whole(
    domain: Domain,
    rng: Generator,
    shape: tuple[int, ...],
    sizes: Mapping[str, int],
    style: str,
    start: int,
) -> Array:
    """Return whole numbers: consecutive, random, or (in "special") mostly the first and the last."""
    low, high = domain.at_least, _upper(domain, sizes)
    if high is None or (high <= low and np.prod(shape)):
        raise ContractError(f"{domain}: no whole number is at least {low} and below {high}")
    if not np.prod(shape):
        return np.zeros(shape, np.int64)
    if style == "counting":
        counted = np.arange(int(np.prod(shape))).reshape(shape) + start - 1
        return np.asarray(low + counted % (high - low))
    values = np.asarray(rng.integers(low, high, shape))
    if style in ("special", "integers"):
        values = np.where(
            rng.random(shape) < SPECIAL_SHARE, rng.choice([low, high - 1], shape), values
        )
    return values


def _upper(domain: Domain, sizes: Mapping[str, int]) -> int | None:
    """Return what whole numbers stay below; None where a size is not given."""
    if domain.kind == "booleans":
        return 2
    assert domain.below is not None
    try:
        return expressions.evaluate(domain.below, sizes)
    except KeyError:
        return None


def _one_hot(rng: Generator, shape: tuple[int, ...], style: str, start: int) -> Array:
    *rows, classes = shape
    count = int(np.prod(rows))
    hot = (
        (np.arange(count) + start - 1)
        if style == "counting"
        else rng.integers(0, max(classes, 1), count)
    )
    if style == "special" and count:
        hot = np.where(rng.random(count) < SPECIAL_SHARE, hot[0], hot)
    result = np.zeros((count, classes))
    if classes:
        result[np.arange(count), hot % classes] = 1.0
    return result.reshape(shape)


def _probabilities(rng: Generator, values: Array, style: str, start: int) -> Array:
    """Return rows that sum to 1: soft ones, and in "integers" and "special" also one-hot and even ones."""
    if style in ("counting", "uniform"):
        weights = np.abs(values)
    else:
        weights = np.exp(
            np.clip(
                values - np.max(values, axis=-1, keepdims=True, initial=-np.inf), LOWEST_LOGIT, 0
            )
        )
    soft = np.asarray(weights / np.sum(weights, axis=-1, keepdims=True)) if values.size else values
    if style not in ("integers", "special") or not values.size:
        return soft
    even = np.full(values.shape, 1 / values.shape[-1])
    kind = rng.integers(0, 3, (*values.shape[:-1], 1))
    return np.choose(kind, [soft, _one_hot(rng, values.shape, style, start), even])


def _from_pool(domain: Domain, rng: Generator, shape: tuple[int, ...], pool: Any) -> Array:
    """Fill an array with the pool's values: each once, in order, while they last, then at random."""
    if pool is None or not len(pool):
        raise UsageError(
            f"{domain} is drawn by Hypothesis; draw it with gradcheck.strategies.points"
        )
    values = np.asarray(pool)
    count = int(np.prod(shape))
    index = np.arange(count)
    index = np.where(index < len(values), index, rng.integers(0, len(values), count))
    return np.asarray(values[index].reshape(shape))


def refusal(domain: Domain, value: Any, sizes: Mapping[str, int]) -> str | None:
    """Return why `value` is not of `domain`, as a clause after its name; None if it is."""
    if domain.kind in ("constant", "one_of"):
        if any(_same(value, choice) for choice in domain.choices):
            return None
        return f"is {value!r:.80}, but {domain} was declared"
    array = np.asarray(value)
    if domain.kind == "elements":
        return None
    wanted, kinds = DTYPE_KINDS[domain.kind]
    if array.dtype.kind not in kinds and not ("f" in kinds and "float" in str(array.dtype)):
        return f"has dtype {array.dtype}, but {wanted} were declared"
    match domain.kind:
        case "positive":
            return _first(array, ~(array > 0), "a positive input is above 0")
        case "integers":
            return _out_of_range(domain, array, sizes)
        case "one_hot":
            return _first(
                array, (array != 0) & (array != 1), "a one-hot input holds 0 and 1"
            ) or _row(np.sum(array == 1, axis=-1), 1, 0, "a one-hot row holds a single 1")
        case "probabilities":
            slack = ROW_SUM_TOLERANCE * array.shape[-1] * float(np.finfo(array.dtype).eps)
            return _first(
                array, ~((array >= 0) & (array <= 1)), "a probability is from 0 to 1"
            ) or _row(np.sum(array, axis=-1), 1, slack, "a row of probabilities sums to 1")
    return None


DTYPE_KINDS = {
    "real": ("real numbers (a floating dtype)", "f"),
    "positive": ("real numbers (a floating dtype)", "f"),
    "one_hot": ("real numbers (a floating dtype)", "f"),
    "probabilities": ("real numbers (a floating dtype)", "f"),
    "complex": ("complex numbers", "c"),
    "integers": ("integers", "iu"),
    "booleans": ("booleans", "b"),
}


def _out_of_range(domain: Domain, array: Array, sizes: Mapping[str, int]) -> str | None:
    high = _upper(domain, sizes)
    below = array < domain.at_least
    above = np.zeros_like(below) if high is None else array >= high
    return _first(
        array,
        below | above,
        f"{domain} is at least {domain.at_least}" + ("" if high is None else f" and below {high}"),
    )


def _first(array: Array, wrong: Array, law: str) -> str | None:
    """Name the first wrong entry, if there is one."""
    if not np.any(wrong):
        return None
    index = tuple(int(axis[0]) for axis in np.nonzero(np.atleast_1d(wrong)))[: array.ndim]
    return f"has the entry {array[index].item()!r} at {index}, but {law}"


def _row(sums: Array, wanted: float, slack: float, law: str) -> str | None:
    wrong = ~(np.abs(sums - wanted) <= slack)
    if not np.any(wrong):
        return None
    index = tuple(int(axis[0]) for axis in np.nonzero(np.atleast_1d(wrong)))[: sums.ndim]
    return f"has the row {index} with the sum {np.asarray(sums)[index].item()!r}, but {law}"


def _same(value: Any, choice: Any) -> bool:
    if isinstance(choice, np.ndarray) or isinstance(value, np.ndarray):
        same_dtype = np.asarray(value).dtype == np.asarray(choice).dtype
        return same_dtype and np.array_equal(value, choice)
    return value is choice or (type(value) is type(choice) and bool(value == choice))
