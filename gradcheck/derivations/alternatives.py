"""Rows that fail as they were read, and hold as they may be meant: `ambiguous`, not wrong.

A derivative is read as the total one. Beside a chain rule that sums over paths, that of `y = (x - m) / s`
by x is the partial one, with m and s held fixed, and no sign on the paper tells them apart. A loss that no
row defines is read as a function of all outputs, and in a document on several things as one of a few.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.cases import Case, cases_of
from gradcheck.derivations.evidence import judge_all
from gradcheck.derivations.model import Claim, Definition, Model
from gradcheck.derivations.sizing import fill_sizes
from gradcheck.derivations.walks import mapped_derivatives, mapped_symbols, with_body

if TYPE_CHECKING:
    from gradcheck.derivations.auditing import Judged

__all__ = ["explain_by_outputs", "explain_by_partials"]


def explain_by_partials(judged: Judged, wrong: Sequence[Claim], seed: int) -> None:
    """Call the rows ambiguous that hold for partial derivatives and not for total ones."""
    model = judged.model
    tried: list[tuple[Claim, Claim, set[str]]] = []
    for claim in wrong:
        held: set[str] = set()
        left = _partial(model, claim.left, claim.row, held)
        right = _partial(model, claim.right, claim.row, held)
        if held:
            tried.append((claim, Claim(claim.row, left, right), held))
    cases = cases_of(model, [partial for _, partial, _ in tried])
    fill_sizes(model, cases)
    judge_all(model, cases, seed)
    for claim, partial, held in tried:
        if _all_hold(cases, partial):
            names = ", ".join(sorted(held))
            judged.explained[claim.row] = (
                "ambiguous",
                f"holds for the partial derivative, with {names} held fixed, not for the total one",
            )


def explain_by_outputs(judged: Judged, wrong: Sequence[Claim], seed: int) -> None:
    """Call the rows ambiguous that hold if an undefined loss depends on one of the outputs only."""
    model = judged.model
    for definition in model.definitions:
        body = definition.body
        invented = definition.inferred and definition.name in model.scalar_functions
        if not (invented and isinstance(body, ex.Call) and len(body.arguments) > 1):
            continue
        open_ = [c for c in wrong if c.row not in judged.explained]
        for argument in body.arguments:
            others_held = tuple(a if a is argument else ex.Held(a) for a in body.arguments)
            model.replaced[definition.number] = ex.Call(body.function, 0, others_held)
            cases = cases_of(model, open_)
            fill_sizes(model, cases)
            judge_all(model, cases, seed)
            del model.replaced[definition.number]
            for claim in open_:
                if _all_hold(cases, claim):
                    judged.explained[claim.row] = (
                        "ambiguous",
                        f"holds if {definition.name}, which no row defines, depends on {argument} only",
                    )


def _all_hold(cases: Sequence[Case], claim: Claim) -> bool:
    own = [case for case in cases if case.claim is claim and case.holds is not None]
    return bool(own) and all(case.holds for case in own)


def _partial(model: Model, body: ex.Expression, row: int, held: set[str]) -> ex.Expression:
    """Return a side with its derivatives as partial ones; collect the names that they hold fixed."""

    def change(node: ex.Derivative) -> ex.Expression:
        of, by = node.of, node.by
        if not (isinstance(of, ex.Symbol) and isinstance(by, ex.Symbol)):
            return node
        for definition in reversed(model.by_name[of.name]):
            between = _between(model, definition, by.name)
            if definition.row <= row and not definition.inferred and between:
                inner = with_body(of, definition, _holding(definition.body, between))
                if inner != of:
                    held.update(between)
                    return ex.Derivative(inner, by, node.shorthand)
        return node

    return mapped_derivatives(body, change)


def _between(model: Model, definition: Definition, name: str) -> set[str]:
    """Return what stands beside a name in a definition, and depends on it as well."""
    names = {symbol.name for symbol in ex.symbols(definition.body)}
    if name not in names:
        return set()
    return {other for other in names - {name} if name in model.names_below(other)}


def _holding(body: ex.Expression, names: set[str]) -> ex.Expression:
    """Return a body with the symbols of some names held fixed."""
    return mapped_symbols(body, lambda s: ex.Held(s) if s.name in names else s)
