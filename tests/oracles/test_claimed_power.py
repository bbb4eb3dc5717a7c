"""A fault of twice the error that a report says would show is found, by differences alone."""

import numpy as np
import pytest

import gradcheck

RNG = np.random.default_rng(4)

RULES = {
    "sine": (lambda x: np.sin(x), lambda g, x: g * np.cos(x), RNG.normal(size=4)),
    "many sines": (lambda x: np.sin(x), lambda g, x: g * np.cos(x), RNG.normal(size=100)),
    "softplus": (
        lambda x: np.log1p(np.exp(x)),
        lambda g, x: g / (1 + np.exp(-x)),
        RNG.normal(size=5),
    ),
    "float32": (
        lambda x: np.tanh(x),
        lambda g, x: g * (1 - np.tanh(x) ** 2),
        RNG.normal(size=3).astype(np.float32),
    ),
}


def report_at(name, fault):
    forward, backward, x = RULES[name]
    share = np.ones(x.shape)
    share[1] += fault
    rule = gradcheck.vjp(
        forward, lambda g, x: backward(g, x) * share, inputs=lambda rng: (x,), name="rule"
    )
    return gradcheck.verify_at(rule, (x,), trace=False, checks=["gradient"])


@pytest.mark.parametrize("name", RULES)
def test_a_fault_of_twice_the_claimed_power_fails_and_none_passes(name):
    right = report_at(name, 0.0)
    assert right.verdict == "pass", str(right)
    claimed = right.power["gradient"]["smallest_visible_error"]
    assert 0 < claimed < 1e-3
    for sign in (-1, 1):
        assert report_at(name, sign * 2 * claimed).verdict == "fail"
