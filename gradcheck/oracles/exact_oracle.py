"""The exact oracle: claimed and true pullback proven to be the same function, cell by cell.

It has no numbers of its own, and a mismatch decides nothing: two ways to write one function, such as
tanh(x) = 2 sigmoid(2x) - 1 deep in a network, may differ in all that the finite field knows.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from gradcheck import trees
from gradcheck.errors import Abstention
from gradcheck.oracles.certificates import Certificate, Mismatch, Side, name_of
from gradcheck.oracles.evidence import Evidence, Proof
from gradcheck.oracles.exact import MOST_ENTRIES, prove_sides_equal
from gradcheck.oracles.exact_draws import ON_BOUNDARY
from gradcheck.oracles.parting import parting
from gradcheck.oracles.precision import coarsest_epsilon
from gradcheck.oracles.programs import Programs, Traced
from gradcheck.programs.arithmetics.cells import CELLS
from gradcheck.programs.arithmetics.running_error import RUNNING_ERROR
from gradcheck.programs.branches import written_decisions
from gradcheck.programs.evaluation import Decision, evaluate, same_cell
from gradcheck.resolution import EPSILON
from gradcheck.rules import Claim, Rule

__all__ = ["Exact"]

Array = NDArray[Any]

MOST_ATTEMPTS = 3
"""Points of one cell at which a proof is tried: what abstained three times will again."""

TAME = 1.0
"""The largest input of a point at which a proof is tried a second time: nothing of it overflows."""


class Exact:
    """Claimed and true pullback as rational functions at random residues."""

    name = "exact"

    def __init__(self, programs: Programs) -> None:
        self.programs = programs
        self._numbers = count()
        self._cells: WeakKeyDictionary[Traced, dict[tuple[str, ...], _Cells]] = WeakKeyDictionary()

    def examine(self, rule: Rule, claim: Claim, rng: np.random.Generator) -> Evidence:
        """Return whether all the gradients are proven on the cell of the claim's point.

        A cell that was certified at another point is not proven again. Where all gradients are empty
        there is nothing to prove.
        """
        compared = [variable for variable in claim.variables if variable.comparable]
        if not any(variable.value.size for variable in compared):
            return Evidence(self.name)
        branches: list[Decision] = []
        try:
            proof = self._prove(rule, claim, rng, branches)
        except Abstention as abstention:
            proof = Proof(reason=str(abstention))
        return Evidence(self.name, proof=proof, decisions=tuple(branches))

    def _prove(
        self, rule: Rule, claim: Claim, rng: np.random.Generator, branches: list[Decision]
    ) -> Proof:
        traced = self.programs.at(rule, claim, rng)
        if traced.claimed is None:
            branches += _decisions_of_forward(traced, claim)
            raise Abstention(f"the backward could not be traced: {traced.reason}")
        paths = traced.compared(claim)
        missing = {v.path for v in claim.variables if v.comparable} - {*paths}
        if missing:
            raise Abstention(f"the run that was traced claimed no gradient of {min(missing)}")
        _, arrays = traced.arguments(claim)
        largest = max((array.size for array in arrays), default=0)
        if largest > MOST_ENTRIES:
            raise Abstention(f"an array has {largest} entries, more than {MOST_ENTRIES}")
        # The only cotangent of a scalar is the number 1, which is no variable.
        constants = len(trees.leaves(claim.point.cotangent)) if rule.scalar else 0
        if any(np.any(array != 1) for array in arrays[len(arrays) - constants :]):
            raise Abstention("the cotangent of a scalar is not 1")
        problem = _Problem(*traced.sides(claim), arrays, constants)
        of_true, of_claimed, claimed = problem.in_float64()
        decisions = [*of_true, *of_claimed]
        branches += written_decisions(of_true, of_claimed)
        if not traced.random:
            _require_same_run(claim, problem, dict(zip(paths, claimed, strict=True)))
        # What is proven of some gradients says nothing of one that another point claims as well.
        known = self._cells.setdefault(traced, {})
        cells = known.setdefault(tuple(paths), _Cells(next(self._numbers)))
        proof = cells.prove(problem, decisions, rng)
        if proof.differs:
            path = paths[int(proof.differs)]
            reason = f"the claimed gradient of {path} {UNEQUAL}"
            if proof.reason:
                reason += f": {proof.reason}"
            return replace(proof, differs=path, reason=reason)
        return proof


def _decisions_of_forward(traced: Traced, claim: Claim) -> list[Decision]:
    decisions: list[Decision] = []
    evaluate(traced.true, traced.arguments(claim)[0], CELLS, decisions=decisions)
    return written_decisions(decisions, [])


UNEQUAL = "is not the true one by algebra alone"
"""What is said of a mismatch where numbers agree; a phrase about the place follows, if it is found."""


REPEATED_ROUNDINGS = 64
"""Roundings of an entry that a run and its repetition may be apart without a look at how many there are."""


def _require_same_run(claim: Claim, problem: _Problem, traced: dict[str, Array]) -> None:
    """Require the claim of its traced program: code with state has no program.

    In float64 they may be apart by the rounding errors of both; in less by half the digits, for numbers
    that underflow there are none in float64.
    """
    claims = {v.path: np.asarray(v.claimed) for v in claim.variables if v.path in traced}
    bounds: dict[str, Array] = {}
    if coarsest_epsilon(*problem.arrays, claim.output, *claims.values()) <= EPSILON and not all(
        np.all(_near(claims[path], again)) for path, again in traced.items()
    ):
        bounds = dict(zip(traced, problem.rounding_errors(), strict=False))
    for path, again in traced.items():
        claimed = claims[path]
        with np.errstate(all="ignore"):
            distance = np.abs(claimed - again)
            room = np.sqrt(coarsest_epsilon(claimed)) * np.max(np.abs(claimed), initial=0)
            same = distance <= room
            if path in bounds:
                same |= np.abs(claimed) <= bounds[path]  # no digit of it is sure, as of x - x
                same &= _near(claimed, again) | ~(distance > 2 * bounds[path])
        if np.any(np.isfinite(claimed) & ~same):
            raise Abstention(
                f"the run that was traced has another gradient of {path} than this one: "
                "the code depends on more than its inputs"
            )


def _near(claimed: Array, again: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(np.abs(claimed - again) <= REPEATED_ROUNDINGS * EPSILON * np.abs(claimed))


@dataclass(frozen=True)
class _Problem:
    """Two sides, and the arrays of a point; the last `constants` of these are no variables."""

    true: Side
    claimed: Side
    arrays: list[Array]
    constants: int

    def in_float64(self) -> tuple[list[Decision], list[Decision], list[Array]]:
        """Return each side's decisions at the point, and the claimed gradients there."""
        decisions: tuple[list[Decision], list[Decision]] = ([], [])
        for side, own in zip((self.true, self.claimed), decisions, strict=True):
            inputs = [self.arrays[number] for number in side.arguments]
            found = evaluate(side.program, inputs, CELLS, decisions=own)
        return *decisions, [found[number] for number in self.claimed.outputs]

    def rounding_errors(self) -> list[Array]:
        """Return bounds on the errors of the claimed gradients in float64; none if there are none."""
        inputs = [self.arrays[number] for number in self.claimed.arguments]
        try:
            found = evaluate(self.claimed.program, inputs, RUNNING_ERROR)
        except Abstention:
            return []
        return [np.asarray(found[number].error) for number in self.claimed.outputs]

    def prove(self, rng: np.random.Generator) -> Certificate | Mismatch:
        return prove_sides_equal(self.true, self.claimed, self._inputs(), rng)

    def parting(self, rng: np.random.Generator) -> str:
        """Return the phrase that says where the sides part, empty if that is not found."""
        with suppress(Abstention):
            return parting(self.true, self.claimed, self._inputs(), rng) or ""
        return ""

    def _inputs(self) -> list[Array]:
        variables = len(self.arrays) - self.constants
        # Integers stay what they are.
        fixed = [array.astype(np.int64) for array in self.arrays[variables:]]
        return [*self.arrays[:variables], *fixed]

    def tamed(self) -> _Problem:
        """Return the problem at a point where every array has been scaled down to `TAME`."""
        largest = [float(np.max(np.abs(array), initial=0)) for array in self.arrays]
        scaled = [
            array * (TAME / size) if size > TAME else array
            for array, size in zip(self.arrays, largest, strict=True)
        ]
        return replace(self, arrays=scaled)


class _Cells:
    """What is proven, and what was tried, on the cells of one pair of programs."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.proofs: dict[str, Proof] = {}
        self.attempts: Counter[str] = Counter()

    def prove(
        self, problem: _Problem, decisions: list[Decision], rng: np.random.Generator
    ) -> Proof:
        """Return what is proven on the cell of the problem's point, which has these decisions."""
        if any(bool(np.any(decision.undecided)) for decision in decisions):
            return Proof(reason=ON_BOUNDARY, on_boundary=True)
        cell = f"{self.number}.{_digest(decisions)}"
        known = self.proofs.get(cell)
        if known is not None and (
            known.certificate or known.differs or self.attempts[cell] >= MOST_ATTEMPTS
        ):
            return known
        self.attempts[cell] += 1
        names = tuple(dict.fromkeys(map(name_of, decisions)))
        self.proofs[cell] = proof = _attempt(Proof(cell, names), problem, decisions, rng)
        return proof


def _attempt(
    proof: Proof, problem: _Problem, decisions: list[Decision], rng: np.random.Generator
) -> Proof:
    """Return the proof with a certificate, with what differs, or with the reason for neither.

    What cannot be proven at the point itself may be at a tamer one of its cell.
    """
    try:
        return _settled(proof, problem, decisions, rng)
    except Abstention as abstention:
        reason = str(abstention)
    tamed = problem.tamed()
    of_true, of_claimed, _ = tamed.in_float64()
    if same_cell(decisions, [*of_true, *of_claimed]):
        with suppress(Abstention):
            return _settled(proof, tamed, decisions, rng)
    return replace(proof, reason=reason)


def _settled(
    proof: Proof, problem: _Problem, decisions: list[Decision], rng: np.random.Generator
) -> Proof:
    found = problem.prove(rng)
    if not same_cell(found.cell, decisions):
        raise Abstention("a branch is decided by less than rounding")
    if isinstance(found, Certificate):
        return replace(proof, certificate=found)
    return replace(proof, differs=str(found.output), reason=problem.parting(rng))


def _digest(decisions: Sequence[Decision]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for decision in decisions:
        outcome = np.ascontiguousarray(decision.outcome)
        digest.update(f"{decision.kind}{outcome.dtype}{outcome.shape}".encode())
        digest.update(outcome.tobytes())
    return digest.hexdigest()
