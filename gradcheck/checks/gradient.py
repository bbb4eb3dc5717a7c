"""The check `gradient`: every claimed entry is the true derivative, by every oracle that can say.

Law: the pullback of the rule at x maps the cotangent u to the gradient of <u, forward(x)>.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.checks.check import (
    Bench,
    Examination,
    Finding,
    Loss,
    backward_raised,
    source_line,
)
from gradcheck.checks.shapes import NOTHING_CLAIMED, shape_finding, sizes_of
from gradcheck.checks.tally import Tally
from gradcheck.complex_parts import CONVENTIONS, holds_complex, in_parts, split
from gradcheck.diagnosis import explain
from gradcheck.errors import BackwardError
from gradcheck.oracles.evidence import Evidence
from gradcheck.oracles.finite_differences import FiniteDifferences
from gradcheck.oracles.precision import coarsest_epsilon, largest_tiny
from gradcheck.rules import Claim, Point, Rule, Variable, claim_at
from gradcheck.verdicts import Decision, Judgement, OutputSize, Profile, Verdict, decide, worst

__all__ = ["GradientCheck"]


class GradientCheck:
    """Every claimed entry is the true derivative, by every oracle that can say."""

    name = "gradient"
    share = 1.0

    def examine(self, rule: Rule, point: Point, bench: Bench) -> Examination:
        """Compare the claimed gradient with all oracles at one point, entry by entry."""
        return self.compared(rule, point, bench)

    def compared(
        self, rule: Rule, point: Point, bench: Bench, least_size: float = 0.0
    ) -> Examination:
        """Compare as `examine` does.

        Args:
            rule, point, bench: as for `examine`.
            least_size: what |cotangent * output| counts for at least, where more than the output shows
                was rounded on its way.
        """
        whole = rule
        try:
            claim = claim_at(rule, point)
            if holds_complex((claim.point.inputs, claim.output)):
                if rule.parts is None:
                    return Examination(Verdict.INCONCLUSIVE, reasons=(NO_CONVENTION,))
                rule = replace(rule.parts, name=rule.name)
                claim = claim_at(rule, _in_parts(claim.point))
        except BackwardError as error:
            return self.when_backward_raises(error)
        compared = [variable for variable in claim.variables if variable.comparable]
        misshapen = [
            shape_finding(rule, self.name, claim, variable)
            for variable in claim.variables
            if variable.claimed is not None and not variable.comparable
        ]
        if not compared and not misshapen:
            reason = NOTHING_CLAIMED if claim.variables else _no_real_numbers(rule, claim.point)
            return Examination(Verdict.INCONCLUSIVE, reasons=(reason,))
        evidence = [oracle.examine(rule, claim, bench.rng) for oracle in bench.oracles]
        judgements = judge_all(claim, compared, evidence, bench.profile.power, least_size)
        wrong = [v for v in compared if judgements[v.path].count(Decision.WRONG)]
        if wrong:
            again = [oracle.examine(rule, claim, bench.rng) for oracle in bench.oracles]
            confirmed = judge_all(claim, wrong, again, bench.profile.power, least_size)
            wrong = [v for v in wrong if confirmed[v.path].count(Decision.WRONG)]
        hint = other_convention(whole, claim.point, bench) if wrong else ""
        findings = misshapen + [
            self._finding(rule, claim, variable, judgements[variable.path], evidence, hint)
            for variable in wrong
        ]
        filled = [item for item in judgements.values() if item.decisions.size]
        verdict = Verdict.FAIL if findings else worst(map(_verdict, filled))
        reasons = tuple(
            dict.fromkeys(reason for item in judgements.values() for reason in item.reasons)
        )
        if not filled:
            reasons = (*reasons, NO_ENTRIES)
        notes = tuple(
            note for variable in compared for note in _remarks(variable, judgements[variable.path])
        ) + tuple(
            f"no gradient is claimed for {variable.path}: nothing was compared there"
            for variable in claim.variables
            if variable.claimed is None
        )
        found = [_loss(variable, judgements[variable.path]) for variable in compared]
        losses = tuple(loss for loss in found if loss is not None)
        return Examination(
            verdict,
            tuple(findings),
            judgements,
            tuple(evidence),
            notes,
            reasons,
            losses=losses,
        )

    def when_backward_raises(self, error: BackwardError) -> Examination:
        """Fail: the forward runs at the point."""
        return backward_raised(self.name, error)

    def conclude(self, tally: Tally, profile: Profile) -> tuple[Verdict, str]:
        """Pass if each claimed gradient was decided right, whole, at enough points."""
        if not tally.seen:
            return Verdict.INCONCLUSIVE, _most_common(tally) or "no point was examined"
        needed = min(math.ceil(self.share * profile.needed), profile.examples)
        short = [name for name in tally.seen if tally.decided[name] < needed]
        if not short:
            return Verdict.PASS, ""
        why = "; ".join(reason for reason, _ in tally.reasons.most_common(REASONS_TOLD))
        counts = ", ".join(f"{name} at {tally.decided[name]}" for name in short)
        return (
            Verdict.INCONCLUSIVE,
            f"of {tally.points} points, decided were {counts} ({needed} needed): {why}",
        )

    def _finding(
        self,
        rule: Rule,
        claim: Claim,
        variable: Variable,
        judgement: Judgement,
        evidence: list[Evidence],
        hint: str,
    ) -> Finding:
        index = _worst_entry(judgement)
        claimed, true = judgement.claimed[index], judgement.true[index]
        sizes = sizes_of(rule, claim.point)
        diagnosis = hint or explain(judgement.claimed, judgement.true, sizes, variable.value)
        if np.all(judgement.on_paper[judgement.decisions == Decision.WRONG]):
            diagnosis = INACCURATE
        entry = variable.path + (f"[{', '.join(map(str, index))}]" if index else "")
        wrong, size = judgement.count(Decision.WRONG), judgement.decisions.size
        counts = f"{wrong} of {size} {'entry' if size == 1 else 'entries'}"
        array = f"{variable.path} {list(variable.value.shape)}"
        headline = f"{rule.name}: the gradient of {array} is wrong in {counts}; worst is {entry}"
        lines = [
            headline,
            f"    claimed  {_number(claimed)}",
        ]
        for item in evidence:
            if item.proof is not None:
                if item.proof.differs == variable.path:
                    lines.append(f"    {DIFFERS} ({item.oracle})")
                continue
            entries = item.entries.get(variable.path)
            if entries is None or not np.isfinite(entries.bound[index]):
                lines.append(f"    cannot tell: {item.abstention or item.reason} ({item.oracle})")
            else:
                value, bound = entries.true[index], entries.bound[index]
                lines.append(f"    true     {_number(value)} ± {bound:.1e} ({item.oracle})")
                lines += [f"    {item.remark} ({item.oracle})"] if item.remark else []
        if diagnosis:
            lines.append(f"    {diagnosis}")
        line = source_line(rule.functions[-1])
        lines = [line.rstrip() for line in lines]
        return Finding(
            self.name,
            variable.path,
            index,
            _plain(claimed),
            _plain(true),
            diagnosis,
            line,
            "\n".join(lines),
        )


NO_CONVENTION = (
    "complex gradients have two conventions, each the conjugate of the other; for w = f(z) declare "
    "conjugation='jax' if the backward returns dw * f'(z), conjugation='torch' if dw * conj(f'(z))"
)
"""The reason where a missing conj is exactly the other convention, and the rule keeps neither."""

NO_ENTRIES = "no gradient has an entry to compare"
"""The reason of a point whose arrays are all empty."""

INACCURATE = "right on paper, inaccurate as it runs: the backward loses digits that the truth keeps"

DIFFERS = "differs  at random residues, where equal functions agree"

REASONS_TOLD = 3
"""How many reasons for undecided entries a sentence carries; the report lists them all."""


def judge_all(
    claim: Claim,
    variables: list[Variable],
    evidence: list[Evidence],
    power: float,
    least_size: float = 0.0,
) -> dict[str, Judgement]:
    """Judge the gradient of each variable by all the evidence."""
    size = output_size(claim)
    size = replace(size, contraction=max(size.contraction, least_size))
    judgements = {}
    for variable in variables:
        assert variable.claimed is not None
        judgements[variable.path] = decide(
            variable.value, variable.claimed, size, evidence, variable.path, power
        )
    return judgements


def other_convention(rule: Rule, point: Point, bench: Bench) -> str:
    """Say that a complex gradient is right by the convention that the rule does not declare, if it is.

    Args:
        rule: on complex numbers.
        point: in parts.
        bench: whose finite differences judge.
    """
    for name in CONVENTIONS:
        if rule.conjugation is None or name == rule.conjugation:
            continue
        other = in_parts(rule, name)
        claim = claim_at(other, point)
        compared = [variable for variable in claim.variables if variable.comparable]
        evidence = [
            oracle.examine(other, claim, bench.rng)
            for oracle in bench.oracles
            if isinstance(oracle, FiniteDifferences)
        ]
        judgements = judge_all(claim, compared, evidence, bench.profile.power)
        if worst(map(_verdict, judgements.values())) is Verdict.PASS:
            return f"right by the other convention of complex gradients: conjugation={name!r}"
    return ""


def _no_real_numbers(rule: Rule, point: Point) -> str:
    found = [
        f"{name} is {trees.describe(value)}"
        for name, value in zip(rule.input_names, point.inputs, strict=True)
    ]
    return f"no input is an array of real numbers, which alone have gradients: {', '.join(found)}"


def _in_parts(point: Point) -> Point:
    return Point(split(point.inputs), split(point.cotangent), point.label)


def output_size(claim: Claim) -> OutputSize:
    """Return the size of the output at the claim's point; zeros where it is not finite."""
    with np.errstate(all="ignore"):
        pairs = [
            (np.abs(np.asarray(cotangent, np.complex128)), np.abs(np.asarray(out, np.complex128)))
            for (_, cotangent), (_, out) in zip(
                trees.leaves(claim.point.cotangent), trees.leaves(claim.output), strict=True
            )
        ]
        contraction = sum(float(np.sum(cotangent * out)) for cotangent, out in pairs)
        cotangent = sum(float(np.sum(cotangent)) for cotangent, _ in pairs)
    claims = [variable.claimed for variable in claim.variables]
    numbers = (claim.point.inputs, claim.point.cotangent, claim.output, claims)
    return OutputSize(
        contraction if np.isfinite(contraction) else 0.0,
        cotangent if np.isfinite(cotangent) else 0.0,
        coarsest_epsilon(*numbers),
        largest_tiny(*numbers),
    )


def _remarks(variable: Variable, judgement: Judgement) -> list[str]:
    """Say what is worth saying of a gradient that is not wrong."""
    assert variable.claimed is not None
    found = []
    if np.any(judgement.subgradient):
        found.append(f"the gradient of {variable.path} passes as a subgradient at kinks")
    return found


def _loss(variable: Variable, judgement: Judgement) -> Loss | None:
    """Say where the gradient of a variable loses most, if it does and is not wrong."""
    if not np.any(judgement.inaccurate):
        return None
    digits = np.where(judgement.inaccurate, judgement.digits_lost, -np.inf)
    index = np.unravel_index(int(np.argmax(digits)), digits.shape)
    dtype = np.result_type(variable.claimed, variable.value)
    return Loss(
        variable.path, float(digits[index]), str(dtype), float(np.abs(variable.value[index]))
    )


def _most_common(tally: Tally) -> str:
    return next((reason for reason, _ in tally.reasons.most_common(1)), "")


def _verdict(judgement: Judgement) -> Verdict:
    decided = judgement.count(Decision.RIGHT) == judgement.decisions.size
    return Verdict.PASS if decided else Verdict.INCONCLUSIVE


def _worst_entry(judgement: Judgement) -> tuple[int, ...]:
    with np.errstate(all="ignore"):
        error = np.abs(judgement.claimed - judgement.true) / judgement.scale
    error = np.where(judgement.decisions == Decision.WRONG, np.nan_to_num(error, nan=np.inf), -1)
    return tuple(int(axis) for axis in np.unravel_index(int(np.argmax(error)), error.shape))


def _number(value: Any) -> str:
    return f"{_plain(value)!r:<24}"


def _plain(value: Any) -> Any:
    return complex(value) if np.iscomplexobj(value) else float(value)
