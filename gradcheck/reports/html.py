"""Reports as one HTML page that needs no network and no script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from gradcheck.reports.report import CheckResult, Report
from gradcheck.reports.text import summary

__all__ = ["page"]

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td { padding: .3rem .6rem; border-top: 1px solid #ddd; vertical-align: top; }
pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; }
.pass { color: #17692c; } .fail { color: #b00020; font-weight: bold; } .inconclusive { color: #8a5a00; }
"""


def page(reports: Sequence[Report]) -> str:
    """Return the HTML page of some reports: wrong rules first, then undecided, then right ones."""
    order = ["fail", "inconclusive", "pass"]
    sections = [
        _section(report) for report in sorted(reports, key=lambda item: order.index(item.verdict))
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>gradcheck</title>'
        f"<style>{STYLE}</style></head><body><h1>gradcheck</h1>\n{''.join(sections)}</body></html>\n"
    )


def _section(report: Report) -> str:
    rows = "".join(_row(check) for check in report.checks)
    findings = "".join(f"<pre>{escape(finding.message)}</pre>\n" for finding in report.findings)
    if report.reproduction:
        findings += f"<p>Reproduce:</p><pre>{escape(report.reproduction)}</pre>\n"
    notes = "".join(f"<p>Note: {escape(note)}</p>\n" for note in report.notes)
    return (
        f'<h2>{escape(report.rule)}: <span class="{report.verdict}">{report.verdict}</span></h2>\n'
        f"<table>{rows}</table>\n{findings}{notes}<p>seed {report.seed}, {report.seconds:.1f} s</p>\n"
    )


def _row(check: CheckResult) -> str:
    verdict = check.verdict if check.applies else "n/a"
    return (
        f'<tr><td class="{verdict}">{verdict}</td><td>{escape(check.name)}</td>'
        f"<td>{escape(summary(check))}</td></tr>"
    )
