"""From numbers to sentences: verdicts, fitted relations, and the smallest repair of a wrong row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.algebra import SIDE_BY_SIDE
from gradcheck.derivations.cases import AGREEMENT, Case
from gradcheck.derivations.grounds import grounds_of, thin_of
from gradcheck.derivations.lookups import CLASS
from gradcheck.derivations.model import Claim, Model
from gradcheck.derivations.statements import Statement
from gradcheck.derivations.walks import nodes_of

if TYPE_CHECKING:
    from gradcheck.derivations.auditing import Judged

__all__ = ["earlier_row", "other_verdict", "ratio_of", "sizes_of", "verdict_of"]

LARGEST_DENOMINATOR = 60
"""Fractions up to this denominator are recognised as a fitted factor (sizes are primes below it)."""


def verdict_of(judged: Judged, claim: Claim, cases: Sequence[Case]) -> tuple[str, str]:
    """Return the verdict of one claim and a sentence."""
    if claim.row in judged.doubted and claim.kind in ("claim", "definition", "display"):
        return "not checked", judged.doubted[claim.row]
    if claim.kind == "redefinition":
        return _redefinition(judged, claim, cases)
    ranged = _range_fault(judged, claim)
    if ranged:
        return "scope", ranged
    right = [c for c in cases if c.holds is True]
    wrong = [c for c in cases if c.holds is False and not (right and 0 in c.family.values())]
    problems = [c for c in cases if c.problem is not None and c.problem[0] != "range"]
    if wrong:
        diagonal = (
            "" if _tells_cases(claim) else _diagonal_only(wrong, judged.model.table.stated_classes)
        )
        if diagonal and len(wrong) + len(right) >= 1:
            return "ambiguous", diagonal
        return "false", thin_of(wrong) or _relation(judged, wrong, right)
    interior = [c for c in problems if not (right and 0 in c.family.values())]
    for kind in ("dimension", "scope"):
        found = [c for c in interior if c.problem is not None and c.problem[0] == kind]
        if found:
            assert found[0].problem is not None
            return kind, found[0].problem[1] + _members(found, cases)
    if right and claim.kind == "given" and _loss_of(claim) in judged.model.loose_losses:
        return "not checked", f"taken as given: {_loss_of(claim)} is not read down to here"
    doubts = [c.doubt for c in cases if c.doubt]
    if doubts:
        return "not checked", doubts[0]
    if right:
        return "true", _spoken_truth(judged.model, claim, right) + _condition(judged.model, claim)
    if any(c.differences for c in cases):
        return "not checked", "the numbers are neither clearly equal nor clearly different"
    reasons = [c.problem[1] for c in problems if c.problem is not None]
    return "not checked", reasons[-1] if reasons else "no member of its family can be evaluated"


def _loss_of(claim: Claim) -> str:
    """Return the name of what a row differentiates, or ""."""
    of = claim.left.of if isinstance(claim.left, ex.Derivative) else None
    return of.name if isinstance(of, ex.Symbol) else ""


def _range_fault(judged: Judged, claim: Claim) -> str:
    """Find a sum from 0 to n whose letter elsewhere runs from 1 to n, or that is divided by n."""
    divisors = {
        id(node.right): node.left.below
        for node in nodes_of(claim.right)
        if isinstance(node, ex.Product) and isinstance(node.left, ex.Divided)
    }
    for node in nodes_of(claim.right):
        if not isinstance(node, ex.SumOver) or node.first != 0 or node.last is None:
            continue
        if set(node.letters) & judged.model.table.family_letters:
            continue
        if divisors.get(id(node)) == node.last:
            return f"sums from 0 to {_text(node.last)}, one term more than it divides by"
        for other in judged.model.claims:
            for sum_ in (n for side in (other.left, other.right) for n in nodes_of(side)):
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


def _spoken_truth(model: Model, claim: Claim, right: Sequence[Case]) -> str:
    if claim.kind == "definition":
        return "a definition that fits"
    if claim.kind == "display":
        return "shows its entries"
    if claim.kind == "function":
        return "defines a function"
    if claim.kind == "given":
        return "given"
    return grounds_of(model, right).spoken + _members(right, right)


def _condition(model: Model, claim: Claim) -> str:
    """Return the reading of the document without which a true row would be false, or ""."""
    words = model.conditions.get(id(claim))
    if words is None and claim.row in model.loose_rows:
        words = SIDE_BY_SIDE
    return f"; only so far as {words}" if words else ""


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
    line = judged.line(earlier_row(judged, claim))
    name = claim.earlier.name
    if not wrong:
        if any(c.holds for c in cases):
            return "true", f"agrees with line {line}" + _condition(judged.model, claim)
        if any(c.problem and c.problem[0] == "dimension" for c in cases):
            return "not checked", f"gives {name} other sizes than line {line}"
        return "true", ""
    if thin_of(wrong):
        return "conflict", f"defines {name} differently from line {line}: {thin_of(wrong)}"
    ratio = ratio_of(wrong)
    if ratio is not None:
        return "conflict", (
            f"defines {name} differently from line {line}, by the factor {_spoken(ratio, judged.model)}"
        )
    if _derived(judged.model, claim):
        return "false", f"{name} is not what line {line} says" + _members(wrong, cases)
    return "not checked", f"gives {name} a new meaning: line {line} defines it otherwise"


def earlier_row(judged: Judged, claim: Claim) -> int:
    """Return the row of the first definition with which those up to this one agree."""
    assert claim.earlier is not None
    row = claim.earlier.row
    for other in judged.model.claims:
        if other.kind == "redefinition" and other.definition is claim.earlier:
            cases = judged.by_claim[id(other)]
            if any(c.holds for c in cases) and not any(c.holds is False for c in cases):
                return earlier_row(judged, other)
    return max(row, 0)


def _derived(model: Model, claim: Claim) -> bool:
    """Whether one of two definitions says that the symbol is a derivative."""
    assert claim.earlier is not None
    bodies = [d.body for d in model.by_name[claim.earlier.name]]
    return any(isinstance(body, ex.Derivative) for body in bodies)


def _tells_cases(claim: Claim) -> bool:
    """Whether a row has a Kronecker delta: it speaks of i = j and of i ≠ j at once."""
    return any(isinstance(node, ex.Kronecker) for node in nodes_of(claim.right))


def _diagonal_only(wrong: Sequence[Case], classes: set[str]) -> str:
    """A row that holds for i ≠ j only, or i = j, or the class of the example, is a case, no error."""
    for case in wrong:
        pairs = list(zip(case.left, case.right, strict=True))
        places = range(len(case.letters))
        several: list[tuple[str, str, Callable[[np.ndarray], np.ndarray | None]]] = [
            (case.letters[a], case.letters[b], partial(_where_equal, a=a, b=b))
            for a in places
            for b in places
            if a < b
        ]
        several += [
            (case.letters[a], name, partial(_where_class, a=a))
            for name in sorted(classes)
            for a in places
        ]
        found = ""
        for one, other, mask in several:
            for sign, opposite, same in (("=", "≠", True), ("≠", "=", False)):
                if all(_holds_where(x, y, mask(x), same) for x, y in pairs):
                    found = f"holds where {one} {sign} {other}, not where {one} {opposite} {other}"
        if not found:
            return ""
    return found


def _where_equal(x: np.ndarray, a: int, b: int) -> np.ndarray | None:
    """Return where the indices of two axes are equal, or None if they run over different sizes."""
    if x.shape[a] != x.shape[b]:
        return None
    shape = [1] * x.ndim
    shape[a] = shape[b] = x.shape[a]
    return np.broadcast_to(np.eye(x.shape[a], dtype=bool).reshape(shape), x.shape)


def _where_class(x: np.ndarray, a: int) -> np.ndarray:
    """Return where the index of an axis is the class of the example."""
    shape = [1] * x.ndim
    shape[a] = x.shape[a]
    return np.broadcast_to((np.arange(x.shape[a]) == CLASS).reshape(shape), x.shape)


def _holds_where(x: np.ndarray, y: np.ndarray, mask: np.ndarray | None, same: bool) -> bool:
    where = None if mask is None else mask if same else ~mask
    if where is None or not where.any():
        return False
    scale = max(np.abs(x[where]).max(), np.abs(y[where]).max())
    return bool(scale > 0 and np.abs(x - y)[where].max() <= AGREEMENT * scale)


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


def other_verdict(statement: Statement) -> tuple[str, str, str]:
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
        for node in nodes_of(term)
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
