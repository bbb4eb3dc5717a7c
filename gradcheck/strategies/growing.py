"""Drawing a network: step by step, each run at once to learn the shapes that it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from gradcheck import trees
from gradcheck.contracts import Contract, Domain, constant, expressions, real
from gradcheck.contracts.dimensions import bind_several, parse_shape
from gradcheck.contracts.expressions import Number
from gradcheck.contracts.matching import Observed, match
from gradcheck.contracts.sampling import PLAIN_STYLES
from gradcheck.errors import GradcheckError, ShapeError
from gradcheck.rules import Rule
from gradcheck.strategies.architecture import CONCATENATE, HALF_SQUARED_ERROR, SUM, Step, write
from gradcheck.strategies.choices import choice
from gradcheck.strategies.composable import contract_of, feedable, ranks_taken
from gradcheck.strategies.composition import JOINTS
from gradcheck.strategies.dimensions import sizes as drawn_sizes
from gradcheck.strategies.values import values as drawn_values

__all__ = ["Drawn", "architectures"]

T = TypeVar("T")

MOST_STEPS = 8
"""Rules, sums and concatenations of a network at most: enough for a layer that is used twice on two
branches with others between, and few enough that each entry can be differenced."""

ENDS = 10
"""One draw of so many after a step ends the network."""

SEVERAL_FED = 4
"""One draw of so many feeds a further input of a rule from the network, where one fits."""

LATEST = 3
"""All draws but one of so many continue from the latest array that fits; the others open a branch."""

LARGEST_AXIS = 3
"""Entries along each axis of what begins a network, where any number of axes is taken."""

WIDEST = 16
"""Entries of the last axis that a concatenation gives at most."""

RULE, AGAIN = "a rule", "a rule with the parameters of an earlier step"
STEPS = (RULE, RULE, RULE, AGAIN, SUM, CONCATENATE)
"""What a step may be, the simplest first."""


@dataclass(frozen=True)
class Drawn:
    """A network: its lines, its values by name, and the domains of these at their sizes."""

    lines: tuple[str, ...]
    values: dict[str, Any]
    domains: dict[str, Any]


@st.composite
def architectures(draw: DrawFn, parts: Mapping[str, Rule]) -> Drawn:
    """Draw a network of these rules, with its values."""
    growing = _Growing(draw, parts)
    draw(_grown(growing))
    return growing.closed()


@st.composite
def _grown(draw: DrawFn, growing: _Growing) -> None:
    """Add a step and, within the same draw, all further ones: so Hypothesis can leave out a step.

    Of two draws of one kind, one within the other, its shrinker tries the inner one in the outer one's place.
    """
    ends, kind = not choice(draw, range(ENDS)), choice(draw, STEPS)
    if growing.steps and (ends or not growing.runs or len(growing.steps) >= MOST_STEPS):
        return
    growing.step(kind if growing.steps else RULE)
    draw(_grown(growing))


@dataclass
class _Growing:
    """A network while it is drawn, with the arrays that its steps gave so far.

    Attributes:
        draw: Hypothesis's own.
        parts: the rules by name.
        steps: the steps so far.
        values, domains: what no step gives, by name.
        arrays: what a further step may take, by name: results, and inputs of the network.
        open: the results that no step took.
        runs: whether the last step ran, and gave finite numbers.
    """

    draw: DrawFn
    parts: Mapping[str, Rule]
    steps: list[Step] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    domains: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Any] = field(default_factory=dict)
    open: dict[str, Any] = field(default_factory=dict)
    runs: bool = True

    def step(self, kind: str) -> None:
        """Add one step of a kind; a rule where the network has nothing that this kind takes."""
        added = False
        if kind == AGAIN:
            added = self.again()
        elif kind != RULE:
            added = self.joint(kind)
        if not added:
            self.rule()

    def rule(self) -> None:
        """Add a rule: one input from the network where one fits, further ones now and then."""
        name = choice(self.draw, list(self.parts))
        contract = contract_of(self.parts[name])
        settings = {path: choice(self.draw, own) for path, own in contract.choices.items()}
        settings |= {
            path: domain.choices[0]
            for path, domain in contract.domains.items()
            if domain.kind == "constant"
        }
        known = {path: int(settings[path]) for path in contract.arguments}
        fed: dict[str, str] = {}
        for wanted in feedable(self.parts[name]):
            several = choice(self.draw, range(SEVERAL_FED)) == SEVERAL_FED - 1
            fits = {
                array: sizes
                for array, value in reversed(self.arrays.items())
                if (sizes := _sizes_fed(contract, wanted, np.shape(value), known)) is not None
            }
            fitting = self.one_of([*fits])
            if fitting is not None and (several or not fed):
                fed[wanted], known = fitting, fits[fitting]
        sizes = drawn_sizes(self.draw, contract, self.axes(contract, known))
        arguments = []
        for wanted, tree in contract.inputs.items():
            value, domains = self.value(wanted, tree, sizes, settings)
            arguments.append(fed.get(wanted) or self.keep(wanted, value, domains))
        first = next(iter(feedable(self.parts[name])), None)
        if first is not None and first not in fed:
            leaf = arguments[list(contract.inputs).index(first)]
            self.arrays[leaf] = self.values[leaf]
        self.run(name, tuple(arguments))

    def again(self) -> bool:
        """Add a step with the parameters of an earlier one, at any array that fits; say if there is one."""
        earlier = [step for step in self.steps if step.call in self.parts]
        step = choice(self.draw, earlier)
        rule = self.parts[step.call]
        names = list(contract_of(rule).inputs)
        moved = next((place for place, name in enumerate(names) if name in feedable(rule)), None)
        array = None
        if moved is not None:
            before, after = step.arguments[:moved], step.arguments[moved + 1 :]
            array = self.one_of(
                [one for one in reversed(self.arrays) if self.fits(rule, (*before, one, *after))]
            )
        if array is None:
            return False
        self.run(step.call, (*before, array, *after))
        return True

    def joint(self, call: str) -> bool:
        """Add a sum or a concatenation of two arrays of the network; say if there are two that fit."""
        names = list(reversed(self.arrays))
        pair = self.one_of(
            [
                (one, other)
                for at, one in enumerate(names)
                for other in names[at + 1 :]
                if _join(call, np.shape(self.arrays[one]), np.shape(self.arrays[other]))
            ]
        )
        if pair is None:
            return False
        self.run(call, pair)
        return True

    def one_of(self, fits: Sequence[T]) -> T | None:
        """Draw one of what fits, of which the latest comes first; None where nothing does."""
        branches = choice(self.draw, range(LATEST)) == LATEST - 1
        number = choice(self.draw, range(max(len(fits), 1)))
        return fits[number if branches else 0] if fits else None

    def axes(self, contract: Contract, known: Mapping[str, int]) -> dict[str, int]:
        """Add to known sizes those of names of any number of axes: as many as other rules take."""
        found = dict(known)
        shapes = [domain.shape for domain in contract.domains.values() if domain.shape is not None]
        for shape in shapes:
            if shape.variadic is not None:
                rank = choice(self.draw, ranks_taken(self.parts)) - (len(shape.axes) - 1)
                axes = tuple(choice(self.draw, range(1, LARGEST_AXIS + 1)) for _ in range(rank))
                if shape.variadic.name not in found:
                    found |= bind_several(shape.variadic.name, axes)
        return found

    def value(
        self, wanted: str, tree: Any, sizes: Mapping[str, int], settings: Mapping[str, Any]
    ) -> tuple[Any, Any]:
        """Draw a value of an input, and return it with its domains at these sizes."""
        drawn, domains = [], []
        for path, domain in trees.leaves(tree, wanted):
            if domain.shape is None:
                drawn.append(settings[path])
            else:
                style = choice(self.draw, PLAIN_STYLES)  # ties and extremes are for rules alone
                start = len(self.values) + 1
                drawn.append(drawn_values(self.draw, domain, sizes, style, start))
            domains.append(_at_sizes(domain, drawn[-1], sizes))
        return trees.rebuild(tree, drawn), trees.rebuild(tree, domains)

    def keep(self, wanted: str, value: Any, domains: Any) -> str:
        """Keep a value of the network, and return its name."""
        name = f"{wanted}_{len(self.steps) + 1}"
        self.values[name], self.domains[name] = value, domains
        return name

    def run(self, call: str, arguments: tuple[str, ...]) -> None:
        """Append a step, and run it to learn the shapes that it gives."""
        inputs = tuple(
            self.values[name] if name in self.values else self.arrays[name] for name in arguments
        )
        number = len(self.steps) + 1
        try:
            with np.errstate(all="ignore"):
                output = _output(self.parts.get(call), call, inputs)
            parts = [part for _, part in trees.leaves(output)]
        except GradcheckError:
            raise
        except Exception:  # the point is then discarded, by what runs the whole network
            parts, self.runs = [None], False
        results = {f"h{number}v{place}": part for place, part in enumerate(parts, 1)}
        if len(parts) == 1:
            results = {f"h{number}": parts[0]}
        self.steps.append(Step(tuple(results), call, arguments))
        for name in arguments:
            self.open.pop(name, None)
        for name, part in results.items():
            if trees.is_variable(part) or isinstance(part, float):
                self.runs = self.runs and bool(np.all(np.isfinite(np.asarray(part))))
                self.open[name] = part
                if np.ndim(part):
                    self.arrays[name] = part

    def closed(self) -> Drawn:
        """End the network with its loss."""
        ends = []
        for name, part in self.open.items():
            if np.ndim(part) == 0:
                ends.append(name)
                continue
            number = len(self.steps) + 1
            target = self.keep("t", *self.value("t", _fixed(np.shape(part)), {}, {}))
            self.steps.append(Step((f"h{number}",), HALF_SQUARED_ERROR, (name, target)))
            ends.append(f"h{number}")
        if self.runs:
            self.steps.append(Step(("loss",), SUM, tuple(ends)))
        return Drawn(tuple(map(write, self.steps)), self.values, self.domains)

    def fits(self, rule: Rule, arguments: tuple[str, ...]) -> bool:
        """Say whether values and arrays of these names are of the contract of a rule."""
        inputs = [self.values[n] if n in self.values else self.arrays[n] for n in arguments]
        try:
            contract_of(rule).bind(inputs)
        except ShapeError:
            return False
        return True


def _sizes_fed(
    contract: Contract, wanted: str, shape: tuple[int, ...], known: Mapping[str, int]
) -> dict[str, int] | None:
    """Return the sizes that an array fixes where it is taken for an input; None where it does not fit."""
    domain = contract.inputs[wanted]
    try:
        sizes = match([Observed(wanted, domain.shape, shape)], known)
    except ShapeError:
        return None
    return sizes if contract.problem.smallest(sizes) is not None else None


def _join(call: str, one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Say whether arrays of these shapes can be added, or concatenated along the last axis."""
    if call == SUM:
        return one == other
    return len(one) == len(other) and one[:-1] == other[:-1] and one[-1] + other[-1] <= WIDEST


def _output(rule: Rule | None, call: str, inputs: tuple[Any, ...]) -> Any:
    own = trees.map_leaves(
        lambda leaf: leaf.copy() if isinstance(leaf, np.ndarray) else leaf, inputs
    )
    return JOINTS[call](own)[0] if rule is None else rule.primal(own)


def _fixed(shape: tuple[int, ...]) -> Domain:
    return real(" ".join(map(str, shape)))


def _at_sizes(domain: Domain, value: Any, sizes: Mapping[str, int]) -> Domain:
    """Return the domain of an array at the sizes that it was drawn at."""
    if domain.shape is None:
        return constant(value)
    below = domain.below
    if below is not None:
        below = Number(expressions.evaluate(below, sizes))
    return replace(domain, shape=parse_shape(" ".join(map(str, np.shape(value)))), below=below)
