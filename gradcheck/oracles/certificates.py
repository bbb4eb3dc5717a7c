"""What the exact oracle is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gradcheck.programs.evaluation import Decision

__all__ = ["PROBABILITY", "Certificate", "Mismatch", "Side", "name_of"]

PROBABILITY = 1e-18
"""Largest probability that a certificate is false: those of a thousand cells, a thorough run's, are
then all true but for 1e-15."""

SHOWN_OUTCOMES = 16
"""Entries of an outcome that a cell's name shows before it elides."""


class Side(NamedTuple):
    """A program, how it is called at a point, and what of it is compared.

    Attributes:
        program: a ClosedJaxpr.
        arguments: for each of its inputs the number of an array of the point; one may come twice.
        outputs: the numbers of the outputs that are compared; the others only decide the branches.
    """

    program: Any
    arguments: Sequence[int]
    outputs: Sequence[int]


@dataclass(frozen=True)
class Certificate:
    """Two programs are the same function on a cell.

    Attributes:
        probability: that this is false; it counts the degrees modulo both primes. Where an exponent
            is a polynomial of inputs that are not independent it rests on the conjecture of the
            ITCS 2026 paper, that roots of unity to such powers behave as independent ones do.
        draws: of random residues, all of which agreed.
        degree: largest degree of a difference of outputs.
        cell: the decisions of both programs, in order; they name the branch pattern.
        constants: float constants of the programs, and the rationals that they were read as.
        uninterpreted: the functions of which nothing was used but their derivatives and how they
            are mirrored: the programs are equal for any others with these relations too.
    """

    probability: float
    draws: int
    degree: int
    cell: tuple[Decision, ...]
    constants: dict[float, str]
    uninterpreted: tuple[str, ...] = ()

    @property
    def cell_names(self) -> tuple[str, ...]:
        """What decided the branch pattern: each decision's kind, source line and outcome."""
        return tuple(name_of(decision) for decision in self.cell)


@dataclass(frozen=True)
class Mismatch:
    """Two programs differ as rational functions of what the finite field knows.

    Attributes:
        output: the number of the first output that differs.
        entries: a mask of its entries that differ.
        cell: the decisions of both programs.
        constants: as of `Certificate`.
    """

    output: int
    entries: np.ndarray[Any, Any]
    cell: tuple[Decision, ...]
    constants: dict[float, str]


def name_of(decision: Decision) -> str:
    """Name a decision: its kind, source line and outcome."""
    where = f" at {decision.where}" if decision.where else ""
    outcome = np.asarray(decision.outcome)
    shown = outcome.astype(int) if outcome.dtype == bool else outcome
    entries = shown.tolist()
    if shown.size > SHOWN_OUTCOMES:
        flat, ends = shown.reshape(-1), SHOWN_OUTCOMES // 2
        entries = [*flat[:ends].tolist(), "...", *flat[-ends:].tolist()]
    listed = str(entries).replace(",", "").replace("'", "")
    return f"{decision.kind}{where}: {listed}"
