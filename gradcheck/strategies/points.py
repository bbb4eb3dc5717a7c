"""Hypothesis strategy of the points at which a rule is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import hypothesis
import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from gradcheck import trees
from gradcheck.contracts import Contract, Domain
from gradcheck.contracts.sampling import STYLES
from gradcheck.errors import GradcheckError, RuleError, UsageError
from gradcheck.rules import Point, Rule
from gradcheck.strategies.choices import choice, random_seed
from gradcheck.strategies.dimensions import sizes as drawn_sizes
from gradcheck.strategies.values import cotangent, styles, values
from gradcheck.strategies.variation import AS_DRAWN, MANNERS, Variation

__all__ = ["RAISED", "VARIED", "point_at", "points"]

OnDiscard = Callable[[str], None]

RAISED = "the forward raised"
"""What the reason of a discarded draw begins with, where the forward raised."""

DRAWS_OF_ONE_AS_DRAWN = 4
"""One draw of so many of the user's own is left as it is: of a hundred points each of the seven manners of
variation is then seen some ten times, and each is a corner that hid real bugs."""

VARIED = "varied: "
"""In the label of a point, what comes before the manners in which the user's own draw was varied."""


def points(rule: Rule, on_discard: OnDiscard | None = None) -> SearchStrategy[Point]:
    """Draw a point of `rule`: inputs at which its forward runs and is finite, and a cotangent.

    Args:
        rule: the rule; its inputs come from its contract, its `inputs=` or its `points=`.
        on_discard: called with a sentence for each draw at which the forward raises or is not finite;
            such a draw is rejected.

    Returns:
        A `Point` whose cotangent has the shape and dtype of the output (a tree of them for several
        outputs), or is None for a rule with a scalar output.

    Raises:
        RuleError: the rule's `inputs=` or `points=` do not give one value per input, or its forward
            does not return what its adapter expects.
    """
    return _points(rule, Variation(rule), on_discard)


@st.composite
def _points(draw: DrawFn, rule: Rule, variation: Variation, on_discard: OnDiscard | None) -> Point:
    if rule.contract is not None:
        inputs, label, style = _inputs_of_contract(draw, rule.contract)
    else:
        inputs, label = _own_inputs(draw, rule, variation)
        (style,) = styles(draw, 0)
    rng = np.random.default_rng(random_seed(draw))
    point = _complete(rule, inputs, rng, style, label)
    if isinstance(point, str):
        if on_discard is not None:
            on_discard(point)
        hypothesis.reject()
    return point


def point_at(
    rule: Rule,
    sizes: Mapping[str, int] | None = None,
    seed: int = 0,
    *,
    style: str = "normal",
    choices: Mapping[str, Any] | None = None,
) -> Point:
    """Return a point of `rule` at given sizes, without Hypothesis.

    Args:
        rule: the rule; one with `points=` or `elements` is drawn by Hypothesis alone.
        sizes: the sizes of some or all names; None or missing ones for the smallest that fit. A rule with
            `inputs=` takes none.
        seed: decides all values.
        style: the style of all values, the cotangent's too.
        choices: the values of `one_of` arguments by name; the first choice of the others is taken.

    Raises:
        UsageError: a name is unknown, the sizes do not fit the contract, or only Hypothesis can
            draw the inputs.
        RuleError: the forward raises or is not finite at the point.
    """
    if style not in STYLES:
        raise UsageError(
            f"there is no style {style!r} of values; the styles are {', '.join(STYLES)}"
        )
    rng = np.random.default_rng(seed)
    if rule.contract is not None:
        inputs = _inputs_at(rule.contract, dict(sizes or {}), dict(choices or {}), rng, style)
    elif rule.inputs is not None:
        inputs = _called(rule, rng)
    else:
        raise UsageError(
            f"rule {rule.name!r} draws its points by Hypothesis; use gradcheck.strategies.points"
        )
    point = _complete(rule, inputs, rng, style, f"seed {seed}, {style}")
    if isinstance(point, str):
        raise RuleError(f"rule {rule.name!r}: {point}")
    return point


def _inputs_of_contract(draw: DrawFn, contract: Contract) -> tuple[tuple[Any, ...], str, str]:
    """Draw the inputs of a contract, a label of their styles, and the style of the cotangent."""
    domains = contract.domains
    chosen = {path: choice(draw, own) for path, own in contract.choices.items()}
    fixed = {path: own.choices[0] for path, own in domains.items() if own.kind == "constant"}
    arguments = {path: int({**chosen, **fixed}[path]) for path in contract.arguments}
    sizes = drawn_sizes(draw, contract, arguments)
    *own_styles, last_style = styles(draw, len(domains))
    found: list[Any] = []
    words: list[str] = []
    for place, ((path, domain), style) in enumerate(zip(domains.items(), own_styles, strict=True)):
        if domain.shape is None:
            found.append(_fresh({**chosen, **fixed}[path]))
            words += [f"{path} = {chosen[path]!r:.20}"] if path in chosen else []
        else:
            found.append(values(draw, domain, sizes, style, start=place + 1))
            words.append(f"{path} {style}")
    return _grouped(contract, found), ", ".join(words), last_style


def _inputs_at(
    contract: Contract,
    sizes: dict[str, int],
    choices: dict[str, Any],
    rng: np.random.Generator,
    style: str,
) -> tuple[Any, ...]:
    unknown = [name for name in choices if name not in contract.choices]
    unknown += [name for name in sizes if name not in contract.problem.names and "[" not in name]
    unknown = [name for name in unknown if name not in contract.variadics]
    if unknown:
        known = [*contract.problem.names, *contract.variadics, *contract.choices]
        raise UsageError(
            f"{unknown[0]!r} is no dimension and no choice of the rule; these are {', '.join(known)}"
        )
    picked = {path: choices.get(path, own.choices[0]) for path, own in _picked(contract)}
    arguments = {path: int(picked[path]) for path in contract.arguments}
    complete = contract.problem.smallest({**sizes, **arguments})
    if complete is None:
        given = ", ".join(f"{name} = {size}" for name, size in {**sizes, **arguments}.items())
        raise UsageError(f"no sizes of the other dimensions fit the contract at {given}")
    bindings = {**dict.fromkeys(contract.variadics, 1), **complete}
    found = [
        _fresh(picked[path])
        if domain.shape is None
        else domain.sample(rng, bindings, style, start=place + 1)
        for place, (path, domain) in enumerate(contract.domains.items())
    ]
    return _grouped(contract, found)


def _picked(contract: Contract) -> list[tuple[str, Domain]]:
    return [(path, domain) for path, domain in contract.domains.items() if domain.shape is None]


def _grouped(contract: Contract, found: list[Any]) -> tuple[Any, ...]:
    """Put the arrays of all inputs back into the trees of the inputs."""
    whole: tuple[Any, ...] = trees.rebuild(tuple(contract.inputs.values()), found)
    return whole


def _own_inputs(draw: DrawFn, rule: Rule, variation: Variation) -> tuple[tuple[Any, ...], str]:
    """Draw by the user's `inputs=` or `points=`, and vary three draws of four."""
    if rule.points is not None:
        inputs, label = _one_per_input(rule, "points=", draw(rule.points)), "drawn by points="
    elif rule.inputs is not None:
        inputs, label = _called(rule, np.random.default_rng(random_seed(draw))), "drawn by inputs="
    else:
        raise UsageError(
            f"rule {rule.name!r} has no contract, no inputs= and no points=: nothing can be drawn"
        )
    if rule.composition is not None or choice(draw, range(DRAWS_OF_ONE_AS_DRAWN)) == 0:
        return inputs, label
    manners = {path: choice(draw, list(MANNERS)) for path in variation.variable_paths(inputs)}
    words = [f"{path} {manner}" for path, manner in manners.items() if manner != AS_DRAWN]
    if not words:
        return inputs, label
    varied = variation.varied(inputs, manners, np.random.default_rng(random_seed(draw)))
    return varied, f"{label}, {VARIED}{', '.join(words)}"


def _called(rule: Rule, rng: np.random.Generator) -> tuple[Any, ...]:
    assert rule.inputs is not None
    try:
        found = rule.inputs(rng)
    except Exception as error:
        raise RuleError(
            f"rule {rule.name!r}: inputs= raised {type(error).__name__}: {error}; it is called with a numpy "
            "Generator and returns the tuple of inputs"
        ) from error
    return _one_per_input(rule, "inputs=", found)


def _one_per_input(rule: Rule, option: str, found: Any) -> tuple[Any, ...]:
    names = rule.input_names
    completed = rule.completed(tuple(found)) if isinstance(found, (tuple, list)) else None
    if completed is not None:
        return completed
    got = (
        f"{len(found)} values" if isinstance(found, (tuple, list)) else f"a {type(found).__name__}"
    )
    raise RuleError(
        f"rule {rule.name!r}: {option} gave {got}; a tuple of {len(names)} was expected, one value "
        f"for each of {', '.join(names)}"
    )


def _complete(
    rule: Rule, inputs: tuple[Any, ...], rng: np.random.Generator, style: str, label: str
) -> Point | str:
    """Return the point with a cotangent for its output, or why it cannot serve, in a clause."""
    point = Point(inputs, None, label)
    try:
        with np.errstate(all="ignore"):
            output = rule.primal(point.copy().inputs)
    except GradcheckError:
        raise
    except Exception as error:
        return f"{RAISED} {type(error).__name__}: {error}"
    leaves = trees.leaves(output)
    if not all(_is_finite(value) for _, value in leaves):
        return "the forward's output is not finite"
    if rule.scalar:
        return point
    parts = [cotangent(rng, value, style, start) for start, (_, value) in enumerate(leaves, 1)]
    return Point(inputs, trees.rebuild(output, parts), f"{label}, cotangent {style}")


def _is_finite(value: Any) -> bool:
    array = np.asarray(value)
    return not trees.is_variable(array) or bool(np.all(np.isfinite(array)))


def _fresh(value: Any) -> Any:
    """Copy an array, so that user code cannot change the declared one."""
    return value.copy() if isinstance(value, np.ndarray) else value
