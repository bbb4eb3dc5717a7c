"""`gradcheck.layer`: objects with parameters and gradients inside, kept in every way people keep them."""

import re

import numpy as np
import pytest

import gradcheck
from gradcheck import ContractError, RuleError, layer, verify
from gradcheck.adapters.places import Place
from tests.layers import Stateful, all_layers

EXAMPLES, SEED = 15, 3


def verdict_of(rule, **options):
    report = verify(rule, examples=EXAMPLES, seed=SEED, **options)
    return report.verdict, report


class Dense:
    """Weights at random, a bias of zero; gradients written in place, and added up until flushed."""

    factor = 1.0

    def __init__(self, inputs, outputs):
        self.params = {"w": np.random.randn(inputs, outputs), "b": np.zeros(outputs)}  # noqa: NPY002
        self.grads = {name: np.zeros_like(value) for name, value in self.params.items()}

    def forward(self, x):
        self.x = x
        return x @ self.params["w"] + self.params["b"]

    def backward(self, dout):
        self.grads["w"] += self.x.T @ dout
        self.grads["b"] += self.factor * dout.sum(axis=0)
        return dout @ self.params["w"].T


class DenseWrong(Dense):
    factor = 0.5


def test_the_factory_takes_the_sizes_and_the_parameters_are_inputs():
    rule = layer(lambda D, M: Dense(D, M), x="N D", params="params", grads="grads")
    assert rule.input_names == ("x", "w", "b")
    assert [domain.shape.text for domain in rule.contract.domains.values()] == ["N D", "D M", "M"]
    verdict, report = verdict_of(rule)
    assert verdict == "pass", str(report)
    assert set(report.power["gradient"]["decided_points"]) == {"x", "w", "b"}
    assert report.power["gradient"]["architectures"] > 3


def test_a_wrong_gradient_is_named_by_its_parameter():
    rule = layer(lambda D, M: DenseWrong(D, M), x="N D", params="params", grads="grads")
    verdict, report = verdict_of(rule)
    assert verdict == "fail"
    assert report.findings[0].input == "b"
    assert report.findings[0].diagnosis == "claimed = true × 0.5: a factor is wrong"


def test_the_report_is_named_after_the_class():
    class Halved(DenseWrong):
        def __init__(self):
            super().__init__(4, 3)

    rule = layer(Halved, x="N D", params="params", grads="grads")
    assert rule.name == "Halved"
    assert layer(Halved, x="N D", params="params", grads="grads", name="mine").name == "mine"


def test_a_layer_of_fixed_sizes_fixes_the_dimensions_that_it_must():
    rule = layer(lambda: Dense(4, 3), x="N D", params="params", grads="grads")
    assert rule.contract.domains["x"].shape.text == "N 4"
    assert verdict_of(rule)[0] == "pass"


class Scaled:
    """A gain that starts at 1 and a shift that starts at 0, which hide what they multiply."""

    def __init__(self, width, training=True):
        self.gain, self.shift = np.ones(width), np.zeros(width)
        self.training = training

    def forward(self, x):
        self.x = x
        return x * self.gain + self.shift if self.training else x.copy()

    def backward(self, dout):
        on = 1.0 if self.training else 0.0
        self.dgain = on * (dout * self.x).sum(axis=0)
        self.dshift = on * dout.sum(axis=0)
        return dout * self.gain if self.training else dout


class ScaledForgetsGain(Scaled):
    def backward(self, dout):
        super().backward(dout)
        return dout


class ScaledForgetsEvaluation(Scaled):
    def backward(self, dout):
        dx = super().backward(dout)
        self.dgain = (dout * self.x).sum(axis=0)
        return dx


ATTRIBUTES = {"params": ["gain", "shift"], "grads": ["dgain", "dshift"]}
NAMED = {
    "params": {"gain": "gain", "shift": "shift"},
    "grads": {"gain": "dgain", "shift": "dshift"},
}


@pytest.mark.parametrize("places", [ATTRIBUTES, NAMED], ids=["lists", "name maps"])
def test_parameters_and_gradients_are_attributes(places):
    assert verdict_of(layer(lambda D: Scaled(D), x="N D", **places))[0] == "pass"
    verdict, report = verdict_of(layer(lambda D: ScaledForgetsGain(D), x="N D", **places))
    assert verdict == "fail", "a gain of 1 would hide that dx does not depend on it"
    assert report.findings[0].input == "x"


def test_a_flag_of_the_factory_is_drawn_like_any_choice():
    flags = {"x": "N D", "training": gradcheck.one_of(True, False), **ATTRIBUTES}
    assert verdict_of(layer(lambda D, training: Scaled(D, training), **flags))[0] == "pass"
    verdict, report = verdict_of(
        layer(lambda D, training: ScaledForgetsEvaluation(D, training), **flags)
    )
    assert verdict == "fail"
    assert "False" in report.reproduction


class Flatten:
    """No parameters; the factory's argument is a configuration, and the backward returns one array."""

    factor = 1.0

    def __init__(self, keep):
        self.keep = keep

    def forward(self, x):
        self.shape = x.shape
        return x.reshape(x.shape[0], -1) if self.keep == "first" else x.reshape(-1, x.shape[-1])

    def backward(self, dout):
        return self.factor * dout.reshape(self.shape)


class FlattenWrong(Flatten):
    factor = 1.001


@pytest.mark.parametrize("x", ["N C", gradcheck.one_hot("N C")], ids=["real", "one-hot"])
def test_a_single_gradient_is_that_of_the_only_input_beside_the_choices_of_the_factory(x):
    keep = gradcheck.one_of("first", "last", -1)
    verdict, report = verdict_of(layer(Flatten, x=x, keep=keep))
    assert verdict == "pass", str(report)
    verdict, report = verdict_of(layer(FlattenWrong, x=x, keep=keep))
    assert verdict == "fail"
    assert report.findings[0].input == "x"


def test_parameters_are_away_from_their_initial_values_where_the_user_draws_the_inputs():
    rule = layer(lambda: Scaled(3), inputs=lambda rng: (rng.normal(size=(4, 3)),), **ATTRIBUTES)
    x, gain, shift = rule.inputs(np.random.default_rng(0))
    assert x.shape == (4, 3)
    assert not np.any(gain == 1)
    assert not np.any(shift == 0)
    assert verdict_of(rule)[0] == "pass"


def test_parameters_are_drawn_beside_a_strategy():
    from hypothesis.extra import numpy as strategies

    points = strategies.arrays(float, (2, 3), elements={"min_value": -2, "max_value": 2}).map(
        lambda x: (x,)
    )
    assert verdict_of(layer(lambda: Scaled(3), points=points, **ATTRIBUTES))[0] == "pass"
    wrong = layer(lambda: ScaledForgetsGain(3), points=points, **ATTRIBUTES)
    assert verdict_of(wrong)[0] == "fail"


class Stack:
    """Two matrices in a list, gradients in a list; the input's cotangent is returned in a tuple."""

    def __init__(self, width, hidden, outputs):
        self.weights = [np.ones((width, hidden)), np.ones((hidden, outputs))]

    def __call__(self, x):
        self.x, self.z = x, x @ self.weights[0]
        return self.z @ self.weights[1]

    def backprop(self, dout):
        dz = dout @ self.weights[1].T
        self.gradients = [self.x.T @ dz, self.z.T @ dout]
        return (dz @ self.weights[0].T,)


class StackSwapped(Stack):
    def backprop(self, dout):
        dx = super().backprop(dout)
        self.gradients = [self.gradients[1].T, self.gradients[0].T]
        return dx


def test_parameters_in_a_list_are_one_input_and_the_methods_may_have_other_names():
    options = {"params": "weights", "grads": "gradients"}
    options |= {"forward": "__call__", "backward": "backprop"}
    rule = layer(lambda D, H, M: Stack(D, H, M), x="N D", **options)
    assert list(rule.contract.domains) == ["x", "weights[0]", "weights[1]"]
    assert verdict_of(rule)[0] == "pass"
    verdict, report = verdict_of(layer(lambda D: StackSwapped(D, D, D), x="N D", **options))
    assert verdict == "fail"
    assert report.findings[0].input.startswith("weights[")


class Returning:
    def __init__(self, width):
        self.gain = np.ones(width)

    def forward(self, x):
        self.x = x
        return x * self.gain


class ReturnsATuple(Returning):
    def backward(self, dout):
        return dout * self.gain, (dout * self.x).sum(axis=0)


class ReturnsADict(Returning):
    def backward(self, dout):
        return {"gain": (dout * self.x).sum(axis=0), "x": dout * self.gain}


class ReturnsBoth(Returning):
    def backward(self, dout):
        return dout * self.gain, {"gain": (dout * self.x).sum(axis=0)}


class ReturnsTheMean(Returning):
    def backward(self, dout):
        return dout * self.gain, {"gain": (dout * self.x).mean(axis=0)}


@pytest.mark.parametrize("made", [ReturnsATuple, ReturnsADict, ReturnsBoth])
def test_gradients_of_parameters_may_be_returned(made):
    assert verdict_of(layer(lambda D: made(D), x="N D", params=["gain"]))[0] == "pass"


def test_a_returned_mean_for_a_sum_fails():
    verdict, report = verdict_of(layer(lambda D: ReturnsTheMean(D), x="N D", params=["gain"]))
    assert verdict == "fail"
    assert "a mean for a sum" in report.findings[0].diagnosis


def test_gradients_may_be_collected_by_a_function_as_from_an_optimizer():
    class Optimizer:
        def __init__(self):
            self.seen = {}

    class Optimised(Returning):
        def __init__(self, width):
            super().__init__(width)
            self.optimizer = Optimizer()

        def backward(self, dout):
            self.optimizer.seen["gain"] = (dout * self.x).sum(axis=0)
            return dout * self.gain

    rule = layer(
        lambda D: Optimised(D),
        x="N D",
        params=["gain"],
        grads=lambda made: made.optimizer.seen,
    )
    assert verdict_of(rule)[0] == "pass"


def test_a_pullback_called_twice_does_not_add_up_gradients():
    rule = layer(lambda D, M: Dense(D, M), x="N D", params="params", grads="grads")
    inputs = (np.ones((2, 3)), np.ones((3, 1)), np.ones(1))
    _, pullback = rule.vjp(inputs)
    first, second = pullback(np.ones((2, 1))), pullback(np.ones((2, 1)))
    np.testing.assert_array_equal(first[1], second[1])


def test_making_a_layer_leaves_the_random_numbers_of_the_program_alone():
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    layer(lambda D, M: Dense(D, M), x="N D", params="params", grads="grads")
    assert np.random.rand() == expected  # noqa: NPY002


def test_gates_and_products_of_sizes_are_read_off_the_parameters():
    class Gates:
        def __init__(self, width, hidden):
            self.w = np.ones((width, 4 * hidden))
            self.flat = np.ones(width * hidden)

        def forward(self, x):
            self.x = x
            return x @ self.w

        def backward(self, dout):
            return dout @ self.w.T, self.x.T @ dout, 0 * self.flat

    rule = layer(lambda D, H: Gates(D, H), x="N D", params=["w", "flat"])
    texts = {path: domain.shape.text for path, domain in rule.contract.domains.items()}
    assert texts == {"x": "N D", "w": "D 4*H", "flat": "D*H"}
    assert verdict_of(rule)[0] == "pass"


class Cell:
    """A step of a recurrent network: one weight for the input beside the state, the bias in its last row."""

    def __init__(self, D, H):
        self.w, self.step = np.zeros((D + H, 4 * H)), np.zeros((D + 1, H))

    def forward(self, x, h):
        both = np.concatenate([x, h], axis=1)
        ones = np.concatenate([x, np.ones((len(x), 1))], axis=1)
        self.both, self.ones = both, ones
        return both @ self.w, ones @ self.step

    def backward(self, douts):
        gates, steps = douts
        self.dw, self.dstep = self.both.T @ gates, self.ones.T @ steps
        split = self.ones.shape[1] - 1
        dboth = gates @ self.w.T
        return dboth[:, :split] + steps @ self.step[:-1].T, dboth[:, split:]


class CellWrong(Cell):
    def backward(self, douts):
        dx, dh = super().backward(douts)
        self.dstep[-1] /= len(dx)
        return dx, dh


@pytest.mark.parametrize(("make", "expected"), [(Cell, "pass"), (CellWrong, "fail")])
def test_sums_of_sizes_are_read_off_the_parameters(make, expected):
    rule = layer(make, x="N D", h="N H", params=["w", "step"], grads=["dw", "dstep"])
    shapes = [domain.shape.text for domain in rule.contract.domains.values()]
    assert shapes == ["N D", "N H", "D+H 4*H", "D+1 H"]
    verdict, report = verdict_of(rule, checks=["gradient"])
    assert verdict == expected, str(report)


def test_labels_are_an_input_of_the_forward_without_a_gradient():
    class CrossEntropy:
        def __init__(self, width, classes):
            self.w = np.ones((width, classes))

        def forward(self, x, labels):
            self.x, self.labels = x, labels
            z = x @ self.w
            z = z - z.max(axis=1, keepdims=True)
            self.p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
            return -np.log(self.p[np.arange(len(x)), labels])

        def backward(self, dout):
            dz = self.p.copy()
            dz[np.arange(len(dz)), self.labels] -= 1
            dz *= dout[:, None]
            self.dw = self.x.T @ dz
            return dz @ self.w.T, None

    rule = layer(
        lambda D, C: CrossEntropy(D, C),
        x="N D",
        labels=gradcheck.integers("N", below="C"),
        params=["w"],
        grads=["dw"],
    )
    assert verdict_of(rule)[0] == "pass"


@pytest.mark.parametrize(
    "stateful", [it for it in all_layers() if isinstance(it, Stateful)], ids=lambda it: it.name
)
def test_every_layer_with_state_is_declared_in_one_line(stateful):
    def verdict(make):
        rule = layer(make, inputs=stateful.draw, params="params", grads="grads")
        return verdict_of(rule)[0]

    assert verdict(stateful.make) == "pass"
    assert {verdict(fault) for fault in stateful.faults} == {"fail"}


class Unfinished:
    def forward(self, x):
        raise NotImplementedError("later")

    def backward(self, dout):
        return dout


MISTAKES = {
    "no method of that name": (
        lambda: layer(lambda D: Scaled(D), x="N D", forward="call"),
        "Scaled has no method 'call'; name the one that takes the inputs with forward=",
    ),
    "a misspelt place": (
        lambda: layer(lambda D: Scaled(D), x="N D", params=["gian"]),
        "the layer has no 'gian'",
    ),
    "no path at all": (
        lambda: layer(lambda D: Scaled(D), x="N D", params=["gain shift"]),
        "'gain shift' is no place inside a layer",
    ),
    "a made object": (lambda: layer(Scaled(3), x="N D"), "not a factory; pass the class"),
    "an unknown input": (
        lambda: layer(lambda D: Scaled(D), y="N D", x="N D", params=["gain"]),
        "no parameter 'y'",
    ),
    "more gradients than parameters": (
        lambda: layer(lambda D: Scaled(D), x="N D", params=["gain"], grads=["dgain", "dshift"]),
        "grads names 2 places, params 1: gain",
    ),
    "gradients of something else": (
        lambda: layer(lambda D: Scaled(D), x="N D", params=["gain"], grads={"gian": "dgain"}),
        "grads names 'gian', which is none of the parameters gain",
    ),
    "inputs twice": (
        lambda: layer(lambda: Scaled(3), x="N D", inputs=lambda rng: (), params=["gain"]),
        "x and inputs= or points= both say what is drawn",
    ),
    "a size of no array": (
        lambda: layer(lambda D, unused: Scaled(D), x="N D", params=["gain"]),
        "'unused', which make takes, is no dimension of an input or parameter",
    ),
    "a forward that runs at no sizes": (
        lambda: layer(Unfinished, x="N D"),
        "runs at no sizes of N, D that were tried (NotImplementedError: later)",
    ),
}


@pytest.mark.parametrize(("declare", "message"), MISTAKES.values(), ids=list(MISTAKES))
def test_a_mistake_ends_in_a_sentence_that_helps(declare, message):
    with pytest.raises((ContractError, RuleError), match=re.escape(message)):
        declare()


def test_a_gradient_that_is_not_there_after_the_backward_is_named():
    class Forgets(Dense):
        def backward(self, dout):
            self.grads = {"w": self.x.T @ dout}
            return dout @ self.params["w"].T

    rule = layer(lambda D, M: Forgets(D, M), x="N D", params="params", grads="grads")
    verdict, report = verdict_of(rule, checks=["gradient"])
    assert verdict == "fail"
    assert "grads= holds no 'b' after the backward, only w" in report.findings[0].message


def test_a_place_is_written_as_python_writes_it():
    class Nested:
        pass

    made = Nested()
    made.layers = [{"w": np.zeros(2)}, {"w": np.ones(2)}]
    place = Place("layers[1]['w']")
    assert place.name == "w"
    alias = place.get(made)
    place.set(made, np.array([3.0, 4.0]))
    np.testing.assert_array_equal(alias, [3.0, 4.0])
    place.set(made, np.zeros(3))
    assert made.layers[1]["w"].shape == (3,)
