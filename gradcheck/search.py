"""The search for a point at which a check fails, by Hypothesis."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradcheck import trees
from gradcheck.checks.check import Bench, Check, Examination, points_for
from gradcheck.checks.tally import Tally
from gradcheck.errors import RuleError
from gradcheck.rules import Point, Rule
from gradcheck.verdicts import Verdict

__all__ = ["Outcome", "examine_all", "search"]


@dataclass(frozen=True)
class Outcome:
    """What a search ended with.

    Attributes:
        tally: what all the points showed.
        failure: the smallest failing point with its examination, or None.
        points: the points examined, in order, up to the first that failed.
        out_of_time: whether the time budget ended the search before all points were drawn.
    """

    tally: Tally
    failure: tuple[Point, Examination] | None
    points: tuple[Point, ...]
    out_of_time: bool


class _Failed(Exception):
    """Tells Hypothesis that the drawn point fails, so that it shrinks it."""


def search(
    rule: Rule,
    check: Check,
    bench: Bench,
    *,
    seed: int,
    time_budget: float | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Outcome:
    """Draw points of `rule` until `check` fails at one or enough have passed; shrink a failure.

    Args:
        rule: the rule.
        check: the check to examine at each point.
        bench: the oracles and the profile; `points_for` says how many points are drawn.
        seed: the seed of the draw; the same seed draws the same points.
        time_budget: seconds after which no further point is examined; None for no limit.
        progress: called after each examined point.

    Raises:
        RuleError: the rule's gradients cannot be told apart, or no point could be drawn at which its
            forward runs.
    """
    import hypothesis
    from hypothesis import HealthCheck, Phase
    from hypothesis.errors import Flaky, Unsatisfiable

    from gradcheck.strategies import points

    tally = Tally()
    examined: list[Point] = []
    smallest: list[tuple[Point, Examination]] = []
    started = time.monotonic()
    out_of_time = False

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=points_for(check, bench.profile),
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate, Phase.shrink],
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(points(rule, on_discard=lambda reason: tally.discarded.update([reason])))
    def examine(point: Point) -> None:
        nonlocal out_of_time
        if time_budget is not None and time.monotonic() - started > time_budget:
            out_of_time = True
            return
        examination = check.examine(rule, point, replace(bench, rng=_rng_at(seed, point)))
        if not smallest:
            examined.append(point)
            tally.add(point, examination)
            progress()
        if examination.verdict is Verdict.FAIL:
            smallest[:] = [(point, examination)]
            raise _Failed

    try:
        examine()
    except (_Failed, Flaky):  # flaky: code that draws random numbers fails not each time it is run
        pass
    except Unsatisfiable as error:
        raise RuleError(
            f"rule {rule.name!r}: no point could be drawn at which the forward runs and is finite"
            f"{_most_common(tally)}; give inputs=fn(rng) or domains that keep the forward's inputs valid"
        ) from error
    return Outcome(tally, smallest[0] if smallest else None, tuple(examined), out_of_time)


def examine_all(
    rule: Rule,
    check: Check,
    bench: Bench,
    points: Sequence[Point],
    *,
    seed: int,
    time_budget: float | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Outcome:
    """Examine points that another check's search has drawn, up to the first that fails.

    Nothing is shrunk: where one fails, `search` with the same seed comes to the same point.
    """
    tally = Tally()
    started = time.monotonic()
    examined: list[Point] = []
    for point in points:
        if time_budget is not None and time.monotonic() - started > time_budget:
            return Outcome(tally, None, tuple(examined), True)
        examination = check.examine(rule, point, replace(bench, rng=_rng_at(seed, point)))
        tally.add(point, examination)
        examined.append(point)
        progress()
        if examination.verdict is Verdict.FAIL:
            return Outcome(tally, (point, examination), tuple(examined), False)
    return Outcome(tally, None, tuple(examined), False)


def _most_common(tally: Tally) -> str:
    return "".join(f" ({reason})" for reason, _ in tally.discarded.most_common(1))


def _rng_at(seed: int, point: Point) -> np.random.Generator:
    """Return random numbers that depend on the seed and the point, and on nothing drawn before.

    A point that Hypothesis examines twice must get the same verdict, and two points of the same
    shape must not get the same directions.
    """
    digest = 0
    for _, value in trees.leaves((point.inputs, point.cotangent)):
        content = (
            np.ascontiguousarray(value).tobytes()
            if hasattr(value, "dtype")
            else repr(value).encode()
        )
        digest = zlib.crc32(content, digest)
    return np.random.default_rng([seed, digest])
