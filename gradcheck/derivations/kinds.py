"""Which leaf is a number, a column, a row, a matrix: what the forward rows need.

A guess from the letter (capital: matrix, small: vector) is kept wherever the forward rows fit it. Only
where they do not is another kind tried; claims never change what the forward rows say, or a wrong
transpose would be excused by calling its matrix a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from typing import NamedTuple

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.cases import Case, cases_of
from gradcheck.derivations.dims import ONE
from gradcheck.derivations.interpreter import Frame, Interpreter
from gradcheck.derivations.model import MISFITS, Model
from gradcheck.derivations.sizing import infer_sizes

__all__ = ["distinct_sizes", "fit_kinds"]

MOST_WALKS = 4000
"""Rows walked for their sizes while kinds are searched, a second's work. A count, not a time: on a
slow machine an audit says the same."""

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
    best = _orient(model)
    left = [MOST_WALKS]
    while any(best) and left[0] > 0:
        improved = _best_flip(model, best, left)
        if improved is None:
            break
        best, (key, kind) = improved
        model.kinds[key] = kind
        spoken = "number" if kind == "scalar" else kind
        model.note(f"{key.rstrip('^')} is read as a {spoken}, because the rows fit it so")
    _turn_biases(model, best)
    return _sized(model)


def _turn_biases(model: Model, best: Cost) -> None:
    """Make a bias a row where a column makes two sizes one: `XW + b` with the examples in rows.

    A column and a row both fit beside a matrix, but an author who means a column of the height of X has
    as many examples as units.
    """
    added = _added_beside_products(model)
    for key, default in _suspects_of(model, added):
        if default not in ("column", "row"):
            continue
        _cost(model)
        sizes = distinct_sizes(model)
        with _flipped(model, key, "row" if default == "column" else "column"):
            better = _cost(model) <= best and distinct_sizes(model) > sizes
        if better:
            model.kinds[key] = "row" if default == "column" else "column"
            model.note(
                f"{key.rstrip('^')} is read as a {model.kinds[key]}, or two sizes would be one"
            )
    _cost(model)


def distinct_sizes(model: Model, names: Set[str] = frozenset()) -> int:
    """Return how many sizes of the leaves differ, or of those of the given names."""
    leaves = [leaf for (name, *_), leaf in model.leaves.items() if name in names or not names]
    return len({dim.root() for leaf in leaves for dim in (leaf.rows, leaf.cols)})


def _added_beside_products(model: Model) -> set[str]:
    """Return the keys of symbols that a definition adds to a product: biases."""
    found: set[str] = set()
    for definition in model.definitions:
        body = definition.body
        while isinstance(body, ex.Call) and len(body.arguments) == 1:
            body = body.arguments[0]
        if isinstance(body, ex.Plus) and any(isinstance(t, ex.Product) for t in body.terms):
            found |= {
                f"{t.name}^" if t.family else t.name
                for t in body.terms
                if isinstance(t, ex.Symbol) and not t.components
            }
    return found


def _orient(model: Model) -> Cost:
    """Make small letters columns or rows; numbers only where a loss would be no number otherwise.

    A document without any matrix has nothing by which vectors multiply: there they are numbers as well
    where the forward rows fit so and not otherwise.
    """
    stated = model.table.kinds.get("orientation")
    costs: dict[str, Cost] = {}
    for orientation in (stated,) if stated else ("column", "row"):
        model.orientation = orientation
        costs[orientation] = _cost(model)
    model.orientation = chosen = min(costs, key=lambda o: (costs[o], o == "row"))
    best = costs[chosen]
    plain = best.forward > 0 and not _has_matrices(model)
    if stated or not (best.losses or plain):
        return best
    model.orientation = "scalar"
    cost = _cost(model)
    if cost.losses < best.losses and cost[:2] <= best[:2]:
        model.note("small letters are read as numbers, because the loss is one")
        return cost
    if plain and not cost.forward and cost <= best:
        model.note("small letters are read as numbers, because the rows fit them so")
        return cost
    model.orientation = chosen
    return _cost(model)


def _has_matrices(model: Model) -> bool:
    """Return whether any given symbol is a matrix."""
    return any(
        leaf.rows is not ONE and leaf.cols is not ONE and ":" not in name
        for (name, *_), leaf in model.leaves.items()
    )


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


class Cost(NamedTuple):
    """What does not fit: forward rows, other rows, losses that are no number."""

    forward: int
    others: int
    losses: int


def _cost(model: Model) -> Cost:
    """Return what does not fit with the kinds as they are."""
    return _count(model, _sized(model))


def _count(model: Model, cases: Sequence[Case], unread_only: bool = False) -> Cost:
    """Count misfits; with `unread_only`, of other rows only those that cannot be read for one."""
    bad = [case for case in cases if _misfit(case)]
    forward = {c.claim.row for c in bad if _is_forward(model, c)}
    others = {
        c.claim.row
        for c in bad
        if not unread_only or (c.problem is not None and c.problem[0] == "unread")
    }
    return Cost(len(forward), len(others - forward), len(_loose_losses(model, cases)))


def _loose_losses(model: Model, cases: Sequence[Case]) -> set[int]:
    """Return the forward rows that define a loss, of which all else is differentiated, as an array."""
    of, by = model.differentiated()
    walker = Interpreter(model, numeric=False)
    found = set()
    for case in cases:
        definition = case.claim.definition
        if definition is None or definition.name not in of - by or case.problem is not None:
            continue
        with suppress(*MISFITS), model.dims.attempt():
            if not walker.whole(
                ex.Symbol(definition.name, definition.pattern), Frame(case.claim.row, case.family)
            ).is_number:
                found.add(case.claim.row)
    return found


def _best_flip(model: Model, best: Cost, left: list[int]) -> tuple[Cost, tuple[str, str]] | None:
    """Return the flip of one leaf that leaves the fewest misfits; gentle flips first.

    A leaf of the forward rows is flipped only for their sake; or, where its letter is all that says
    what it is, to a number where a row is not read or a loss is no number for it, and from a number
    to a vector. Never is it flipped to make another row fit.
    """
    found: tuple[tuple[int, ...], Cost, tuple[str, str]] | None = None
    cases = _sized(model)
    unread = _count(model, cases, unread_only=True)
    forward = _leaves_of(model, [case for case in cases if _is_forward(model, case)])
    for key, default in _suspects(model, cases):
        for kind in KINDS:
            if kind == default or left[0] <= 0 or not _bears_indices(model, key, kind):
                continue
            small = not key.strip("^").split(" ")[-1][:1].isupper()
            settled = key in forward and not best.forward
            to_number = kind == "scalar"
            to_vector = default == "scalar" and kind in ("column", "row")
            if settled and not (small and (to_number or to_vector)):
                continue
            with _flipped(model, key, kind):
                trial_cases = _sized(model)
                left[0] -= len(trial_cases)
                cost = _count(model, trial_cases)
                helps = cost < best
                if settled and to_number:
                    fewer = _count(model, trial_cases, unread_only=True) < unread
                    helps = helps and (fewer or cost.losses < best.losses)
            gentle = 0 if {kind, default} == {"row", "column"} else 1 if small else 2
            trial = (*cost, gentle)
            if helps and cost.forward <= best.forward and (found is None or trial < found[0]):
                found = (trial, cost, (key, kind))
    return None if found is None else found[1:]


def _bears_indices(model: Model, key: str, kind: str) -> bool:
    """Whether a leaf of this kind has as many component indices as it is written with."""
    ranks = model.table.ranks.get((key.rstrip("^"), key.endswith("^")))
    return not ranks or {"scalar": 0, "matrix": 2}.get(kind, 1) in ranks


@contextmanager
def _flipped(model: Model, key: str, kind: str) -> Iterator[None]:
    before = model.kinds.get(key)
    model.kinds[key] = kind
    yield
    if before is None:
        del model.kinds[key]
    else:
        model.kinds[key] = before


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
    loose = _loose_losses(model, cases)
    reached = _leaves_of(model, [c for c in cases if _misfit(c) or c.claim.row in loose])
    return _suspects_of(model, reached)


def _suspects_of(model: Model, keys: set[str]) -> list[tuple[str, str]]:
    """Return (key, kind) of those leaves whose kind nobody declares."""
    out = []
    for key in sorted(keys):
        name = key.rstrip("^")
        leaf = any(k[0] == name and bool(k[1]) == key.endswith("^") for k in model.leaves)
        given = model.declared.keys() | model.table.kinds.keys() | model.table.stacked
        if leaf and name not in given:
            out.append((key, model.kind(name, (0,) if key.endswith("^") else ())))
    return out
