"""A rule: a function together with its hand-written derivative, and the points it is checked at.

However a rule is written, its adapter turns it into one thing, a VJP in the sense of JAX:
`rule.vjp(inputs)` runs the user's forward and returns the output with the pullback, and the pullback
maps a cotangent of the output to one gradient per input. Nothing below an adapter knows how the
rule was written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradcheck import trees
from gradcheck.errors import BackwardError, RuleError

if TYPE_CHECKING:
    from gradcheck.contracts import Contract

__all__ = ["Claim", "Point", "Pullback", "Rule", "Variable", "by_leaf", "claim_at"]

Pullback = Callable[[Any], Any]


@dataclass(frozen=True)
class Point:
    """Concrete inputs and a cotangent at which a rule is checked.

    Attributes:
        inputs: one tree of arrays per input of the rule, in the forward's order.
        cotangent: an array of the output's shape, or a tuple of them for several outputs; None
            stands for ones, the cotangent of a scalar loss.
        label: how the point was drawn, for the report; empty for a point written by hand.
    """

    inputs: tuple[Any, ...]
    cotangent: Any = None
    label: str = ""

    def copy(self) -> Point:
        """Return the point with every array copied, so that user code cannot change it."""
        inputs, cotangent = trees.map_leaves(_copied, (self.inputs, self.cotangent))
        return Point(inputs, cotangent, self.label)


@dataclass(frozen=True, eq=False)
class Rule:
    """A function together with its hand-written derivative; made by `gradcheck.pair` and its kin.

    Attributes:
        name: what reports call the rule.
        kind: the adapter that made it, such as "pair".
        input_names: the names of the inputs, in the forward's order.
        primal: the forward alone: a tuple of inputs to the output.
        linearise: a tuple of inputs to the pair (output, pullback), running the user's code.
        functions: the user's functions, forward first, for tracing and for source lines.
        defaults: the values of the last inputs where a draw leaves them out.
        contract: the named dimensions, or None where `inputs=` or `points=` draw the inputs.
        inputs: the user's `inputs=fn(rng)`, or None.
        points: the user's Hypothesis strategy of tuples of inputs, or None.
        scalar: whether the output is a scalar loss, whose only cotangent is 1.
        kinks: the declared derivative of the output by an entry of an input, at a kink of it, by the
            input's name.
    """

    name: str
    kind: str
    input_names: tuple[str, ...]
    primal: Callable[[tuple[Any, ...]], Any]
    linearise: Callable[[tuple[Any, ...]], tuple[Any, Pullback]]
    functions: tuple[Callable[..., Any], ...]
    defaults: tuple[Any, ...] = ()
    contract: Contract | None = None
    inputs: Callable[[np.random.Generator], tuple[Any, ...]] | None = None
    points: Any = None
    scalar: bool = False
    kinks: Mapping[str, float] = field(default_factory=dict)
    expected_failures: Mapping[str, str] = field(default_factory=dict)
    strict: bool = False

    def completed(self, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Return `inputs` with the defaults of those left out at the end, or None if they do not fit."""
        missing = len(self.input_names) - len(inputs)
        if not 0 <= missing <= len(self.defaults):
            return None
        return (*inputs, *self.defaults[len(self.defaults) - missing :])

    def vjp(self, inputs: tuple[Any, ...]) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
        """Run the user's forward; return its output and the pullback, one gradient per input.

        NumPy's warnings about infinities and NaN are silenced meanwhile: the search goes where they
        arise, and what is not finite is judged by its value.

        Raises:
            RuleError: the forward raised, or the gradients cannot be told apart.
            BackwardError: the backward raised.
        """
        try:
            with np.errstate(all="ignore"):
                output, raw_pullback = self.linearise(inputs)
        except RuleError as error:
            raise RuleError(f"rule {self.name!r}: {error}") from error.__cause__
        except Exception as error:
            raise RuleError(
                f"rule {self.name!r}: {_what_raised('forward', inputs, error)}"
            ) from error

        def pullback(cotangent: Any) -> tuple[Any, ...]:
            try:
                with np.errstate(all="ignore"):
                    raw = raw_pullback(cotangent)
            except Exception as error:
                what = _what_raised("backward", inputs, error)
                raise BackwardError(f"{self.name}: {what}, where its forward runs") from error
            return self.gradients_by_input(raw, inputs)

        return output, pullback

    def gradients_by_input(self, raw: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return one gradient per input out of what the backward returned, in any of its forms.

        Raises:
            RuleError: the gradients cannot be told apart.
        """
        names = self.input_names
        if isinstance(raw, dict) and set(raw) <= set(names):
            return tuple(raw.get(name) for name in names)
        sequence = isinstance(raw, (tuple, list))
        if len(names) == 1 and (not sequence or (_is_container(inputs[0]) and len(raw) != 1)):
            return (raw,)
        if not sequence:
            raise RuleError(
                f"rule {self.name!r}: the backward returned {describe(raw)} for the {len(names)} inputs "
                f"{', '.join(names)}; return one gradient per input in that order, None for an input "
                "without one, or a dict by input name"
            )
        if len(raw) == len(names):
            return tuple(raw)
        variable = [has_variables(value) for value in inputs]
        if len(raw) < len(names) and not any(variable[len(raw) :]):
            return (*raw, *[None] * (len(names) - len(raw)))
        if len(raw) == sum(variable):
            gradients = iter(raw)
            return tuple(next(gradients) if own else None for own in variable)
        raise RuleError(
            f"rule {self.name!r}: the backward returned {len(raw)} gradients for the {len(names)} "
            f"{'input' if len(names) == 1 else 'inputs'} {', '.join(names)}; return one per input in "
            "that order, None for an input without one"
        )


@dataclass(frozen=True)
class Variable:
    """One real array among the inputs, and what the rule claims for it.

    Attributes:
        path: the name of the array, such as `weights[2]`.
        value: the array.
        claimed: its claimed gradient as an array of numbers of whatever shape the backward gave it;
            None where the rule claims no gradient.
    """

    path: str
    value: NDArray[Any]
    claimed: NDArray[Any] | None

    @property
    def comparable(self) -> bool:
        """Whether a gradient is claimed that has the shape of the value."""
        return self.claimed is not None and self.claimed.shape == self.value.shape


@dataclass(frozen=True)
class Claim:
    """What a rule computes at a point: the output and the claimed gradient of every variable."""

    point: Point
    output: Any
    variables: tuple[Variable, ...]


def claim_at(rule: Rule, point: Point) -> Claim:
    """Run the user's forward and backward at `point`, on copies, and name every gradient.

    Raises:
        RuleError: the forward raised, or the rule returned something that is no tree of numbers.
        BackwardError: the backward raised.
    """
    own = point.copy()
    output, pullback = rule.vjp(own.inputs)
    outputs = [
        _as_numbers(rule, f"the forward's output{path}", value)
        for path, value in trees.leaves(output)
    ]
    output = trees.rebuild(output, outputs)
    if point.cotangent is None:
        point = replace(point, cotangent=trees.map_leaves(np.ones_like, output))
    gradients = pullback(point.copy().cotangent)
    claims = by_leaf(rule, point.inputs, gradients)
    variables = [
        Variable(path, np.asarray(value), _claimed(rule, path, claims[path]))
        for name, tree in zip(rule.input_names, point.inputs, strict=True)
        for path, value in trees.leaves(tree, name)
        if trees.is_variable(value)
    ]
    return Claim(point, output, tuple(variables))


def by_leaf(rule: Rule, inputs: tuple[Any, ...], gradients: tuple[Any, ...]) -> dict[str, Any]:
    """Return the gradient of each leaf of the inputs by its path; None where there is none.

    Raises:
        RuleError: a gradient is not in the containers of its input.
    """
    found: dict[str, Any] = {}
    for name, value, gradient in zip(rule.input_names, inputs, gradients, strict=True):
        paths = [path for path, _ in trees.leaves(value, name)]
        if gradient is None:
            found |= dict.fromkeys(paths)
        else:
            found |= zip(paths, _matching_parts(rule, name, value, gradient), strict=True)
    return found


def has_variables(tree: Any) -> bool:
    """Say whether any leaf of `tree` is an array of real or complex numbers."""
    return any(trees.is_variable(value) for _, value in trees.leaves(tree))


def describe(value: Any) -> str:
    """Name a value by its type and shape, never by its contents: `(2, 3) float64, 'relu'`."""
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return "(" + ", ".join(describe(part) for part in value) + ")"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, (list, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    text = repr(value)
    return text if len(text) <= LONGEST_REPR else f"a {type(value).__name__}"


LONGEST_REPR = 40
"""Characters of a value that fit into a sentence; a longer one is named by its type."""


def _is_container(value: Any) -> bool:
    return isinstance(value, (list, tuple, dict))


def _what_raised(function: str, inputs: tuple[Any, ...], error: Exception) -> str:
    return f"its {function} raised {type(error).__name__} at {describe(inputs)}: {error}"


def _claimed(rule: Rule, path: str, claim: Any) -> NDArray[Any] | None:
    return None if claim is None else _as_numbers(rule, f"the gradient of {path}", claim)


def _matching_parts(rule: Rule, name: str, value: Any, gradient: Any) -> list[Any]:
    """List the parts of `gradient` that belong to the leaves of `value`; containers must agree."""
    if not _is_container(value):
        return [gradient]
    if isinstance(value, dict):
        if not isinstance(gradient, dict):
            raise _structure_error(rule, name, value, gradient)
        pairs = [(f"{name}[{key!r}]", part, gradient.get(key)) for key, part in value.items()]
    else:
        if not isinstance(gradient, (list, tuple)) or len(gradient) != len(value):
            raise _structure_error(rule, name, value, gradient)
        pairs = [
            (f"{name}[{index}]", part, claim)
            for index, (part, claim) in enumerate(zip(value, gradient, strict=True))
        ]
    found: list[Any] = []
    for path, part, claim in pairs:
        nothing = [None] * len(trees.leaves(part))
        found += nothing if claim is None else _matching_parts(rule, path, part, claim)
    return found


def _structure_error(rule: Rule, name: str, value: Any, gradient: Any) -> RuleError:
    return RuleError(
        f"rule {rule.name!r}: the gradient of {name} is {describe(gradient)}, but {name} is "
        f"{describe(value)}; return gradients in the same containers as the input"
    )


def _as_numbers(rule: Rule, what: str, value: Any) -> NDArray[Any]:
    try:
        array = np.array(value, copy=True)
    except Exception as error:
        raise RuleError(
            f"rule {rule.name!r}: {what} is {describe(value)}, not an array of numbers"
        ) from error
    if array.dtype.kind not in "biufc" and "float" not in str(array.dtype):
        raise RuleError(f"rule {rule.name!r}: {what} is {describe(value)}, not an array of numbers")
    return array


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value
