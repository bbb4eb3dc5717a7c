"""Evidence for claims in float64: one program for all of them, evaluated at random points."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck.derivations.cases import DISAGREEMENT, Case, Program
from gradcheck.derivations.dims import DimensionMismatch
from gradcheck.derivations.interpreter import (
    FreeIndex,
    IllShaped,
    Interpreter,
    OutOfRange,
)
from gradcheck.derivations.model import Model
from gradcheck.derivations.sides import sides_of
from gradcheck.derivations.unread import NotUnderstood

__all__ = ["judge", "judge_all", "prepared"]

DRAWS = 2
"""Independent random points at which a claim must hold, or fail, before it is called so."""


def judge(model: Model, cases: Sequence[Case], seed: int = 0, positive: bool = False) -> None:
    """Evaluate every case that has no problem at random points, by one program."""
    from gradcheck.programs.compat import enable_x64
    from gradcheck.programs.evaluation import evaluate

    live = [case for case in cases if case.problem is None]
    keys = sorted(model.leaves)
    outputs: list[Case] = []

    def program(*arrays: Any) -> list[Any]:
        model.numbers = {
            key: prepared(model, key[0], array) for key, array in zip(keys, arrays, strict=True)
        }
        shared = Interpreter(model, numeric=True)
        outputs.clear()
        results: list[Any] = []
        for case in live:
            shared.active.clear()
            try:
                left, right, case.letters = sides_of(model, case, shared)
            except (NotUnderstood, OutOfRange) as error:
                case.problem = ("unread", str(error))
            except FreeIndex as error:
                case.problem = ("scope", str(error))
            except (TypeError, ValueError, ArithmeticError) as error:
                case.problem = ("unread", f"cannot be evaluated ({type(error).__name__})")
            except (IllShaped, DimensionMismatch) as error:
                case.problem = ("dimension", str(error))
            else:
                outputs.append(case)
                results.extend([left, right])
        return results

    import jax

    shapes = [(model.leaves[key].rows.value, model.leaves[key].cols.value) for key in keys]
    with enable_x64():
        traced = Program(jax.make_jaxpr(program)(*(np.ones(shape) for shape in shapes)), keys)
    for place, case in enumerate(outputs):
        case.program, case.place = traced, place
    model.points = []
    for draw in range(DRAWS):
        random = np.random.default_rng([seed, draw])
        points = [_draw(random, shape, positive) for shape in shapes]
        model.points.append(dict(zip(keys, points, strict=True)))
        traced.points.append(points)
        values = evaluate(traced.jaxpr, points)
        for place, case in enumerate(outputs):
            left, right = (np.asarray(v) for v in values[2 * place : 2 * place + 2])
            case.left.append(left)
            case.right.append(right)
            case.differences.append(_difference(left, right))


def judge_all(model: Model, cases: Sequence[Case], seed: int) -> None:
    """Judge all cases; what is not finite, or vanishes at one point, once more at positive points."""
    judge(model, cases, seed)
    odd = [case for case in cases if case.problem is None and any(d != d for d in case.differences)]
    split = [case for case in cases if case.problem is None and _vanishes_at_one_point(case)]
    again = [dataclasses.replace(case, left=[], right=[], differences=[]) for case in split]
    for case in odd:
        case.left, case.right, case.differences = [], [], []
    if odd or again:
        judge(model, [*odd, *again], seed, positive=True)
    for case, new in zip(split, again, strict=True):
        if new.holds is False:
            case.left, case.right, case.differences = new.left, new.right, new.differences
            case.program, case.place = new.program, new.place


def _vanishes_at_one_point(case: Case) -> bool:
    """Whether both sides are zero at one point, behind shut rectifiers, and differ at another."""
    differ = any(d >= DISAGREEMENT for d in case.differences)
    return differ and any(
        not np.any(x) and not np.any(y) for x, y in zip(case.left, case.right, strict=True)
    )


def prepared(model: Model, name: str, array: Any) -> Any:
    """A leaf that is a distribution sums to one; of a matrix each row does."""
    if name not in model.normalised:
        return array
    squares = array * array
    return squares / squares.sum(axis=-1 if min(array.shape) > 1 else None, keepdims=True)


def _draw(random: np.random.Generator, shape: tuple[int, ...], positive: bool) -> Any:
    if positive:
        return random.uniform(0.4, 1.6, shape)
    return random.normal(size=shape)


def _difference(left: Any, right: Any) -> float:
    """Return the largest difference relative to the largest entry; infinite where not finite."""
    if not (np.all(np.isfinite(left)) and np.all(np.isfinite(right))):
        return float("nan")
    scale = max(float(np.max(np.abs(left), initial=0)), float(np.max(np.abs(right), initial=0)))
    if scale == 0:
        return 0.0
    return float(np.max(np.abs(left - right), initial=0)) / scale
