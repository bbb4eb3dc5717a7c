"""The exact oracle: claimed and true pullback proven to be the same function, cell by cell.

It has no numbers of its own, and a mismatch decides nothing: two ways to write one function, such as
tanh(x) = 2 sigmoid(2x) - 1 deep in a network, may differ in all that the finite field knows.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from gradcheck import trees
from gradcheck.errors import Abstention
from gradcheck.oracles.evidence import Evidence, Proof
from gradcheck.oracles.exact import (
    MOST_ENTRIES,
    Certificate,
    Mismatch,
    Side,
    name_of,
    prove_sides_equal,
)
from gradcheck.oracles.programs import Programs, Traced
from gradcheck.programs.evaluation import Decision, evaluate, same_cell
from gradcheck.rules import Claim, Rule

__all__ = ["Exact"]

Array = NDArray[Any]

MOST_ATTEMPTS = 3
"""Points of one cell at which a proof is tried: what abstained or differed three times will again."""

TAME = 1.0
"""The largest input of a point at which a proof is tried a second time: nothing of it overflows, or
underflows to a 0 that stands for no function."""


class Exact:
    """Claimed and true pullback as rational functions at random residues."""

    name = "exact"

    def __init__(self, programs: Programs) -> None:
        self.programs = programs
        self._numbers = count()
        self._cells: WeakKeyDictionary[Traced, _Cells] = WeakKeyDictionary()

    def examine(self, rule: Rule, claim: Claim, rng: np.random.Generator) -> Evidence:
        """Return whether the gradients are proven on the cell of the claim's point.

        A cell that was certified at another point is not proven again.
        """
        try:
            traced = self.programs.at(rule, claim, rng)
            if traced.claimed is None:
                raise Abstention(f"the backward could not be traced: {traced.reason}")
            _, arrays = traced.arguments(claim)
            largest = max((array.size for array in arrays), default=0)
            if largest > MOST_ENTRIES:
                raise Abstention(f"an array has {largest} entries, more than {MOST_ENTRIES}")
            if traced not in self._cells:
                self._cells[traced] = _Cells(next(self._numbers))
            # The only cotangent of a scalar is the number 1, which is no variable.
            constants = len(trees.leaves(claim.point.cotangent)) if rule.scalar else 0
            problem = _Problem(*traced.sides(claim), arrays, constants)
            proof = self._cells[traced].prove(problem, rng)
        except Abstention as abstention:
            proof = Proof(reason=str(abstention))
        if proof.differs:
            path = traced.compared(claim)[int(proof.differs)]
            reason = f"the gradient of {path} is {NO_IDENTITY}"
            proof = replace(proof, differs=path, reason=reason)
        return Evidence(self.name, proof=proof)


NO_IDENTITY = "no identity of rational functions with the true one"


@dataclass(frozen=True)
class _Problem:
    """Two sides, and the arrays of a point; the last `constants` of these are no variables."""

    true: Side
    claimed: Side
    arrays: list[Array]
    constants: int

    def decisions(self) -> list[Decision]:
        """Return the decisions of both sides at the point, in float64."""
        found: list[Decision] = []
        for side in (self.true, self.claimed):
            evaluate(side.program, [self.arrays[k] for k in side.arguments], decisions=found)
        return found

    def prove(self, rng: np.random.Generator) -> Certificate | Mismatch:
        variables = len(self.arrays) - self.constants
        fixed = [array.astype(np.int64) for array in self.arrays[variables:]]
        return prove_sides_equal(self.true, self.claimed, [*self.arrays[:variables], *fixed], rng)

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

    def prove(self, problem: _Problem, rng: np.random.Generator) -> Proof:
        """Return what is proven on the cell of the problem's point."""
        decisions = problem.decisions()
        if any(bool(np.any(decision.undecided)) for decision in decisions):
            return Proof(reason=ON_BOUNDARY, on_boundary=True)
        cell = f"{self.number}.{_digest(decisions)}"
        known = self.proofs.get(cell)
        if known is not None and (known.certificate or self.attempts[cell] >= MOST_ATTEMPTS):
            return known
        self.attempts[cell] += 1
        self.proofs[cell] = proof = self._attempt(cell, problem, decisions, rng)
        return proof

    def _attempt(
        self, cell: str, problem: _Problem, decisions: list[Decision], rng: np.random.Generator
    ) -> Proof:
        names = tuple(dict.fromkeys(map(name_of, decisions)))
        proof = Proof(cell, names)
        tamed = problem.tamed()
        problems = [problem]
        if same_cell(decisions, tamed.decisions()):
            problems.append(tamed)
        for at in problems:
            try:
                found = at.prove(rng)
            except Abstention as abstention:
                proof = replace(proof, reason=str(abstention), differs="")
                continue
            if isinstance(found, Certificate):
                return Proof(cell, names, found)
            proof = replace(proof, differs=str(found.output))
        return proof


ON_BOUNDARY = "the point is a kink or tie, between cells"


def _digest(decisions: Sequence[Decision]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for decision in decisions:
        outcome = np.ascontiguousarray(decision.outcome)
        digest.update(f"{decision.kind}{outcome.dtype}{outcome.shape}".encode())
        digest.update(outcome.tobytes())
    return digest.hexdigest()
