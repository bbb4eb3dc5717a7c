"""What a document may mean that none of its rows says: tried where rows fail, taken where they then hold.

A reading holds for the whole document. It is named in the report's notes, and in the reason of every
row that is true for its sake only. It is taken only if rows that failed hold under it and none that
held is lost, so that it never excuses one row at another's cost; the reading of `dZ` as each
example's own gradient, which trades rows with the other convention, if fewer rows fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.cases import Case, cases_of
from gradcheck.derivations.dims import ONE, Dim
from gradcheck.derivations.evidence import judge_all
from gradcheck.derivations.model import Model
from gradcheck.derivations.sizing import infer_sizes
from gradcheck.derivations.walks import calls_of, derivatives_of, nodes_of

__all__ = ["choose_readings", "loose_counts"]

COUNTS = frozenset(["n", "m", "d", "N", "M", "B", "K", "T", "D", "E"])
"""Letters that usually count."""

MEANINGS = ("logistic", "tanh")
"""What an activation that has no definition may be where the generic one fails."""


@dataclass(frozen=True)
class Reading:
    """One thing that a document may mean.

    Attributes:
        words: the sentence for the report.
        take, leave: put it into a model and out of it.
        sized: whether sizes have to be inferred anew.
        trades: whether rows that held may fail under it, if fewer fail in all.
    """

    words: str
    take: Callable[[Model], None]
    leave: Callable[[Model], None]
    sized: bool = False
    trades: bool = False


def choose_readings(model: Model, cases: Sequence[Case], seed: int) -> Sequence[Case]:
    """Take the readings under which rows hold that fail without; return the cases, judged."""
    for readings in (_layouts, _steps, _distributions, _meanings, _counts, _own_gradients):
        if not _wrong(cases):
            return cases
        for reading in readings(model, cases):  # one by one: what is taken rules others out
            reading.take(model)
            trial = (
                _judged(model, cases, reading, seed)
                if _helps(model, cases, reading, seed)
                else None
            )
            if trial is not None and _better(cases, trial, reading):
                model.note(reading.words)
                for claim in _gained(cases, trial):
                    model.conditions[claim] = reading.words
                cases = trial
            else:
                reading.leave(model)
                if reading.sized:
                    _judged(model, cases, reading, seed)
    return cases


def _helps(model: Model, cases: Sequence[Case], reading: Reading, seed: int) -> bool:
    """Whether a reading mends any row at all, which is seen without a look at those that hold."""
    if reading.sized:
        return True
    failing = [Case(c.claim, c.family) for c in cases if c.holds is False]
    judge_all(model, failing, seed)
    return any(case.holds for case in failing)


def _fails(case: Case) -> bool:
    return case.holds is False or (case.problem is not None and case.problem[0] == "dimension")


def _wrong(cases: Sequence[Case]) -> int:
    return sum(map(_fails, cases))


def _judged(model: Model, cases: Sequence[Case], reading: Reading, seed: int) -> list[Case]:
    if reading.sized:
        model.reset()
        trial = cases_of(model, model.claims)
        infer_sizes(model, trial)
    else:
        trial = [Case(case.claim, case.family, case.problem) for case in cases]
    judge_all(model, trial, seed)
    return trial


def _better(cases: Sequence[Case], trial: Sequence[Case], reading: Reading) -> bool:
    before, after = _by_claim(cases), _by_claim(trial)
    if reading.trades:
        return _failing(after) < _failing(before)
    lost = any(held and not after.get(claim) for claim, held in before.items())
    return bool(_gained(cases, trial)) and not lost


def _gained(cases: Sequence[Case], trial: Sequence[Case]) -> list[int]:
    """Return the claims (by id) that fail in `cases` and hold in `trial`."""
    after = _by_claim(trial)
    return [claim for claim, held in _by_claim(cases).items() if held is False and after.get(claim)]


def _failing(held: dict[int, bool | None]) -> int:
    return sum(value is False for value in held.values())


def _by_claim(cases: Sequence[Case]) -> dict[int, bool | None]:
    """Return for each claim whether all of its members hold, or one fails; None where undecided."""
    out: dict[int, bool | None] = {}
    for case in cases:
        known = out.get(id(case.claim))
        if _fails(case):
            out[id(case.claim)] = False
        elif case.holds is None:
            out.setdefault(id(case.claim), None)
        else:
            out[id(case.claim)] = known is not False
    return out


def _layouts(model: Model, cases: Sequence[Case]) -> Iterator[Reading]:
    """The derivative of a number by a column may be a row, as it is beside Jacobian matrices."""
    gradients = [c for c in cases if _fails(c) and c.problem and derivatives_of(c.claim.left)]
    if model.numerator_layout or not gradients:
        return
    yield Reading(
        "the derivative of a number by a vector is read as that vector transposed (numerator layout)",
        lambda m: setattr(m, "numerator_layout", True),
        lambda m: setattr(m, "numerator_layout", False),
        sized=True,
    )


def _counts(model: Model, _cases: Sequence[Case]) -> Iterator[Reading]:
    """The d of `1/d` counts elements, though no row sums up to it."""
    sizes = {dim.root().name: dim.root() for dim in model.dims.all if dim.root() is not ONE}
    for name in sorted(loose_counts(model)):
        for spelled, dim in sizes.items():
            if (name, ()) not in model.count_dims:
                yield Reading(
                    f"{name} is read as the size {spelled}",
                    lambda m, key=(name, ()), to=dim: m.count_dims.update({key: to}),  # type: ignore[misc]
                    lambda m, key=(name, ()): m.count_dims.pop(key),  # type: ignore[misc]
                )


def loose_counts(model: Model) -> set[str]:
    """Return letters that usually count and that no size of the document is tied to."""
    return {
        name
        for name, member, _ in model.leaves
        if name in COUNTS
        and model.leaves[name, member, 0].is_number
        and (name, member) not in model.counts
        and (name, member) not in model.count_dims
    }


def _steps(model: Model, _cases: Sequence[Case]) -> Iterator[Reading]:
    """`dh_t/dW` may be the derivative of one step, with the state before it held fixed."""
    letters = model.table.family_letters & {"t"} - model.current
    if letters:
        yield Reading(
            "t is read as one step: what earlier steps pass on is held fixed",
            lambda m: m.current.update(letters),
            lambda m: m.current.difference_update(letters),
            sized=True,
        )


def _distributions(model: Model, _cases: Sequence[Case]) -> Iterator[Reading]:
    """The truth of a cross-entropy is a distribution, whether or not its author says so."""
    logged = {
        symbol.name
        for definition in model.definitions
        if any(call.function.name in ("log", "ln") for call in calls_of(definition.body))
        for symbol in ex.symbols(definition.body)
    }
    arrays = {key[0] for key, value in model.leaves.items() if not value.is_number}
    for name in sorted(logged & arrays - model.normalised):
        yield Reading(
            f"the elements of {name} are read as summing to one",
            lambda m, name=name: m.normalised.add(name),  # type: ignore[misc]
            lambda m, name=name: m.normalised.discard(name),  # type: ignore[misc]
        )


def _meanings(model: Model, _cases: Sequence[Case]) -> Iterator[Reading]:
    """An activation may be a function that the text names and the formulas do not."""
    names = {key[0].split(":")[0] for key in model.leaves if ":a" in key[0]}
    for name in sorted(names - model.scalar_functions):
        for meaning in MEANINGS:
            if name not in model.meanings:
                yield Reading(
                    f"{name} is read as the {meaning} function",
                    lambda m, n=name, what=meaning: m.meanings.update({n: what}),  # type: ignore[misc]
                    lambda m, n=name: m.meanings.pop(n),  # type: ignore[misc]
                )


def _own_gradients(model: Model, _cases: Sequence[Case]) -> Iterator[Reading]:
    """Beside `dW = 1/m dZ A^T`, `dZ` is the gradient of each example's own loss: m times the cost's."""
    if not model.table.shorthand:
        return
    for name, size in _loose_example_counts(model):
        key = (name, ())
        yield Reading(
            f"{name} is read as the size {size.root().name}, and dX of an array over them as the "
            f"gradient of each example's own loss, {name} times that of the cost",
            lambda m, key=key, size=size: _count_examples(m, key, size),  # type: ignore[misc]
            lambda m, key=key: _forget_examples(m, key),  # type: ignore[misc]
            trades=True,
        )
    for name, size in _example_counts(model):
        if model.examples is not None:
            return
        yield Reading(
            f"dX of an array over the {name} examples is read as the gradient of each example's own "
            f"loss, {name} times that of the cost",
            lambda m, size=size: setattr(m, "examples", size),  # type: ignore[misc]
            lambda m: setattr(m, "examples", None),
            trades=True,
        )


def _count_examples(model: Model, key: tuple[str, tuple[int, ...]], size: Dim) -> None:
    model.count_dims[key] = size
    model.examples = size


def _forget_examples(model: Model, key: tuple[str, tuple[int, ...]]) -> None:
    del model.count_dims[key]
    model.examples = None


def _loose_example_counts(model: Model) -> Iterator[tuple[str, Dim]]:
    """Return letters by which rows divide and to which no size is tied, with the sizes they may count."""
    names = loose_counts(model) & _divisors(model)
    sizes = {dim.root() for dim in model.dims.all} - {ONE}
    for name in sorted(names) if len(names) == 1 else ():
        for dim in sorted(sizes, key=lambda size: size.name):
            if (name, ()) not in model.count_dims:
                yield name, dim


def _divisors(model: Model) -> set[str]:
    """Return the names of symbols by which rows divide."""
    return {
        symbol.name
        for claim in model.claims
        for node in nodes_of(claim.right)
        if isinstance(node, ex.Divided)
        for symbol in ex.symbols(node.below)
    }


def _example_counts(model: Model) -> Iterator[tuple[str, Dim]]:
    """Return what may count the examples: sizes by which rows divide."""
    divisors = _divisors(model)
    for (name, member), dim in list(model.count_dims.items()):
        if name in divisors and not member and dim.root() is not ONE:
            yield name, dim
    for (name, member), dims in list(model.counts.items()):
        if name in divisors and not member and len({d.root() for d in dims}) == 1:
            yield name, dims[0]
