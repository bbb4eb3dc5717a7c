"""`gradcheck.jax_rule`: custom rules of JAX, right and wrong."""

import pytest

import gradcheck
from gradcheck import jax_rule
from tests.adapters import jax_rules

EXAMPLES, SEED = 10, 3


def verdict_of(rule):
    report = gradcheck.verify(rule, examples=EXAMPLES, seed=SEED, checks=["gradient", "shapes"])
    return report.verdict, report


@pytest.mark.parametrize(
    ("right", "wrong", "options"), jax_rules.CASES.values(), ids=list(jax_rules.CASES)
)
def test_the_right_rule_passes_and_its_wrong_twin_fails(right, wrong, options):
    verdict, report = verdict_of(jax_rule(right, **options))
    assert verdict == "pass", str(report)
    verdict, report = verdict_of(jax_rule(wrong, **options))
    assert verdict == "fail", str(report)


def test_a_straight_through_estimator_fails_until_it_says_whose_derivative_it_has():
    right, _, options = jax_rules.CASES["a straight-through estimator"]
    assert verdict_of(jax_rule(right, x=options["x"]))[0] == "fail"
    assert verdict_of(jax_rule(right, **options))[0] == "pass"
