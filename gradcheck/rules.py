"""A rule: a function together with its hand-written derivative, and the points it is checked at.

However a rule is written, its adapter turns it into one thing, a VJP in the sense of JAX:
`rule.vjp(inputs)` runs the user's forward and returns the output with the pullback, and the pullback
maps a cotangent of the output to one gradient per input. Nothing below an adapter knows how the
rule was written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradcheck import gradients, trees
from gradcheck.errors import BackwardError, RuleError

if TYPE_CHECKING:
    from gradcheck.contracts import Contract
    from gradcheck.strategies.composition import Composition

__all__ = ["Claim", "Point", "Pullback", "Rule", "Step", "Variable", "by_leaf", "claim_at"]

Pullback = Callable[[Any], Any]

Step = tuple[str, tuple[tuple[Any, ...], Any], tuple[tuple[Any, ...], Any]]
"""What a function of the user did to its caller's arrays: its name, inputs and cotangent before and after."""


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
        called: how the user's backward is called, such as `backward(dout, cache)`; empty if unknown.
        scalar: whether the output is a scalar loss, whose only cotangent is 1.
        kinks: the declared derivative of the output by an entry of an input, at a kink of it, by the
            input's name.
        expected_failures: why a check is known to fail, by its name.
        strict: whether notes of the behaviour checks are failures.
        parameters: the inputs that are parameters inside a layer object.
        accumulates: whether the gradients in a layer object add up over backwards; None if not declared.
        repeated: pairs of inputs and cotangent to the raw gradients after each, all run in turn by one
            layer object with the parameters of the first; None where there is no object.
        watched: inputs and cotangent to what forward and backward found and left of them, each as the
            function's name, inputs and cotangent before, and those after; for user code that works on other
            objects than the arrays given. None where it works on those alone.
        second_order: the gradient of a scalar output as a rule of its own, whose pullback is the
            claimed Hessian-vector product; None where none is declared.
        pushforward: the inputs and their tangents (None for a leaf without real numbers) to the tangent
            of the output, by the rule's own JVP; None where it has none.
        conjugation: the convention of complex gradients that the rule declares; None where its adapter
            has one of its own, or nothing says.
        parts: this rule on the real and imaginary parts of its complex arrays; None where nothing says
            which convention its complex gradients keep.
        composition: what a network is composed of; None for a rule that is no network.
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
    called: str = ""
    scalar: bool = False
    kinks: Mapping[str, float] = field(default_factory=dict)
    expected_failures: Mapping[str, str] = field(default_factory=dict)
    strict: bool = False
    parameters: tuple[str, ...] = ()
    accumulates: bool | None = None
    repeated: Callable[[Sequence[tuple[tuple[Any, ...], Any]]], list[Any]] | None = None
    watched: Callable[[tuple[Any, ...], Any], list[Step]] | None = None
    second_order: Rule | None = None
    pushforward: Callable[[tuple[Any, ...], tuple[Any, ...]], Any] | None = None
    conjugation: str | None = None
    parts: Rule | None = None
    composition: Composition | None = None

    def holds(self, kind: str) -> bool:
        """Say whether this rule, or one of those that it is composed of, was made by the adapter `kind`."""
        parts = () if self.composition is None else self.composition.parts.values()
        return self.kind == kind or any(part.holds(kind) for part in parts)

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
            except RuleError as error:
                raise BackwardError(f"{self.name}: {error}") from error.__cause__
            except Exception as error:
                what = _what_raised("backward", inputs, error)
                raise BackwardError(
                    f"{self.name}: {what}, where its forward runs{self._how_called(cotangent)}"
                ) from error
            return self.gradients_by_input(raw, inputs)

        return output, pullback

    def _how_called(self, cotangent: Any) -> str:
        if not self.called:
            return ""
        dout = f" with dout {trees.describe(cotangent)}" if "dout" in self.called else ""
        return f"; it was called as {self.called}{dout}"

    def gradients_by_input(self, raw: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return one gradient per input out of what the backward returned, in any of its forms.

        Raises:
            RuleError: the gradients cannot be told apart.
        """
        try:
            return gradients.by_input(raw, self.input_names, inputs, self.expected(inputs))
        except RuleError as error:
            raise RuleError(f"rule {self.name!r}: {error}") from None

    def expected(self, inputs: tuple[Any, ...]) -> list[bool]:
        """Say of each input whether a gradient is expected: not of labels, masks and configuration.

        One-hot rows are labels beside other real inputs; alone they are an input like any other.
        """
        declared = self.contract.inputs.values() if self.contract is not None else inputs
        real = [trees.has_variables(value) for value in inputs]
        expected = [
            own and any(getattr(domain, "has_gradient", True) for _, domain in trees.leaves(tree))
            for own, tree in zip(real, declared, strict=True)
        ]
        return expected if any(expected) else real


@dataclass(frozen=True)
class Variable:
    """One real array among the inputs, and what the rule claims for it.

    Attributes:
        path: the name of the array, such as `weights[2]`.
        value: the array.
        claimed: its claimed gradient as an array of numbers of whatever shape the backward gave it, but
            for leading axes of size 1 that it may leave out; None where the rule claims no gradient.
        returned_shape: the shape that the backward gave it; None where it claims none.
    """

    path: str
    value: NDArray[Any]
    claimed: NDArray[Any] | None
    returned_shape: tuple[int, ...] | None = None

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
    claims = _as_returned(rule, point.inputs, pullback(point.copy().cotangent))
    variables = [
        _variable(rule, path, np.asarray(value), claims[path])
        for name, tree in zip(rule.input_names, point.inputs, strict=True)
        for path, value in trees.leaves(tree, name)
        if trees.is_variable(value)
    ]
    return Claim(point, output, tuple(variables))


def by_leaf(rule: Rule, inputs: tuple[Any, ...], found: tuple[Any, ...]) -> dict[str, Any]:
    """Return the gradient of each leaf of the inputs by its path; None where there is none.

    Leading axes of size 1 that a gradient may leave out are put back.

    Raises:
        RuleError: a gradient is not in the containers of its input.
    """
    claims = _as_returned(rule, inputs, found)
    return {
        path: _completed(rule, path, value, claims[path])
        for name, tree in zip(rule.input_names, inputs, strict=True)
        for path, value in trees.leaves(tree, name)
    }


def _as_returned(rule: Rule, inputs: tuple[Any, ...], found: tuple[Any, ...]) -> dict[str, Any]:
    try:
        return gradients.by_leaf(rule.input_names, inputs, found)
    except RuleError as error:
        raise RuleError(f"rule {rule.name!r}: {error}") from None


def _completed(rule: Rule, path: str, value: Any, gradient: Any) -> Any:
    """Put back the leading axes of size 1 that `gradient` leaves out, where broadcasting does so too.

    Not where such an axis is a dimension with a name: at another size the gradient would be another one.
    """
    expected, actual = getattr(value, "shape", None), getattr(gradient, "shape", None)
    if expected is None or actual is None:
        return gradient
    missing = len(expected) - len(actual)
    if missing <= 0 or (1,) * missing + tuple(actual) != tuple(expected):
        return gradient
    domain = rule.contract.domains.get(path) if rule.contract is not None else None
    declared = domain.shape if domain is not None else None
    if declared is not None and declared.named(missing):
        return gradient
    return gradient.reshape(expected)


def _what_raised(function: str, inputs: tuple[Any, ...], error: Exception) -> str:
    return f"its {function} raised {type(error).__name__} at {trees.describe(inputs)}: {error}"


def _variable(rule: Rule, path: str, value: NDArray[Any], claim: Any) -> Variable:
    if claim is None:
        return Variable(path, value, None)
    claimed = _as_numbers(rule, f"the gradient of {path}", claim)
    return Variable(path, value, _completed(rule, path, value, claimed), claimed.shape)


def _as_numbers(rule: Rule, what: str, value: Any) -> NDArray[Any]:
    try:
        array = np.array(value, copy=True)
    except Exception as error:
        raise RuleError(
            f"rule {rule.name!r}: {what} is {trees.describe(value)}, not an array of numbers"
        ) from error
    if array.dtype.kind not in "biufc" and "float" not in str(array.dtype):
        raise RuleError(
            f"rule {rule.name!r}: {what} is {trees.describe(value)}, not an array of numbers"
        )
    return array


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value
