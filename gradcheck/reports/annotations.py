"""Annotations of GitHub Actions: a finding shown at the line of the backward that it is about.

The format is that of the workflow command `::error file=…,line=…,title=…::message`:
https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

__all__ = ["annotate", "annotate_audit"]


def annotate(report: dict[str, Any], file: str) -> list[str]:
    """Return a line for each finding, and for each inconclusive check, of a report as plain values.

    Args:
        report: what `Report.as_dict` returned.
        file: where a finding stands that has no line of its own.

    >>> check = {"name": "gradient", "verdict": "inconclusive", "applies": True, "reason": "a kink"}
    >>> annotate({"rule": "relu", "checks": [{**check, "findings": []}]}, "layers.py")
    ['::warning file=layers.py,title=relu%3A%3Agradient is inconclusive::a kink']
    """
    lines = []
    for check in report["checks"]:
        name = f"{report['rule']}::{check['name']}"
        for finding in check["findings"]:
            path, _, number = finding["line"].rpartition(":")
            place = {"file": _relative(path), "line": number} if path else {"file": file}
            lines.append(_line("error", place, f"{name} fails", finding["message"]))
        if check["verdict"] == "inconclusive" and check["applies"]:
            lines.append(
                _line("warning", {"file": file}, f"{name} is inconclusive", check["reason"])
            )
    return lines


def annotate_audit(audit: dict[str, Any]) -> list[str]:
    """Return a line for each wrong equation, and for each that was not judged, of an audit as plain values.

    >>> row = {"line": 3, "verdict": "false", "reason": "the right side is 2 times the left side"}
    >>> annotate_audit({"path": "notes.md", "rows": [row]})
    ['::error file=notes.md,line=3,title=false::the right side is 2 times the left side']
    """
    levels = {"ambiguous": "warning", "not checked": "warning"}
    file = _relative(audit["path"])
    return [
        _line(
            levels.get(row["verdict"], "error"),
            {"file": file, "line": str(row["line"])},
            row["verdict"],
            row["reason"],
        )
        for row in audit["rows"]
        if row["verdict"] != "true"
    ]


def _line(level: str, place: dict[str, str], title: str, message: str) -> str:
    properties = ",".join(
        f"{key}={_escaped(value).replace(':', '%3A').replace(',', '%2C')}"
        for key, value in {**place, "title": title}.items()
    )
    return f"::{level} {properties}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _relative(path: str) -> str:
    root = Path(os.environ.get("GITHUB_WORKSPACE", Path.cwd()))
    return str(Path(path).relative_to(root)) if Path(path).is_relative_to(root) else path
