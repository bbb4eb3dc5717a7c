"""What a rule makes of the user's functions: outputs, pullbacks, gradients by input."""

import numpy as np
import pytest

import gradcheck
from gradcheck import BackwardError, Point, RuleError, gradient, pair, vjp
from gradcheck.rules import claim_at

X, Y = np.array([1.0, 2.0]), np.array([3.0, 4.0])


def product(gradients, forward=lambda x, y: x * y, **options):
    """A rule of x * y whose backward returns whatever `gradients(dout, x, y)` does."""
    return vjp(forward, gradients, x="N", y="N", name="product", **options)


def claims(rule, *inputs, cotangent=None):
    claim = claim_at(rule, Point(inputs, cotangent))
    return {variable.path: variable.claimed for variable in claim.variables}


RETURNED = {
    "a tuple": lambda g, x, y: (g * y, g * x),
    "a list": lambda g, x, y: [g * y, g * x],
    "a dict by name": lambda g, x, y: {"y": g * x, "x": g * y},
}


@pytest.mark.parametrize("returned", list(RETURNED.values()), ids=list(RETURNED))
def test_gradients_are_taken_in_the_order_of_the_inputs_or_by_name(returned):
    found = claims(product(returned), X, Y, cotangent=np.ones(2))
    np.testing.assert_array_equal(found["x"], Y)
    np.testing.assert_array_equal(found["y"], X)


def test_none_claims_no_gradient():
    found = claims(product(lambda g, x, y: (None, g * x)), X, Y)
    assert found["x"] is None
    np.testing.assert_array_equal(found["y"], X)


def test_a_single_gradient_needs_no_tuple():
    rule = vjp(lambda x: 2 * x, lambda g, x: 2 * g, x="N")
    np.testing.assert_array_equal(claims(rule, X)["x"], [2.0, 2.0])


def test_integer_inputs_need_no_gradient_in_the_tuple():
    def pick(x, index):
        return x[index]

    def scatter(g, x, index):
        dx = np.zeros_like(x)
        np.add.at(dx, index, g)
        return (dx,)

    rule = vjp(pick, scatter, inputs=lambda rng: (X, np.array([1, 1])))
    np.testing.assert_array_equal(claims(rule, X, np.array([1, 1]))["x"], [0.0, 2.0])


def test_a_list_of_matrices_is_one_input_with_a_gradient_of_the_same_containers():
    rule = gradient(
        lambda weights: sum((w**2).sum() for w in weights if w is not None),
        lambda weights: [None if w is None else 2 * w for w in weights],
        inputs=lambda rng: ([X, None, Y],),
    )
    found = claims(rule, [X, None, Y])
    assert list(found) == ["weights[0]", "weights[2]"]
    np.testing.assert_array_equal(found["weights[2]"], 2 * Y)


WRONG = {
    "too many": (lambda g, x, y: (g, g, g), "returned 3 gradients for the 2 inputs x, y"),
    "too few": (lambda g, x, y: (g,), "returned 1 gradient for the 2 inputs x, y"),
    "an array for two inputs": (lambda g, x, y: g, r"returned float64\[2\] for the 2 inputs x, y"),
    "an unknown name": (
        lambda g, x, y: {"z": g},
        "a gradient for 'z', which is none of the 2 inputs x, y",
    ),
    "text": (lambda g, x, y: (g, "dy"), "the gradient of y is 'dy', not an array of numbers"),
    "a list for an array": (lambda g, x, y: (g, [g, [g]]), "the gradient of y is a list of 2"),
}


@pytest.mark.parametrize(("returned", "sentence"), list(WRONG.values()), ids=list(WRONG))
def test_gradients_that_cannot_be_told_apart_are_refused_in_a_sentence(returned, sentence):
    with pytest.raises(RuleError, match=sentence) as caught:
        claims(product(returned), X, Y)
    assert "rule 'product'" in str(caught.value)


def test_a_gradient_in_other_containers_than_its_input_is_refused():
    rule = gradient(
        lambda weights: weights[0].sum(), lambda weights: np.ones(2), inputs=lambda rng: ([X],)
    )
    with pytest.raises(
        RuleError, match=r"the gradient of weights is .*, but weights is a list of 1"
    ):
        claims(rule, [X])


def test_a_forward_that_raises_names_the_rule_and_the_inputs_and_keeps_the_cause():
    rule = product(lambda g, x, y: (g, g), forward=lambda x, y: x @ np.ones((3, 3)))
    with pytest.raises(
        RuleError, match=r"rule 'product': its forward raised ValueError at \(float64"
    ) as e:
        claims(rule, X, Y)
    assert isinstance(e.value.__cause__, ValueError)


def test_a_backward_that_raises_is_told_from_a_forward_that_does():
    with pytest.raises(
        BackwardError, match=r"its backward raised ZeroDivisionError .* where its forward runs"
    ):
        claims(product(lambda g, x, y: 1 / 0), X, Y)


def test_a_forward_of_pair_must_return_output_and_cache():
    rule = pair(lambda x: x, lambda g, cache: g, x="N")
    with pytest.raises(RuleError, match=r"expects a forward that returns \(out, cache\)"):
        claims(rule, X)


def test_a_function_of_gradient_must_be_scalar():
    rule = gradient(lambda x: x, lambda x: x, x="N", name="vector")
    with pytest.raises(RuleError, match=r"expects a scalar function: use gradcheck.vjp"):
        claims(rule, X)


def test_user_code_works_on_copies():
    def spoil(x):
        x *= 0
        return x

    point = Point((X.copy(),), np.ones(2))
    claim_at(vjp(spoil, lambda g, x: g, x="N"), point)
    np.testing.assert_array_equal(point.inputs[0], X)


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "pass"), (1.5, "fail")], ids=["right", "wrong"]
)
def test_arguments_with_defaults_that_a_vjp_does_not_take_are_no_inputs(factor, verdict):
    """A ufunc has `out=None`, and many a forward an axis that its backward has no room for."""
    for forward in (np.sin, lambda x, axis=-1, keepdims=False: np.sin(x)):
        rule = gradcheck.vjp(
            forward,
            lambda dout, x: factor * dout * np.cos(x),
            inputs=lambda rng: (rng.normal(size=3),),
        )
        assert rule.input_names == ("x",)
        assert gradcheck.verify(rule, examples=8, seed=1, checks=["gradient"]).verdict == verdict
