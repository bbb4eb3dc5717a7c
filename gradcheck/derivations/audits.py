"""What an audit found: a verdict for every row of a document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gradcheck.derivations.grounds import Grounds

__all__ = ["VERDICTS", "Audit", "AuditRow"]

VERDICTS = ("true", "false", "dimension", "scope", "conflict", "ambiguous", "syntax", "not checked")
"""What a row can be; `ambiguous`, `syntax` and `not checked` never count as true."""

WRONG = frozenset({"false", "dimension", "scope", "conflict", "syntax"})
"""The verdicts that accuse a row."""


@dataclass
class AuditRow:
    """One row and what is said of it.

    Attributes:
        line: the line of the file.
        equation: the row's source.
        verdict: one of `VERDICTS`.
        reason: a sentence.
        kind: "definition", "claim", "update", "declaration" or "other".
        name: the name that its author gave the equation, or "".
        ratio: for a false claim, right side over left side where that is one number, else None.
        sizes: (factor, sizes) of the row's symbols.
        grounds: on what grounds all that a true row claims is called so; None where it claims nothing.
    """

    line: int
    equation: str
    verdict: str
    reason: str
    kind: str
    name: str = ""
    ratio: float | None = None
    sizes: tuple[tuple[str, str], ...] = ()
    grounds: Grounds | None = None

    @property
    def certified(self) -> bool:
        """Whether the row is true and all that it claims is proven."""
        return self.grounds is not None and self.grounds.probability is not None

    @property
    def wrong(self) -> bool:
        """Whether the verdict accuses the row."""
        return self.verdict in WRONG

    @property
    def label(self) -> str:
        """The verdict as it is shown: a proven row is more than true."""
        return "certified" if self.certified else self.verdict

    @property
    def needs_reason(self) -> bool:
        """Whether the label says too little without the reason."""
        if self.verdict != "true":
            return True
        return self.grounds is not None and (not self.certified or bool(self.grounds.condition))

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain values for JSON."""
        return {
            "line": self.line,
            "equation": self.equation,
            "verdict": self.verdict,
            "reason": self.reason,
            "kind": self.kind,
            "name": self.name,
            "ratio": self.ratio,
            "sizes": dict(self.sizes),
            "certified": self.certified,
            "grounds": None if self.grounds is None else asdict(self.grounds),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> AuditRow:
        """Return the row of which `as_dict` made these plain values."""
        names = ("line", "equation", "verdict", "reason", "kind", "name", "ratio")
        grounds = plain["grounds"]
        if grounds is not None:
            grounds = Grounds(**{**grounds, "functions": tuple(grounds["functions"])})
        sizes = tuple(plain["sizes"].items())
        return cls(**{name: plain[name] for name in names}, sizes=sizes, grounds=grounds)


@dataclass
class Audit:
    """A whole document's audit.

    Attributes:
        path: the file, or None for text.
        rows: every row with a relation in it, in order.
        symbols: (symbol, what it was read as), the table that an author can override.
        notes: what was inferred, in sentences.
    """

    path: str | None
    rows: list[AuditRow]
    symbols: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    source: str = ""

    @property
    def verdict(self) -> str:
        """Return "fail" where a row is wrong, "pass" where every row is true, else "inconclusive"."""
        if any(row.wrong for row in self.rows):
            return "fail"
        if any(row.verdict != "true" for row in self.rows) or not self.rows:
            return "inconclusive"
        return "pass"

    @property
    def certified(self) -> bool:
        """Whether every row is true and every one that claims something is proven."""
        claims = [row for row in self.rows if row.grounds is not None]
        return self.verdict == "pass" and bool(claims) and all(row.certified for row in claims)

    @property
    def first_wrong(self) -> AuditRow | None:
        """The first row that is itself wrong."""
        return next((row for row in self.rows if row.wrong), None)

    @property
    def counts(self) -> dict[str, int]:
        """How many rows were read (parsed), checked (judged), wrong, and proven."""
        return {
            "rows": len(self.rows),
            "read": sum(row.verdict != "syntax" for row in self.rows),
            "checked": sum(row.verdict not in ("not checked", "ambiguous") for row in self.rows),
            "wrong": sum(row.wrong for row in self.rows),
            "certified": sum(row.certified for row in self.rows),
        }

    @property
    def summary(self) -> str:
        """How much was read, checked, wrong and proven, in one sentence."""
        counts, first = self.counts, self.first_wrong
        words = ", ".join(
            f"{counts[key]} {key}" for key in ("read", "checked", "wrong", "certified")
        )
        where = "" if first is None else f"; the first wrong one is line {first.line}"
        return f"{counts['rows']} rows: {words}{where}"

    def as_dict(self) -> dict[str, Any]:
        """Return the audit as plain values for JSON."""
        first = self.first_wrong
        return {
            "path": self.path,
            "verdict": self.verdict,
            "certified": self.certified,
            "counts": self.counts,
            "first_wrong": None if first is None else first.line,
            "rows": [row.as_dict() for row in self.rows],
            "symbols": [list(pair) for pair in self.symbols],
            "notes": self.notes,
        }

    def to_html(self, path: str | Path) -> None:
        """Write the document with a mark on each row as one HTML page without network."""
        from gradcheck.derivations.html import render_html

        Path(path).write_text(render_html(self), encoding="utf-8")
