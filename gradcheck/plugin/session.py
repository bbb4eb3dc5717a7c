"""What one pytest session keeps: its options, and the reports that its items hand in.

Under xdist the items run in workers. A report travels to the controller as an attribute of the test's
own report, as plain values; so nothing here, nor the summary, needs more than those.
"""

from __future__ import annotations

import os
from bisect import insort
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck.plugin.options import Options

if TYPE_CHECKING:
    from gradcheck.derivations.audits import Audit
    from gradcheck.reports.report import Report

__all__ = ["HandedIn", "Session", "hand_in", "session_of"]

ROW = pytest.StashKey[dict[str, Any]]()
"""What an audit says of one equation, as plain values with the path of its document."""

REPORTS = pytest.StashKey[list[dict[str, Any]]]()
SESSION = pytest.StashKey["Session"]()


@dataclass(frozen=True)
class HandedIn:
    """A report as plain values (`Report.as_dict`), with the item that made it and how that ended.

    Attributes:
        place: of the item among all that were collected, the same in all workers of xdist.
    """

    nodeid: str
    outcome: str
    report: dict[str, Any]
    place: int


class Session:
    """A plugin of its own: collects the reports of all items, and tells of them at the end."""

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self.options = options
        self.handed_in: list[HandedIn] = []
        self.equations: list[dict[str, Any]] = []
        self.is_worker = hasattr(config, "workerinput")
        config.stash[SESSION] = self

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        report = yield
        if call.when == "call" and REPORTS in item.stash:
            report.gradcheck = item.stash[REPORTS]
            report.gradcheck_place = item.session.items.index(item)
        if call.when == "call" and ROW in item.stash:
            report.gradcheck_row = item.stash[ROW]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for one in getattr(report, "gradcheck", ()):
            outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
            handed_in = HandedIn(report.nodeid, outcome, one, report.gradcheck_place)
            insort(self.handed_in, handed_in, key=lambda item: item.place)
        if hasattr(report, "gradcheck_row"):
            self.equations.append(report.gradcheck_row)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.is_worker or not (self.handed_in or self.equations):
            return
        from gradcheck.plugin.summary import summarise

        audits = self._audits()
        lines = summarise(self.handed_in, self.options.seed) if self.handed_in else []
        terminalreporter.section("gradcheck")
        for line in [*(f"{audit.path}: {audit.summary}" for audit in audits), *lines]:
            terminalreporter.write_line(line)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            from gradcheck.reports.annotations import annotate, annotate_audit

            failed = [item for item in self.handed_in if item.outcome == "failed"]
            shown = [annotate(item.report, item.nodeid.split("::")[0]) for item in failed]
            shown += [annotate_audit(audit.as_dict()) for audit in audits]
            for line in (line for lines in shown for line in lines):
                terminalreporter.write_line(line)

    def _audits(self) -> list[Audit]:
        """Return what was found of each document, as far as its equations ran."""
        if not self.equations:
            return []
        from gradcheck.derivations.audits import Audit, AuditRow

        found: dict[str, list[AuditRow]] = {}
        for plain in sorted(self.equations, key=lambda plain: int(plain["line"])):
            found.setdefault(plain["path"], []).append(AuditRow.from_dict(plain))
        return [Audit(path, rows) for path, rows in sorted(found.items())]

    def pytest_sessionfinish(self) -> None:
        if self.options.report and not self.is_worker:
            from gradcheck.plugin.summary import by_rule
            from gradcheck.reports.files import write

            write(self.options.report, by_rule(self.handed_in), self._audits())


def session_of(config: pytest.Config) -> Session:
    """Return what the session keeps."""
    return config.stash[SESSION]


def hand_in(item: pytest.Item, report: Report) -> None:
    """Keep a report for the summary, and its figures among the properties of the item (JUnit)."""
    import json

    plain = json.loads(json.dumps(report.as_dict()))  # without NumPy's numbers, which xdist refuses
    item.stash.setdefault(REPORTS, []).append(plain)
    for check in plain["checks"]:
        power = check["power"]
        item.user_properties += [
            ("gradcheck_verdict", check["verdict"]),
            ("gradcheck_seed", plain["seed"]),
            ("gradcheck_points", power["points"]),
            ("gradcheck_architectures", power["architectures"]),
        ]
        if power["smallest_visible_error"] is not None:
            figure = ("gradcheck_smallest_visible_error", power["smallest_visible_error"])
            item.user_properties.append(figure)
