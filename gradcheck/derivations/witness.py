"""Finite differences as a witness: an accusation stands only if they side with the derivative taken.

What a row is held against is JAX's derivative of what the document defines. Differences of that same
quantity share nothing with it but the values of the forward pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.cases import Case
from gradcheck.derivations.evidence import prepared
from gradcheck.derivations.interpreter import Frame, Interpreter
from gradcheck.derivations.model import MISFITS, Model
from gradcheck.derivations.values import Value
from gradcheck.oracles.differences import estimate_derivative
from gradcheck.programs.evaluation import evaluate

__all__ = ["hear_witness"]

MOST_HEARD = 24
"""Accused cases that are witnessed in one document, each by some dozen evaluations; the first ones are what
the author has to look at."""

UNCONFIRMED = "finite differences do not confirm the derivative that the row is held against"


def hear_witness(model: Model, cases: Sequence[Case], seed: int) -> None:
    """Doubt each case called false whose left side is a gradient that finite differences refute."""
    for case in islice(_accused(cases), MOST_HEARD):
        for point, left in zip(_points(case), case.left, strict=True):
            if _refuted(model, case, point, left, np.random.default_rng(seed)):
                case.doubt = UNCONFIRMED


def _accused(cases: Sequence[Case]) -> Iterator[Case]:
    """Yield the false cases on whose left stands a derivative by a whole array."""
    for case in cases:
        left = case.claim.left
        whole = isinstance(left, ex.Derivative) and isinstance(left.by, ex.Symbol)
        if whole and not left.by.components and not left.shorthand and case.holds is False:  # type: ignore[union-attr]
            yield case


def _points(case: Case) -> list[list[Any]]:
    assert case.program is not None
    return case.program.points[: len(case.left)]


def _refuted(
    model: Model, case: Case, point: Sequence[Any], left: Any, rng: np.random.Generator
) -> bool:
    """Whether differences along a random direction exclude the derivative that was taken."""
    import jax

    from gradcheck.programs.compat import enable_x64

    derivative = case.claim.left
    assert isinstance(derivative, ex.Derivative)
    assert isinstance(derivative.by, ex.Symbol)
    assert case.program is not None
    varied = _Varied(model, derivative, Frame(case.claim.row, dict(case.family)), case.program.keys)
    try:
        with enable_x64():
            at_rest = jax.make_jaxpr(varied.at_rest)(*point)
            (middle,) = evaluate(at_rest, point)
            moved = jax.make_jaxpr(varied.moved)(middle, *point)
    except MISFITS:
        return False
    gradient = left if left.shape == middle.shape else np.swapaxes(left, -1, -2)
    if moved.out_avals[0].size != 1 or gradient.shape != middle.shape:
        return False
    direction = rng.normal(size=middle.shape)

    def along(steps: Any) -> Any:
        values = (evaluate(moved, [middle + step * direction, *point])[0] for step in steps)
        return np.array([value.item() for value in values])

    return not estimate_derivative(along, rng=rng).allows(float(np.sum(gradient * direction)))


class _Varied:
    """A quantity of the document as a function of the array that it is differentiated by."""

    def __init__(
        self, model: Model, derivative: ex.Derivative, frame: Frame, keys: Sequence[Any]
    ) -> None:
        assert isinstance(derivative.by, ex.Symbol)
        self.model, self.of, self.by = model, derivative.of, derivative.by
        self.frame, self.keys = frame, keys

    def at_rest(self, *leaves: Any) -> Any:
        """Return the array's own value from the values of the leaves."""
        return self._walk(leaves).whole(self.by, self.frame).data

    def moved(self, data: Any, *leaves: Any) -> Any:
        """Return the quantity where the array is something else."""
        rest = self._walk(leaves)
        whole = rest.whole(self.by, self.frame)
        name, member = self.by.name, rest.member(self.by, self.frame)
        if not self.by.family:
            name, member = self.model.last_member(name, self.frame.row)
        replaced = Value(whole.axes, whole.rows, whole.cols, data)
        walk = Interpreter(self.model, True, {(name, member): replaced}, base=rest)
        if self.model.definition(name, member, self.frame.row) is None:
            walk.leaf_overrides.add((name, member))
        return walk.value(self.of, self.frame).data

    def _walk(self, leaves: Sequence[Any]) -> Interpreter:
        self.model.numbers = {
            key: prepared(self.model, key[0], array)
            for key, array in zip(self.keys, leaves, strict=True)
        }
        return Interpreter(self.model, numeric=True)
