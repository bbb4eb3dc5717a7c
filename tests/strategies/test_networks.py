"""Networks of any rules: what is drawn, that right rules pass, and that the guilty one is named."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import Phase, find, given, seed, settings
from hypothesis import strategies as st

import gradcheck
from gradcheck.errors import ContractError, UsageError
from gradcheck.strategies import networks
from gradcheck.strategies.architecture import Step, read, write


def affine(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


def cross_entropy(x, labels):
    shifted = x - x.max(axis=1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    return -np.mean(np.log(p[np.arange(len(x)), labels])), (p, labels)


def cross_entropy_backward(dout, cache):
    p, labels = cache
    dx = p.copy()
    dx[np.arange(len(p)), labels] -= 1
    return dout * dx / len(p), None


class Scale:
    """A layer that keeps its input on the object, as most do."""

    def __init__(self, width):
        self.params, self.grads = {"gamma": np.ones(width)}, {}

    def forward(self, x):
        self.x = x
        return x * self.params["gamma"]

    def backward(self, dout):
        self.grads["gamma"] = (dout * self.x).sum(axis=0)
        return dout * self.params["gamma"]


def elementwise(name, backward, forward=np.sin, **options):
    return gradcheck.vjp(forward, backward, x="N D", name=name, **options)


_dense = gradcheck.pair(affine, affine_backward, x="N D", w="D M", b="M", name="dense")
_relu = elementwise("relu", lambda dout, x: dout * (x > 0), lambda x: np.maximum(x, 0))
_sine = elementwise("sine", lambda dout, x: dout * np.cos(x))
_product = gradcheck.vjp(
    lambda x, y: x * y, lambda dout, x, y: (dout * y, dout * x), x="*s", y="*s", name="product"
)
_scale = gradcheck.layer(lambda D: Scale(D), x="N D", params="params", grads="grads", name="scale")
_loss = gradcheck.pair(
    cross_entropy,
    cross_entropy_backward,
    x="N C",
    labels=gradcheck.integers("N", below="C"),
    name="cross_entropy",
)
RIGHT = [_dense, _relu, _sine, _product, _scale, _loss]


def verify(rules, **options):
    return gradcheck.verify(
        gradcheck.network(rules), **{"checks": ["gradient"], "seed": 1, "trace": False, **options}
    )


def test_networks_of_right_rules_pass():
    report = verify(RIGHT, examples=40)
    assert report.verdict == "pass", report
    assert report.power["gradient"]["architectures"] > 20


def test_networks_of_right_rules_pass_by_every_oracle_and_are_certified():
    report = verify([_dense, _sine, _relu], examples=10, trace=True)
    assert report.verdict == "pass", report
    assert report.checks[0].certificate["certified_cells"] > 3


@pytest.mark.slow
def test_hundreds_of_networks_of_right_rules_pass_all_checks():
    report = gradcheck.verify(gradcheck.network(RIGHT), examples=400, seed=2)
    assert report.verdict == "pass", report


class Last:
    """What several calls of a faulty layer share."""

    x = None
    buffers: dict = {}  # noqa: RUF012


def buffer(key, shape):
    return Last.buffers.setdefault((key, shape), np.empty(shape))


def keeps_last_input(x):
    Last.x = x
    return np.sin(x)


def reuses_output(x):
    return np.sin(x, out=buffer("output", x.shape))


def writes_into_cotangent(dout, x):
    dout *= np.cos(x)
    return dout


FAULTS = {
    "reads in its backward what a later forward left": elementwise(
        "mine", lambda dout, x: dout * np.cos(Last.x), keeps_last_input
    ),
    "gives gradients that change later: their memory is written again": elementwise(
        "mine", lambda dout, x: np.multiply(dout, np.cos(x), out=buffer("gradient", x.shape))
    ),
    "writes into its cotangent, which another step reads as well": elementwise(
        "mine", writes_into_cotangent
    ),
    "gives an output that changes later: its memory is written again": elementwise(
        "mine", lambda dout, x: dout * np.cos(x), reuses_output
    ),
}
"""Layers whose gradients are right whenever they are looked at alone."""

MOST_RULES = 2
"""Rules of the smallest network that shows one of these faults."""


def rules_of(message):
    case = message.split("smallest failing case:")[1].splitlines()
    return [line.split(" = ")[1].split("(")[0] for line in case if "(x" in line or "(h" in line]


TELLING = (
    "h1 = mine(x_1)",
    "h2 = mine(h1)",
    "h3 = h2 + h1",
    "h4 = mine(h3)",
    "h5 = half_squared_error(h4, t_5)",
    "loss = h5",
)
"""A network in which each of the faults gives a wrong gradient."""


@pytest.mark.parametrize(("cause", "mine"), FAULTS.items(), ids=list(FAULTS))
def test_a_fault_that_shows_only_inside_a_network_is_named_with_its_cause(cause, mine):
    x, t = np.array([[0.4, 1.0]]), np.array([[2.0, 3.0]])
    assert gradcheck.verify_at(mine, (x,), checks=["gradient"]).verdict == "pass"
    network = gradcheck.network([mine])
    report = gradcheck.verify_at(network, (TELLING, {"x_1": x, "t_5": t}), checks=["gradient"])
    assert f"\n    mine {cause}" in report.findings[0].message
    assert report.findings[0].diagnosis.startswith(f"mine {cause}")
    assert "smallest failing case:\n        h1 = mine(x_1)\n" in report.findings[0].message


@pytest.mark.slow
@pytest.mark.parametrize(("cause", "mine"), FAULTS.items(), ids=list(FAULTS))
def test_the_search_finds_such_a_fault_and_leaves_only_the_guilty_rule(cause, mine):
    report = verify([mine, _dense], examples=300)
    assert f"\n    mine {cause}" in report.findings[0].message
    called = [rule for rule in rules_of(report.findings[0].message) if rule != "half_squared_error"]
    assert called == ["mine"] * len(called)
    assert len(called) <= MOST_RULES


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [1, 2.001])
def test_a_rule_that_is_wrong_by_itself_stays_alone_and_is_named(wrong):
    square = elementwise("square", lambda dout, x: dout * wrong * x, lambda x: x**2)
    report = verify([_relu, square], examples=50)
    message = report.findings[0].message
    assert rules_of(message) == ["square", "half_squared_error"]
    assert (
        "square is wrong by itself, at what 'h1 = square(x_1)' gives it: claimed = true" in message
    )
    assert report.findings[0].line.endswith(f":{square.functions[-1].__code__.co_firstlineno}")


def test_gradients_that_share_memory_are_a_failure_of_a_strict_network_alone():
    """Whoever adds up gradients in place, as a framework may, changes both at once."""
    forward, backward = (lambda x, y: x + y), (lambda dout, x, y: (dout, dout))
    add = gradcheck.vjp(forward, backward, x="N D", y="N D", name="add")
    lines = ("h1 = sine(x_1)", "h2 = add(x_1, y_2)", "h3 = h1 + h2")
    end = ("h4 = half_squared_error(h3, t_4)", "loss = h4")
    values = {"x_1": np.ones((1, 1)), "y_2": np.ones((1, 1)), "t_4": np.zeros((1, 1))}

    def verified(**options):
        network = gradcheck.network([_sine, add], **options)
        return gradcheck.verify_at(network, ((*lines, *end), values), checks=["gradient"])

    assert verified().verdict == "pass"
    assert "add gives gradients that change later" in verified(strict=True).findings[0].message


@pytest.mark.slow
def test_a_backward_that_raises_inside_a_network_is_named():
    def picky(dout, x):
        if not dout.flags.owndata:
            raise ValueError("not mine")
        return dout * np.cos(x)

    report = verify([elementwise("picky", picky), _dense], examples=200)
    assert "the backward of picky raised ValueError" in report.findings[0].message


def test_the_reproduction_fails_again():
    half = elementwise("half", lambda dout, x: dout * 0.5 * np.cos(x))
    network = gradcheck.network([half])
    report = verify([half])
    again = eval(report.reproduction, {"gradcheck": gradcheck, "np": np, "network": network})
    assert again.verdict == "fail"
    assert "half is wrong by itself" in again.findings[0].message


def test_the_derivative_of_another_function_is_composed_like_any_other():
    """A straight-through rounding has the derivative of the identity, inside networks too."""
    options = {"derivative_of": lambda x: x, "forward": lambda x: np.round(x)}
    through = elementwise("through", lambda dout, x: dout.copy(), **options)
    assert verify([through, _dense], examples=20).verdict == "pass"
    lost = elementwise("lost", lambda dout, x: 0 * dout, **options)
    assert "lost is wrong by itself" in verify([lost, _dense], examples=20).findings[0].message


@pytest.fixture(scope="module")
def drawn():
    """The steps of some networks."""
    found = []

    @seed(1)
    @settings(max_examples=400, database=None, deadline=None, phases=[Phase.generate])
    @given(gradcheck.network(RIGHT).points)
    def draw(network):
        found.append(read(network[0], [rule.name for rule in RIGHT], network[1]))

    draw()
    return found


def parameters(steps, name):
    return [step.arguments[1:] for step in steps if step.call == name]


FEATURES = {
    "a chain": lambda steps: steps[1].arguments[0] == "h1" and steps[1].call == "dense",
    "a residual connection": lambda steps: any(
        step.call == "+" and step.results != ("loss",) for step in steps
    ),
    "a concatenation": lambda steps: any(step.call == "concatenate" for step in steps),
    "a layer used twice": lambda steps: (
        len(parameters(steps, "dense")) > len(set(parameters(steps, "dense")))
    ),
    "a branch": lambda steps: (
        max(Counter(name for step in steps for name in {*step.arguments}).values()) > 1
    ),
    "two results multiplied": lambda steps: any(
        step.call == "product" and step.arguments[0][0] == step.arguments[1][0] == "h"
        for step in steps
    ),
    "a loss of the user's": lambda steps: any(
        step.call == "cross_entropy" and step.arguments[0][0] == "h" for step in steps
    ),
    "a layer object used twice": lambda steps: (
        len(set(parameters(steps, "scale"))) == 1 and len(parameters(steps, "scale")) > 1
    ),
}


@pytest.mark.parametrize("feature", FEATURES)
def test_among_networks_are_some_with(feature, drawn):
    assert any(FEATURES[feature](steps) for steps in drawn)


@settings(max_examples=10, deadline=None)
@given(networks([_dense, _relu, _product]))
def test_a_network_of_the_strategy_is_a_rule_of_one_architecture(network):
    rule = gradcheck.network([_dense, _relu, _product])
    point = gradcheck.strategies.point_at(network)
    lines, values = network.composition.at(point.inputs)
    assert rule.primal((lines, values)) == network.primal(point.inputs)
    assert gradcheck.verify_at(network, point, checks=["shapes", "purity"]).verdict == "pass"


def test_a_wrong_network_of_the_strategy_fails_with_its_architecture():
    half = elementwise("half", lambda dout, x: dout * 0.5 * np.cos(x))
    network = find(networks([half]), lambda rule: True)
    with pytest.raises(gradcheck.GradientError) as caught:
        gradcheck.check(network, checks=["gradient"], examples=5, trace=False)
    assert "h1 = half(x_1)\n" in str(caught.value)
    assert "gradcheck.verify_at(gradcheck.network(rules), gradcheck.Point((" in str(caught.value)


def drawn_by_inputs():
    return gradcheck.vjp(
        np.sin, lambda dout, x: dout, inputs=lambda rng: (rng.normal(size=2),), name="own"
    )


def of(shape, **options):
    return gradcheck.vjp(lambda x: 2 * x, lambda dout, x: 2 * dout, x=shape, **options)


REFUSED = {
    "no rule is given": list,
    "is no rule; make one with": lambda: [np.sin],
    "own draws its inputs by inputs=, which does not say what other rules may feed it": lambda: [
        drawn_by_inputs()
    ],
    "network draws its inputs by points=": lambda: [gradcheck.network([_dense])],
    "x of waves is complex; networks are composed of real arrays": lambda: [
        of(gradcheck.complex("N"), name="waves")
    ],
    "flat and deep never fit each other: flat gives arrays of 2 axes and takes arrays of 2 axes; "
    "deep gives arrays of 4 axes": lambda: [of("N D", name="flat"), of("N C H W", name="deep")],
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_rules_that_cannot_stand_in_a_network_are_refused_in_a_sentence(sentence):
    for door in (gradcheck.network, networks):
        with pytest.raises(ContractError) as caught:
            door(REFUSED[sentence]())
        assert sentence in str(caught.value)


def test_rules_of_one_name_get_numbers_and_a_dict_gives_names():
    listed = gradcheck.network([of("N"), of("N"), _dense, _sine])
    assert list(listed.composition.parts) == ["rule_lambda", "rule_lambda_2", "dense", "sine"]
    assert list(gradcheck.network({"twice": of("N")}).composition.parts) == ["twice"]


BAD_LINES = {
    "('h1 = relu(x_1', )": "the line 'h1 = relu(x_1' of the network cannot be read",
    "('h1 = tanh(x_1)', )": "calls 'tanh'; its rules are relu",
    "('h1 = relu(x_2)', )": "takes 'x_2', which is no value of the network and no result of a line",
    "('h1, h2 = relu(x_1)', )": "the last line of a network gives its loss",
    "('h1, h2 = relu(x_1)', 'loss = h1')": "names 2 results, and there are 1",
}


@pytest.mark.parametrize("lines", BAD_LINES)
def test_lines_that_make_no_network_are_refused_in_a_sentence(lines):
    network, values = gradcheck.network([_relu]), {"x_1": np.ones((1, 1))}
    with pytest.raises(
        gradcheck.GradcheckError, match=r"the (last )?line .*of (a|the) network"
    ) as caught:
        gradcheck.verify_at(network, (eval(lines), values))
    assert BAD_LINES[lines] in str(caught.value)


NAMES = st.from_regex(r"[a-z]{1,3}_[1-9]", fullmatch=True)


@given(st.lists(NAMES, min_size=1, max_size=3), st.sampled_from(["+", "relu"]), NAMES)
def test_a_line_that_is_written_is_read_again(arguments, call, result):
    step = Step((result,), call, tuple(arguments))
    assert read([write(step)], ["relu"], arguments) == (step,)


def test_a_bad_line_is_a_usage_error():
    with pytest.raises(UsageError, match="cannot be read"):
        read(["h1 = relu(x, axis=1)"], ["relu"], ["x"])


def test_pytest_collects_a_network_like_any_rule(pytester):
    pytester.makepyfile(
        test_layers="""
        import numpy as np
        import gradcheck

        _sine = gradcheck.vjp(np.sin, lambda dout, x: dout * np.sin(x), x="N", name="sine")
        nets = gradcheck.network([_sine])
        """
    )
    result = pytester.runpytest_subprocess("--gradcheck-no-trace", "-k", "gradient")
    result.assert_outcomes(failed=1, deselected=len(gradcheck.checks.CHECKS) - 1)
    result.stdout.fnmatch_lines(
        ["*nets: the gradient of values*", "*sine is wrong by itself*", "*h1 = sine(x_1)*"]
    )
