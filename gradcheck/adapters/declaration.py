"""What every adapter shares: the options of a declaration, and the making of the rule."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.complex_parts import CONVENTIONS, in_parts
from gradcheck.contracts import make_contract
from gradcheck.errors import ContractError, RuleError
from gradcheck.rules import Pullback, Rule

__all__ = ["OPTIONS", "Linearise", "Primal", "Run", "declare", "positional_room"]

Primal = Callable[[tuple[Any, ...]], Any]
Linearise = Callable[[tuple[Any, ...]], tuple[Any, Pullback]]
Run = Callable[[Callable[..., Any], tuple[Any, ...]], Any]

OPTIONS = frozenset(
    {
        "name",
        "output",
        "batch",
        "dims",
        "inputs",
        "points",
        "derivative_of",
        "kinks",
        "conjugation",
        "expected_failures",
        "strict",
    }
)
"""The keywords that are options of a rule; an input of one of these names is declared in `dims=`."""


def declare(
    kind: str,
    functions: Mapping[str, Callable[..., Any]],
    keywords: Mapping[str, Any],
    *,
    linearise: Linearise,
    primal: Primal,
    run: Run = lambda function, inputs: function(*inputs),
    scalar: bool = False,
) -> Rule:
    """Make the rule of one declaration.

    Args:
        kind: the adapter's name.
        functions: the user's functions by the adapter's argument names, forward first.
        keywords: the options of `OPTIONS`; every other keyword is an input's dimension or domain.
        linearise: inputs to output and pullback.
        primal: inputs to output.
        run: calls a function on the inputs as the adapter calls the forward, and returns its output.
        scalar: whether the output is a scalar loss.

    Raises:
        ContractError: an argument is no callable, a keyword is unknown or contradictory, or nothing
            says how to draw the inputs.
    """
    for argument, function in functions.items():
        if not callable(function):
            raise ContractError(f"gradcheck.{kind}: {argument} is {function!r}, not a callable")
    options = {key: value for key, value in keywords.items() if key in OPTIONS}
    dimensions = {key: value for key, value in keywords.items() if key not in OPTIONS}
    forward = next(iter(functions.values()))
    differentiated = options.get("derivative_of")
    if differentiated is not None:
        if not callable(differentiated):
            raise ContractError(
                f"gradcheck.{kind}: derivative_of= is {differentiated!r}; it takes the function "
                "whose derivative the backward is meant to be"
            )
        functions = {"derivative_of": differentiated, **functions}
        linearise, primal = _belonging_to(differentiated, linearise, run)
    inputs, points = options.get("inputs"), options.get("points")
    if inputs is not None and points is not None:
        raise ContractError(f"gradcheck.{kind}: give inputs= or points=, not both")
    if inputs is not None and not callable(inputs):
        raise ContractError(
            f"gradcheck.{kind}: inputs= is {inputs!r}; it takes a function of a numpy Generator that "
            "returns the tuple of inputs"
        )
    if points is not None and not (hasattr(points, "map") and hasattr(points, "example")):
        raise ContractError(
            f"gradcheck.{kind}: points= is {points!r:.80}; it takes a Hypothesis strategy of tuples of inputs"
        )
    contract = None
    defaults: tuple[Any, ...] = ()
    if inputs is None and points is None:
        contract = make_contract(
            forward,
            dimensions,
            dims=options.get("dims"),
            output=options.get("output"),
            batch=options.get("batch"),
            reserved=OPTIONS,
        )
        names = tuple(contract.inputs)
    elif dimensions or options.get("dims"):
        given = ", ".join([*dimensions, *(options.get("dims") or {})])
        raise ContractError(
            f"gradcheck.{kind}: {given} and {'inputs=' if inputs else 'points='} both say what the inputs "
            "are; keep one of them"
        )
    else:
        names, defaults = _parameters(kind, forward)
        spare = min(_spare(kind, names, functions), len(defaults))
        names, defaults = names[: len(names) - spare], defaults[: len(defaults) - spare]
    own_name: str = getattr(forward, "__name__", kind)
    rule = Rule(
        name=options.get("name") or own_name,
        kind=kind,
        input_names=names,
        primal=primal,
        linearise=linearise,
        functions=tuple(functions.values()),
        contract=contract,
        defaults=defaults,
        inputs=inputs,
        points=points,
        called=CALLS.get(kind, ""),
        scalar=scalar,
        kinks=_kinks(kind, names, options.get("kinks")),
        expected_failures=_expected_failures(kind, options.get("expected_failures")),
        strict=bool(options.get("strict", False)),
        conjugation=_declared_conjugation(kind, options.get("conjugation")),
    )
    convention = OWN_CONVENTION.get(kind, rule.conjugation)
    return rule if convention is None else replace(rule, parts=in_parts(rule, convention))


def _declared_conjugation(kind: str, declared: Any) -> str | None:
    if declared is not None and kind in OWN_CONVENTION:
        raise ContractError(
            f"gradcheck.{kind}: conjugation={declared!r} is out of place, since {kind} has one convention "
            "only; leave it out"
        )
    if declared is not None and declared not in CONVENTIONS:
        raise ContractError(
            f"gradcheck.{kind}: conjugation={declared!r:.80} is no convention; for w = f(z) the gradient is "
            "dw * f'(z) by conjugation='jax', and dw * conj(f'(z)) by conjugation='torch'"
        )
    return None if declared is None else str(declared)


OWN_CONVENTION = {"jax_rule": "jax", "torch_function": "torch", "jvp": "jax"}
"""The convention of the complex gradients of these adapters. A tangent needs none: a gradient that is made
of tangents is whatever it is made to be."""


CALLS = {
    "pair": "backward(dout, cache)",
    "vjp": "vjp(dout, *inputs)",
    "gradient": "grad(*inputs)",
    "jvp": "jvp(inputs, tangents)",
}
"""How the adapters call the user's backward."""


def _belonging_to(
    function: Callable[..., Any], linearise: Linearise, run: Run
) -> tuple[Linearise, Primal]:
    """Return the rule that has the outputs of `function` and the pullback of the user's backward.

    So every oracle differentiates `function`, while the backward runs after its own forward.
    """

    def primal(inputs: tuple[Any, ...]) -> Any:
        return run(function, inputs)

    def of_function(inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
        own, pullback = linearise(inputs)
        output = primal(inputs)
        if _shapes(own) != _shapes(output):
            raise RuleError(
                f"derivative_of= returned {trees.describe(output)} where the forward returned "
                f"{trees.describe(own)}; it takes the same inputs and returns an output of the same shape"
            )
        return output, pullback

    return of_function, primal


def _shapes(output: Any) -> list[tuple[int, ...]]:
    return [np.shape(value) for _, value in trees.leaves(output)]


def _expected_failures(kind: str, declared: Any) -> dict[str, str]:
    if declared is not None and not isinstance(declared, Mapping):
        raise ContractError(
            f"gradcheck.{kind}: expected_failures= is {declared!r:.80}; it takes the reason by the name of "
            'the check, as in expected_failures={"dtype": "float64 tables"}'
        )
    return dict(declared or {})


def _kinks(kind: str, names: tuple[str, ...], declared: Any) -> dict[str, float]:
    """Return the declared derivative at a kink of each input named; see docs/rules.md."""
    if declared is None:
        return {}
    if not isinstance(declared, Mapping):
        raise ContractError(
            f"gradcheck.{kind}: kinks= is {declared!r}; it takes the derivative at a kink by the name of the "
            'input, as in kinks={"x": 0}'
        )
    for name, value in declared.items():
        if name not in names:
            raise ContractError(
                f"gradcheck.{kind}: kinks= names {name!r}; the inputs are {', '.join(names)}"
            )
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ContractError(
                f"gradcheck.{kind}: kinks= gives {value!r} for {name}; it takes a number, the derivative of "
                "the output at a kink"
            )
    return {name: float(value) for name, value in declared.items()}


def _spare(kind: str, names: tuple[str, ...], functions: Mapping[str, Callable[..., Any]]) -> int:
    """Return how many of the last inputs a backward that takes the inputs themselves has no room for."""
    others = {"vjp": 1, "gradient": 0}.get(kind)
    room = None if others is None else positional_room(list(functions.values())[-1])
    return 0 if room is None or others is None else max(len(names) + others - room, 0)


def positional_room(function: Callable[..., Any]) -> int | None:
    """Return how many positional arguments a function takes; None if any number or unknown."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(item.kind is item.VAR_POSITIONAL for item in parameters):
        return None
    return sum(
        item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD) for item in parameters
    )


def _parameters(kind: str, forward: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """Return the names of the forward's positional parameters, and the defaults of the last ones."""
    try:
        parameters = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError) as error:
        raise ContractError(
            f"gradcheck.{kind}: the parameters of {forward!r} cannot be read; wrap it in a def"
        ) from error
    positional = [
        parameter
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if (
        any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
        or not positional
    ):
        raise ContractError(
            f"gradcheck.{kind}: the inputs of {getattr(forward, '__name__', forward)!r} have no names; "
            "give it one parameter per input"
        )
    defaults = [item.default for item in positional if item.default is not item.empty]
    return tuple(item.name for item in positional), tuple(defaults)
