"""`gradcheck.gradient(hvp=)`: Hessian-vector products, as people write them, right and wrong."""

import numpy as np
import pytest

import gradcheck
from gradcheck import ContractError, gradient, verify

SEED, EXAMPLES = 1, 40


def cubes(x):
    return np.sum(x**3)


def mixed(a, b):
    return np.sum(a**2 * b)


def mixed_gradient(a, b):
    return 2 * a * b, a**2


def squares(w, x, y):
    return 0.5 * np.sum((x @ w - y) ** 2)


def right_and_wrong():
    yield (
        "one input",
        lambda right: gradient(
            cubes, lambda x: 3 * x**2, hvp=lambda x, v: (6 if right else 6.001) * x * v, x="N"
        ),
    )
    yield (
        "two inputs, the wrong direction in the mixed term",
        lambda right: gradient(
            mixed,
            mixed_gradient,
            hvp=lambda a, b, u, v: (2 * b * u + 2 * a * v, 2 * a * (u if right else v)),
            a="N",
            b="N",
        ),
    )
    yield (
        "data without a gradient, transposed",
        lambda right: gradient(
            squares,
            lambda w, x, y: x.T @ (x @ w - y),
            hvp=lambda w, x, y, v: x.T @ (x @ v) if right else x.T @ x @ v / len(x),
            w="D",
            x="N D",
            y="N",
        ),
    )
    yield (
        "by name, of a list of arrays",
        lambda right: gradient(
            lambda ws: np.sum(ws[0] ** 3) + np.sum(ws[1] ** 2),
            lambda ws: {"ws": [3 * ws[0] ** 2, 2 * ws[1]]},
            hvp=lambda ws, vs: {"ws": [6 * ws[0] * vs[0], (2 if right else 1) * vs[1]]},
            ws=["N", "M"],
        ),
    )


@pytest.mark.parametrize(
    "declare", [case for _, case in right_and_wrong()], ids=[name for name, _ in right_and_wrong()]
)
def test_a_product_is_held_to_the_derivative_of_the_gradient(declare):
    report = verify(declare(True), seed=SEED, examples=EXAMPLES)
    assert report.verdict == "pass", str(report)
    report = verify(declare(False), seed=SEED, examples=EXAMPLES)
    assert [check.name for check in report.checks if check.verdict == "fail"] == ["second_order"]


def test_differences_of_the_gradient_decide_without_a_trace():
    rule = gradient(cubes, lambda x: 3 * x**2, hvp=lambda x, v: 3 * x * v, x="N", name="cubes")
    report = verify(rule, seed=SEED, examples=EXAMPLES, checks=["second_order"], trace=False)
    assert report.verdict == "fail"
    assert report.findings[0].diagnosis == "claimed = true × 0.5: a factor is wrong"
    assert report.findings[0].message.startswith("hvp of cubes: the gradient of x")


def test_as_many_points_decide_as_are_drawn():
    rule = gradient(cubes, lambda x: 3 * x**2, hvp=lambda x, v: 6 * x * v, x="N")
    assert verify(rule, seed=SEED, examples=8).verdict == "pass"


def test_a_failure_is_shown_again_at_its_point():
    rule = gradient(cubes, lambda x: 3 * x**2, hvp=lambda x, v: 3 * x * v, x="N")
    point = gradcheck.Point((np.array([1.0]),))
    assert gradcheck.verify_at(rule, point, checks=["second_order"]).verdict == "fail"


def test_a_rule_without_products_has_nothing_of_second_order_to_examine():
    report = verify(gradient(cubes, lambda x: 3 * x**2, x="N"), seed=SEED, checks=["second_order"])
    assert report.checks[0].reason == "does not apply: no Hessian-vector product is declared (hvp=)"


@pytest.mark.parametrize(
    ("hvp", "sentence"),
    [
        (3, "hvp= is 3, not a callable"),
        (
            lambda a, b: a,
            "hvp takes 2 arguments; it is called as hvp.*here hvp.a, b, v. at least",
        ),
    ],
)
def test_a_product_that_cannot_be_called_is_refused_when_the_rule_is_made(hvp, sentence):
    with pytest.raises(ContractError, match=sentence):
        gradient(mixed, mixed_gradient, hvp=hvp, a="N", b="N")


@pytest.mark.parametrize(
    ("hvp", "sentence"),
    [
        (
            lambda a, b, v: (v, v),
            "hvp takes 3 arguments for 2 inputs and the 2 gradients that grad claims",
        ),
        (lambda a, b, u, v: 2 * a, "hvp returned float64[1] for the 2 inputs a, b"),
    ],
    ids=["one direction for two", "one product for two"],
)
def test_a_product_for_too_few_directions_is_told_what_was_expected(hvp, sentence):
    report = verify(gradient(mixed, mixed_gradient, hvp=hvp, a="N", b="N"), seed=SEED, examples=8)
    assert report.verdict == "fail"
    assert sentence in report.findings[0].message
    assert "its backward raised" not in report.findings[0].message
