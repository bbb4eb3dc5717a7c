"""The items of a rule in a test module: one for each check."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gradcheck.checks import CHECKS
from gradcheck.checks.check import source_line
from gradcheck.errors import GradcheckError, GradientError, InconclusiveError, VerdictError
from gradcheck.plugin.session import hand_in, session_of
from gradcheck.reports.report import Report
from gradcheck.rules import Rule
from gradcheck.verdicts import Verdict
from gradcheck.verification import verify

__all__ = ["CheckItem", "GradChecker", "RuleCollector"]


class RuleCollector(pytest.Collector):
    """A rule in a test module; its items are its checks."""

    def __init__(self, name: str, parent: pytest.Collector, rule: Rule) -> None:
        super().__init__(name, parent)
        self.rule = replace(rule, name=name)
        self.add_marker("gradcheck")

    def collect(self) -> Iterator[pytest.Item]:
        for check in CHECKS:
            yield CheckItem.from_parent(self, name=check.name)


class CheckItem(pytest.Item):
    """One check of one rule."""

    parent: RuleCollector

    def runtest(self) -> None:
        options = session_of(self.config).options
        report = verify(self.parent.rule, checks=[self.name], **options.of_verify)
        hand_in(self, report)
        (result,) = report.checks
        if not result.applies:
            pytest.skip(result.reason)
        if result.expected_failure:
            pytest.xfail(result.expected_failure)
        conclude(self, report)
        expected = self.parent.rule.expected_failures.get(self.name)
        if expected is not None and self.config.getini("xfail_strict"):
            pytest.fail(f"[XPASS(strict)] {expected}", pytrace=False)
        self.add_report_section("call", "gradcheck", str(report))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, VerdictError):
            return f"{excinfo.value}\n({how_to_see_it_again(excinfo.value.report)})"
        if isinstance(excinfo.value, GradcheckError) and style is None:
            return f"{type(excinfo.value).__name__}: {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int, str]:
        return self.path, self._line(), f"{self.parent.name}::{self.name}"

    def _line(self) -> int:
        """Return the line of the backward, counted from 0, or 0 where it stands in another file.

        pytest asks for a line wherever a mark skips an item.
        """
        file, _, number = source_line(self.parent.rule.functions[-1]).rpartition(":")
        return int(number) - 1 if file == str(self.path) else 0


class GradChecker:
    """`gradcheck.verify` and `gradcheck.check` with the options of the pytest session."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    def verify(self, rule: Rule, **options: Any) -> Report:
        """Verify a rule; `options` are those of `gradcheck.verify`, before those of the session."""
        given = session_of(self._item.config).options.of_verify
        if "seed" in options:  # a seed of the test's own alone says what is drawn
            given["replay"] = None
        report = verify(rule, **{**given, **options})
        hand_in(self._item, report)
        return report

    def check(self, rule: Rule, **options: Any) -> Report:
        """Verify a rule, and fail the test unless it passes; see `gradcheck_inconclusive`.

        Raises:
            GradientError: a check failed.
            InconclusiveError: nothing could be said, and the session does not warn or skip then.
        """
        __tracebackhide__ = True
        report = self.verify(rule, **options)
        conclude(self._item, report)
        return report


def conclude(item: pytest.Item, report: Report) -> None:
    """Raise, warn or skip unless the rule passes, as the session asks for."""
    __tracebackhide__ = True
    if report.verdict is Verdict.FAIL:
        raise GradientError(report)
    if report.verdict is Verdict.INCONCLUSIVE:
        wanted = session_of(item.config).options.inconclusive
        if wanted == "fail":
            raise InconclusiveError(report)
        reasons = "; ".join(check.reason for check in report.checks if check.reason)
        message = f"{report.rule}: inconclusive: {reasons}"
        if wanted == "skip":
            pytest.skip(message)
        warnings.warn(pytest.PytestWarning(message), stacklevel=2)


def how_to_see_it_again(report: Report) -> str:
    """Say how another run comes to the same failure."""
    if report.replayed:
        return "a failure of an earlier run, replayed from Hypothesis's database: run again without a seed"
    return f"run again with --gradcheck-seed={report.seed} to draw the same points"
