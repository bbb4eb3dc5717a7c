"""The check `extremes`: a gradient is finite where the true one is.

Law: where the output is finite and the true derivative is too, so is the claimed gradient. The point's
own numbers become zeros, and are scaled down and up until squares vanish and exponentials
overflow: where `0 * inf`, `x / |x|`, `exp(x) / (1 + exp(x))` and `0 * log(0)` give NaN.

What the true derivative is there the oracles say, asked only where the gradient is not finite: as the
check `gradient`, in extended precision and by differences of the real forward. Where they cannot say,
because the derivative is infinite or the forward overflows itself, nothing is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck import trees
from gradcheck.checks.behaviour import BehaviourCheck, does_not_apply
from gradcheck.checks.check import Bench, Examination, Finding, backward_raised
from gradcheck.checks.comparison import plain
from gradcheck.checks.gradient import judge_all
from gradcheck.checks.running import Case, copied
from gradcheck.errors import BackwardError, GradcheckError
from gradcheck.oracles.evidence import Evidence
from gradcheck.rules import Claim, Point, Rule, Variable, claim_at
from gradcheck.verdicts import Decision, Judgement

__all__ = ["ExtremesCheck"]

Array = NDArray[Any]

SCALES = (0.0, 1e-20, 1e3)
"""What the point's inputs are multiplied by: nothing is left; squares vanish beside 1, and do not
underflow; exponentials overflow."""

CERTAIN = 1e-3
"""The largest bound on the true entry, relative to it or to 1, at which an oracle is believed."""


class ExtremesCheck(BehaviourCheck):
    """A gradient is finite where the true one is."""

    name = "extremes"

    def applies(self, rule: Rule) -> str:
        """Say so where nothing tells which numbers an input may be."""
        if rule.contract is None:
            return "no contract says which numbers the inputs may be"
        kinds = {domain.kind for domain in rule.contract.domains.values()}
        return "" if kinds & {*SCALED_KINDS} else "no input is free real numbers"

    def examine_case(self, case: Case, bench: Bench) -> Examination:
        """Run the rule at numbers changed to the extreme; ask the oracles where it is not finite."""
        examined = False
        for inputs in extremes_of(case, bench.rng):
            try:
                claim = claim_at(case.rule, Point(inputs, case.cotangent))
            except BackwardError as error:
                return backward_raised(self.name, error)
            except GradcheckError:  # the forward may refuse such numbers
                continue
            if not all(np.all(np.isfinite(leaf)) for _, leaf in trees.leaves(claim.output)):
                continue
            examined = True
            finding = self._finding(case.rule, claim, bench)
            if finding is not None:
                return self.outcome(case.rule, [finding])
        return (
            self.outcome(case.rule, [])
            if examined
            else does_not_apply("the forward raises or is not finite at extremes")
        )

    def _finding(self, rule: Rule, claim: Claim, bench: Bench) -> Finding | None:
        """Report the first entry that is not finite, where two asks say that the true one is."""
        lost = {
            variable.path: ~np.isfinite(variable.claimed)
            for variable in claim.variables
            if variable.comparable and variable.claimed is not None
        }
        compared = [item for item in claim.variables if np.any(lost.get(item.path, False))]
        if not compared:
            return None
        wrong, evidence = lost, []
        for _ in range(ASKS):
            evidence = [oracle.examine(rule, claim, bench.rng) for oracle in bench.oracles]
            judgements = judge_all(claim, compared, evidence, bench.profile.power)
            wrong = {v.path: wrong[v.path] & _excluded(judgements[v.path]) for v in compared}
            compared = [variable for variable in compared if np.any(wrong[variable.path])]
            if not compared:
                return None
        first = compared[0]
        index = tuple(int(axis) for axis in np.argwhere(wrong[first.path])[0])
        return _report(self.name, rule, first, index, _shown(evidence, first.path, index))


ASKS = 2
"""How often the oracles are asked: the second time along other directions."""

SCALED_KINDS = {"real": SCALES, "complex": SCALES, "positive": SCALES[1:]}
"""The domains that scaling does not leave, with the scales that each takes."""


def extremes_of(case: Case, rng: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    """Yield the inputs with all arrays at each scale, and with each array at a scale of its own.

    Inputs whose domain a scale would leave stay as they are.
    """
    contract = case.rule.contract
    assert contract is not None
    kinds = {path: domain.kind for path, domain in contract.domains.items()}

    def scaled(path: str, leaf: Any, scale: float | None) -> Any:
        scales = SCALED_KINDS.get(kinds.get(path, ""), ())
        if scale is None and scales:
            scale = float(rng.choice(scales))
        return np.asarray(leaf * scale) if scale in scales else leaf

    for scale in (*SCALES, None):
        yield tuple(
            trees.rebuild(
                value, [scaled(path, leaf, scale) for path, leaf in trees.leaves(value, name)]
            )
            for name, value in zip(case.rule.input_names, copied(case.inputs), strict=True)
        )


def _excluded(judgement: Judgement) -> NDArray[np.bool_]:
    """Mark the entries whose claim is refuted by a true value that is known well."""
    with np.errstate(all="ignore"):  # at a kink the value nearest to NaN is NaN
        known = judgement.tolerance <= CERTAIN * np.fmax(np.abs(judgement.true), 1.0)
    return np.asarray((judgement.decisions == Decision.WRONG) & known)


def _shown(evidence: Sequence[Evidence], path: str, index: tuple[int, ...]) -> str:
    """Write out what the finest oracle says of an entry: a number, or an interval at a kink."""
    known = [item.entries[path] for item in evidence if path in item.entries]
    finite = [
        (float(entries.bound[index]), float(entries.true[index]), _at(entries.spread, index))
        for entries in known
        if np.isfinite(entries.true[index]) and np.isfinite(entries.bound[index])
    ]
    _, true, spread = min(finite)
    return f"from {true - spread:.6g} to {true + spread:.6g}, a kink" if spread else repr(true)


def _at(array: Array, index: tuple[int, ...]) -> float:
    return float(array[index] if array.shape else array)


def _report(
    check: str, rule: Rule, variable: Variable, index: tuple[int, ...], true: str
) -> Finding:
    assert variable.claimed is not None
    path, value = variable.path, plain(variable.value[index])
    claimed = plain(variable.claimed[index])
    entry = path + (f"[{', '.join(map(str, index))}]" if index else "")
    cause = OVERFLOW if abs(value) >= SCALES[-1] else VANISHES
    message = (
        f"{rule.name}: the gradient of {entry} is {claimed!r} where the true one is finite, at "
        f"{entry} = {value!r}\n"
        f"    claimed  {claimed!r}\n"
        f"    true     {true}\n"
        f"    {cause}"
    )
    return Finding(check, path, index, claimed, true, cause, "", message)


OVERFLOW = "an intermediate value overflows, and inf / inf or 0 * inf follows; scale before exp"
VANISHES = "0 / 0 or 0 * inf where a number vanishes; give that case a value of its own"
