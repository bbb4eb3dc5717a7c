"""What a check is: a law that a rule must obey, examined at one point at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from gradcheck.checks.tally import Tally
from gradcheck.errors import BackwardError
from gradcheck.oracles.evidence import Evidence, Oracle
from gradcheck.oracles.programs import Programs
from gradcheck.rules import Point, Rule
from gradcheck.verdicts import Judgement, Profile, Verdict

__all__ = [
    "Bench",
    "Check",
    "Examination",
    "Finding",
    "Loss",
    "backward_raised",
    "points_for",
    "source_line",
    "strictly",
]


@dataclass(frozen=True)
class Bench:
    """What a check works with: the oracles, the profile, and random numbers of its own.

    Attributes:
        oracles: what judges.
        profile: how much is asked for.
        rng: where the oracles' randomness comes from.
        programs: what traced the rule for the oracles; None where nothing is traced.
    """

    oracles: Sequence[Oracle]
    profile: Profile
    rng: np.random.Generator
    programs: Programs | None = None


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, where, and the likely cause.

    Attributes:
        check: the check that found it.
        input: the path of the array concerned, such as `weights[2]`; empty for the output.
        index: the entry that is worst off, or None where the whole array is concerned.
        claimed: the claimed value of that entry, or the claimed shape.
        true: the true value of that entry, or the shape that it must have.
        diagnosis: the likely cause as a sentence, empty if none fits.
        line: the user's source line as `path:line`, empty if unknown.
        message: the whole finding as text of several lines.
    """

    check: str
    input: str
    index: tuple[int, ...] | None
    claimed: Any
    true: Any
    diagnosis: str
    line: str
    message: str


@dataclass(frozen=True)
class Loss:
    """Where a gradient that is right on paper loses most digits in the precision it runs in.

    Attributes:
        input: the path of the input.
        digits: decimal digits that the entry loses more than it need.
        dtype: the precision.
        size: |x| of the entry.

    >>> str(Loss("x", 2.4, "float32", 41.0))
    'the gradient of x is right on paper, and loses 3 digits more than needed in float32, at |x| ~ 40'
    """

    input: str
    digits: float
    dtype: str
    size: float

    @property
    def words(self) -> str:
        """How much is lost, and where."""
        digits = max(1, math.ceil(self.digits))
        size = float(f"{self.size:.0e}")
        return (
            f"loses {digits} {'digit' if digits == 1 else 'digits'} more than needed in {self.dtype}, "
            f"at |{self.input}| ~ {size:g}"
        )

    def __str__(self) -> str:
        return f"the gradient of {self.input} is right on paper, and {self.words}"


@dataclass(frozen=True)
class Examination:
    """What one check says of one point.

    Attributes:
        verdict: of this point alone.
        findings: what is wrong at this point.
        judgements: the decisions on each gradient, by the variable's path.
        evidence: what each oracle said.
        notes: what is worth saying though nothing is wrong.
        reasons: why something is undecided.
        inapplicable: why the check has nothing to examine here, a clause; empty if it has.
        losses: where gradients lose digits though nothing is wrong.
    """

    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    judgements: Mapping[str, Judgement] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    notes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    inapplicable: str = ""
    losses: tuple[Loss, ...] = ()


def backward_raised(check: str, error: BackwardError) -> Examination:
    """Fail a rule whose backward raises where its forward runs."""
    finding = Finding(check, "", None, None, None, "", "", str(error))
    return Examination(Verdict.FAIL, (finding,))


def strictly(check: str, rule: Rule, notes: Sequence[str]) -> list[Finding]:
    """Return the notes as findings where the rule is declared strict, else nothing."""
    if not rule.strict:
        return []
    return [Finding(check, "", None, None, None, "", "", f"{rule.name}: {note}") for note in notes]


class Check(Protocol):
    """A law that a rule must obey.

    Attributes:
        name: one word, as in `checks=["gradient"]`.
        share: the part of the profile's points that the check examines.
    """

    @property
    def name(self) -> str: ...

    @property
    def share(self) -> float: ...

    def examine(self, rule: Rule, point: Point, bench: Bench) -> Examination:
        """Examine the law at one point.

        Raises:
            RuleError: the forward raised, or the rule returned something that is no gradient.
        """
        ...

    def conclude(self, tally: Tally, profile: Profile) -> tuple[Verdict, str]:
        """Return the verdict on all points of a search in which none failed, with its reason."""
        ...


def points_for(check: Check, profile: Profile) -> int:
    """Return how many points of a run the check examines."""
    return math.ceil(check.share * profile.examples)


def source_line(function: Any) -> str:
    """Return where a function is defined, as `path:line`; empty where Python does not tell."""
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else ""
