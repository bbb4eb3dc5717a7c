"""What an oracle is, and what it says: true values with a bound, or the reason for none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gradcheck.rules import Claim, Rule

if TYPE_CHECKING:
    from gradcheck.oracles.certificates import Certificate
    from gradcheck.programs.evaluation import Decision

__all__ = ["Entries", "Evidence", "Oracle", "Proof"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Entries:
    """What one oracle says of one gradient, entry by entry.

    Attributes:
        true: the true gradient, of the variable's shape.
        bound: the oracle's bound on its own error in `true` (absolute); infinite where it cannot say.
        claimed: the claim as this oracle saw it (an oracle that works in wider precision
            evaluates the claim there too); None for the user's own numbers.
        loss: what the claim may lose by its own rounding (absolute); None for that of its precision.
        spread: at a kink, half the distance of the slopes on both sides: any value within `spread`
            of `true` is a subgradient (absolute); 0 elsewhere.
        mixed: how far beyond `spread` a claim may lie that gives each of several kinks at the point its own
            side (absolute); 0 elsewhere.
        own_too: whether the user's own numbers are compared as well as `claimed`.
    """

    true: Array
    bound: Array
    claimed: Array | None = None
    loss: Array | None = None
    spread: Array = field(default_factory=lambda: np.zeros(()))
    mixed: Array = field(default_factory=lambda: np.zeros(()))
    own_too: bool = False


@dataclass(frozen=True)
class Proof:
    """Whether all claimed gradients are proven on the cell of a point.

    Attributes:
        cell: the same for all points of one branch pattern of one program, and for no others; None
            where the point lies in none or none is known.
        names: what decided the pattern, each as `kind at path:line: outcome`.
        certificate: the proof, or None.
        reason: why there is no certificate, else empty.
        differs: the path of a gradient that is another function there, else empty.
        on_boundary: whether the point is a tie, which lies in no cell.
    """

    cell: str | None = None
    names: tuple[str, ...] = ()
    certificate: Certificate | None = None
    reason: str = ""
    differs: str = ""
    on_boundary: bool = False


@dataclass(frozen=True)
class Evidence:
    """One oracle's answer at one point: entries by the variable's path, or the reason for none.

    Attributes:
        oracle: the oracle's name.
        entries: what it says, by variable.
        abstention: why it says nothing at all, else None.
        reason: why some entries have an infinite bound, else empty.
        evaluations: how often it ran the user's forward.
        proof: what is proven at the point, of an oracle that proves.
        decisions: the branches that the rule's code takes at the point, of an oracle that knows them.
        remark: what a reader of a failure should know of it, else empty.
    """

    oracle: str
    entries: dict[str, Entries] = field(default_factory=dict)
    abstention: str | None = None
    reason: str = ""
    evaluations: int = 0
    proof: Proof | None = None
    decisions: tuple[Decision, ...] = ()
    remark: str = ""


class Oracle(Protocol):
    """A source of the true derivative that bounds its own error, or abstains and says why."""

    @property
    def name(self) -> str:
        """What reports call the oracle."""
        ...

    def examine(self, rule: Rule, claim: Claim, rng: np.random.Generator) -> Evidence:
        """Return what the oracle says of every claimed gradient at the claim's point."""
        ...
