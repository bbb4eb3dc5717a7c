"""Reports in files: JSON for machines, HTML for people, by the file's suffix."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcheck.errors import UsageError

if TYPE_CHECKING:
    from gradcheck.derivations import Audit

__all__ = ["require_writable", "write"]

FORMAT = 1
"""The version of the JSON format; it grows when a field changes its meaning or goes."""


def require_writable(file: str) -> None:
    """Refuse a report file of an unknown format, or in a folder that does not exist.

    Raises:
        UsageError: the suffix is neither .json nor .html, or the folder does not exist.
    """
    path = Path(file)
    if path.suffix not in (".json", ".html"):
        raise UsageError(
            f"{file}: the report is written as .json or .html, not {path.suffix or 'without suffix'}"
        )
    if not path.parent.is_dir():
        raise UsageError(f"{file}: there is no folder {path.parent}")


def write(file: str, reports: Sequence[dict[str, Any]], audits: Sequence[Audit] = ()) -> None:
    """Write reports as plain values (`Report.as_dict`), and audits, to `file`: JSON or HTML by its suffix."""
    if Path(file).suffix == ".json":
        content: dict[str, Any] = {"format": FORMAT, "reports": list(reports)}
        if audits:
            content["derivations"] = [audit.as_dict() for audit in audits]
        Path(file).write_text(
            json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    else:
        from gradcheck.reports.html import page

        Path(file).write_text(page(reports, audits), encoding="utf-8")
