"""Reports as one HTML page that needs no network and no script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcheck.derivations import Audit

__all__ = ["page"]

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td { padding: .3rem .6rem; border-top: 1px solid #ddd; vertical-align: top; }
pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; }
.pass { color: #17692c; } .fail { color: #b00020; font-weight: bold; } .inconclusive { color: #8a5a00; }
"""


def page(reports: Sequence[dict[str, Any]], audits: Sequence[Audit] = ()) -> str:
    """Return one HTML page of reports as plain values (`Report.as_dict`), and of audits.

    Wrong rules come first, then undecided ones, then right ones; derivations follow.
    """
    order = ["fail", "inconclusive", "pass"]
    ordered = sorted(reports, key=lambda report: order.index(report["verdict"]))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>gradcheck</title>'
        f"<style>{STYLE}</style></head><body><h1>gradcheck</h1>\n{''.join(map(_section, ordered))}"
        f"{''.join(map(_derivation, audits))}"
        "</body></html>\n"
    )


def _section(report: dict[str, Any]) -> str:
    rows = "".join(map(_row, report["checks"]))
    messages = [finding["message"] for check in report["checks"] for finding in check["findings"]]
    findings = "".join(f"<pre>{escape(message)}</pre>\n" for message in messages)
    if report["reproduction"]:
        findings += f"<p>Reproduce:</p><pre>{escape(report['reproduction'])}</pre>\n"
    notes = "".join(
        f"<p>Never entered: {escape(branch['line'])}: {escape(branch['branch'])}: "
        f"<code>{escape(branch['source'])}</code></p>\n"
        for check in report["checks"]
        for branch in check["never_entered"]
    )
    notes += "".join(f"<p>Note: {escape(note)}</p>\n" for note in report["notes"])
    name, verdict = escape(report["rule"]), report["verdict"]
    return (
        f'<h2>{name}: <span class="{verdict}">{verdict}</span></h2>\n'
        f"<table>{rows}</table>\n{findings}{notes}"
        f"<p>seed {report['seed']}, {report['seconds']:.1f} s</p>\n"
    )


def _derivation(audit: Audit) -> str:
    from gradcheck.derivations.html import STYLE as OF_ROWS
    from gradcheck.derivations.html import rows_table

    return (
        f"<style>{OF_ROWS}</style><h2>{escape(audit.path or 'derivation')}</h2>\n"
        f"<p>{escape(audit.summary)}</p>\n{rows_table(audit.rows)}\n"
    )


def _row(check: dict[str, Any]) -> str:
    verdict = check["verdict"] if check["applies"] else "n/a"
    return (
        f'<tr><td class="{verdict}">{verdict}</td><td>{escape(check["name"])}</td>'
        f"<td>{escape(check['summary'])}</td></tr>"
    )
