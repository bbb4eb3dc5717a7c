"""`verify`, `check` and `verify_at`: the doors to everything above."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gradcheck.checks import select
from gradcheck.checks.check import Bench, Check, Examination, source_line
from gradcheck.checks.tally import Tally
from gradcheck.errors import GradientError, InconclusiveError, ShapeError, UsageError
from gradcheck.localisation import localise
from gradcheck.oracles.autodiff import Autodiff
from gradcheck.oracles.evidence import Oracle
from gradcheck.oracles.exact_oracle import Exact
from gradcheck.oracles.extended import Extended
from gradcheck.oracles.finite_differences import FiniteDifferences
from gradcheck.oracles.programs import Programs
from gradcheck.reports.report import CheckResult, Report
from gradcheck.reports.reproduction import describe_case, reproduce
from gradcheck.rules import Point, Rule
from gradcheck.search import search
from gradcheck.seeds import new_seed
from gradcheck.verdicts import Profile, Verdict, profile_named

__all__ = ["check", "verify", "verify_at"]

NO_CERTIFICATE = (
    "torch code is not traced: the verdict rests on torch's own autodiff and on finite differences, "
    "and is no certificate"
)


def verify(
    rule: Rule,
    *,
    examples: int | None = None,
    seed: int | None = None,
    time_budget: float | None = None,
    trace: bool = True,
    checks: Sequence[str] | None = None,
    profile: str = "standard",
    replay: bool | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Report:
    """Verify a rule over random architectures, shapes and values; never raise for a wrong gradient.

    Args:
        rule: made by `gradcheck.pair`, `gradcheck.vjp`, `gradcheck.gradient` and their kin.
        examples: points drawn; None for the profile's number. `gradient` and `shapes` examine all of
            them, a behaviour check a quarter.
        seed: the seed of the draw, printed in every report; None draws a new one. The same seed draws the
            same points for the same profile and examples.
        time_budget: seconds for each check, after which no further point is examined; None for no limit.
        trace: whether the forward may be traced for autodiff; without it, finite differences decide.
        checks: the names of the checks to run; None for all.
        profile: "quick", "standard" or "thorough".
        replay: whether failures of earlier runs come first, from the database of Hypothesis's current
            profile (`.hypothesis/examples`; none under CI), and new ones are kept there; None for
            yes where no seed is given, so that a seed alone decides what a run sees.
        progress: called after each examined point.

    Returns:
        The report: its `verdict` is "pass", "fail" or "inconclusive".

    Raises:
        UsageError: an argument has no meaning; the message names it.
        RuleError: the user's code cannot be run as it was declared.

    >>> import numpy as np
    >>> from gradcheck import verify, vjp
    >>> halved = vjp(lambda x: x**2, lambda dout, x: dout * x, x="N")
    >>> verify(halved, examples=20, seed=1).findings[0].diagnosis
    'claimed = true × 0.5: a factor is wrong'
    """
    _require_rule(rule)
    settings = _profile(profile, examples)
    new = seed is None
    seed = new_seed() if seed is None else seed
    replay = new if replay is None else replay
    started = time.monotonic()
    results, notes, reproduction = [], [NO_CERTIFICATE] * (rule.kind == "torch_function"), ""
    replayed = False
    bench_of = partial(_bench, trace=trace, profile=settings, seed=seed)
    for item in select(checks):
        bench = bench_of(rule)
        outcome = search(
            rule,
            item,
            bench,
            seed=seed,
            replay=replay,
            time_budget=time_budget,
            progress=progress,
        )
        if outcome.out_of_time:
            notes.append(
                f"{item.name}: the time budget of {time_budget:g} s ended the search early"
            )
        if outcome.failure is None:
            verdict, reason = item.conclude(outcome.tally, settings)
            result = CheckResult(item.name, verdict, reason, (), outcome.tally)
        else:
            point, examination = outcome.failure
            result = _failed(
                rule,
                item,
                point,
                examination,
                outcome.tally,
                lambda part: _bench(part, trace, settings, seed),
            )
            if not reproduction:
                again = "replay=True" if outcome.replayed else f"seed={seed}"
                options = [again, *_beyond_defaults(profile, examples)]
                reproduction = reproduce(rule, point, ", ".join(options))
                replayed = outcome.replayed
        notes += outcome.tally.remarks
        results.append(_as_expected(rule, result, notes))
    seconds = time.monotonic() - started
    return Report(
        rule.name,
        tuple(results),
        seed,
        seconds,
        tuple(dict.fromkeys(notes)),
        reproduction,
        replayed=replayed,
    )


def check(rule: Rule, **options: Any) -> Report:
    """Verify a rule like `verify`, and raise unless it passes.

    Raises:
        GradientError: a check failed; carries the `report`.
        InconclusiveError: nothing could be said; carries the `report`.
        UsageError, RuleError: as `verify`.

    >>> import numpy as np
    >>> from gradcheck import check, vjp
    >>> check(vjp(np.sin, lambda dout, x: dout * np.cos(x), x="N"), examples=20, seed=1).verdict
    'pass'
    """
    __tracebackhide__ = True  # pytest then shows the caller's line
    report = verify(rule, **options)
    if report.verdict is Verdict.FAIL:
        raise GradientError(report)
    if report.verdict is Verdict.INCONCLUSIVE:
        raise InconclusiveError(report)
    return report


def verify_at(
    rule: Rule,
    point: Point | tuple[Any, ...],
    *,
    trace: bool = True,
    checks: Sequence[str] | None = None,
    profile: str = "standard",
    seed: int = 0,
) -> Report:
    """Verify a rule at one point, without a search.

    Args:
        rule: the rule.
        point: a `Point`, or the tuple of inputs alone (the cotangent is then one of ones).
        trace: whether the forward may be traced for autodiff.
        checks: the names of the checks to run; None for all.
        profile: its `power` says what an entry must show to count as decided.
        seed: the seed of the directions of finite differences.

    Raises:
        UsageError, RuleError: as `verify`.
    """
    _require_rule(rule)
    settings = replace(_profile(profile, 1), needed=1)
    point = point if isinstance(point, Point) else Point(tuple(point))
    completed = rule.completed(point.inputs)
    if completed is None:
        raise UsageError(
            f"the point has {len(point.inputs)} inputs, rule {rule.name!r} takes {len(rule.input_names)}: "
            f"{', '.join(rule.input_names)}"
        )
    point = replace(point, inputs=completed)
    _require_domain(rule, point)
    started = time.monotonic()
    results, reproduction = [], ""
    bench_of = partial(_bench, trace=trace, profile=settings, seed=seed)
    for item in select(checks):
        bench = bench_of(rule)
        tally = Tally()
        examination = item.examine(rule, point, bench)
        tally.add(point, examination)
        if examination.verdict is Verdict.FAIL:
            result = _failed(
                rule,
                item,
                point,
                examination,
                tally,
                lambda part: _bench(part, trace, settings, seed),
            )
            reproduction = reproduce(rule, point, f"seed={seed}")
        else:
            verdict, reason = item.conclude(tally, settings)
            result = CheckResult(item.name, verdict, reason, (), tally)
        results.append(result)
    seconds = time.monotonic() - started
    return Report(rule.name, tuple(results), seed, seconds, (), reproduction)


def _beyond_defaults(profile: str, examples: int | None) -> list[str]:
    """Write out the arguments that a seed needs beside itself to draw the same points."""
    given = [] if profile == "standard" else [f"profile={profile!r}"]
    return given + ([] if examples is None else [f"examples={examples}"])


def _bench(rule: Rule, trace: bool, profile: Profile, seed: int) -> Bench:
    programs = Programs() if trace else None
    oracles = oracles_for(rule, trace, profile.power, programs)
    return Bench(oracles, profile, np.random.default_rng(seed), programs)


def oracles_for(
    rule: Rule, trace: bool, power: float, programs: Programs | None = None
) -> tuple[Oracle, ...]:
    """Return the oracles for a rule; those that trace share `programs`, or new ones."""
    if not trace:
        return (FiniteDifferences(power),)
    if rule.kind == "torch_function":
        from gradcheck.oracles.torch_autodiff import DifferencesOfTorch, TorchAutodiff

        autodiff = TorchAutodiff()
        return autodiff, DifferencesOfTorch(FiniteDifferences(power), autodiff)
    programs = programs or Programs()
    return Exact(programs), Extended(programs), Autodiff(programs), FiniteDifferences(power)


def _failed(
    rule: Rule,
    item: Check,
    point: Point,
    examination: Examination,
    tally: Tally,
    bench_of: Callable[[Rule], Bench],
) -> CheckResult:
    blame = localise(rule, item, point, bench_of)
    findings = list(examination.findings)
    if blame is not None:
        line = "" if blame.rule is None else source_line(blame.rule.functions[-1])
        findings = [
            replace(
                finding,
                diagnosis=blame.reason,
                line=line or finding.line,
                message=f"{finding.message}\n    {blame.reason}",
            )
            for finding in findings
        ]
    case = describe_case(rule, point)
    findings = [
        replace(finding, message=f"{finding.message}\n    smallest failing case:{case}")
        for finding in findings
    ]
    return CheckResult(item.name, Verdict.FAIL, "", tuple(findings), tally)


def _as_expected(rule: Rule, result: CheckResult, notes: list[str]) -> CheckResult:
    """Turn a failure that the rule declares into a pass that says so."""
    expected = rule.expected_failures.get(result.name)
    if expected is None:
        return result
    if result.verdict is Verdict.FAIL:
        return replace(
            result,
            verdict=Verdict.PASS,
            reason=f"fails as expected: {expected}",
            findings=(),
            expected_failure=expected,
        )
    notes.append(
        f"{result.name} was expected to fail ({expected}) and does not: remove the expectation"
    )
    return result


def _profile(name: str, examples: int | None) -> Profile:
    if examples is not None and examples < 1:
        raise UsageError(f"examples is {examples}; a run needs at least 1")
    settings = profile_named(name)
    if examples is None:
        return settings
    return replace(settings, examples=examples, needed=min(settings.needed, examples))


def _require_domain(rule: Rule, point: Point) -> None:
    if rule.contract is None:
        return
    try:
        refused = rule.contract.contains(point.inputs)
    except ShapeError as error:
        raise UsageError(f"the point does not fit rule {rule.name!r}: {error}") from error
    if refused is not None:
        raise UsageError(f"the point does not fit rule {rule.name!r}: {refused}")


def _require_rule(rule: object) -> None:
    if not isinstance(rule, Rule):
        raise UsageError(
            f"gradcheck.verify takes a rule, not {rule!r:.80}; make one with gradcheck.pair, "
            "gradcheck.vjp or gradcheck.gradient"
        )
    try:
        select([*rule.expected_failures])
    except UsageError as error:
        raise UsageError(f"rule {rule.name!r}, expected_failures=: {error}") from None
