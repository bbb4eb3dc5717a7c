"""Cases: one claim for one choice of its family letters, and the program that evaluates it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.model import Claim, Model
from gradcheck.derivations.walks import family_letters

if TYPE_CHECKING:
    from gradcheck.oracles.certificates import Certificate, Side

__all__ = ["AGREEMENT", "DISAGREEMENT", "ROOTS", "Case", "Program", "cases_of"]

AGREEMENT = 1e-9
"""Largest difference, relative to the largest entry of either side, of two sides called equal.

Both sides are computed in float64 from well-scaled numbers by some hundred operations over sizes
below 30, which loses 1e-13 or so; equal sides were never seen to differ by more than 1e-12, and
different ones rarely agree better than to 1e-4. What lies between is left undecided.
"""

DISAGREEMENT = 1e-6
"""Smallest such difference of two sides called different."""

ROOTS = frozenset({"pow", "rsqrt", "sqrt"})
"""Primitives that take square roots."""


@dataclass(frozen=True, eq=False)
class Program:
    """Claims that were traced together.

    Attributes:
        jaxpr: of the values of all leaves; it returns the left and the right side of each case in turn.
        keys: the leaves, in order.
        points: the arrays of each point at which it was evaluated.
    """

    jaxpr: Any
    keys: Sequence[Any] = ()
    points: list[list[Any]] = field(default_factory=list)

    def moved_to(self, points: list[list[Any]]) -> Program:
        """Return the same program at other points."""
        return Program(self.jaxpr, self.keys, points)

    def sides(self, cases: Sequence[Case]) -> tuple[Side, Side]:
        """Return the programs of the left sides of some cases and of their right sides."""
        from gradcheck.oracles.certificates import Side

        order = np.argsort(np.argsort([case.place for case in cases])).tolist()
        arguments = range(len(self.jaxpr.in_avals))
        left, right = (Side(self._of(cases, {k}), arguments, order) for k in (0, 1))
        return left, right

    def with_roots(self) -> set[int]:
        """Return the places of the cases in which a square root is taken."""
        return self.reached_by(lambda equation: equation.primitive.name in ROOTS)

    def reached_by(self, what: Callable[[Any], bool]) -> set[int]:
        """Return the places of the cases that rest on an equation of some kind."""
        from gradcheck.programs.compat import is_literal, nested_jaxpr, open_jaxpr

        def found(equation: Any) -> bool:
            inner = nested_jaxpr(equation.params)
            nested = () if inner is None else open_jaxpr(inner)[0].eqns
            return what(equation) or any(map(found, nested))

        reached: set[Any] = set()
        for equation in self.jaxpr.jaxpr.eqns:
            read = [atom for atom in equation.invars if not is_literal(atom)]
            if found(equation) or not reached.isdisjoint(read):
                reached.update(equation.outvars)
        outputs = self.jaxpr.jaxpr.outvars
        return {k // 2 for k, out in enumerate(outputs) if not is_literal(out) and out in reached}

    def of(self, cases: Sequence[Case]) -> Any:
        """Return the program of both sides of some cases, without what only others need."""
        return self._of(cases, {0, 1})

    def _of(self, cases: Sequence[Case], sides: Set[int]) -> Any:
        from gradcheck.programs.compat import with_outputs

        places = {case.place for case in cases}
        count = len(self.jaxpr.out_avals)
        return with_outputs(self.jaxpr, [k // 2 in places and k % 2 in sides for k in range(count)])


@dataclass
class Case:
    """One claim for one choice of its family letters.

    Attributes:
        claim: the claim.
        family: what the family letters are.
        problem: why it cannot be evaluated: ("dimension" | "scope" | "range" | "unread", sentence).
        differences: the largest relative difference at each point.
        left, right: the two sides' numbers at each point.
        letters: the component indices of those arrays, in order.
        program: what the numbers were computed by; `place` is the case's number there.
        certificate: the proof that the two sides are one function, where there is one.
        uncertified: why there is none.
        measured: what extended precision found: "equal", "different", "unclear", or "" for nothing.
        digits: to how many digits the sides are equal there.
        elsewhere: whether the sides differ only at points that are not of order one.
        doubt: why equal numbers are not enough to call the sides equal.
        informal: whether one side is a derivative of an array by an array, and the other is no such.
    """

    claim: Claim
    family: dict[str, int]
    problem: tuple[str, str] | None = None
    differences: list[float] = field(default_factory=list)
    left: list[Any] = field(default_factory=list)
    right: list[Any] = field(default_factory=list)
    letters: tuple[str, ...] = ()
    program: Program | None = None
    place: int = 0
    certificate: Certificate | None = None
    uncertified: str = ""
    measured: str = ""
    digits: int | None = None
    elsewhere: bool = False
    doubt: str = ""
    informal: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether the two sides are equal; None where that is not decided.

        A certificate decides, then extended precision, then float64.
        """
        if self.problem is not None or not self.differences or self.doubt:
            return None
        if self.certificate is not None:
            return True
        if self.measured:
            return {"equal": True, "different": False}.get(self.measured)
        if all(d <= AGREEMENT for d in self.differences):
            return True
        if all(d >= DISAGREEMENT for d in self.differences):
            return False
        return None


def cases_of(model: Model, claims: Iterable[Claim]) -> list[Case]:
    """Return one case for each claim and each choice of its family letters."""
    out = []
    for claim in claims:
        bound = model.table.last_letters
        letters = sorted((family_letters(claim.left) | family_letters(claim.right)) - bound)
        own = family_letters(claim.left)
        if claim.kind == "claim":
            own |= (
                set(letters)
                if own & set(letters) or not isinstance(claim.left, ex.Symbol)
                else set()
            )
        letters = [letter for letter in letters if letter in own]
        steps = [
            (model.depth,) if letter in model.current else range(model.depth + 1)
            for letter in letters
        ]
        for chosen in itertools.product(*steps):
            family = dict(zip(letters, chosen, strict=True))
            if claim.definition is not None and not _in_force(model, claim, family):
                continue
            out.append(Case(claim, family))
    return out


def _in_force(model: Model, claim: Claim, family: dict[str, int]) -> bool:
    """A definition is looked at only for members that it can define."""
    definition = claim.definition
    assert definition is not None
    member = tuple(
        index.offset + (family.get(index.letter, model.depth)) if index.letter else index.offset
        for index in definition.pattern
    )
    counted = [m for m, i in zip(member, definition.pattern, strict=True) if i.letter]
    return all(0 <= m <= model.depth for m in counted) and model._applies(definition, member)
