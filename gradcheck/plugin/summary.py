"""The section of pytest's summary about gradcheck, from reports as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gradcheck.plugin.session import HandedIn
from gradcheck.reports.figures import COUNTED, finest, totals

__all__ = ["by_rule", "summarise"]

Plain = dict[str, Any]

HEADINGS = ("check", "rules", *COUNTED, "certified", "digits", "visible")


def summarise(handed_in: Sequence[HandedIn], seed: int) -> list[str]:
    """Return the lines of the section: what was compared, how finely, and what stayed open."""
    checks = [check for item in handed_in for check in item.report["checks"]]
    lines = _table(checks)
    lines += _about(
        "inconclusive",
        handed_in,
        lambda check: check["reason"] if _undecided(check) else "",
    )
    lines += _about("expected failure", handed_in, lambda check: check.get("expected_failure", ""))
    notes = [f"note: {item.nodeid}: {note}" for item in handed_in for note in item.report["notes"]]
    return [*lines, *dict.fromkeys(notes), f"--gradcheck-seed={seed} draws the same points"]


def by_rule(handed_in: Iterable[HandedIn]) -> list[Plain]:
    """Return one report per rule, with the checks that its items ran and its `nodeid`."""
    found: dict[tuple[str, str], Plain] = {}
    for item in handed_in:
        report = item.report
        (first, *_) = report["checks"] or [{"name": ""}]
        nodeid = item.nodeid.removesuffix(f"::{first['name']}")
        known = found.get((nodeid, report["rule"]))
        if known is None:
            found[nodeid, report["rule"]] = {"nodeid": nodeid, **report}
            continue
        verdicts = [
            check["verdict"] for check in known["checks"] + report["checks"] if check["applies"]
        ]
        worst = next((word for word in ("fail", "inconclusive") if word in verdicts), "pass")
        known |= {
            "verdict": worst if verdicts else "inconclusive",
            "certified": worst == "pass" and (known["certified"] or report["certified"]),
            "seconds": known["seconds"] + report["seconds"],
            "notes": [*dict.fromkeys(known["notes"] + report["notes"])],
            "reproduction": known["reproduction"] or report["reproduction"],
            "replayed": known["replayed"] or report["replayed"],
            "checks": known["checks"] + report["checks"],
        }
    return list(found.values())


def _table(checks: Sequence[Plain]) -> list[str]:
    rows = [HEADINGS]
    for name in dict.fromkeys(check["name"] for check in checks):
        own = [check for check in checks if check["name"] == name and check["applies"]]
        if not own:
            rows.append((name, "0", *["-"] * (len(HEADINGS) - 2)))
            continue
        powers = [check["power"] for check in own]
        proofs = [check["certificate"] for check in own if check["certificate"]]
        rows.append((name, *totals(powers), _cells(proofs), *finest(powers)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _cells(proofs: Sequence[Plain]) -> str:
    """Return how many of the cells visited are certified, as "3 of 4"."""
    if not proofs:
        return "-"
    certified = sum(proof["certified_cells"] for proof in proofs)
    return f"{certified} of {sum(proof['cells'] for proof in proofs)}"


def _undecided(check: Plain) -> bool:
    return bool(check["verdict"] == "inconclusive" and check["applies"])


def _about(label: str, handed_in: Sequence[HandedIn], say: Any) -> list[str]:
    return [
        f"{label}: {item.nodeid}: {say(check)}"
        for item in handed_in
        for check in item.report["checks"]
        if say(check)
    ]
