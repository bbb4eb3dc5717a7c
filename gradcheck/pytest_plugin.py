"""The pytest plugin: every module-level rule of a test module is collected, one item per check.

The plugin imports nothing of gradcheck before a test module has made a rule: a suite without gradient
tests pays nothing for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

__all__: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gradcheck", "verifying hand-written derivatives")
    group.addoption(
        "--gradcheck-examples",
        type=int,
        metavar="N",
        help="points drawn for each check of a rule (default: the profile's number)",
    )
    group.addoption(
        "--gradcheck-seed",
        type=int,
        metavar="SEED",
        help="draw the points of this seed again (default: a new one, printed with each failure)",
    )


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> pytest.Collector | None:
    rules = sys.modules.get("gradcheck.rules")
    if rules is None or not isinstance(obj, rules.Rule) or name.startswith("_"):
        return None
    return RuleCollector.from_parent(collector, name=name, rule=obj)


class RuleCollector(pytest.Collector):
    """A rule in a test module; its items are its checks."""

    def __init__(self, name: str, parent: pytest.Collector, rule: Any) -> None:
        super().__init__(name, parent)
        from dataclasses import replace

        self.rule = replace(rule, name=name)

    def collect(self) -> Iterator[pytest.Item]:
        from gradcheck.checks import CHECKS

        for check in CHECKS:
            yield CheckItem.from_parent(self, name=check.name)


class CheckItem(pytest.Item):
    """One check of one rule."""

    parent: RuleCollector

    def runtest(self) -> None:
        from gradcheck.errors import InconclusiveError
        from gradcheck.verification import check

        try:
            report = check(
                self.parent.rule,
                checks=[self.name],
                examples=self.config.getoption("--gradcheck-examples"),
                seed=self.config.getoption("--gradcheck-seed"),
            )
        except InconclusiveError as error:
            (result,) = error.report.checks
            if result.applies:
                raise
            pytest.skip(result.reason)
        self.add_report_section("call", "gradcheck", str(report))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from gradcheck.errors import GradcheckError, VerdictError

        if isinstance(excinfo.value, VerdictError):
            seed = f"--gradcheck-seed={excinfo.value.report.seed}"
            return f"{excinfo.value}\n(run again with {seed} to draw the same points)"
        if isinstance(excinfo.value, GradcheckError) and style is None:
            return f"{type(excinfo.value).__name__}: {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        return self.path, None, f"{self.parent.name}::{self.name}"
