"""Which leaf is a number, a column, a row, a matrix: what the forward rows need.

A guess from the letter (capital: matrix, small: vector) is kept wherever the forward rows fit it. Only
where they do not is another kind tried; claims never change what the forward rows say, or a wrong
transpose would be excused by calling its matrix a number.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.evidence import Case, cases_of, infer_sizes
from gradcheck.derivations.model import Model

__all__ = ["fit_kinds"]

SECONDS = 1.5
"""How long kinds are searched; a document of a hundred rows takes a tenth of it for one trial."""

CLUES = (
    "component ind",
    "only vectors are stacked",
    "a Jacobian is compared",
    "does not fit",
    "is no matrix",
)
"""What a row says that cannot be read because a leaf is of another kind than its letter suggests."""

KINDS = ("scalar", "column", "row", "matrix")


def fit_kinds(model: Model) -> list[Case]:
    """Choose the orientation of vectors and the kinds of leaves; return the cases, sized."""
    deadline = time.monotonic() + SECONDS
    stated = model.table.kinds.get("orientation")
    costs = {}
    for orientation in (stated,) if stated else ("column", "row"):
        model.orientation = orientation
        costs[orientation] = _cost(model)
    model.orientation = min(costs, key=lambda o: (costs[o], o == "row"))
    best = costs[model.orientation]
    while any(best) and time.monotonic() < deadline:
        improved = _best_flip(model, best, deadline)
        if improved is None:
            break
        best, (key, kind) = improved
        model.kinds[key] = kind
        spoken = "number" if kind == "scalar" else kind
        model.note(f"{key.rstrip('^')} is read as a {spoken}, because the rows fit it so")
    return _sized(model)


def _sized(model: Model) -> list[Case]:
    model.reset()
    cases = cases_of(model, model.claims)
    infer_sizes(model, cases)
    return cases


def _is_forward(model: Model, case: Case) -> bool:
    return case.claim.kind == "definition" and not model.is_backward(case.claim.right)


def _misfit(case: Case) -> bool:
    """Whether a case shows that some leaf has another kind."""
    if case.problem is None:
        return False
    what, why = case.problem
    return what == "dimension" or (what == "unread" and any(clue in why for clue in CLUES))


def _cost(model: Model) -> tuple[int, int]:
    """Return how many forward rows do not fit, and how many others."""
    return _count(model, _sized(model), whole=True)


def _count(model: Model, cases: Sequence[Case], whole: bool) -> tuple[int, int]:
    """Count misfits of forward rows and of others; of the others' sizes only with `whole`."""
    bad = [case for case in cases if _misfit(case)]
    forward = {c.claim.row for c in bad if _is_forward(model, c)}
    others = {
        c.claim.row for c in bad if whole or (c.problem is not None and c.problem[0] == "unread")
    }
    return len(forward), len(others - forward)


def _best_flip(
    model: Model, best: tuple[int, int], deadline: float
) -> tuple[tuple[int, int], tuple[str, str]] | None:
    """Return the flip of one leaf that leaves the fewest misfits; gentle flips first.

    A leaf of the forward rows is flipped only for their sake, or to a number where a row is not read
    for it: never to make a later row fit.
    """
    found: tuple[tuple[int, int, int], tuple[str, str]] | None = None
    cases = _sized(model)
    unread = _count(model, cases, whole=False)
    forward = _leaves_of(model, [case for case in cases if _is_forward(model, case)])
    for key, default in _suspects(model, cases):
        for kind in KINDS:
            if kind == default or time.monotonic() > deadline:
                continue
            small = not key.strip("^").split(" ")[-1][:1].isupper()
            settled = key in forward and not best[0]
            if settled and not (kind == "scalar" and small):
                continue
            before = model.kinds.get(key)
            model.kinds[key] = kind
            trial_cases = _sized(model)
            cost = _count(model, trial_cases, whole=True)
            helps = cost < best
            if settled:
                helps = helps and _count(model, trial_cases, whole=False) < unread
            if before is None:
                del model.kinds[key]
            else:
                model.kinds[key] = before
            gentle = 0 if {kind, default} == {"row", "column"} else 1 if small else 2
            trial = (*cost, gentle)
            if helps and cost[0] <= best[0] and (found is None or trial < found[0]):
                found = (trial, (key, kind))
    return None if found is None else (found[0][:2], found[1])


def _leaves_of(model: Model, cases: Sequence[Case]) -> set[str]:
    """Return the keys (name, and ^ where it has a family index) of the leaves that rows reach."""
    out: set[str] = set()
    for case in cases:
        for side in (case.claim.left, case.claim.right):
            stack = list(ex.symbols(side))
            seen = set(stack)
            while stack:
                symbol = stack.pop()
                if any(len(d.pattern) == len(symbol.family) for d in model.by_name[symbol.name]):
                    for definition in model.by_name[symbol.name]:
                        new = set(ex.symbols(definition.body)) - seen
                        seen |= new
                        stack.extend(new)
                if (
                    not any(not d.inferred and not d.pattern for d in model.by_name[symbol.name])
                    or symbol.family
                ):
                    out.add(f"{symbol.name}^" if symbol.family else symbol.name)
    return out


def _suspects(model: Model, cases: Sequence[Case]) -> list[tuple[str, str]]:
    """Return (key, kind) of the undeclared leaves of rows that do not fit."""
    reached = _leaves_of(model, [case for case in cases if _misfit(case)])
    out = []
    for key in sorted(reached):
        name = key.rstrip("^")
        leaf = any(k[0] == name and bool(k[1]) == key.endswith("^") for k in model.leaves)
        if leaf and name not in model.declared and name not in model.table.kinds:
            out.append((key, model.kind(name, (0,) if key.endswith("^") else ())))
    return out
