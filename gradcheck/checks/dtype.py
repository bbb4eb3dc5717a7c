"""The check `dtype`: the rule works in single precision as well.

Law: for inputs and a cotangent in float32 the gradients are those that the same code gives in float64 for
the very same numbers, up to what float32 loses. Single precision loses digits, more where the rule
is ill-conditioned; a gradient that has not one digit left, or is not finite where the output is, is
another number: one that went through whole numbers, a constant that overflows, a tiny eps that vanishes.

float64 gradients (or outputs) for float32 inputs are a note: correct, and twice the memory.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck import trees
from gradcheck.checks.behaviour import BehaviourCheck, does_not_apply
from gradcheck.checks.check import Bench, Examination, Finding
from gradcheck.checks.comparison import SPREAD_ALLOWANCE, Difference, difference_finding
from gradcheck.checks.running import (
    Case,
    away_from_zero,
    copied,
    forward_is_random,
    last_place_spread,
    like,
)
from gradcheck.errors import BackwardError, RuleError
from gradcheck.resolution import natural_scale
from gradcheck.rules import Rule

__all__ = ["DtypeCheck"]

Array = NDArray[Any]
SINGLE = np.finfo(np.float32)

NO_DIGIT = 0.1
"""The error, of the entry's size or its natural scale, at which not one decimal digit is left."""

UNDERFLOW = float(SINGLE.tiny / SINGLE.eps)
"""The size below which nothing is asked of a gradient: it may be a number that underflows, whose digits are
lost, times one of up to 1 / eps."""

FLIP = 64 * float(SINGLE.eps)
"""The change of all inputs by which a kink is looked for: float32 decides it as it likes within that."""


class DtypeCheck(BehaviourCheck):
    """The rule works in single precision as well."""

    name = "dtype"

    def applies(self, rule: Rule) -> str:
        """Say so for JAX, whose programs NumPy evaluates in float64."""
        return "programs of JAX are evaluated in float64" if rule.kind == "jax_rule" else ""

    def examine_case(self, case: Case, bench: Bench) -> Examination:
        """Compare the gradients in float32 with those in float64, at the same numbers."""
        if not all(value.dtype == np.float64 for value in case.values.values()):
            return does_not_apply("the inputs are not all in float64")
        inputs, cotangent = _in(np.float32, case.inputs), _in(np.float32, case.cotangent)
        if not _finite((inputs, cotangent)):
            return does_not_apply("the numbers leave the range of float32")
        try:
            wide = replace(
                case,
                inputs=_in(np.float64, inputs),
                cotangent=_in(np.float64, cotangent),
            )
            output, expected = wide.run(copied(wide.inputs), copied(wide.cotangent))
            low, found = case.run(copied(inputs), copied(cotangent))
        except BackwardError as error:
            finding = Finding(self.name, "", None, None, None, "", "", f"{error}, in float32")
            return self.outcome(case.rule, [finding])
        except RuleError:
            return does_not_apply("the forward does not take float32")
        notes = _notes(low, found)
        if not (_finite(output) and _finite(low)):
            return does_not_apply("the output is not finite in float32")
        room: dict[str, Array] = {}
        for path, true in expected.items():
            claimed = found.get(path, np.zeros(0))
            natural = natural_scale(case.values[path], wide.size(wide.cotangent))
            if not claimed.shape == true.shape == natural.shape:
                continue
            wrong = _wrong(claimed, true, natural, np.zeros(true.shape))
            if np.any(wrong):
                if not room:
                    room = _room(wide, bench.rng)
                wrong = _wrong(claimed, true, natural, room.get(path, np.full(true.shape, np.inf)))
            if np.any(wrong):
                if _is_another_forward(wide, bench.rng):
                    return does_not_apply("the forward is random, or another function in float32")
                return self.outcome(
                    case.rule, [_finding(self.name, case, path, wrong, found, true)]
                )
        return self.outcome(case.rule, [], notes)


def _room(case: Case, rng: np.random.Generator) -> dict[str, Array]:
    """Return what float32 may lose of each gradient entry at a point where digits seem lost.

    That is the change by a kink that it decides otherwise, and one rounding of what a cotangent of
    entries of one size, the largest, gives: g - p sum(g) has no digit left of 1 beside 1e8.
    """
    room = dict(last_place_spread(case, case.cotangent, rng, FLIP))
    largest = max(float(np.max(np.abs(leaf), initial=0)) for leaf in _reals(case.cotangent))
    level = case.fresh(like(case.cotangent, lambda leaf: np.full(leaf.shape, largest)))
    return {
        path: spread + SINGLE.eps * np.abs(level[path]) if path in level else spread
        for path, spread in room.items()
    }


def _reals(tree: Any) -> list[Array]:
    return [np.asarray(leaf) for _, leaf in trees.leaves(tree) if trees.is_variable(leaf)]


def _is_another_forward(case: Case, rng: np.random.Generator) -> bool:
    """Say whether the outputs in both precisions have nothing in common, as masks drawn anew have not.

    A mask does not show on zeros, so the inputs are moved away from them.
    """
    moved = away_from_zero(case.inputs, rng)
    for inputs in (case.inputs, moved):
        try:
            with np.errstate(all="ignore"):
                outputs = [
                    [np.asarray(leaf, np.complex128) for _, leaf in trees.leaves(primal)]
                    for primal in (
                        case.rule.primal(copied(inputs)),
                        case.rule.primal(_in(np.float32, copied(inputs))),
                    )
                ]
                differ = [
                    bool(np.any(np.abs(one - low) > NO_DIGIT * np.max(np.abs(one), initial=0.0)))
                    for one, low in zip(*outputs, strict=True)
                ]
        except Exception:  # the moved inputs may lie outside the domain
            continue
        if any(differ):
            return True
    return forward_is_random(case, rng)


def _in(dtype: Any, tree: Any) -> Any:
    """Return the tree with its real arrays in this precision; complex ones, and others, as they are."""

    def cast(leaf: Any) -> Any:
        if not trees.is_variable(leaf) or leaf.dtype.kind != "f":
            return leaf
        with np.errstate(all="ignore"):
            return np.asarray(leaf).astype(dtype)

    return trees.map_leaves(cast, tree)


def _finite(tree: Any) -> bool:
    return all(bool(np.all(np.isfinite(leaf))) for leaf in _reals(tree))


def _notes(output: Any, found: dict[str, Array] | Any) -> list[str]:
    """Say once what is wider than it need be: the output, else the gradients."""
    if any(getattr(leaf, "dtype", None) == np.float64 for _, leaf in trees.leaves(output)):
        return ["the output is in float64 where all inputs are in float32"]
    wide = [path for path, value in found.items() if value.dtype == np.float64]
    return [WIDE_GRADIENTS] if wide else []


WIDE_GRADIENTS = "a gradient is in float64 where the output and all inputs are in float32"


def _wrong(claimed: Array, true: Array, natural: Array, room: Array) -> NDArray[np.bool_]:
    """Mark the entries with no digit left, where the truth is finite and fits into float32."""
    with np.errstate(all="ignore"):
        fits = np.isfinite(true) & (np.abs(true) < SINGLE.max / 2) & np.isfinite(room)
        size = np.maximum(np.abs(true), natural) + UNDERFLOW
        allowed = NO_DIGIT * size + SPREAD_ALLOWANCE * room
        return np.asarray(fits & ~(np.abs(claimed - true) <= allowed))


def _finding(
    check: str, case: Case, path: str, wrong: NDArray[np.bool_], found: Any, true: Array
) -> Finding:
    index = tuple(int(axis) for axis in np.argwhere(wrong)[0])
    claimed = found[path]
    difference = Difference(
        path,
        index,
        claimed[index],
        true[index],
        int(np.count_nonzero(wrong)),
        wrong.size,
        true.shape,
    )
    cause = "a constant or an intermediate value leaves the range of float32, or is cast to whole numbers"
    says = "has no correct digit in float32"
    return difference_finding(
        check, case.rule, says, difference, ("in float32", "in float64"), cause
    )
