"""What the points of one search showed together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gradcheck import trees
from gradcheck.oracles.evidence import Proof
from gradcheck.programs.branches import Branches
from gradcheck.rules import Point
from gradcheck.verdicts import Decision, Judgement

if TYPE_CHECKING:
    from gradcheck.checks.check import Examination, Loss

__all__ = ["Tally", "Visible"]


@dataclass(frozen=True)
class Visible:
    """The smallest error of an entry that would have been seen.

    Attributes:
        error: relative to the entry, or to a millionth of its natural scale: none above it could have passed.
        index: the entry.
        shape: the shape of the gradient there.
    """

    error: float
    index: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass
class Tally:
    """What the points of one search showed together.

    Attributes:
        points: points examined.
        discarded: why drawn points were not examined (the forward raised or was not finite), with how
            often.
        architectures: the shapes of the inputs seen, one entry per different combination.
        entries: entries decided, by `Decision`.
        decided: for each input, the points at which every entry of its gradient was decided right.
        seen: for each input, the points at which it had a gradient to compare.
        agreement: the largest relative deviation of an entry that was decided right (of its scale).
        visible: for each gradient compared, the entry that was decided right with the least power.
        losses: for each gradient that loses digits, where it loses most.
        reasons: why entries or points stayed undecided, with how often.
        inapplicable: why the check had nothing to examine at points, with how often.
        notes: remarks of the check.
        oracles: the points at which each oracle gave numbers.
        cells: what is proven on each cell that a point lay in.
        without_cell: why points have no cell that is known, with how often.
        boundaries: points on the boundary of cells, of which nothing is proven.
        branches: the branches of the rule's code that points entered.
    """

    points: int = 0
    discarded: Counter[str] = field(default_factory=Counter)
    architectures: set[object] = field(default_factory=set)
    entries: Counter[Decision] = field(default_factory=Counter)
    decided: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    agreement: float = 0.0
    visible: dict[str, Visible] = field(default_factory=dict)
    losses: dict[str, Loss] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    inapplicable: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    oracles: Counter[str] = field(default_factory=Counter)
    cells: dict[str, Proof] = field(default_factory=dict)
    without_cell: Counter[str] = field(default_factory=Counter)
    boundaries: int = 0
    branches: Branches = field(default_factory=Branches)

    @property
    def remarks(self) -> list[str]:
        """The notes, and where gradients lose digits."""
        return [*self.notes, *map(str, self.losses.values())]

    @property
    def applies(self) -> bool:
        """Whether the check had something to examine at any point."""
        return not self.points or self.points > self.inapplicable.total()

    @property
    def certified_cells(self) -> list[Proof]:
        """The cells on which all gradients compared are proven."""
        return [proof for proof in self.cells.values() if proof.certificate]

    @property
    def certified(self) -> bool:
        """Whether every point lay in a cell on which all is proven, or between two cells."""
        return bool(self.cells) and not self.uncertified

    @property
    def uncertified(self) -> Counter[str]:
        """Why there is no certificate, with the number of points or cells."""
        reasons = Counter(proof.reason for proof in self.cells.values() if not proof.certificate)
        return reasons + self.without_cell

    @property
    def falsehood(self) -> float:
        """The probability that any of the certificates is false, at most: the sum of theirs."""
        return sum(
            proof.certificate.probability for proof in self.cells.values() if proof.certificate
        )

    def add(self, point: Point, examination: Examination) -> None:
        """Count one examined point."""
        self.points += 1
        self.architectures.add(_architecture(point))
        self.reasons.update(examination.reasons)
        self.notes.update(examination.notes)
        for loss in examination.losses:
            if loss.input not in self.losses or loss.digits > self.losses[loss.input].digits:
                self.losses[loss.input] = loss
        if examination.inapplicable:
            self.inapplicable[examination.inapplicable] += 1
        self.oracles.update(item.oracle for item in examination.evidence if item.entries)
        for item in examination.evidence:
            if item.proof is not None:
                self._add_proof(item.proof)
            self.branches.visit(point, _size(point), item.decisions)
        complete: dict[str, bool] = {}
        for path, judgement in examination.judgements.items():
            if not judgement.decisions.size:
                continue  # an array without entries has nothing to compare
            whole = self._add_judgement(path, judgement)
            name = _input_name(path)
            complete[name] = whole and complete.get(name, True)
        self.seen.update(complete)
        self.decided.update(name for name, whole in complete.items() if whole)

    def _add_proof(self, proof: Proof) -> None:
        if proof.on_boundary:
            self.boundaries += 1
        elif proof.cell is None:
            self.without_cell[proof.reason] += 1
        else:
            self.cells[proof.cell] = proof

    def _add_judgement(self, path: str, judgement: Judgement) -> bool:
        for decision in Decision:
            self.entries[decision] += judgement.count(decision)
        right = judgement.decisions == Decision.RIGHT
        if np.any(right):
            with np.errstate(all="ignore"):
                deviation = np.abs(judgement.claimed - judgement.true)
                relative = np.where(deviation == 0, 0, deviation / judgement.scale)[right]
                # The true value may be off by the tolerance, and the claim by as much to the other side.
                shown = 2 * judgement.tolerance
                visible = np.where(shown == 0, 0, shown / judgement.scale)
            self.agreement = max(self.agreement, float(np.max(relative)))
            worst = np.unravel_index(int(np.argmax(np.where(right, visible, -1))), right.shape)
            index = tuple(int(axis) for axis in worst)
            seen = Visible(float(visible[index]), index, right.shape)
            if path not in self.visible or seen.error > self.visible[path].error:
                self.visible[path] = seen
        return bool(np.all(right))


def _size(point: Point) -> int:
    leaves = trees.leaves((point.inputs, point.cotangent))
    return sum(int(np.size(value)) for _, value in leaves if trees.is_variable(value))


def _architecture(point: Point) -> object:
    return tuple(
        (path, np.shape(value) if trees.is_variable(value) else repr(value)[:80])
        for path, value in trees.leaves(point.inputs)
    )


def _input_name(path: str) -> str:
    return path.split("[")[0].split(".")[0]
