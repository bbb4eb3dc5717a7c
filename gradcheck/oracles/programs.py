"""The programs of a rule at a point: its forward, the true pullback of that, and the claimed one.

Code written for NumPy is recorded, validated and lowered (its derivative is compared with differences
by the finite-difference oracle, at every point); code written for JAX is traced by JAX. What
was traced once serves every point of the same shapes at which its guards hold.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck import trees
from gradcheck.errors import Abstention
from gradcheck.oracles.certificates import Side
from gradcheck.programs.differentiation import pullback_of
from gradcheck.programs.inlining import inline_custom_rules
from gradcheck.programs.jax_tracing import architecture_of, trace_with_jax, variables_of
from gradcheck.programs.tracing import Trace, validated_trace
from gradcheck.rules import Claim, Rule, by_leaf

__all__ = ["Programs", "Traced"]

CACHED_ARCHITECTURES = 64
"""Architectures whose programs are kept: enough for a rule with fixed shapes and some branches, and
small beside what the search of random ones would otherwise pile up."""

MOST_VAIN_TRACES = 5
"""Points running at which a backward is traced in vain before its forward's program alone serves: at
a tie the backward has no program, and a tenth of all points have ties."""

MOST_VAIN_POINTS = 5
"""Points at which all tracing is in vain before only each that is a power of two is tried, until one is
traced: such code is seldom traceable anywhere, and copying a library's modules costs more than the point."""


Backward = Callable[[], Any]
"""Makes the program of the claimed gradients."""


@dataclass(frozen=True, eq=False)
class Traced:
    """The programs of a rule, each a ClosedJaxpr over flat lists of arrays.

    Attributes:
        true: the pullback of the forward by autodiff: inputs, then the output's cotangents, to the
            gradients of the inputs and whatever the guards of the trace test.
        paths: the variables whose gradients `claimed` gives, in order.
        trace: the recorded run that guards the programs; None for code traced by JAX.
    """

    true: Any
    paths: tuple[str, ...]
    trace: Trace | None
    _backward: Backward | None
    _untraced: str = ""

    @cached_property
    def _claimed(self) -> tuple[Any, str]:
        if self._backward is None:
            return None, self._untraced
        try:
            with np.errstate(all="ignore"):
                return self._backward(), ""
        except Abstention as abstention:
            return None, str(abstention)

    @property
    def claimed(self) -> Any:
        """The rule's own pullback: inputs, then cotangents, to the claimed gradients.

        None where it has no program. Made when it is first asked for: not every oracle does.
        """
        return self._claimed[0]

    @property
    def reason(self) -> str:
        """Why there is no claimed program, else empty."""
        return self._claimed[1]

    @property
    def with_backward(self) -> bool:
        """Whether the run of the backward was recorded, or traced by JAX, together with the forward."""
        return self._backward is not None

    @property
    def random(self) -> bool:
        """Whether the run that was recorded drew random numbers; no other run draws them again."""
        return self.trace is not None and self.trace.random

    def arguments(self, claim: Claim) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """Return the arrays that `true` and `claimed` take at the claim's point."""
        inputs, cotangents = variables_of(claim.point.inputs), variables_of(claim.point.cotangent)
        arrays = [*inputs, *cotangents]
        numbers, _ = self._numbers(len(inputs), len(cotangents))
        return [arrays[number] for number in numbers], arrays

    def sides(self, claim: Claim) -> tuple[Side, Side]:
        """Return `true` and `claimed` as functions of [*inputs, *cotangents], gradients alone."""
        inputs, cotangents = variables_of(claim.point.inputs), variables_of(claim.point.cotangent)
        places = {variable.path: place for place, variable in enumerate(claim.variables)}
        compared = self.compared(claim)
        for_true, for_claimed = self._numbers(len(inputs), len(cotangents))
        return (
            Side(self.true, for_true, [places[path] for path in compared]),
            Side(self.claimed, for_claimed, [self.paths.index(path) for path in compared]),
        )

    def compared(self, claim: Claim) -> list[str]:
        """List the paths of the gradients that both sides give."""
        comparable = {variable.path for variable in claim.variables if variable.comparable}
        return [path for path in self.paths if path in comparable]

    def _numbers(self, inputs: int, cotangents: int) -> tuple[list[int], list[int]]:
        """Number the arrays among inputs and cotangents that `true` and `claimed` take.

        A run that recorded the backward too had the cotangents among its inputs.
        """
        every = list(range(inputs + cotangents))
        recorded = every if self.with_backward and self.trace else every[:inputs]
        return [*recorded, *every[inputs:]], every


class Programs:
    """Traces rules, and keeps what it traced."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Any, list[Traced]] = OrderedDict()
        self._last: tuple[Claim, Traced | Abstention] | None = None
        self._vain_points = 0
        self._reason: Abstention | None = None
        self._is_traceable = False

    def at(self, rule: Rule, claim: Claim, rng: np.random.Generator) -> Traced:
        """Return the programs of `rule` that hold at the claim's point.

        Raises:
            Abstention: the forward cannot be traced or differentiated; the reason says why.
        """
        if self._last is None or self._last[0] is not claim:
            try:
                with np.errstate(all="ignore"):  # as for the user's code wherever else it runs
                    self._last = claim, self._find(rule, claim, rng)
            except Abstention as abstention:
                self._last = claim, abstention
        found = self._last[1]
        if isinstance(found, Abstention):
            raise found
        return found

    def _find(self, rule: Rule, claim: Claim, rng: np.random.Generator) -> Traced:
        arguments = (claim.point.inputs, claim.point.cotangent)
        key = architecture_of(arguments)
        kept = self._kept.get(key, [])
        given_up = len(kept) >= MOST_VAIN_TRACES and all(
            not traced.with_backward for traced in kept[-MOST_VAIN_TRACES:]
        )
        for traced in kept:
            whole = traced.with_backward or given_up
            if whole and (traced.trace is None or _holds(traced, arguments)):
                self._kept.move_to_end(key)
                return traced
        traced = self._traced(rule, claim, rng)
        if not traced.random:
            self._kept.setdefault(key, []).append(traced)
            if len(self._kept) > CACHED_ARCHITECTURES:
                self._kept.popitem(last=False)
        return traced

    def _traced(self, rule: Rule, claim: Claim, rng: np.random.Generator) -> Traced:
        """Trace at a new point, but ever more seldom while no point of the rule could be traced."""
        count = self._vain_points + 1
        is_power_of_two = count & (count - 1) == 0
        if self._reason is not None and count > MOST_VAIN_POINTS and not is_power_of_two:
            self._vain_points = count
            raise self._reason.with_traceback(None)
        try:
            traced = _trace(rule, claim, rng)
        except Abstention as abstention:
            if not self._is_traceable:
                self._vain_points, self._reason = count, abstention
            raise
        self._is_traceable, self._reason = True, None
        return traced


def _holds(traced: Traced, arguments: tuple[Any, Any]) -> bool:
    assert traced.trace is not None
    return traced.trace.holds_at(arguments if traced.with_backward else arguments[0])


def _trace(rule: Rule, claim: Claim, rng: np.random.Generator) -> Traced:
    if rule.kind == "jax_rule" or _is_of_jax(rule, claim):
        return _trace_by_jax(rule, claim)
    return _trace_by_recording(rule, claim, rng)


def _is_of_jax(rule: Rule, claim: Claim) -> bool:
    """Say whether the forward, given NumPy's arrays, answers with JAX's."""
    output = rule.primal(claim.point.copy().inputs)
    return any(type(value).__module__.startswith("jax") for _, value in trees.leaves(output))


def _trace_by_jax(rule: Rule, claim: Claim) -> Traced:
    inputs, cotangent = claim.point.inputs, claim.point.cotangent
    if rule.kind == "jax_rule":
        differentiated, _ = trace_with_jax(rule.functions[0], inputs)
        program, _ = trace_with_jax(rule.functions[-1], inputs)
        paths = tuple(variable.path for variable in claim.variables)
        true = pullback_of(inline_custom_rules(differentiated))
        return Traced(true, paths, None, lambda: pullback_of(program))
    program, _ = trace_with_jax(lambda *arguments: rule.primal(arguments), inputs)
    true = pullback_of(inline_custom_rules(program))
    paths = tuple(variable.path for variable in claim.variables if variable.comparable)

    def gradients(inputs: Any, cotangent: Any) -> list[Any]:
        _, pullback = rule.linearise(inputs)
        return _gradients(rule, paths, inputs, pullback(cotangent))

    return Traced(true, paths, None, lambda: trace_with_jax(gradients, (inputs, cotangent))[0])


def _trace_by_recording(rule: Rule, claim: Claim, rng: np.random.Generator) -> Traced:
    """Record forward and backward in one run, so that both see the same random numbers."""
    inputs, cotangent = claim.point.inputs, claim.point.cotangent
    paths = tuple(variable.path for variable in claim.variables if variable.comparable)
    outputs = len(variables_of(claim.output))

    def forward_and_backward(inputs: Any, cotangent: Any) -> Any:
        output, pullback = rule.linearise(inputs)
        return output, _gradients(rule, paths, inputs, pullback(cotangent))

    try:
        trace = validated_trace(forward_and_backward, (inputs, cotangent), rng=rng, lowered=False)
        forward = trace.program_of(slice(outputs))
    except Abstention as abstention:
        alone = validated_trace(lambda *values: rule.primal(values), inputs, rng=rng, lowered=False)
        true = pullback_of(alone.program_of(slice(None)), outputs)
        return Traced(true, (), alone, None, str(abstention))
    true = pullback_of(forward, outputs)
    return Traced(true, paths, trace, lambda: trace.program_of(slice(outputs, None)))


def _gradients(rule: Rule, paths: tuple[str, ...], inputs: Any, raw: Any) -> list[Any]:
    """List the claimed gradients of these variables out of what the backward returned.

    Integers are numbers too: `np.full(4, 2)` claims 2.0, and a program gives its real results alone.
    """
    gradients = by_leaf(rule, inputs, rule.gradients_by_input(raw, inputs))
    return [
        gradient.astype(np.float64)
        if getattr(gradient, "dtype", None) is not None and gradient.dtype.kind in "biu"
        else gradient
        for gradient in (gradients[path] for path in paths)
    ]
