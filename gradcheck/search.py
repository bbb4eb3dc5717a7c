"""The search for a point at which a check fails, by Hypothesis.

Hypothesis draws, shrinks, remembers failures and replays them, by the settings of its profile that is
loaded. Five of them are ours:

    max_examples      the number of points that gradcheck's own profile gives the check
    derandomize       off: the seed, which every report prints, decides alone what is drawn
    deadline          none: the time of a point is that of the oracles, not of the code under test
    print_blob        off: the report says how to see a failure again
    report_multiple_bugs  off: every failure of a check is the same one to Hypothesis
"""

from __future__ import annotations

import math
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import ClassVar
from unittest import SkipTest

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase
from hypothesis.database import ExampleDatabase
from hypothesis.errors import FailedHealthCheck, Flaky, Unsatisfiable

from gradcheck import trees
from gradcheck.branch_search import seek
from gradcheck.checks.check import Bench, Check, Examination, points_for
from gradcheck.checks.tally import Tally
from gradcheck.errors import GradcheckError, RuleError
from gradcheck.randomness import fixed_random_state
from gradcheck.rules import Point, Rule
from gradcheck.strategies import points
from gradcheck.strategies.points import RAISED
from gradcheck.strategies.refused_sizes import refused_sizes
from gradcheck.verdicts import Verdict

__all__ = ["Outcome", "search"]


@dataclass(frozen=True)
class Outcome:
    """What a search ended with.

    Attributes:
        tally: what all the points showed.
        failure: the smallest failing point with its examination, or None.
        replayed: whether the failure is one of an earlier run, from Hypothesis's database.
        out_of_time: whether the time budget ended the search before all points were drawn.
    """

    tally: Tally
    failure: tuple[Point, Examination] | None
    replayed: bool = False
    out_of_time: bool = False


class _Failed(Exception):
    """Tells Hypothesis that the drawn point fails, so that it shrinks it."""


class _OutOfTime(KeyboardInterrupt):
    """Stops Hypothesis at once, also while it shrinks; of all errors it takes only this one for no bug."""


def search(
    rule: Rule,
    check: Check,
    bench: Bench,
    *,
    seed: int,
    replay: bool = False,
    time_budget: float | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Outcome:
    """Draw points of `rule` until `check` fails at one or enough have passed; shrink a failure.

    Args:
        rule: the rule.
        check: the check to examine at each point.
        bench: the oracles and the profile; `points_for` says how many points are drawn.
        seed: the seed of the draw; the same seed draws the same points.
        replay: whether the failures that Hypothesis's database holds come first, and new ones go there.
        time_budget: seconds after which no further point is examined; None for no limit.
        progress: called after each examined point.

    Raises:
        RuleError: the rule's gradients cannot be told apart, or no point could be drawn at which its
            forward runs.
    """
    with fixed_random_state():
        return _Search(rule, check, bench, seed, time_budget, progress).run(replay)


class _Search:
    """One search: what it looks for, and what it has seen so far."""

    def __init__(
        self,
        rule: Rule,
        check: Check,
        bench: Bench,
        seed: int,
        time_budget: float | None,
        progress: Callable[[], None],
    ) -> None:
        self.rule, self.check, self.bench, self.seed = rule, check, bench, seed
        self.ends = None if time_budget is None else time.monotonic() + time_budget
        self.progress = progress
        self.tally = Tally()
        self.smallest: tuple[Point, Examination] | None = None
        self.draw = seed, bench.profile.examples
        self.count = points_for(check, bench.profile)
        self.drawn: list[Point] = []
        self.unhealthy: list[str] = []

    def run(self, replay: bool) -> Outcome:
        """Replay earlier failures if asked to, then look at new points unless one failed."""
        database = hypothesis.settings().database if replay else None
        shelf = None if database is None else _Shelf(database, self._label())
        replayed = out_of_time = False
        try:
            if shelf is not None:
                self._replay(shelf)
                replayed = self.smallest is not None
            if not replayed:
                self._look_at_new_points(shelf)
            if self.smallest is None:
                self._enter_branches()
        except Flaky:  # code that draws random numbers may be wrong now and right the next time
            self.tally.notes[UNSTEADY] += 1
        except _OutOfTime:
            out_of_time = True
        except Unsatisfiable as error:
            raise RuleError(
                f"rule {self.rule.name!r}: no point could be drawn at which the forward runs and is finite"
                f"{_most_common(self.tally)}; give dimensions or domains that the forward takes, such as "
                "gradcheck.integers('N', below='C') for labels, or draw the inputs with inputs=fn(rng)"
            ) from error
        return Outcome(self.tally, self.smallest, replayed, out_of_time)

    def _replay(self, shelf: ExampleDatabase) -> None:
        with suppress(Unsatisfiable):  # what is left there fits the rule no longer
            self._hypothesis([Phase.reuse, Phase.shrink], shelf, list(HealthCheck))

    def _look_at_new_points(self, shelf: ExampleDatabase | None) -> None:
        """Look at the points that another check of the rule drew with this seed, or draw them.

        Drawing costs as much as a cheap check does, and the same seed draws the same points. Where one
        fails it is drawn again nevertheless, since only Hypothesis can shrink it.
        """
        known = _Drawn.latest
        if not known.serves(self):
            self.drawn = []
            self._generate(shelf)
            if self.smallest is None:
                self._require_sizes()
                discarded = self.tally.discarded.copy()
                _Drawn.latest = _Drawn(self.rule, self.draw, self.drawn, discarded, self.unhealthy)
            return
        self.tally.discarded.update(known.discarded)
        self.tally.notes.update(known.unhealthy)
        try:
            for point in known.points[: self.count]:
                with fixed_random_state():  # as Hypothesis does
                    self._examine(point)
        except _Failed:
            self.count = len(known.points)  # to come to the same point again
            found, self.smallest, self.tally = self.smallest, None, Tally()
            self._generate(shelf)
            if self.smallest is None:
                self.smallest = found
                raise Flaky from None

    def _enter_branches(self) -> None:
        """Examine points in branches of the code that no drawn point entered, as far as any are found."""
        programs, branches = self.bench.programs, self.tally.branches
        if programs is None:
            return
        self.drawn = []  # these points are no draws, which other checks share
        left = math.ceil(self.bench.profile.examples * BRANCH_SHARE)
        found = seek(self.rule, programs, branches, self.seed)
        while left > 0 and self.smallest is None:
            self._keep_time()
            points_here = next(found, None)
            if points_here is None:
                return
            for point in points_here:
                left -= 1
                with fixed_random_state(), suppress(_Failed):
                    self._examine(point)

    def _require_sizes(self) -> None:
        """Refuse a contract most of whose sizes the forward does not take, and no unequal ones."""
        discarded = self.tally.discarded.items()
        raised = sum(count for reason, count in discarded if reason.startswith(RAISED))
        if raised > self.tally.points and (refused := refused_sizes(self.rule)):
            raise RuleError(
                f"rule {self.rule.name!r}: the forward raises wherever the sizes are unequal, such as at "
                f"{refused}; give its inputs the dimensions that it takes, one name for sizes that are equal"
            )

    def _generate(self, shelf: ExampleDatabase | None) -> None:
        phases = [Phase.generate, Phase.shrink]
        try:
            self._hypothesis(phases, shelf, UNFIT)
        except FailedHealthCheck as error:
            # A rule that is hard to draw is not wrong: say so, and go on with what can be drawn.
            self.unhealthy = [_unhealthy(error, self.tally)]
            self.tally, self.drawn = Tally(), []
            self.tally.notes.update(self.unhealthy)
            self._hypothesis(phases, shelf, list(HealthCheck))

    def _hypothesis(
        self,
        phases: Sequence[Phase],
        database: ExampleDatabase | None,
        unfit: Iterable[HealthCheck],
    ) -> None:
        """Run Hypothesis with those of these phases that its profile has."""
        own = hypothesis.settings()

        @hypothesis.settings(
            max_examples=self.count,
            database=database,
            phases=[phase for phase in phases if phase in own.phases],
            suppress_health_check=[*{*own.suppress_health_check, *unfit}],
            deadline=None,
            derandomize=False,
            print_blob=False,
            report_multiple_bugs=False,
        )
        @hypothesis.seed(self.seed)  # which by itself would leave no database
        @hypothesis.given(points(self.rule, on_discard=self._discarded))
        def examine(point: Point) -> None:
            self._examine(point)

        with suppress(
            _Failed, SkipTest
        ):  # skipped: the database holds nothing, or no phase is left
            try:
                examine()
            except GradcheckError as error:
                error.__notes__ = []  # Hypothesis shows how it drew the point
                raise

    def _discarded(self, reason: str) -> None:
        self.tally.discarded[reason] += 1
        self._keep_time()

    def _examine(self, point: Point) -> None:
        self._keep_time()
        rng = _rng_at(self.seed, point)
        examination = self.check.examine(self.rule, point, replace(self.bench, rng=rng))
        if self.smallest is None:
            self.drawn.append(point)
            self.tally.add(point, examination)
            self.progress()
        if examination.verdict is Verdict.FAIL:
            self.smallest = (point, examination)
            raise _Failed

    def _keep_time(self) -> None:
        if self.ends is not None and time.monotonic() > self.ends:
            raise _OutOfTime

    def _label(self) -> str:
        """Name the rule and the check, the same in every run and by whichever door."""
        places = [
            f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}"
            for function in self.rule.functions
        ]
        return "\n".join(["gradcheck", self.rule.kind, self.rule.name, *places, self.check.name])


@dataclass(frozen=True)
class _Drawn:
    """The points of a search that found no failure, for the next check of the same rule.

    Attributes:
        rule: the rule.
        draw: what says which points are drawn: the seed, and the number of points of the profile.
        points: the points, in the order in which they were drawn.
        discarded: why others were discarded, with how often.
        unhealthy: what a health check of Hypothesis said.
    """

    rule: Rule | None = None
    draw: tuple[int, int] = (0, 0)
    points: Sequence[Point] = ()
    discarded: Counter[str] = field(default_factory=Counter)
    unhealthy: Sequence[str] = ()

    latest: ClassVar[_Drawn]

    def serves(self, search: _Search) -> bool:
        """Say whether these are enough of the points that a search would draw."""
        same = self.rule is search.rule and self.draw == search.draw
        return same and len(self.points) >= search.count


_Drawn.latest = _Drawn()

UNSTEADY = (
    "a point that failed passed when it was looked at again: the rule is not the same each time"
)

BRANCH_SHARE = 0.25
"""Points in branches that no draw entered, at most, as a part of the profile's points: where most
comparisons of a rule always come out the same, the run takes a quarter longer."""

UNFIT = (HealthCheck.too_slow, HealthCheck.nested_given, HealthCheck.differing_executors)
"""Health checks that judge what is no fault here: a draw runs the user's forward, which takes the time it
takes; and `gradcheck.check` may well be called inside a test of Hypothesis."""


class _Shelf(ExampleDatabase):
    """The part of a Hypothesis database that belongs to one check of one rule.

    Hypothesis keeps failures by the function that it runs, which here is the same for all rules.
    """

    def __init__(self, whole: ExampleDatabase, label: str) -> None:
        super().__init__()
        self._whole, self._label = whole, label.encode()

    def _key(self, key: bytes) -> bytes:
        return self._label + b"\0" + key

    def save(self, key: bytes, value: bytes) -> None:
        self._whole.save(self._key(key), value)

    def fetch(self, key: bytes) -> Iterable[bytes]:
        return self._whole.fetch(self._key(key))

    def delete(self, key: bytes, value: bytes) -> None:
        self._whole.delete(self._key(key), value)


def _unhealthy(error: FailedHealthCheck, tally: Tally) -> str:
    first = str(error).strip().split("\n")[0].rstrip()
    return f"drawing points is hard{_most_common(tally)}: {first}"


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
