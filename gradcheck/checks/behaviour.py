"""What every behaviour check is: a law about how the user's code behaves, not about its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from gradcheck.checks.check import Bench, Examination, Finding, strictly
from gradcheck.checks.running import Case
from gradcheck.checks.shapes import NOTHING_CLAIMED
from gradcheck.checks.tally import Tally
from gradcheck.errors import BackwardError
from gradcheck.rules import Point, Rule
from gradcheck.verdicts import Profile, Verdict

__all__ = ["DOES_NOT_APPLY", "BehaviourCheck", "does_not_apply", "undecided"]


DOES_NOT_APPLY = "does not apply: "
"""What the reason of a check that had nothing to examine begins with."""

BACKWARD_RAISES = "the backward raises here, which the check gradient reports"


class BehaviourCheck:
    """A law about how the user's code behaves.

    A subclass names itself, examines one case, and may say that it does not apply to a rule at all.
    """

    name: ClassVar[str]
    share = 0.25
    """Behaviour varies less from point to point than values do: a quarter of the points shows it."""

    def applies(self, rule: Rule) -> str:
        """Return why the check has nothing to examine in this rule, a clause; empty if it has."""
        return ""

    def examine_case(self, case: Case, bench: Bench) -> Examination:
        """Examine the law at one point at which the rule runs and claims a gradient."""
        raise NotImplementedError

    def when_backward_raises(self, rule: Rule, error: BackwardError) -> Examination:
        """Say nothing: the check `gradient` looks at the same point."""
        return undecided(BACKWARD_RAISES)

    def examine(self, rule: Rule, point: Point, bench: Bench) -> Examination:
        """Run the rule once at the point, and examine the law there."""
        why_not = self.applies(rule)
        if why_not:
            return does_not_apply(why_not)
        try:
            case = Case.at(rule, point)
        except BackwardError as error:
            return self.when_backward_raises(rule, error)
        return self.examine_case(case, bench) if case.gradients else undecided(NOTHING_CLAIMED)

    def conclude(self, tally: Tally, profile: Profile) -> tuple[Verdict, str]:
        """Pass if the law was examined somewhere or applies nowhere; else inconclusive, and why."""
        if not tally.points:
            return Verdict.INCONCLUSIVE, "no point was examined"
        if not tally.applies:
            return Verdict.PASS, DOES_NOT_APPLY + tally.inapplicable.most_common(1)[0][0]
        if tally.points > tally.inapplicable.total() + tally.reasons.total():
            return Verdict.PASS, ""
        return Verdict.INCONCLUSIVE, tally.reasons.most_common(1)[0][0]

    def outcome(
        self, rule: Rule, findings: Sequence[Finding], notes: Sequence[str] = ()
    ) -> Examination:
        """Fail by the findings; for a strict rule the notes are findings too."""
        found = [*findings, *strictly(self.name, rule, notes)]
        verdict = Verdict.FAIL if found else Verdict.PASS
        return Examination(verdict, tuple(found), notes=tuple(dict.fromkeys(notes)))


def does_not_apply(why: str) -> Examination:
    """Say that the check has nothing to examine at this point."""
    return Examination(Verdict.PASS, inapplicable=why)


def undecided(why: str) -> Examination:
    """Say that the check can say nothing at this point."""
    return Examination(Verdict.INCONCLUSIVE, reasons=(why,))
