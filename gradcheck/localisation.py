"""Which rule of a network is to blame for a failure, and for what.

A network hands arrays from step to step as they are. A fault of state or memory goes away when the guilty
rule is kept apart from the others: by copies of what it takes and gives, and by a forward of its own just
before its backward. What stays wrong then is wrong at one step by itself, at the inputs and the
cotangent that it gets there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.checks.check import Bench, Check
from gradcheck.checks.comparison import Gradients, differences
from gradcheck.checks.running import copied
from gradcheck.errors import GradcheckError
from gradcheck.rules import Point, Pullback, Rule
from gradcheck.strategies.architecture import Step, read, write
from gradcheck.strategies.composition import (
    Composition,
    Linearise,
    linearise,
    part_of_network,
)
from gradcheck.verdicts import Verdict

__all__ = ["Blame", "localise"]


@dataclass(frozen=True)
class Blame:
    """What is to blame for the failure of a network.

    Attributes:
        rule: the guilty rule; None where none is guilty alone.
        reason: the likely cause, a sentence that begins with the name of the rule.
    """

    rule: Rule | None
    reason: str


def localise(
    rule: Rule, check: Check, point: Point, bench_of: Callable[[Rule], Bench]
) -> Blame | None:
    """Find the rule of a network that makes a check fail at a point; None where nothing can be said.

    Args:
        rule: the network.
        check: the check that fails.
        point: where it fails.
        bench_of: gives the oracles for one of its rules.
    """
    if rule.composition is None:
        return None
    try:
        network = _Network(rule.composition, point)
        return network.guilty_in_company() or network.guilty_alone(check, bench_of)
    except GradcheckError:  # a backward that raises says itself where
        return None


class _Network:
    """A network at a point, run with some of its rules kept apart from the others."""

    def __init__(self, composition: Composition, point: Point) -> None:
        self.composition = composition
        lines, self.values = composition.at(point.inputs)
        self.steps = read(lines, composition.parts, self.values)
        self.calls = {name: part_of_network(part) for name, part in composition.parts.items()}
        self.used = [name for name in self.calls if any(step.call == name for step in self.steps)]
        self.apart = self.gradients({name: kept_apart(self.calls[name]) for name in self.used})

    def gradients(self, replaced: Mapping[str, Linearise]) -> Gradients:
        """Return the gradients by path, with some rules replaced by others."""
        values = copied(self.values)
        calls = {**self.calls, **replaced}
        with np.errstate(all="ignore"):
            self.loss, pullback = linearise(self.steps, calls, values, self.composition.in_place)
            found = pullback()
        return {
            path: np.array(value, copy=True)
            for name, tree in found.items()
            for path, value in trees.leaves(tree, name)
            if value is not None
        }

    def agrees(self, replaced: Mapping[str, Linearise]) -> bool:
        """Say whether the gradients are those of a network whose rules are all kept apart."""
        values = {
            path: np.asarray(value)
            for name, tree in self.values.items()
            for path, value in trees.leaves(tree, name)
        }
        found = self.gradients(replaced)
        return not differences(values, found, self.apart, float(np.abs(self.loss)))

    def guilty_in_company(self) -> Blame | None:
        """Find the rule whose state or memory the others meet."""
        if self.agrees({}):
            return None
        for name in self.used:
            if not self.agrees({name: kept_apart(self.calls[name])}):
                continue
            causes = (
                cause
                for cause, keep in CAUSES.items()
                if self.agrees({name: keep(self.calls[name])})
            )
            cause = next(causes, "shares state or memory with the other steps")
            return Blame(self.composition.parts[name], f"{name} {cause}")
        return Blame(
            None, f"{' and '.join(self.used)} share state or memory, and none of them alone"
        )

    def guilty_alone(self, check: Check, bench_of: Callable[[Rule], Bench]) -> Blame | None:
        """Find the first step from the loss on that fails the check by itself."""
        for step, inputs, cotangent in self.met():
            part = self.composition.parts[step.call]
            point = Point(inputs, None if part.scalar else cotangent)
            examination = check.examine(part, point, bench_of(part))
            if examination.verdict is Verdict.FAIL:
                because = next(
                    (f": {f.diagnosis}" for f in examination.findings if f.diagnosis), ""
                )
                return Blame(
                    part,
                    f"{step.call} is wrong by itself, at what {write(step)!r} gives it{because}",
                )
        return Blame(None, "each rule is right by itself at what the network gives it")

    def met(self) -> Iterator[tuple[Step, tuple[Any, ...], Any]]:
        """Yield the steps of rules, last first, each with the inputs and the cotangent that it meets."""
        met: list[tuple[tuple[Any, ...], Any]] = []

        def watched(call: Linearise) -> Linearise:
            def run(inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
                output, pullback = kept_apart(call)(inputs)
                own = copied(inputs)

                def back(cotangent: Any) -> Any:
                    met.append((own, copied(cotangent)))
                    return pullback(cotangent)

                return output, back

            return run

        self.gradients({name: watched(self.calls[name]) for name in self.used})
        steps = [step for step in reversed(self.steps) if step.call in self.calls]
        for step, (inputs, cotangent) in zip(steps, met, strict=False):
            yield step, inputs, cotangent


def _with_own_inputs(call: Linearise) -> Linearise:
    return lambda inputs: call(copied(inputs))


def _with_own_forward(call: Linearise) -> Linearise:
    def run(inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
        return call(inputs)[0], lambda cotangent: call(inputs)[1](cotangent)

    return run


def _with_own_cotangent(call: Linearise) -> Linearise:
    def run(inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
        output, pullback = call(inputs)
        return output, lambda cotangent: pullback(copied(cotangent))

    return run


def _with_own_gradients(call: Linearise) -> Linearise:
    def run(inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
        output, pullback = call(inputs)
        return output, lambda cotangent: copied(pullback(cotangent))

    return run


def _with_own_output(call: Linearise) -> Linearise:
    def run(inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
        output, pullback = call(inputs)
        return copied(output), pullback

    return run


CAUSES: Mapping[str, Callable[[Linearise], Linearise]] = {
    "gives gradients that change later: their memory is written again": _with_own_gradients,
    "writes into its cotangent, which another step reads as well": _with_own_cotangent,
    "gives an output that changes later: its memory is written again": _with_own_output,
    "writes into its inputs": _with_own_inputs,
    "reads in its backward what a later forward left: it is right when its forward has just run": (
        _with_own_forward
    ),
}
"""What a rule does to others, by the one thing that must be kept apart for the network to be right."""


def kept_apart(call: Linearise) -> Linearise:
    """Return a rule that shares no array with its caller, and runs its forward again before its backward."""
    for keep in CAUSES.values():
        call = keep(call)
    return call
