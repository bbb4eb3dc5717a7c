"""On what grounds a claim is called true: certificates, or so many digits; and how thin a difference is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.cases import DISAGREEMENT, Case
from gradcheck.derivations.model import Model

if TYPE_CHECKING:
    from gradcheck.derivations.auditing import Judged

__all__ = ["Grounds", "grounds_of", "row_grounds", "thin_of"]

ELSEWHERE = "the sides are equal on one side of a kink only"


@dataclass(frozen=True)
class Grounds:
    """On what grounds a claim is called true.

    Attributes:
        probability: of all its certificates that one is false, at most; None where one is missing.
        functions: names of functions for any of which it then holds.
        digits: to how many it was compared, where it is not certified.
        points: at how many points.
        uncertified: why it is not.
        condition: how the document must be read for the claim to hold, where it does not say so.
    """

    probability: float | None
    functions: tuple[str, ...] = ()
    digits: int | None = None
    points: int = 0
    uncertified: str = ""
    condition: str = ""

    @property
    def spoken(self) -> str:
        """The grounds in one sentence."""
        if self.probability is None:
            compared = f"equal to {self.digits} digits at {self.points} points"
            return f"{compared}; not certified: {self.uncertified}"
        any_of = f" for any {', '.join(self.functions)}" if self.functions else ""
        return f"certified{any_of}, false with a probability below {self.probability:.0e}"


def grounds_of(model: Model, right: Sequence[Case]) -> Grounds:
    """Return the grounds on which cases hold."""
    proofs = [case.certificate for case in right]
    certificates = [proof for proof in proofs if proof is not None]
    if len(certificates) == len(right):
        used = {name for proof in certificates for name in proof.uninterpreted}
        unknown = {
            name
            for name, member, _ in model.leaves
            if name.endswith(":a") and ex.member_name(name[:-2], member) in used
        }
        risk = sum({id(proof): proof.probability for proof in certificates}.values())
        return Grounds(risk, tuple(sorted(name[:-2] for name in unknown)))
    open_cases = [case for case in right if case.certificate is None]
    digits = min(_digits(case) for case in open_cases)
    points = len(open_cases[0].differences)
    return Grounds(None, (), digits, points, open_cases[0].uncertified)


def row_grounds(judged: Judged, row: int) -> Grounds | None:
    """Return the grounds of all that a row claims; None where it claims nothing that holds."""
    claims = [claim for claim in judged.by_row[row] if claim.kind in ("claim", "redefinition")]
    cases = [case for claim in claims for case in judged.by_claim[id(claim)] if case.holds]
    if not cases:
        return None
    conditions = judged.model.conditions
    condition = next((conditions[id(c)] for c in claims if id(c) in conditions), "")
    return replace(grounds_of(judged.model, cases), condition=condition)


def _digits(case: Case) -> int:
    if case.digits is not None:
        return case.digits
    worst = max(case.differences)
    return 15 if worst < 1e-15 else int(-np.log10(worst))


def thin_of(wrong: Sequence[Case]) -> str:
    """Say how the sides of wrong cases differ that float64 calls equal at points of order one, or ""."""
    worst = max((difference for case in wrong for difference in case.differences), default=0.0)
    if wrong and all(case.elsewhere for case in wrong):
        return f"{ELSEWHERE}: they differ by {worst:.2g} of their size"
    if worst >= DISAGREEMENT:
        return ""
    return f"the two sides differ by {worst:.0e} of their size, and no rounding explains that"
