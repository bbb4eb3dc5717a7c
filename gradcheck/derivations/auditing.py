"""The audit of one document: every row read, checked where it says something, and given a verdict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradcheck.derivations import diagnosis
from gradcheck.derivations.audits import Audit, AuditRow
from gradcheck.derivations.cases import Case, cases_of
from gradcheck.derivations.certification import certify
from gradcheck.derivations.code import compare, load
from gradcheck.derivations.directives import apply_directives
from gradcheck.derivations.displays import folded
from gradcheck.derivations.document import Document, read
from gradcheck.derivations.evidence import judge_all
from gradcheck.derivations.explanations import explain
from gradcheck.derivations.expressions import member_name
from gradcheck.derivations.grounds import row_grounds
from gradcheck.derivations.kinds import distinct_sizes, fit_kinds
from gradcheck.derivations.limits import DerivationError
from gradcheck.derivations.model import Claim, Model
from gradcheck.derivations.readings import choose_readings
from gradcheck.derivations.rows import Row, cut
from gradcheck.derivations.sizing import fill_sizes
from gradcheck.derivations.statements import Statement, read_statements
from gradcheck.derivations.symbols import infer
from gradcheck.derivations.table import LAST
from gradcheck.derivations.witness import hear_witness

__all__ = ["audit"]

LEAST_USES = 2
"""Forward rows that must use an array, and as many its entries, before its display is doubted: with one
row on a side it could as well be that row that is wrong."""


def audit(
    path_or_text: str | Path,
    *,
    code: str | Callable[..., Any] | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Audit:
    r"""Audit a written derivation: read every equation and say which are right.

    Args:
        path_or_text: a Markdown file or notebook, or Markdown text (with a line break or a dollar).
        code: a function, or "module:function", that computes named equations; see `code.compare`.
        seed: of the random points at which claims are evaluated.
        progress: called with the name of each stage.

    Returns:
        The `Audit`.

    Raises:
        DerivationError: the document cannot be read at all.

    >>> found = audit(r"$$E = \frac12 \|x\|^2$$ so $$\frac{\partial E}{\partial x} = 2x$$")
    >>> [row.verdict for row in found.rows]
    ['true', 'false']
    >>> found.first_wrong.reason
    'the right side is 2 times the left side; it holds with the factor 1/2'
    """
    tell = progress or (lambda _: None)
    tell("reading")
    document = read(path_or_text)
    compute = None if code is None else load(code)
    try:
        return audit_document(document, seed, tell, compute)
    except RecursionError:
        raise DerivationError("the document nests, or refers to itself, too deeply") from None


def audit_document(
    document: Document,
    seed: int,
    tell: Callable[[str], None],
    code: Callable[..., Any] | None = None,
) -> Audit:
    """Audit a document that was read."""
    rows = folded(cut(document.formulas))
    tell("inferring sizes")
    model, cases = modelled(document, rows, dict(getattr(code, "functions", {})))
    tell(f"evaluating {len(cases)} claims")
    judge_all(model, cases, seed)
    differing = {} if code is None else compare(code, model, rows, cases)
    cases = without_sample_sums(model, cases, seed)
    cases = choose_readings(model, cases, seed)
    tell("proving")
    certify(model, cases, seed)
    hear_witness(model, cases, seed)
    tell("diagnosing")
    judged = Judged(model, rows, cases)
    explain(judged, seed)
    judged.explained.update(differing)
    return Audit(
        document.path,
        [judged.row(row) for row in rows],
        describe(model),
        list(model.notes),
        document.source,
    )


def modelled(
    document: Document, rows: Sequence[Row], meanings: dict[str, str]
) -> tuple[Model, Sequence[Case]]:
    """Return what the rows define and claim, with all sizes.

    A display `W = (w_11 ... w_nm)` is believed in what it says of its entries, unless rows that use W and
    rows that use w_jk agree only in making different sizes one.
    """

    def read_as(displays: bool) -> tuple[Model, Sequence[Case]]:
        table = infer(rows, displays)
        apply_directives(document.directives, table)
        model = Model(table, read_statements(rows, table))
        model.meanings.update(meanings)
        return model, fit_kinds(model)

    model, cases = read_as(displays=True)
    arrays = set(model.table.displayed.values())
    if arrays:
        other, claims = read_as(displays=False)
        named = [name for pair in model.table.displayed.items() for name in pair]
        spelled = all(other.forward_uses(name) >= LEAST_USES for name in named)
        if spelled and distinct_sizes(other, arrays) > distinct_sizes(model, arrays):
            return other, claims
    return model, cases


def without_sample_sums(model: Model, cases: Sequence[Case], seed: int) -> Sequence[Case]:
    """Where a loss is redefined as a sum over examples and differs, later rows keep the first."""
    wrong = {
        case.claim.definition.number
        for case in cases
        if case.claim.kind == "redefinition"
        and case.holds is False
        and case.claim.definition is not None
        and model.sums_samples(case.claim.right)
    }
    if not wrong:
        return cases
    model.banned |= wrong
    again = cases_of(model, model.claims)
    fill_sizes(model, again)
    judge_all(model, again, seed)
    return again


@dataclass
class Judged:
    """Cases by row, and the verdict that they add up to."""

    model: Model
    rows: Sequence[Row]
    cases: Sequence[Case]
    explained: dict[int, tuple[str, str]] = field(default_factory=dict)
    doubted: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.by_claim: dict[int, list[Case]] = defaultdict(list)
        for case in self.cases:
            self.by_claim[id(case.claim)].append(case)
        self.by_row: dict[int, list[Claim]] = defaultdict(list)
        for claim in self.model.claims:
            self.by_row[claim.row].append(claim)
        self.others: dict[int, list[Statement]] = defaultdict(list)
        for statement in self.model.asides:
            self.others[statement.row].append(statement)

    def line(self, row: int) -> int:
        """Return the file line of a row."""
        return self.rows[row].line

    def claim_verdict(self, claim: Claim) -> tuple[str, str]:
        """Return the verdict of one claim and its reason."""
        return diagnosis.verdict_of(self, claim, self.by_claim[id(claim)])

    def row(self, row: Row) -> AuditRow:
        """Return a row with the gravest verdict of what it says."""
        found = [(*self.claim_verdict(claim), claim) for claim in self.by_row[row.number]]
        parts: list[tuple[str, str, str]] = [
            (verdict, reason, _kind(claim)) for verdict, reason, claim in found
        ]
        parts.extend(diagnosis.other_verdict(statement) for statement in self.others[row.number])
        if row.error and not parts:
            parts.append(("syntax", row.error, "other"))
        if not parts:
            parts.append(("not checked", "says nothing that is checked", "other"))
        gravest = min(parts, key=lambda part: _GRAVITY.index(part[0]))
        kind = next((k for _, _, k in parts if k != "other"), "other")
        verdict, reason = self.explained.get(row.number, gravest[:2])
        ratio = next(
            (diagnosis.ratio_of(self.by_claim[id(c)]) for v, _, c in found if v == "false"), None
        )
        grounds = row_grounds(self, row.number) if verdict == "true" else None
        return AuditRow(
            row.line, row.latex, verdict, reason, kind, row.name, ratio,
            self._sizes(row.number), grounds,
        )  # fmt: skip

    def _sizes(self, row: int) -> tuple[tuple[str, str], ...]:
        return diagnosis.sizes_of(self, row)


_GRAVITY = ("false", "dimension", "scope", "conflict", "syntax", "ambiguous", "not checked", "true")


def _kind(claim: Claim) -> str:
    return "claim" if claim.kind == "claim" else "definition"


def describe(model: Model) -> list[tuple[str, str]]:
    """Return the symbol table as (symbol, what it was read as)."""
    out: list[tuple[str, str]] = []
    table = model.table
    out.extend(
        (
            letter,
            "the last layer or step" if letter in table.last_letters else "counts layers or steps",
        )
        for letter in sorted(table.family_letters - {LAST})
    )
    out.extend((name, "a function, applied to each element") for name in sorted(table.functions))
    seen: set[str] = set()
    for (name, member, _), value in sorted(
        model.leaves.items(), key=lambda kv: kv[0], reverse=True
    ):
        if ":" in name or name in seen:
            continue
        seen.add(name)
        label = member_name(name, member)
        kind = "a number" if value.is_number else f"{value.spelled()}"
        out.append((label, f"given, {kind}"))
    for (name, member), dims in sorted(model.counts.items()):
        roots = {dim.root() for dim in dims}
        if len(roots) == 1 and not member:
            out.append((name, f"the size {next(iter(roots)).name}"))
    return out
