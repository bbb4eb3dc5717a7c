"""Why a row is wrong, and whether it is: conflicting definitions, alternatives, repairs, support."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.alternatives import explain_by_outputs, explain_by_partials
from gradcheck.derivations.cases import Case, cases_of
from gradcheck.derivations.doubts import doubt_open_readings
from gradcheck.derivations.evidence import judge_all
from gradcheck.derivations.model import Claim, Definition, Model
from gradcheck.derivations.readings import loose_counts
from gradcheck.derivations.repairs import Repair, repairs_of
from gradcheck.derivations.sizing import fill_sizes

if TYPE_CHECKING:
    from gradcheck.derivations.auditing import Judged

from gradcheck.derivations.diagnosis import earlier_row, ratio_of
from gradcheck.derivations.grounds import thin_of
from gradcheck.derivations.walks import calls_of, derivatives_of, nodes_of, overlap, with_body

__all__ = ["explain"]

MOST_EDITS = 480
"""Single edits tried in one document, the first wrong rows first. A count, not a time: on a slow
machine an audit says the same."""

MOST_REPAIRS = 120
"""Single edits tried for one wrong row."""

REPAIRS_AT_ONCE = 24
"""Edits that are evaluated as one program."""

MOST_DEFINITION_REPAIRS = 25
"""Single edits tried for a definition from which a wrong row follows."""

LEAST_TRUE = 2
"""True claims for each other one, from which on what the true ones rest on counts as read rightly."""

MOST_DIAGNOSED = 12
"""Wrong rows whose repair is searched; the first ones are what the author has to look at."""


def explain(judged: Judged, seed: int) -> None:
    """Say of each wrong row what would make it right; doubt accusations that nothing supports."""
    doubt_open_readings(judged)
    wrong = [
        claim
        for claim in judged.model.claims
        if claim.kind == "claim"
        and judged.claim_verdict(claim)[0] == "false"
        and not thin_of([c for c in judged.by_claim[id(claim)] if c.holds is False])
    ]
    if wrong:
        explain_by_partials(judged, wrong, seed)
        explain_by_outputs(judged, wrong, seed)
        _explain_by_conflicts(judged, wrong, seed)
        _explain_by_alternatives(judged, wrong, seed)
    ill = [
        claim
        for claim in judged.model.claims
        if claim.kind in ("claim", "definition", "display")
        and judged.claim_verdict(claim)[0] == "dimension"
    ]
    left = MOST_EDITS
    for claim in (wrong + ill)[:MOST_DIAGNOSED]:
        if claim.row not in judged.explained:
            left -= _explain_by_repair(judged, claim, seed, left)
    _repair_definitions(judged, [c for c in wrong + ill if c.row not in judged.explained], seed)
    trusted = _trusted(judged)
    for claim in wrong + ill:
        if claim.row not in judged.explained and not _supported(judged, claim, trusted):
            judged.doubted[claim.row] = (
                "does not hold as it was read, but nothing else confirms that reading"
            )


def _explain_by_conflicts(judged: Judged, wrong: Sequence[Claim], seed: int) -> None:
    """Where two definitions of one symbol differ, say under which of them the wrong rows hold.

    Of two forward definitions that differ by more than a factor each is a case of its own ("or"): rows
    that hold under one of them are ambiguous, not wrong. Two that differ by a factor, and two meanings
    of a gradient, cannot both be right.
    """
    model = judged.model
    for claim in model.claims:
        differs = claim.kind == "redefinition" and any(
            case.holds is False or (case.problem and case.problem[0] == "dimension")
            for case in judged.by_claim[id(claim)]
        )
        later = [w for w in wrong if w.row > claim.row and w.row not in judged.explained]
        if not differs or not later:
            continue
        assert claim.definition is not None
        assert claim.earlier is not None
        kept = claim.definition.number in model.banned
        model.banned.add(claim.definition.number)
        cases = _recheck(model, later, seed)
        if not kept:
            model.banned.discard(claim.definition.number)
        new = judged.line(claim.row)
        old = judged.line(earlier_row(judged, claim))
        name = claim.definition.name
        factor = judged.claim_verdict(claim)[0] == "conflict"
        by = judged.claim_verdict(claim)[1].split(", by ")[-1]
        backward = any(model.is_backward(d.body) for d in model.by_name[name])
        samples = model.sums_samples(claim.right)
        for other in later:
            own = [case for case in cases if case.claim is other and case.holds is not None]
            if not own or not all(case.holds for case in own):
                continue
            verdict, reason = judged.claim_verdict(other)
            if (not factor and not backward) or samples:
                judged.explained[other.row] = (
                    "ambiguous" if not samples else "true",
                    f"holds with the {name} of line {old}, not with that of line {new}",
                )
                continue
            judged.explained[other.row] = (
                verdict,
                f"{reason}; with the {name} of line {old} it holds: lines {old} and {new} define "
                f"{name} differently" + (f", by {by}" if factor else ""),
            )
            if backward and not factor:
                judged.explained[claim.row] = (
                    "conflict",
                    (
                        f"defines {name} differently from line {old}, and line {judged.line(other.row)} "
                        f"holds with the {name} of line {old} only"
                    ),
                )


def _explain_by_alternatives(judged: Judged, wrong: Sequence[Claim], seed: int) -> None:
    """A formula may restate the forward pass for another case; a row holds without it, or with it."""
    model = judged.model
    blocks: dict[int, set[int]] = {}
    for claim in model.claims:
        differs = claim.kind == "redefinition" and any(
            case.holds is False for case in judged.by_claim[id(claim)]
        )
        if differs and claim.definition is not None and not model.is_backward(claim.right):
            block = judged.rows[claim.row].block
            blocks[block] = {
                d.number
                for d in model.definitions
                if d.row >= 0 and judged.rows[d.row].block == block
            }
    for block, numbers in blocks.items():
        later = [
            w for w in wrong if judged.rows[w.row].block > block and w.row not in judged.explained
        ]
        if not later:
            continue
        kept = set(model.banned)
        model.banned |= numbers
        cases = _recheck(model, later, seed)
        model.banned = kept
        line = next(row.line for row in judged.rows if row.block == block)
        for other in later:
            own = [case for case in cases if case.claim is other and case.holds is not None]
            if own and all(case.holds for case in own):
                judged.explained[other.row] = (
                    "ambiguous",
                    f"holds without the definitions of line {line} and below it, not with them",
                )


def _recheck(model: Model, claims: Iterable[Claim], seed: int) -> list[Case]:
    cases = cases_of(model, claims)
    fill_sizes(model, cases)
    judge_all(model, cases, seed)
    return cases


def _explain_by_repair(judged: Judged, claim: Claim, seed: int, most: int) -> int:
    """Try single edits of a wrong row, the likelier first; name the first that makes it hold.

    Returns how many were tried, at most `most`.
    """
    repairs = repairs_of(claim.right, judged.model, _letters(claim))[: min(MOST_REPAIRS, most)]
    for start in range(0, len(repairs), REPAIRS_AT_ONCE):
        batch = repairs[start : start + REPAIRS_AT_ONCE]
        likely = _mending(judged.model, claim, batch, seed, one_member=True)
        good = _mending(judged.model, claim, likely, seed) if likely else []
        if good:
            verdict, reason = judged.claim_verdict(claim)
            judged.explained[claim.row] = (verdict, f"{reason}; it holds with {good[0].words}")
            return start + len(batch)
    return len(repairs)


def _mending(
    model: Model, claim: Claim, repairs: Sequence[Repair], seed: int, one_member: bool = False
) -> list[Repair]:
    """Return the repairs with which a row holds: for all members of its family, or for the last."""
    candidates = [Claim(claim.row, claim.left, repair.expression) for repair in repairs]
    cases = cases_of(model, candidates)
    if one_member:
        last = {id(case.claim): case for case in cases if 0 not in case.family.values()}
        cases = list(last.values())
    fill_sizes(model, cases)
    judge_all(model, cases, seed)
    good = []
    for repair, candidate in zip(repairs, candidates, strict=True):
        own = [c for c in cases if c.claim is candidate and 0 not in c.family.values()]
        misfit = any(c.problem and c.problem[0] == "dimension" for c in own)
        decided = [c for c in own if c.holds is not None]
        if decided and all(c.holds for c in decided) and not misfit:
            good.append(repair)
    return good


def _letters(claim: Claim) -> frozenset[str]:
    """Return the component indices of a row."""
    return frozenset(
        index.letter
        for side in (claim.left, claim.right)
        for symbol in ex.symbols(side)
        for index in symbol.components
        if index.letter
    )


def _repair_definitions(judged: Judged, wrong: Sequence[Claim], seed: int) -> None:
    """Try single edits of the definitions off the forward pass that wrong rows use."""
    model = judged.model
    used: dict[int, list[Claim]] = {}
    for claim in wrong:
        for symbol in ex.symbols(claim.right):
            for definition in model.by_name[symbol.name]:
                own = model.is_aside(definition) and not definition.inferred
                if own and definition.row <= claim.row:
                    used.setdefault(definition.number, []).append(claim)
    for number, claims in list(used.items())[:3]:
        definition = model.definitions[number]
        if definition.row in judged.explained:
            continue
        confirmed = any(
            c.kind == "claim" and judged.claim_verdict(c)[0] == "true"
            for c in judged.by_row[definition.row]
        )
        false = [c for c in claims if judged.claim_verdict(c)[0] == "false"]
        repair = _mends_all(model, definition, false or claims, seed)
        if repair is None:
            continue
        lines = ", ".join(str(judged.line(c.row)) for c in claims)
        if not confirmed:
            judged.explained[definition.row] = (
                "false",
                f"what follows from it fails (line {lines}); it holds with {repair.words}",
            )
        line = judged.line(definition.row)
        for claim in claims:
            verdict, reason = judged.claim_verdict(claim)
            if claim in false and not confirmed:
                verdict, reason = "not checked", f"follows from line {line}, which is wrong"
            judged.explained[claim.row] = (
                verdict,
                f"{reason}; it holds with {repair.words} on line {line}",
            )


def _mends_all(
    model: Model, definition: Definition, claims: Sequence[Claim], seed: int
) -> Repair | None:
    """Return the first single edit of a definition with which all the given claims hold, if any."""
    repairs = repairs_of(definition.body, model)
    recurs = any(symbol.name == definition.name for symbol in ex.symbols(definition.body))
    last = model.table.last_letters
    if recurs or any(i.letter is None or i.letter in last for i in definition.pattern):
        return _mends_recurrence(model, definition, claims, repairs, seed)
    for start in range(0, min(len(repairs), MOST_REPAIRS), REPAIRS_AT_ONCE):
        left = repairs[start : start + REPAIRS_AT_ONCE]
        for claim in claims:
            inlined = [
                dataclasses.replace(r, expression=with_body(claim.right, definition, r.expression))
                for r in left
            ]
            good = {id(r) for r in _mending(model, claim, inlined, seed)}
            left = [r for r, one in zip(left, inlined, strict=True) if id(one) in good]
        if left:
            return left[0]
    return None


def _mends_recurrence(
    model: Model,
    definition: Definition,
    claims: Sequence[Claim],
    repairs: Sequence[Repair],
    seed: int,
) -> Repair | None:
    """The same for a definition of one member, or that goes on from another: all members are edited."""
    for repair in repairs[:MOST_DEFINITION_REPAIRS]:
        model.replaced[definition.number] = repair.expression
        cases = _recheck(model, claims, seed)
        del model.replaced[definition.number]
        decided = [case for case in cases if case.holds is not None]
        if decided and all(case.holds for case in decided):
            return repair
    return None


def _trusted(judged: Judged) -> tuple[set[str], set[str]]:
    """Return the names that true claims confirm, and those that fitting rows give sizes."""
    claimed: set[str] = set()
    sized: set[str] = set(judged.model.declared)
    for claim in judged.model.claims:
        verdict, reason = judged.claim_verdict(claim)
        case = verdict == "ambiguous" and "holds where" in reason
        confirmed = claim.kind == "given" or (
            (verdict == "true" or case) and claim.kind in ("claim", "definition")
        )
        if confirmed:
            names = {s.name for side in (claim.left, claim.right) for s in ex.symbols(side)}
            sized |= names
            if claim.kind in ("claim", "given"):
                claimed |= names
    claimed |= _differentiated_alike(judged, claimed)
    return claimed | _below_claimed(judged, claimed), sized


def _below_claimed(judged: Judged, claimed: set[str]) -> set[str]:
    """Return what the confirmed symbols rest on, where most of what the document claims is true."""
    verdicts = [judged.claim_verdict(c)[0] for c in judged.model.claims if c.kind == "claim"]
    if verdicts.count("true") < LEAST_TRUE * max(1, len(verdicts) - verdicts.count("true")):
        return set()
    model = judged.model
    stated = {name for name in claimed if all(not d.inferred for d in model.by_name[name])}
    return set().union(*(model.names_below(name) for name in stated))


def _differentiated_alike(judged: Judged, claimed: set[str]) -> set[str]:
    """Return what stands in a definition through which a true claim differentiates.

    Where `dE/dU` is true, and U and W stand in `h = f(Ux + Wg)` alike, W is read as it should be.
    """
    model = judged.model
    true = [c for c in model.claims if c.kind == "claim" and judged.claim_verdict(c)[0] == "true"]
    variables = {
        node.by.name
        for claim in true
        for node in derivatives_of(claim.left)
        if isinstance(node.by, ex.Symbol)
    }
    found: set[str] = set()
    for definition in model.definitions:
        names = {symbol.name for symbol in ex.symbols(definition.body)}
        if names & variables and definition.name in claimed and not definition.inferred:
            found |= names
    return found


def _specialises(model: Model, claim: Claim) -> bool:
    """Whether a row says what an unknown function is: `dz/dx = 2x cos(..)` where z = f(x, y)."""
    left = claim.left
    of = left.of if isinstance(left, ex.Derivative) else left
    if not isinstance(of, ex.Symbol):
        return False
    unknown = {
        d.body.function.name
        for d in model.by_name[of.name]
        if overlap(d.pattern, of.family)
        and isinstance(d.body, ex.Call)
        and not model.functions.get(d.body.function.name)
    }
    if not unknown:
        return False
    bodies = [claim.right]
    for symbol in ex.symbols(claim.right) if isinstance(left, ex.Derivative) else ():
        bodies.extend(d.body for d in model.by_name[symbol.name])
    mentioned = {
        node.function.name
        for body in bodies
        for node in nodes_of(body)
        if isinstance(node, ex.Call)
    }
    derived = any(
        isinstance(node, ex.Derivative) and node.of == of
        for body in bodies
        for node in nodes_of(body)
    )
    return not derived and not unknown & mentioned


def _supported(judged: Judged, claim: Claim, trusted: tuple[set[str], set[str]]) -> bool:
    """Whether what a wrong row is made of was confirmed elsewhere.

    A wrong row stands accused where its ratio to the truth is one number, or where each of its
    symbols also takes part in a claim that is true; one whose sizes do not fit, where each of its
    symbols has its sizes from a row that fits and some claim of the document is true. Then the
    reading of the symbols is not at fault.
    """
    claimed, sized = trusted
    names = {s.name for side in (claim.left, claim.right) for s in ex.symbols(side)}
    model = judged.model
    if not names and any(calls_of(side) for side in (claim.left, claim.right)):
        return False
    left, right = model.leaves_below(claim.left), model.leaves_below(claim.right)
    shows = isinstance(claim.right, ex.Arrayed)
    if left - right and right - left and not shows:
        return False
    if any(case.informal for case in judged.by_claim[id(claim)]):
        return False
    counts = names & loose_counts(model)
    factor = ratio_of(judged.by_claim[id(claim)]) is not None
    if _specialises(model, claim) or len(counts) > 1 or (counts and factor):
        return False
    verdict, reason = judged.claim_verdict(claim)
    if verdict == "dimension":
        batch = "one side is a number" in reason and any(
            isinstance(node, ex.SumOver) for node in nodes_of(claim.right)
        )
        loose = batch or "weights the derivative" in reason
        own = {claim.definition.name} if claim.definition is not None else set()
        return not loose and bool(claimed) and names - own <= sized
    return factor or names <= claimed | counts
