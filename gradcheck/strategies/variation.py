"""Variation around the points that a user draws: what all their draws show is kept.

A user's `inputs=fn(rng)` rarely leaves zeros, ties, saturation and other magnitudes in. They are put in
here, into the arrays for which the rule claims a gradient, as far as the laws allow that the user's own
draws keep: whole numbers, a sign, rows that sum to 1 or have norm 1, symmetry, order, and entries that
never change. Everything else changes only by calling the user's function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck import trees
from gradcheck.contracts.sampling import ROW_SUM_TOLERANCE, SPECIAL_SHARE
from gradcheck.errors import RuleError
from gradcheck.rules import Point, Rule, claim_at

__all__ = ["AS_DRAWN", "MANNERS", "Variation", "lawful", "laws_of", "vary"]

Array = NDArray[Any]
Generator = np.random.Generator

OBSERVED_DRAWS = 8
"""The user's draws that are looked at: a law that holds by a chance of 1/2 is kept once in 256 times."""

LARGE_FACTOR = 1e3
"""What "large" multiplies by: beyond the saturation of an activation at a scale of 1."""

SMALL_FACTOR = 1e-3
"""What "small" multiplies by: an absolute tolerance of 1e-5 then hides a product of two."""


def _zeros(values: Array, rng: Generator) -> Array:
    return np.where(rng.random(values.shape) < SPECIAL_SHARE, 0, values)


def _ties(values: Array, rng: Generator) -> Array:
    tie = values.flat[int(rng.integers(values.size))]
    return np.where(rng.random(values.shape) < SPECIAL_SHARE, tie, values)


def _signs(values: Array, rng: Generator) -> Array:
    return np.asarray(values * rng.choice([-1.0, 1.0], values.shape))


def _shuffled(values: Array, rng: Generator) -> Array:
    return rng.permuted(values, axis=-1 if values.ndim else None)


def _fresh(values: Array, rng: Generator) -> Array:
    scale = np.sqrt(np.mean(np.abs(values) ** 2))
    return np.asarray(rng.standard_normal(values.shape) * scale)


AS_DRAWN = "as drawn"
MANNERS: dict[str, Callable[[Array, Generator], Array]] = {
    AS_DRAWN: lambda values, _: values,
    "fresh": _fresh,
    "zeros": _zeros,
    "ties": _ties,
    "signs": _signs,
    "shuffled": _shuffled,
    "large": lambda values, _: values * LARGE_FACTOR,
    "small": lambda values, _: values * SMALL_FACTOR,
}
"""How an array is varied, the user's own values first."""


@dataclass(frozen=True)
class Law:
    """What an array may keep: whether it does, and the array nearby that does."""

    holds: Callable[[Array], bool]
    impose: Callable[[Array], Array]


def _is_row_law(norm: Callable[[Array], Array]) -> Callable[[Array], bool]:
    def holds(values: Array) -> bool:
        if not values.ndim or not values.size:
            return False
        slack = ROW_SUM_TOLERANCE * values.shape[-1] * float(np.finfo(values.dtype).eps)
        return bool(np.all(np.abs(norm(values) - 1) <= slack))

    return holds


def _sum_of_rows(values: Array) -> Array:
    return np.asarray(np.sum(values, axis=-1, keepdims=True))


def _norm_of_rows(values: Array) -> Array:
    return np.asarray(np.sqrt(np.sum(np.abs(values) ** 2, axis=-1, keepdims=True)))


def _mirrored(values: Array) -> Array:
    below = np.tril(values, -1)
    return np.asarray(np.tril(values) + np.swapaxes(below, -1, -2))


def _is_symmetric(values: Array) -> bool:
    square = values.ndim >= 2 and values.shape[-1] == values.shape[-2]
    return square and np.array_equal(values, np.swapaxes(values, -1, -2))


def _is_sorted(values: Array) -> bool:
    return (
        values.ndim > 0 and values.dtype.kind != "c" and bool(np.all(np.diff(values, axis=-1) >= 0))
    )


def _real(test: Callable[[Array], Any]) -> Callable[[Array], bool]:
    return lambda values: values.dtype.kind != "c" and bool(np.all(test(values)))


LAWS = {
    "whole numbers": Law(
        lambda values: np.array_equal(values, np.round(values)), lambda values: values
    ),
    "not negative": Law(_real(lambda values: values >= 0), np.abs),
    "not positive": Law(_real(lambda values: values <= 0), lambda values: -np.abs(values)),
    "not zero": Law(lambda values: bool(np.all(values != 0)), lambda values: values),
    "rows sum to 1": Law(_is_row_law(_sum_of_rows), lambda values: values / _sum_of_rows(values)),
    "rows of norm 1": Law(
        _is_row_law(_norm_of_rows), lambda values: values / _norm_of_rows(values)
    ),
    "symmetric": Law(_is_symmetric, _mirrored),
    "sorted": Law(_is_sorted, lambda values: np.sort(values, axis=-1)),
}
"""The laws by name, in the order in which they are imposed."""

ONE_SIGNED = ("not negative", "not positive")


def laws_of(arrays: Sequence[Array]) -> tuple[str, ...]:
    """Name the laws that all of these arrays keep.

    An array that takes both signs may become 0; "not zero" is a law only of one that keeps its sign.

    >>> laws_of([np.array([0.25, 0.75]), np.array([0.5, 0.5])])
    ('not negative', 'not zero', 'rows sum to 1', 'sorted')
    """
    held = [name for name, law in LAWS.items() if all(law.holds(values) for values in arrays)]
    one_signed = any(name in held for name in ONE_SIGNED)
    return tuple(name for name in held if name != "not zero" or one_signed)


def vary(values: Array, manner: str, seen: Sequence[Array], rng: Generator) -> Array:
    """Return `values` varied in a manner of `MANNERS`, keeping what all arrays of `seen` keep.

    Args:
        values: the user's own draw, real or complex.
        manner: how it is varied.
        seen: the user's other draws of the same array, of whatever shapes.
        rng: where all randomness comes from.

    Returns:
        An array of the shape and dtype of `values`: `values` itself where the laws leave no room.
    """
    if not values.size:
        return values
    if "whole numbers" in laws_of([*seen, values]) and manner != "shuffled":
        return values
    with np.errstate(all="ignore"):
        varied = lawful(MANNERS[manner](values, rng), [*seen, values])
    return values if varied is None else varied


def lawful(values: Array, seen: Sequence[Array]) -> Array | None:
    """Return the array nearest to `values` that keeps what all arrays of `seen` keep, or None.

    Args:
        values: real or complex numbers.
        seen: draws of the same array, the last of the shape of `values`.
    """
    laws = laws_of(seen)
    with np.errstate(all="ignore"):
        for name in laws:
            values = LAWS[name].impose(values)
        values = values.astype(seen[-1].dtype)
        values = np.where(_unchanged(seen), seen[-1], values)
        kept = np.all(np.isfinite(values)) and all(LAWS[name].holds(values) for name in laws)
    return values if kept else None


def _unchanged(arrays: Sequence[Array]) -> Array:
    """Mark the entries that have the same value in all draws, if there are several of one shape."""
    first, *others = arrays
    if not others or any(other.shape != first.shape for other in others):
        return np.zeros(arrays[-1].shape, bool)
    return np.asarray(np.all([other == first for other in others], axis=0))


class Variation:
    """What is known of a rule's own draws: the arrays seen, and the inputs with a gradient."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._seen: dict[str, list[Array]] | None = None
        self._claimed: dict[str, bool] | None = None

    def variable_paths(self, inputs: tuple[Any, ...]) -> list[str]:
        """Name the arrays of `inputs` that may be varied.

        The rule's backward is run once, at the first inputs it is asked for; a path that those did not
        have is varied if its input has a gradient anywhere.
        """
        if self._claimed is None:
            self._claimed = self._claims(inputs)
        known = self._claimed
        return [
            path
            for name, path, value in self._leaves(inputs)
            if hasattr(value, "__array_namespace__")
            and value.dtype.kind in "fc"
            and known.get(path, known.get(name, False))
        ]

    def varied(
        self, inputs: tuple[Any, ...], manners: dict[str, str], rng: Generator
    ) -> tuple[Any, ...]:
        """Return `inputs` with the arrays named in `manners` varied, in their own kind of array."""
        seen = self._seen_arrays()
        result: list[Any] = []
        for _, path, value in self._leaves(inputs):
            if manners.get(path, AS_DRAWN) == AS_DRAWN:
                result.append(value)
                continue
            varied = vary(np.asarray(value), manners[path], seen.get(path, []), rng)
            result.append(value.__array_namespace__().asarray(varied, dtype=value.dtype))
        whole: tuple[Any, ...] = trees.rebuild(inputs, result)
        return whole

    def permitted(self, inputs: tuple[Any, ...], moved: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Return `moved`, or what is nearest to it that the rule takes; None if that cannot be said.

        The rule takes what its contract declares, or what keeps the laws of its own draws. What a
        Hypothesis strategy draws is not moved: only the strategy knows what else it may draw.

        Args:
            inputs: inputs that it takes.
            moved: the same with other numbers in the floating arrays.
        """
        contract, movable = self.rule.contract, self.movable_paths(inputs)
        pairs = list(zip(self._leaves(inputs), self._leaves(moved), strict=True))
        changed = [
            path
            for (_, path, value), (*_, other) in pairs
            if trees.is_variable(value) and not np.array_equal(value, other)
        ]
        if not movable.issuperset(changed):
            return None
        if contract is not None and contract.contains(moved) is None:
            return moved
        seen = self._seen_arrays()
        result: list[Any] = []
        for (_, path, value), (*_, other) in pairs:
            if path not in changed:
                result.append(value)
                continue
            kept = lawful(np.asarray(other), [*seen.get(path, []), np.asarray(value)])
            if kept is None:
                return None
            result.append(value.__array_namespace__().asarray(kept, dtype=value.dtype))
        whole: tuple[Any, ...] = trees.rebuild(inputs, result)
        return whole if contract is None or contract.contains(whole) is None else None

    def movable_paths(self, inputs: tuple[Any, ...]) -> set[str]:
        """Name the arrays of `inputs` whose numbers may be moved, as far as the rule says so."""
        if self.rule.contract is not None:
            domains = self.rule.contract.domains
            return {path for path, domain in domains.items() if domain.strategy is None}
        return set() if self.rule.points is not None else set(self.variable_paths(inputs))

    def _leaves(self, inputs: tuple[Any, ...]) -> list[tuple[str, str, Any]]:
        """List the leaves of the inputs with the name of their input and their path."""
        names = self.rule.input_names
        return [
            (name, path, value)
            for name, tree in zip(names, inputs, strict=True)
            for path, value in trees.leaves(tree, name)
        ]

    def _claims(self, inputs: tuple[Any, ...]) -> dict[str, bool]:
        """Say of each path, and of each input as a whole, whether the rule claims a gradient."""
        try:
            variables = claim_at(self.rule, Point(inputs)).variables
        except RuleError:  # the checks report it
            return {}
        claimed = {variable.path: variable.claimed is not None for variable in variables}
        whole: dict[str, bool] = {}
        for name, path, _ in self._leaves(inputs):
            whole[name] = whole.get(name, False) or claimed.get(path, False)
        return {**whole, **claimed}

    def _seen_arrays(self) -> dict[str, list[Array]]:
        """Call the user's `inputs=` a few times; a strategy of points is not drawn from twice."""
        if self._seen is None:
            self._seen = {}
            draw = self.rule.inputs
            for seed in range(OBSERVED_DRAWS if draw is not None else 0):
                assert draw is not None
                try:
                    leaves = self._leaves(tuple(draw(np.random.default_rng(seed))))
                except Exception:  # the strategy that calls it for a point reports it
                    continue
                for _, path, value in leaves:
                    if trees.is_variable(value):
                        self._seen.setdefault(path, []).append(np.asarray(value))
        return self._seen
