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

KINDS = ("scalar", "column", "row", "matrix")


def fit_kinds(model: Model) -> list[Case]:
    """Choose the orientation of vectors and the kinds of leaves; return the cases, sized."""
    deadline = time.monotonic() + SECONDS
    stated = "orientation" in model.table.kinds
    costs = {}
    for orientation in ("column", "row"):
        if stated and orientation != model.table.kinds["orientation"]:
            continue
        model.orientation = orientation
        costs[orientation] = _cost(model)
    model.orientation = min(costs, key=lambda o: (costs[o], o == "row"))
    best = costs[model.orientation]
    while best[0] and time.monotonic() < deadline:
        improved = _best_flip(model, best, deadline)
        if improved is None:
            break
        best, (name, kind) = improved
        model.kinds[name] = kind
        model.note(f"{name} is read as a {'number' if kind == 'scalar' else kind}, because the forward rows fit it so")
    return _sized(model)


def _sized(model: Model) -> list[Case]:
    model.reset()
    cases = cases_of(model, model.claims)
    infer_sizes(model, cases)
    return cases


def _is_forward(model: Model, case: Case) -> bool:
    return case.claim.kind == "definition" and not model._is_backward(case.claim.right, set())


def _cost(model: Model) -> tuple[int, int]:
    """Return how many forward rows do not fit, and how many others."""
    cases = _sized(model)
    bad = [case for case in cases if case.problem is not None and case.problem[0] == "dimension"]
    forward = {c.claim.row for c in bad if _is_forward(model, c)}
    return len(forward), len({c.claim.row for c in bad}) - len(forward)


def _best_flip(
    model: Model, best: tuple[int, int], deadline: float
) -> tuple[tuple[int, int], tuple[str, str]] | None:
    found: tuple[tuple[int, int], tuple[str, str]] | None = None
    for name in _suspects(model, _sized(model)):
        before = model.kinds.get(name)
        default = model.kind(name)
        for kind in KINDS:
            if kind == default or time.monotonic() > deadline:
                continue
            model.kinds[name] = kind
            cost = _cost(model)
            if cost[0] < best[0] and (found is None or cost < found[0]):
                found = (cost, (name, kind))
        if before is None:
            model.kinds.pop(name, None)
        else:
            model.kinds[name] = before
    return found


def _suspects(model: Model, cases: Sequence[Case]) -> list[str]:
    """Return the undeclared leaves of the forward rows that do not fit."""
    names: dict[str, None] = {}
    for case in cases:
        if case.problem is None or case.problem[0] != "dimension" or not _is_forward(model, case):
            continue
        for symbol in ex.symbols(case.claim.right):
            reached = {symbol.name} | model._below(symbol.name)
            for name in reached:
                leaf = not model.by_name[name] and name not in model.declared
                if leaf and name not in model.table.kinds:
                    names[name] = None
    return sorted(names)
