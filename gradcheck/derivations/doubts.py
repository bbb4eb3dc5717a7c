"""Why a row that fails may not be wrong: what the document leaves open, row by row.

An accusation needs a reading that the document fixes. Where it does not, the row is `not checked`, and
the sentence says what is open.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.algebra import SPREADING
from gradcheck.derivations.functions import ELEMENTWISE
from gradcheck.derivations.interpreter import Frame, Interpreter
from gradcheck.derivations.model import MISFITS, Claim, Model
from gradcheck.derivations.table import FUNCTIONS, USUAL_LOSSES
from gradcheck.derivations.walks import calls_of, derivatives_of, family_letters

if TYPE_CHECKING:
    from gradcheck.derivations.auditing import Judged

__all__ = ["doubt_open_readings"]


def doubt_open_readings(judged: Judged) -> None:
    """Doubt the rows that fail where the document leaves open what they mean."""
    model = judged.model
    open_losses = _open_losses(judged)
    for claim in model.claims:
        if claim.kind not in ("claim", "definition"):
            continue
        if judged.claim_verdict(claim)[0] not in ("false", "dimension"):
            continue
        reason = (
            _spread(judged.claim_verdict(claim)[1])
            or _condition(model, claim)
            or _loss_is_open(model, claim, open_losses)
            or _class_on_one_side(model, claim)
            or _foreign_symbol(model, claim)
        )
        if reason:
            judged.doubted[claim.row] = reason


def _spread(reason: str) -> str:
    return reason if SPREADING in reason else ""


def _condition(model: Model, claim: Claim) -> str:
    """`X^T X w = X^T y` asks something of w: nothing in it is defined, and its sides differ in symbols."""
    names = [{s.name for s in ex.symbols(side)} for side in (claim.left, claim.right)]
    if names[0] == names[1] or any(derivatives_of(side) for side in (claim.left, claim.right)):
        return ""
    if any(
        model.definition(name, (), claim.row) or model.by_name[name] for name in set.union(*names)
    ):
        return ""
    return "is a condition on symbols of which no row says more"


def _open_losses(judged: Judged) -> dict[str, str]:
    """Return, for each loss of which the document leaves open what it is, what is open."""
    model = judged.model
    of, by = model.differentiated()
    walker = Interpreter(model, numeric=False)
    found: dict[str, str] = {}
    for name in sorted((of - by) & USUAL_LOSSES):
        for definition in model.by_name[name]:
            if definition.inferred or definition.pattern or definition.letters:
                continue
            line = judged.line(definition.row)
            free = family_letters(definition.body) - model.table.last_letters - model.current
            if free:
                letter = min(free)
                found[name] = (
                    f"line {line} writes {name} with a free index {letter}, which is any layer elsewhere"
                )
            with suppress(*MISFITS), model.dims.attempt():
                value = walker.whole(ex.Symbol(name), Frame(definition.row, {}))
                if not value.is_number:
                    found[name] = f"{name} is no number as line {line} is read: {value.spelled()}"
    return found


def _loss_is_open(model: Model, claim: Claim, open_losses: dict[str, str]) -> str:
    names = {s.name for side in (claim.left, claim.right) for s in ex.symbols(side)}
    reached = names.union(*(model.names_below(name) for name in names))
    return next((why for name, why in open_losses.items() if name in reached), "")


def _class_on_one_side(model: Model, claim: Claim) -> str:
    """`-sum_i y_i log p_i = -log p_k` holds for the truth of one class, where no row says so."""
    classes = [
        {i.letter for s in ex.symbols(side) for i in s.components} & model.table.classes
        for side in (claim.left, claim.right)
    ]
    if classes[0] == classes[1] or derivatives_of(claim.left):
        return ""
    return f"holds for the class {min(map(str, classes[0] ^ classes[1]))} only, if at all"


def _foreign_symbol(model: Model, claim: Claim) -> str:
    """A symbol that no forward row has may stand for one that the other side has: y for the truth t."""
    own = claim.left.name if isinstance(claim.left, ex.Symbol) else ""
    forward = [
        definition.body
        for definition in model.definitions
        if definition.name != own and not model.is_backward(definition.body)
    ]
    known = {name for body in forward for name in _given(model, body, claim.row)}
    left = model.leaves_below(claim.left) | _given(model, claim.left, claim.row)
    right = model.leaves_below(claim.right) | _given(model, claim.right, claim.row)
    foreign = sorted((left ^ right) - known) if left - right and right - left else []
    unknown = sorted(_unknown_functions(model, (claim.right,)) - _unknown_functions(model, forward))
    for name in (*foreign, *unknown):
        return f"has {name}, which stands in no row of the forward pass"
    return ""


def _given(model: Model, body: ex.Expression, row: int) -> set[str]:
    """Return the symbols of a body without definition, numbered members (`A^{[0]}`) by themselves."""
    found = {symbol.name for symbol in ex.symbols(body) if not model.by_name[symbol.name]}
    for symbol in ex.symbols(body):
        member = tuple(index.offset for index in symbol.family)
        numbered = symbol.family and all(index.letter is None for index in symbol.family)
        if numbered and model.definition(symbol.name, member, row) is None:
            found.add(ex.member_name(symbol.name, member))
    return found


def _unknown_functions(model: Model, bodies: Iterable[ex.Expression]) -> set[str]:
    """Return the functions of some bodies that no row defines and that have no usual meaning."""
    return {
        call.function.name
        for body in bodies
        for call in calls_of(body)
        if not model.functions.get(call.function.name)
    } - FUNCTIONS.union(ELEMENTWISE, model.meanings)
