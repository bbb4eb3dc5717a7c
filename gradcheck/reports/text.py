"""A report as plain text: one line per check, then what is wrong, then how to see it again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from gradcheck.checks.behaviour import DOES_NOT_APPLY
from gradcheck.oracles.certificates import PROBABILITY
from gradcheck.reports.report import CheckResult, Report
from gradcheck.verdicts import Verdict

__all__ = ["MARKS", "never_entered", "render", "summary", "table"]

MARKS = {Verdict.PASS: "pass", Verdict.FAIL: "FAIL", Verdict.INCONCLUSIVE: "????"}
NOT_APPLICABLE = "n/a "


def render(report: Report) -> str:
    """Return the whole report as text."""
    lines = [f"{report.rule}: {report.verdict}"]
    lines += [f"  {line.mark}  {line.names:<8}  {line.detail}" for line in table(report)]
    for check in report.checks:
        for finding in check.findings:
            lines += ["", finding.message]
    if report.reproduction:
        lines += ["", "reproduce:", *(f"    {line}" for line in report.reproduction.split("\n"))]
    lines += [f"never entered: {branch}" for branch in never_entered(report)]
    lines += [f"note: {note}" for note in report.notes]
    return "\n".join(lines)


def never_entered(report: Report) -> list[str]:
    """List the branches of the code that no point entered, each with its line and the text of that."""
    sentences = [
        f"{branch}" + (f": {branch.site.source}" if branch.site.source else "")
        for check in report.checks
        for branch in check.never_entered
    ]
    return list(dict.fromkeys(sentences))


class Line(NamedTuple):
    """One line of a report: its mark, the checks it is about, and what it says of them."""

    mark: str
    verdict: Verdict | None
    names: str
    detail: str


def table(report: Report) -> list[Line]:
    """Return one line for each check with something to tell, and one for all others of a kind.

    The checks that passed and compared no numbers share a line, and those that do not apply.
    """
    quiet, idle, lines = [], [], []
    for check in report.checks:
        if not check.applies:
            idle.append(check)
        elif check.verdict is Verdict.PASS and not check.reason and check.power["digits"] is None:
            quiet.append(check)
        else:
            lines.append(Line(MARKS[check.verdict], check.verdict, check.name, summary(check)))
    if quiet:
        names = ", ".join(check.name for check in quiet)
        lines.append(Line(MARKS[Verdict.PASS], Verdict.PASS, names, _seen_together(quiet)))
    if idle:
        names = ", ".join(check.name for check in idle)
        reasons = dict.fromkeys(check.reason.removeprefix(DOES_NOT_APPLY) for check in idle)
        lines.append(Line(NOT_APPLICABLE, None, names, "; ".join(reasons)))
    return lines


def _seen_together(checks: Sequence[CheckResult]) -> str:
    if len(checks) == 1:
        return summary(checks[0])
    points = sorted({check.power["points"] for check in checks})
    most = _count(points[-1], "point")
    return most if len(points) == 1 else f"{points[0]} to {most}"


def summary(check: CheckResult) -> str:
    """Say in one line what a check compared, or why it could not."""
    power = check.power
    if check.verdict is Verdict.FAIL:
        return f"after {_count(power['points'], 'point')}"
    if check.verdict is Verdict.INCONCLUSIVE or not check.applies:
        return check.reason
    seen = f"{_count(power['architectures'], 'architecture')}, {_count(power['points'], 'point')}"
    if check.reason:
        return f"{check.reason} ({seen})"
    if power["digits"] is None:
        return seen
    return (
        f"{seen}, {_count(power['entries'], 'entry', 'entries')} ({power['undecided']} undecided): "
        f"agree to {power['digits']:.1f} digits, "
        f"errors above {power['smallest_visible_error']:.0e} would show{_proven(check)}"
    )


def _proven(check: CheckResult) -> str:
    """Say how many cells are certified, and the first reason why not all are."""
    certificate = check.certificate
    if certificate is None or check.verdict is not Verdict.PASS:
        return ""
    cells, certified = certificate["cells"], certificate["certified_cells"]
    probability = f"p < {_power_of_ten_above(certificate['probability'])}"
    if check.certified:
        return f"; certified in {_count(cells, 'cell')} ({probability})"
    because = check.tally.uncertified.most_common(1)
    why = because[0][0] if because else "every point was a kink or tie, between cells"
    if certified:
        return f"; certified in {certified} of {_count(cells, 'cell')} ({probability}): {why}"
    return f"; no certificate: {why}"


def _power_of_ten_above(probability: float) -> str:
    return f"1e{math.ceil(math.log10(max(probability, PROBABILITY)) + ROOM)}"


ROOM = 1e-9
"""Added to an exponent before it is rounded up, so that p < 1e-18 is said of no p = 1e-18."""


def _count(number: int, singular: str, plural: str = "") -> str:
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
