"""From numbers to sentences: verdicts, fitted relations, and the smallest repair of a wrong row."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.evidence import AGREEMENT, Case, cases_of, fill_sizes, judge
from gradcheck.derivations.model import Claim, Model
from gradcheck.derivations.repairs import Repair, repairs_of
from gradcheck.derivations.statements import Statement

if TYPE_CHECKING:
    from gradcheck.derivations.auditing import Judged

__all__ = ["explain", "other_verdict", "ratio_of", "sizes_of", "verdict_of"]

LARGEST_DENOMINATOR = 60
"""Fractions up to this denominator are recognised as a fitted factor (sizes are primes below it)."""

_COUNTS = frozenset(["n", "m", "N", "M", "B", "K", "T", "D", "E"])

SECONDS = 2.0
"""How long explanations are searched; verdicts do not wait for them."""

MOST_REPAIRS = 60
"""Single edits tried for one wrong row."""

MOST_DEFINITION_REPAIRS = 25
"""Single edits tried for a definition from which a wrong row follows."""

MOST_DIAGNOSED = 12
"""Wrong rows whose repair is searched; the first ones are what the author has to look at."""


def verdict_of(judged: Judged, claim: Claim, cases: Sequence[Case]) -> tuple[str, str]:
    """Return the verdict of one claim and a sentence."""
    if claim.row in judged.doubted and claim.kind in ("claim", "definition"):
        return "not checked", judged.doubted[claim.row]
    if claim.kind == "redefinition":
        return _redefinition(judged, claim, cases)
    ranged = _range_fault(judged, claim)
    if ranged:
        return "scope", ranged
    wrong = [c for c in cases if c.holds is False]
    right = [c for c in cases if c.holds is True]
    problems = [c for c in cases if c.problem is not None and c.problem[0] != "range"]
    if wrong:
        diagonal = _diagonal_only(wrong)
        if diagonal and len(wrong) + len(right) >= 1:
            return "ambiguous", diagonal
        return "false", _relation(judged, wrong, right)
    interior = [c for c in problems if not (right and 0 in c.family.values())]
    for kind in ("dimension", "scope"):
        found = [c for c in interior if c.problem is not None and c.problem[0] == kind]
        if found:
            assert found[0].problem is not None
            return kind, found[0].problem[1] + _members(found, cases)
    if right:
        return "true", _spoken_truth(claim, right)
    if any(c.differences for c in cases):
        return "not checked", "the numbers are neither clearly equal nor clearly different"
    reasons = [c.problem[1] for c in problems if c.problem is not None]
    return "not checked", reasons[-1] if reasons else "no member of its family can be evaluated"


def _range_fault(judged: Judged, claim: Claim) -> str:
    """Find a sum from 0 to n whose letter elsewhere runs from 1 to n, or that is divided by n."""
    for node in _nodes(claim.right):
        below = None
        if isinstance(node, ex.Product) and isinstance(node.left, ex.Divided):
            node, below = node.right, node.left.below
        if not isinstance(node, ex.SumOver) or node.first != 0 or node.last is None:
            continue
        if below == node.last:
            return f"sums from 0 to {_text(node.last)}, one term more than it divides by"
        for other in judged.model.claims:
            for sum_ in (n for side in (other.left, other.right) for n in _nodes(side)):
                twin = isinstance(sum_, ex.SumOver) and sum_.letters == node.letters
                if (
                    twin
                    and isinstance(sum_, ex.SumOver)
                    and (sum_.first, sum_.last) == (1, node.last)
                ):
                    line = judged.line(other.row)
                    return f"sums over {node.letters[0]} from 0, and line {line} from 1, to the same end"
    return ""


def _text(expression: ex.Expression) -> str:
    return str(expression.value) if isinstance(expression, ex.Number) else str(expression)


def _spoken_truth(claim: Claim, right: Sequence[Case]) -> str:
    if claim.kind == "definition":
        return "a definition that fits"
    if claim.kind == "function":
        return "defines a function"
    if claim.kind == "given":
        return "given"
    digits = min(_digits(case) for case in right)
    return f"equal to {digits} digits at {len(right[0].differences)} points" + _members(
        right, right
    )


def _digits(case: Case) -> int:
    worst = max(case.differences)
    return 15 if worst < 1e-15 else int(-np.log10(worst))


def _members(cases: Sequence[Case], among: Sequence[Case]) -> str:
    """Return `, for i = 1, 2, 3` where a family row was unrolled."""
    del among
    letters = sorted(cases[0].family)
    if len(letters) != 1:
        return ""
    values = sorted({case.family[letters[0]] for case in cases})
    return f", for {letters[0]} = {', '.join(map(str, values))}"


def _redefinition(judged: Judged, claim: Claim, cases: Sequence[Case]) -> tuple[str, str]:
    wrong = [c for c in cases if c.holds is False]
    assert claim.earlier is not None
    line = judged.line(_earlier_row(judged, claim))
    name = claim.earlier.name
    if not wrong:
        if any(c.holds for c in cases):
            return "true", f"agrees with line {line}"
        if any(c.problem and c.problem[0] == "dimension" for c in cases):
            return "not checked", f"gives {name} other sizes than line {line}"
        return "true", ""
    ratio = ratio_of(wrong)
    if ratio is not None:
        return "conflict", (
            f"defines {name} differently from line {line}, by the factor {_spoken(ratio, judged.model)}"
        )
    if _derived(judged.model, claim):
        return "false", f"{name} is not what line {line} says" + _members(wrong, cases)
    return "not checked", f"gives {name} a new meaning: line {line} defines it otherwise"


def _earlier_row(judged: Judged, claim: Claim) -> int:
    """Return the row of the first definition with which those up to this one agree."""
    assert claim.earlier is not None
    row = claim.earlier.row
    for other in judged.model.claims:
        if other.kind == "redefinition" and other.definition is claim.earlier:
            cases = judged.by_claim[id(other)]
            if any(c.holds for c in cases) and not any(c.holds is False for c in cases):
                return _earlier_row(judged, other)
    return max(row, 0)


def _derived(model: Model, claim: Claim) -> bool:
    """Whether one of two definitions says that the symbol is a derivative."""
    assert claim.earlier is not None
    bodies = [d.body for d in model.by_name[claim.earlier.name]]
    return any(isinstance(body, ex.Derivative) for body in bodies)


def _diagonal_only(wrong: Sequence[Case]) -> str:
    """A row that holds for i ≠ j only (or for i = j only) is a case, not an error."""
    for case in wrong:
        found = ""
        for a in range(len(case.letters)):
            for b in range(a + 1, len(case.letters)):
                for same in (True, False):
                    if all(
                        _holds_where(x, y, a, b, same)
                        for x, y in zip(case.left, case.right, strict=True)
                    ):
                        sign, other = ("=", "≠") if same else ("≠", "=")
                        pair = case.letters[a], case.letters[b]
                        found = f"holds where {pair[0]} {sign} {pair[1]}, not where {pair[0]} {other} {pair[1]}"
        if not found:
            return ""
    return found


def _holds_where(x: np.ndarray, y: np.ndarray, a: int, b: int, same: bool) -> bool:
    if x.shape[a] != x.shape[b] or x.shape[a] < 2:
        return False
    eye = np.eye(x.shape[a], dtype=bool)
    shape = [1] * x.ndim
    shape[a] = shape[b] = x.shape[a]
    where = np.broadcast_to((eye if same else ~eye).reshape(shape), x.shape)
    scale = max(np.abs(x[where]).max(), np.abs(y[where]).max())
    if scale == 0:
        return False
    return bool(np.abs(x - y)[where].max() <= AGREEMENT * scale)


def ratio_of(cases: Sequence[Case]) -> float | None:
    """Return right / left where that is one number for all entries, points and members."""
    ratios: list[float] = []
    for case in cases:
        if case.holds is not False:
            continue
        for left, right in zip(case.left, case.right, strict=True):
            scale = np.abs(left).max()
            big = np.abs(left) > AGREEMENT * scale
            if not big.any() or scale == 0:
                return None
            quotient = right[big] / left[big]
            if np.abs(quotient - quotient.flat[0]).max() > 1e-8 * max(1.0, abs(quotient.flat[0])):
                return None
            if (~big).any() and np.abs(right[~big]).max() > AGREEMENT * np.abs(right).max():
                return None
            ratios.append(float(quotient.flat[0]))
    if not ratios or max(ratios) - min(ratios) > 1e-8 * max(1.0, abs(ratios[0])):
        return None
    return ratios[0]


def _spoken(ratio: float, model: Model) -> str:
    """Return a factor in words: a fraction, or a size by its name."""
    fraction = Fraction(ratio).limit_denominator(LARGEST_DENOMINATOR)
    if abs(float(fraction) - ratio) > 1e-8 * abs(ratio):
        root = Fraction(ratio * ratio).limit_denominator(LARGEST_DENOMINATOR)
        if abs(float(root) - ratio * ratio) < 1e-8 * ratio * ratio:
            return f"{'-' if ratio < 0 else ''}√({root})"
        return f"{ratio:.6g}"
    names = {size: name for name, size in model.dims.sizes().items()}
    for name, dims in model.counts.items():
        for dim in dims:
            names[dim.value] = name[0]
    for part, spelled in ((fraction.numerator, "{}"), (fraction.denominator, "1/{}")):
        other = fraction.denominator if part == fraction.numerator else fraction.numerator
        if abs(other) == 1 and abs(part) in names and abs(part) > 2:
            sign = "-" if ratio < 0 else ""
            return sign + spelled.format(names[abs(part)]) + f" (here {fraction})"
    return str(fraction)


def _relation(judged: Judged, wrong: Sequence[Case], right: Sequence[Case]) -> str:
    members = _members(wrong, wrong)
    if right and wrong[0].family:
        members += f" (it holds{_members(right, right)[1:]})"
    ratio = ratio_of(wrong)
    if ratio is None:
        worst = max(max(case.differences) for case in wrong)
        return f"the two sides differ by {worst:.2g} of their size" + members
    return f"the right side is {_spoken(ratio, judged.model)} times the left side" + members


def other_verdict(judged: Judged, statement: Statement) -> tuple[str, str, str]:
    """Return verdict, reason and kind of what is no equation."""
    if statement.kind == "unread":
        return statement.verdict or "not checked", statement.reason, "other"
    if statement.kind == "declaration":
        return "true", "declares sizes", "declaration"
    if statement.kind == "update":
        return _update(statement)
    if statement.right is not None:
        return "true", "a caption", "other"
    return "true", statement.reason, "other"


def _update(statement: Statement) -> tuple[str, str, str]:
    """An update must descend: the left symbol minus something times its own gradient."""
    left, right = statement.left, statement.right
    kind = "update"
    if not isinstance(right, ex.Plus) or not isinstance(left, ex.Symbol):
        return "true", "changes a value; nothing to check", kind
    own = [sign for sign, term in zip(right.signs, right.terms, strict=True) if term == left]
    rest = [(s, t) for s, t in zip(right.signs, right.terms, strict=True) if t != left]
    gradients = [
        (sign, node)
        for sign, term in rest
        for node in _nodes(term)
        if isinstance(node, ex.Derivative) and isinstance(node.by, ex.Symbol)
    ]
    if not own or not gradients:
        return "true", "changes a value; nothing to check", kind
    for sign, node in gradients:
        assert isinstance(node.by, ex.Symbol)
        if node.by.name != left.name:
            return "false", f"changes {left} by the gradient in {node.by}", kind
        if sign > 0:
            return "false", "adds the gradient: this step ascends", kind
    return "true", "steps against its own gradient", kind


def _nodes(expression: ex.Expression) -> list[ex.Expression]:
    return [expression, *(n for part in ex.children(expression) for n in _nodes(part))]


def sizes_of(judged: Judged, row: int) -> tuple[tuple[str, str], ...]:
    """Return (symbol, sizes) of the symbols of a row, for the first member that was evaluated."""
    model = judged.model
    out: dict[str, str] = {}
    for claim in judged.by_row[row]:
        case = next((c for c in judged.by_claim[id(claim)] if c.holds is not None), None)
        if case is None:
            continue
        for side in (claim.left, claim.right):
            for symbol in ex.symbols(side):
                found = model.size_of(symbol, case.family, row)
                if found:
                    out.setdefault(str(ex.Symbol(symbol.name, symbol.family)), found)
    return tuple(out.items())


# ---- explanations ----------------------------------------------------------------------------------


def explain(judged: Judged, seed: int) -> None:
    """Say of each wrong row what would make it right; doubt accusations that nothing supports."""
    wrong = [
        claim
        for claim in judged.model.claims
        if claim.kind == "claim" and judged.claim_verdict(claim)[0] == "false"
    ]
    if wrong:
        _explain_by_conflicts(judged, wrong, seed)
        _explain_by_alternatives(judged, wrong, seed)
    ill = [
        claim
        for claim in judged.model.claims
        if claim.kind in ("claim", "definition") and judged.claim_verdict(claim)[0] == "dimension"
    ]
    deadline = time.monotonic() + SECONDS
    for claim in (wrong + ill)[:MOST_DIAGNOSED]:
        if claim.row not in judged.explained and time.monotonic() < deadline:
            _explain_by_repair(judged, claim, seed)
    _repair_definitions(
        judged, [c for c in wrong + ill if c.row not in judged.explained], seed, deadline
    )
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
        old = judged.line(_earlier_row(judged, claim))
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
                    f"defines {name} differently from line {old}, and line {judged.line(other.row)} "
                    f"holds with the {name} of line {old} only",
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
    judge(model, cases, seed)
    return cases


def _explain_by_repair(judged: Judged, claim: Claim, seed: int) -> None:
    """Try single edits of a wrong row; the first that makes it hold is named."""
    model = judged.model
    repairs = repairs_of(claim.right, model)[:MOST_REPAIRS]
    candidates = [Claim(claim.row, claim.left, repair.expression) for repair in repairs]
    if not candidates:
        return
    cases = _recheck(model, candidates, seed)
    good: list[Repair] = []
    for repair, candidate in zip(repairs, candidates, strict=True):
        own = [c for c in cases if c.claim is candidate]
        decided = [c for c in own if c.holds is not None]
        bad = [
            c
            for c in own
            if c.problem and c.problem[0] == "dimension" and 0 not in c.family.values()
        ]
        if decided and all(c.holds for c in decided) and not bad:
            good.append(repair)
    if good:
        verdict, reason = judged.claim_verdict(claim)
        best = min(good, key=lambda repair: repair.cost)
        judged.explained[claim.row] = (verdict, f"{reason}; it holds with {best.words}")


def _repair_definitions(judged: Judged, wrong: Sequence[Claim], seed: int, deadline: float) -> None:
    """Try single edits of the backward definitions that wrong rows use."""
    model = judged.model
    used: dict[int, list[Claim]] = {}
    for claim in wrong:
        for symbol in ex.symbols(claim.right):
            for definition in model.by_name[symbol.name]:
                own = model.is_backward(definition.body) and not definition.inferred
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
        for repair in repairs_of(definition.body, model)[:MOST_DEFINITION_REPAIRS]:
            if time.monotonic() > deadline:
                return
            model.replaced[number] = repair.expression
            cases = _recheck(model, claims, seed)
            del model.replaced[number]
            decided = [case for case in cases if case.holds is not None]
            if decided and all(case.holds for case in decided):
                lines = ", ".join(str(judged.line(c.row)) for c in claims)
                if not confirmed:
                    judged.explained[definition.row] = (
                        "false",
                        f"what follows from this definition fails (line {lines}); it holds with {repair.words}",
                    )
                for claim in claims:
                    verdict, reason = judged.claim_verdict(claim)
                    line = judged.line(definition.row)
                    judged.explained[claim.row] = (
                        verdict,
                        f"{reason}; it holds with {repair.words} on line {line}",
                    )
                break


def _trusted(judged: Judged) -> tuple[set[str], set[str]]:
    """Return the names that true claims confirm, and those that fitting rows give sizes."""
    claimed: set[str] = set()
    sized: set[str] = set(judged.model.declared)
    for claim in judged.model.claims:
        if judged.claim_verdict(claim)[0] == "true" and claim.kind in (
            "claim",
            "definition",
            "given",
        ):
            names = {s.name for side in (claim.left, claim.right) for s in ex.symbols(side)}
            sized |= names
            if claim.kind in ("claim", "given"):
                claimed |= names
    return claimed, sized


def _loose_counts(model: Model) -> set[str]:
    """Return letters that usually count and that no size of the document is tied to."""
    return {
        name
        for name, member, _ in model.leaves
        if name in _COUNTS
        and model.leaves[name, member, 0].is_number
        and (name, member) not in model.counts
    }


def _specialises(model: Model, claim: Claim) -> bool:
    """Whether a row says what an unknown function is: `dz/dx = 2x cos(..)` where z = f(x, y)."""
    left = claim.left
    of = left.of if isinstance(left, ex.Derivative) else left
    if not isinstance(of, ex.Symbol):
        return False
    unknown = {
        d.body.function.name
        for d in model.by_name[of.name]
        if isinstance(d.body, ex.Call) and not model.functions.get(d.body.function.name)
    }
    if not unknown:
        return False
    bodies = [claim.right]
    for symbol in ex.symbols(claim.right) if isinstance(left, ex.Derivative) else ():
        bodies.extend(d.body for d in model.by_name[symbol.name])
    mentioned = {
        node.function.name for body in bodies for node in _nodes(body) if isinstance(node, ex.Call)
    }
    derived = any(
        isinstance(node, ex.Derivative) and node.of == of
        for body in bodies
        for node in _nodes(body)
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
    left, right = model.leaves_below(claim.left), model.leaves_below(claim.right)
    if left - right and right - left:
        return False
    if _specialises(model, claim) or names & _loose_counts(model):
        return False
    if judged.claim_verdict(claim)[0] == "dimension":
        return bool(claimed) and names <= sized
    return ratio_of(judged.by_claim[id(claim)]) is not None or names <= claimed
