"""The check `reuse`: state that calls share, caches that are used up, and layers run twice."""

import numpy as np
import pytest

import gradcheck
from tests.checks.battery import assert_passes, message_of

LAST = {}


def square(backward, forward=lambda x: (x**2, [x]), **options):
    return gradcheck.pair(forward, backward, x="N", name="square", **options)


def remembering(x):
    LAST["x"] = x
    return x**2, None


def workspace():
    buffer = np.zeros(1000)

    def backward(dout, cache):
        np.multiply(2 * cache[0], dout, out=buffer[: dout.size])
        return buffer[: dout.size]

    return backward


def used_up(dout, cache):
    x = cache[0]
    cache[0] = x + 1
    return 2 * dout * x


def doubled(dout, cache):
    cache[0] = 2 * cache[0]  # twice the gradient at the second time, four times at the third
    return dout * cache[0]


def popping(dout, cache):
    return 2 * dout * cache.pop()


def test_a_pair_that_keeps_all_in_its_cache_passes():
    assert_passes(square(lambda dout, cache: 2 * dout * cache[0]), "reuse")


def test_state_that_is_keyed_by_the_call_passes():
    kept = {}

    def forward(x):
        kept[len(kept)] = x
        return x**2, len(kept) - 1

    assert_passes(square(lambda dout, key: 2 * dout * kept[key], forward), "reuse")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (square(lambda dout, _: 2 * dout * LAST["x"], remembering),
         ["when the forward has run at other inputs before the backward", "state that all calls share"]),
        (square(workspace()), ["changes after it was handed out", "return a copy"]),
        (square(used_up), ["when the backward is run twice", "changes what the forward kept for it"]),
        (square(doubled), ["when the backward is run twice", "changes what the forward kept for it"]),
        (square(popping), ["backward raised IndexError", "and runs by itself"]),
    ],
    ids=["shared state", "workspace", "used-up cache", "doubled cache", "popped cache"],
)  # fmt: skip
def test_state_that_outlives_its_call_fails(rule, words):
    message = message_of(rule, "reuse")
    assert all(word in message for word in words), message


class Scale:
    """x * w + b, whose gradients overwrite."""

    def __init__(self):
        self.params = {"w": np.ones(3), "b": np.zeros(3)}
        self.grads = {"w": np.zeros(3), "b": np.zeros(3)}

    def forward(self, x):
        self.x = x
        return x * self.params["w"] + self.params["b"]

    def backward(self, dout):
        self.grads["w"] = (dout * self.x).sum(axis=0)
        self.grads["b"] = dout.sum(axis=0)
        return dout * self.params["w"]


class Accumulates(Scale):
    def backward(self, dout):
        self.grads["w"] = self.grads["w"] + (dout * self.x).sum(axis=0)
        self.grads["b"] = self.grads["b"] + dout.sum(axis=0)
        return dout * self.params["w"]


class Mixes(Scale):
    def backward(self, dout):
        self.grads["w"] += (dout * self.x).sum(axis=0)
        self.grads["b"] = dout.sum(axis=0)
        return dout * self.params["w"]


class KeepsFirstInput(Scale):
    def forward(self, x):
        if not hasattr(self, "x"):
            self.x = x
        return x * self.params["w"] + self.params["b"]


class KeepsFirstGain(Scale):
    def backward(self, dout):
        if not hasattr(self, "dx"):
            self.dx = dout * self.params["w"] * (1 + 0 * self.x)
            self.first = self.x
        super().backward(dout)
        return dout * self.params["w"] + (self.x - self.first)


class Gathers(Scale):
    """Keeps every input, and has no backward for several."""

    def __init__(self):
        super().__init__()
        self.all = []

    def forward(self, x):
        self.all.append(x)
        return super().forward(x)

    def backward(self, dout):
        (self.x,) = self.all
        return super().backward(dout)


def layer(make, **options):
    return gradcheck.layer(make, x="N 3", params="params", grads="grads", **options)


def test_a_layer_whose_gradients_overwrite_passes_without_a_note():
    assert not assert_passes(layer(Scale), "reuse").tally.notes


def test_a_layer_whose_gradients_accumulate_gets_a_note_unless_declared():
    (note,) = assert_passes(layer(Accumulates), "reuse").tally.notes
    assert "add up over backwards until they are cleared" in note
    assert not assert_passes(layer(Accumulates, accumulates=True), "reuse").tally.notes


@pytest.mark.parametrize("slope", np.geomspace(1e-8, 1.0, 49).tolist())
def test_gradients_of_a_tape_that_add_up_are_a_note_however_small(slope):
    def backward(dout, cache):
        cache["grad"] = cache["grad"] + slope * dout
        return cache["grad"]

    rule = gradcheck.pair(lambda x: (1 + slope * x, {"grad": 0.0}), backward, x="N")
    report = gradcheck.verify_at(rule, (np.ones(2),), checks=["reuse"])
    assert report.verdict == "pass", str(report)


def test_gradients_of_which_only_some_add_up_fail():
    def backward(dout, cache):
        cache["grad"] = cache["grad"] + dout
        return np.append(cache["grad"][:-1], 5 * cache["grad"][-1] ** 3)

    rule = gradcheck.pair(lambda x: (x, {"grad": 0.0}), backward, x="N")
    report = gradcheck.verify_at(rule, (np.ones(2),), checks=["reuse"])
    assert "is another when the backward is run twice" in report.findings[0].message


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (layer(Mixes), "no caller can use both"),
        (layer(KeepsFirstInput), "neither that of the second run nor the sum"),
        (layer(Gathers), "one layer object raises ValueError when it is run a second time"),
        (layer(KeepsFirstGain), "is stale when one layer object is run a second time"),
        (layer(Scale, accumulates=True), "is overwritten when one layer object is run twice"),
        (layer(Accumulates, accumulates=False), "accumulates when one layer object is run twice"),
    ],
    ids=["mixed", "first input", "all inputs", "first gain", "must accumulate", "must overwrite"],
)
def test_a_layer_object_that_cannot_be_used_twice_fails(rule, words):
    assert words in message_of(rule, "reuse")


def test_a_layer_with_state_of_its_class_fails():
    class Shared(Scale):
        def forward(self, x):
            Shared.x = x
            return x * self.params["w"] + self.params["b"]

    message = message_of(layer(Shared), "reuse")
    assert "when the forward has run at other inputs before the backward" in message
