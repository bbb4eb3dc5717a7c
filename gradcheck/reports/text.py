"""A report as plain text: one line per check, then what is wrong, then how to see it again."""

from __future__ import annotations

from gradcheck.reports.report import CheckResult, Report
from gradcheck.verdicts import Verdict

__all__ = ["render", "summary"]

MARKS = {Verdict.PASS: "pass", Verdict.FAIL: "FAIL", Verdict.INCONCLUSIVE: "????"}


def render(report: Report) -> str:
    """Return the whole report as text."""
    lines = [f"{report.rule}: {report.verdict}"]
    lines += [
        f"  {MARKS[check.verdict]}  {check.name:<10} {summary(check)}" for check in report.checks
    ]
    for check in report.checks:
        for finding in check.findings:
            lines += ["", finding.message]
    if report.reproduction:
        lines += ["", "reproduce:", *(f"    {line}" for line in report.reproduction.split("\n"))]
    lines += [f"note: {note}" for note in report.notes]
    return "\n".join(lines)


def summary(check: CheckResult) -> str:
    """Say in one line what a check compared, or why it could not."""
    power = check.power
    if check.verdict is Verdict.FAIL:
        return f"after {_count(power['points'], 'point')}"
    if check.verdict is Verdict.INCONCLUSIVE:
        return check.reason
    seen = f"{_count(power['architectures'], 'architecture')}, {_count(power['points'], 'point')}"
    if check.reason:
        return f"{check.reason} ({seen})"
    if power["digits"] is None:
        return seen
    return (
        f"{seen}, {_count(power['entries'], 'entry', 'entries')} ({power['undecided']} undecided): "
        f"agree to {power['digits']:.1f} digits, "
        f"errors above {power['smallest_visible_error']:.0e} would show"
    )


def _count(number: int, singular: str, plural: str = "") -> str:
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
