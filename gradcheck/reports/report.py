"""The report of a verification: verdicts, findings, notes, and the power of the run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradcheck.checks.check import Finding
from gradcheck.checks.tally import Tally
from gradcheck.programs.branches import Branch
from gradcheck.verdicts import Decision, Verdict, worst

__all__ = ["CheckResult", "Report"]


@dataclass(frozen=True)
class CheckResult:
    """The verdict on one check of a rule.

    Attributes:
        name: the check's name.
        verdict: pass, fail or inconclusive.
        reason: why the check is inconclusive, does not apply, or was expected to fail; else empty.
        findings: what is wrong, at the smallest failing point.
        tally: what all the points of the search showed.
        expected_failure: the declared reason of a failure that the rule expects and that came; else empty.
    """

    name: str
    verdict: Verdict
    reason: str
    findings: tuple[Finding, ...]
    tally: Tally
    expected_failure: str = ""

    @property
    def applies(self) -> bool:
        """Whether the check had anything to examine in this rule."""
        return self.verdict is not Verdict.PASS or self.tally.applies

    @property
    def certified(self) -> bool:
        """Whether the verdict is pass and every gradient is proven in every cell visited.

        A failure that the rule declared is a pass, but proves nothing.
        """
        return self.verdict is Verdict.PASS and not self.reason and self.tally.certified

    @property
    def certificate(self) -> dict[str, Any] | None:
        """What is proven exactly, and where; None for a check that compares no gradients.

        `cells` are the branch patterns that points lay in, `certified_cells` those of them in which
        all gradients are proven, `probability` bounds that any of these proofs is false, and
        `boundary_points` lay between cells. `uncertified_because` has the reasons.
        """
        tally = self.tally
        if not (tally.cells or tally.without_cell or tally.boundaries):
            return None
        return {
            "cells": len(tally.cells),
            "certified_cells": len(tally.certified_cells),
            "probability": tally.falsehood,
            "boundary_points": tally.boundaries,
            "uncertified_because": dict(tally.uncertified),
        }

    @property
    def never_entered(self) -> tuple[Branch, ...]:
        """The branches of the traced code that no point entered, though some were sought to."""
        return tuple(self.tally.branches.never_entered())

    @property
    def power(self) -> dict[str, Any]:
        """What the check looked at, and the smallest error that it would have seen.

        `digits` is the worst agreement in decimal digits, `smallest_visible_error` the relative error
        (of the entry, or of a millionth of its natural scale) above which none could have passed.
        Both are None where no entry was compared. `visible` has that error for each gradient, with the
        `index` of the entry in which it is largest and the `shape` of the gradient there; `worst` names
        the gradient and entry of them all, as in `w[0, 3]`. `accuracy` says of each gradient whether it
        is "accurate" in the precision it runs in, or how many digits it loses more than it need, and
        at which size of its input.
        """
        tally = self.tally
        visible = tally.visible.values()
        compared = bool(visible)
        return {
            "points": tally.points,
            "architectures": len(tally.architectures),
            "entries": sum(tally.entries.values()),
            "discarded": tally.discarded.total(),
            "undecided": tally.entries[Decision.UNDECIDED],
            "decided_points": dict(tally.decided),
            "oracles": dict(tally.oracles),
            "digits": _digits(tally.agreement) if compared else None,
            "smallest_visible_error": max(seen.error for seen in visible) if compared else None,
            "worst": _worst(tally) if compared else None,
            "visible": {
                path: {"error": seen.error, "index": list(seen.index), "shape": list(seen.shape)}
                for path, seen in tally.visible.items()
            },
            "accuracy": {
                path: tally.losses[path].words if path in tally.losses else "accurate"
                for path in tally.visible
            },
        }


@dataclass(frozen=True)
class Report:
    """What `gradcheck.verify` found out about one rule.

    Attributes:
        rule: the rule's name.
        checks: the result of each check.
        seed: the seed that draws the same points again.
        seconds: the time that the run took.
        notes: remarks on a rule that are no failure.
        reproduction: lines to paste that show the smallest failure again; empty without one.
        replayed: whether that failure is one of an earlier run, which the seed does not draw.
    """

    rule: str
    checks: tuple[CheckResult, ...]
    seed: int
    seconds: float
    notes: tuple[str, ...] = ()
    reproduction: str = ""
    replayed: bool = False

    @property
    def verdict(self) -> Verdict:
        """Fail if a check fails, else inconclusive if one is, or none applies; else pass."""
        return worst(check.verdict for check in self.checks if check.applies)

    @property
    def certified(self) -> bool:
        """Whether the verdict is pass and every gradient was proven exactly in every cell visited."""
        proving = [check for check in self.checks if check.certificate is not None]
        passed = self.verdict is Verdict.PASS and bool(proving)
        return passed and all(check.certified for check in proving)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, of all checks."""
        return tuple(finding for check in self.checks for finding in check.findings)

    @property
    def power(self) -> dict[str, dict[str, Any]]:
        """What each check looked at and could have seen, by its name."""
        return {check.name: check.power for check in self.checks}

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values that JSON can hold; docs/command-line.md lists them."""
        from gradcheck.reports.text import summary

        return {
            "rule": self.rule,
            "verdict": str(self.verdict),
            "certified": self.certified,
            "seed": self.seed,
            "seconds": self.seconds,
            "notes": list(self.notes),
            "reproduction": self.reproduction,
            "replayed": self.replayed,
            "checks": [
                {
                    "name": check.name,
                    "verdict": str(check.verdict),
                    "applies": check.applies,
                    "reason": check.reason,
                    "expected_failure": check.expected_failure,
                    "summary": summary(check),
                    "power": {key: _plain(value) for key, value in check.power.items()},
                    "certificate": _certificate_as_dict(check),
                    "never_entered": [
                        {
                            "line": branch.site.where,
                            "source": branch.site.source,
                            "branch": branch.phrase,
                        }
                        for branch in check.never_entered
                    ],
                    "undecided_because": dict(check.tally.reasons),
                    "discarded_because": dict(check.tally.discarded),
                    "findings": [_finding_as_dict(finding) for finding in check.findings],
                }
                for check in self.checks
            ],
        }

    def to_html(self, path: str | Path) -> None:
        """Write the report as one HTML page that needs no network."""
        from gradcheck.reports.html import page

        Path(path).write_text(page([self.as_dict()]), encoding="utf-8")

    def __str__(self) -> str:
        from gradcheck.reports.text import render

        return render(self)


def _certificate_as_dict(check: CheckResult) -> dict[str, Any] | None:
    """Return the certificate with its cells by name, each with whether it is certified."""
    if check.certificate is None:
        return None
    branches = [
        {"branches": list(proof.names), "certified": proof.certificate is not None}
        for proof in check.tally.cells.values()
    ]
    return {**check.certificate, "visited": branches}


def _finding_as_dict(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "input": finding.input,
        "index": list(finding.index) if finding.index is not None else None,
        "claimed": _plain(finding.claimed),
        "true": _plain(finding.true),
        "diagnosis": finding.diagnosis,
        "line": finding.line,
        "message": finding.message,
    }


def _plain(value: Any) -> Any:
    """Turn a value into one that JSON can hold; JSON has neither infinities nor complex numbers."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, complex):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _worst(tally: Tally) -> str:
    """Name the entry in which an error is seen least of all."""
    path, seen = max(tally.visible.items(), key=lambda item: item[1].error)
    return path + (f"[{', '.join(map(str, seen.index))}]" if seen.index else "")


def _digits(relative: float) -> float:
    """Return the decimal digits of agreement that a relative deviation leaves; at most 17."""
    return 17.0 if relative == 0 else max(0.0, min(17.0, -math.log10(relative)))
