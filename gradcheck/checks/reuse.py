"""The check `reuse`: what a rule keeps from one call belongs to that call.

Laws, for a forward that was run at A and then at B:

- the backward of A gives the gradients at A, whatever ran between;
- a second backward of the same forward gives what the first gave;
- gradients that were handed out do not change when others are computed;
- one layer object, run at A and then at B, holds either the gradients at B (it overwrites) or the
  sum of both (it accumulates): the same for all its parameters, and always those at B for its inputs.

A layer whose gradients accumulate until they are cleared is a note, unless it declares `accumulates=`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.checks.behaviour import BehaviourCheck, does_not_apply
from gradcheck.checks.check import Bench, Examination, Finding
from gradcheck.checks.comparison import Gradients, difference_finding, differences
from gradcheck.checks.running import Case, claimed_by, copied, forward_is_random, last_place_spread
from gradcheck.errors import BackwardError
from gradcheck.rules import by_leaf

__all__ = ["ReuseCheck"]


class ReuseCheck(BehaviourCheck):
    """What a rule keeps from one call belongs to that call."""

    name = "reuse"

    def examine_case(self, case: Case, bench: Bench) -> Examination:
        """Run the rule at other inputs between forward and backward, and backward again."""
        notes: list[str] = []
        try:
            finding = self._interleaved(case, bench)
            random = finding is not None and forward_is_random(case, bench.rng)
            if random:
                finding = None
            # an object's second backward takes a forward of its own, which draws other numbers
            if finding is None and not (random and case.rule.holds("layer")):
                finding = self._twice(case, bench, notes)
            if finding is None and random:
                return does_not_apply("the forward draws random numbers")
            if finding is None and case.rule.repeated is not None:
                return self._one_object(case, bench)
        except BackwardError as error:
            message = f"{error}, and runs by itself"
            finding = Finding(self.name, "", None, None, None, "", "", message)
        return self.outcome(case.rule, [finding] if finding else [], notes)

    def _interleaved(self, case: Case, bench: Bench) -> Finding | None:
        """Run forward A, forwards B, backward A."""
        inputs = copied(case.inputs)
        _, pullback = case.rule.vjp(inputs)
        for other in others(case, bench.rng):
            _run_aside(case, other)
        found = claimed_by(case.rule, inputs, pullback, copied(case.cotangent))
        says = "is another when the forward has run at other inputs before the backward"
        cause = "the backward reads what the last forward left, in state that all calls share"
        return self._compared(
            case, bench, found, says, ("forward A, B, backward A", "alone"), cause
        )

    def _twice(self, case: Case, bench: Bench, notes: list[str]) -> Finding | None:
        """Run backward A twice with other runs between, and look at the first gradients again."""
        inputs = copied(case.inputs)
        _, pullback = case.rule.vjp(inputs)
        raw = by_leaf(case.rule, inputs, pullback(copied(case.cotangent)))
        held = {path: raw[path] for path in case.gradients}
        first = {path: np.array(value, copy=True) for path, value in held.items()}
        for other in others(case, bench.rng):
            _run_aside(case, other)
        later = {path: np.array(value, copy=True) for path, value in held.items()}
        second = claimed_by(case.rule, inputs, pullback, copied(case.cotangent))
        if any(not np.array_equal(second[path], first[path]) for path in first):
            third = claimed_by(case.rule, inputs, pullback, copied(case.cotangent))
            adding = _paths_that_differ(case, second, first) - {
                path
                for found, runs in ((second, 2), (third, 3))
                for path in _paths_that_differ(
                    case, found, {path: runs * value for path, value in first.items()}, runs
                )
            }
            if adding:
                notes.append(ACCUMULATE)
                first = {path: value for path, value in first.items() if path not in adding}
        says = "changes after it was handed out, when other gradients are computed"
        cause = "it lies in a buffer that is written again; return a copy"
        finding = self._compared(case, bench, later, says, ("later", "first"), cause, first)
        if finding is not None:
            return finding
        says = "is another when the backward is run twice"
        cause = "the backward changes what the forward kept for it"
        return self._compared(case, bench, second, says, ("second", "first"), cause, first)

    def _one_object(self, case: Case, bench: Bench) -> Examination:
        """Run one layer object at A and at B: all its gradients overwrite, or all accumulate."""
        rule = case.rule
        assert rule.repeated is not None
        for other in others(case, bench.rng, but=rule.parameters):
            alone = _run_aside(case, other)
            if alone is None or not all(np.all(np.isfinite(value)) for value in alone.values()):
                continue
            runs = [(copied(inputs), copied(case.cotangent)) for inputs in (case.inputs, other)]
            try:
                raw = rule.repeated(runs)[-1]
            except Exception as error:  # the user's code, which ran at both inputs by itself
                message = (
                    f"{rule.name}: one layer object raises {type(error).__name__} when it is run a second "
                    f"time, at other inputs: {error}\n    {KEEPS_FIRST_RUN}"
                )
                finding = Finding(self.name, "", None, None, None, KEEPS_FIRST_RUN, "", message)
                return self.outcome(rule, [finding])
            claims = by_leaf(rule, other, rule.gradients_by_input(raw, other))
            found = {path: np.array(claims[path], copy=True) for path in case.gradients}
            return self._judged(case, bench, found, alone)
        return does_not_apply("no second input could be found at which the forward runs")

    def _judged(self, case: Case, bench: Bench, found: Gradients, alone: Gradients) -> Examination:
        rule, size = case.rule, 2 * case.size(case.cotangent)
        own = {
            path: value for path, value in alone.items() if path.split("[")[0] in rule.parameters
        }
        total = {path: case.gradients[path] + value for path, value in alone.items()}

        def spread() -> Gradients:
            return last_place_spread(case, case.cotangent, bench.rng)

        stale = differences(
            case.values, found, {p: alone[p] for p in alone if p not in own}, size, spread
        )
        if stale:
            says = "is stale when one layer object is run a second time, at other inputs"
            labels = ("second run", "alone")
            finding = difference_finding(self.name, rule, says, stale[0], labels, KEEPS_FIRST_RUN)
            return self.outcome(rule, [finding])
        not_alone = {d.path: d for d in differences(case.values, found, own, size, spread)}
        not_sum = {
            d.path: d
            for d in differences(case.values, found, {p: total[p] for p in own}, size, spread)
        }
        neither = [path for path in own if path in not_alone and path in not_sum]
        adding = [path for path in own if path in not_alone and path not in not_sum]
        overwriting = [path for path in own if path in not_sum and path not in not_alone]
        if neither:
            says = "is wrong when one layer object is run twice: neither that of the second run nor the sum"
            labels = ("second run", "alone")
            finding = difference_finding(
                self.name, rule, says, not_alone[neither[0]], labels, KEEPS_FIRST_RUN
            )
        elif rule.accumulates is True and overwriting:
            says = (
                "is overwritten when one layer object is run twice, and is declared to accumulate"
            )
            labels, cause = (
                ("second run", "sum of both"),
                "add to the gradient (+=) in the backward",
            )
            finding = difference_finding(
                self.name, rule, says, not_sum[overwriting[0]], labels, cause
            )
        elif rule.accumulates is False and adding:
            says = "accumulates when one layer object is run twice, and is declared not to"
            labels, cause = ("second run", "alone"), "assign the gradient (=) in the backward"
            finding = difference_finding(self.name, rule, says, not_alone[adding[0]], labels, cause)
        elif adding and overwriting:
            kept = overwriting[0]
            says = (
                f"accumulates when one layer object is run twice, and that of {kept} is overwritten"
            )
            labels = ("second run", "alone")
            cause = "no caller can use both: let all gradients add up, or none"
            finding = difference_finding(self.name, rule, says, not_alone[adding[0]], labels, cause)
        else:
            return self.outcome(
                rule, [], [ACCUMULATES] if adding and rule.accumulates is None else []
            )
        return self.outcome(rule, [finding])

    def _compared(
        self,
        case: Case,
        bench: Bench,
        found: Gradients,
        says: str,
        labels: tuple[str, str],
        cause: str,
        expected: Gradients | None = None,
    ) -> Finding | None:
        wrong = differences(
            case.values,
            found,
            case.gradients if expected is None else expected,
            case.size(case.cotangent),
            lambda: last_place_spread(case, case.cotangent, bench.rng),
        )
        if not wrong:
            return None
        return difference_finding(self.name, case.rule, says, wrong[0], labels, cause)


KEEPS_FIRST_RUN = "the object keeps something of its first run"

ACCUMULATES = (
    "the layer's gradients add up over backwards until they are cleared; accumulates=True says so, and "
    "has it checked"
)


ACCUMULATE = "the gradients add up over the backwards of one forward, until the caller clears them"


def _paths_that_differ(
    case: Case, found: Gradients, expected: Gradients, runs: int = 1
) -> set[str]:
    size = runs * case.size(case.cotangent)
    return {item.path for item in differences(case.values, found, expected, size)}


def others(
    case: Case, rng: np.random.Generator, but: tuple[str, ...] = ()
) -> Iterator[tuple[Any, ...]]:
    """Yield other inputs of the same shapes: shrunk entry by entry, in reverse order, negated.

    The first stays in nearly every domain; a forward may refuse the others.
    """

    def shrunk(leaf: Any) -> Any:
        return np.asarray(leaf * rng.uniform(0.5, 1.0, leaf.shape), leaf.dtype)

    def backwards(leaf: Any) -> Any:
        return np.ascontiguousarray(leaf[::-1])

    def negated(leaf: Any) -> Any:
        return -leaf if trees.is_variable(leaf) else leaf

    for change in (backwards, negated, shrunk):

        def changed(leaf: Any, change: Any = change) -> Any:
            if not isinstance(leaf, np.ndarray) or (change is backwards and not leaf.ndim):
                return leaf
            return change(leaf) if change is not shrunk or trees.is_variable(leaf) else leaf

        yield tuple(
            copied(value) if name in but else trees.map_leaves(changed, copied(value))
            for name, value in zip(case.rule.input_names, case.inputs, strict=True)
        )


def _run_aside(case: Case, inputs: tuple[Any, ...]) -> Gradients | None:
    """Run forward and backward at other inputs; None where they cannot be run there."""
    try:
        return case.run(copied(inputs), copied(case.cotangent))[1]
    except Exception:  # outside the domain: the user's code may raise whatever it likes
        return None
