"""Two questions with two wordings: is the derivative wrong, or right on paper and inaccurate as it runs?

Each is asked in both formats of extended precision, and of the layers in plain NumPy as well.
"""

from __future__ import annotations

import re

import ml_dtypes
import numpy as np
import pytest

import gradcheck
from gradcheck.checks.gradient import INACCURATE
from gradcheck.oracles import extended
from gradcheck.oracles.programs import Programs
from gradcheck.programs.arithmetics.extended import DOUBLE_DOUBLE, LONG_DOUBLE
from gradcheck.rules import claim_at
from tests.oracles.test_exact_layers import LAYERS, by_a_factor, point_of, rule_of, with_hair

FORMATS = [pytest.param(DOUBLE_DOUBLE, id="double-double")]
if LONG_DOUBLE:
    FORMATS.append(pytest.param(LONG_DOUBLE, id="longdouble"))


@pytest.fixture(params=FORMATS, autouse=True)
def arithmetic(request, monkeypatch):
    monkeypatch.setattr(extended, "EXTENDED", request.param)
    return request.param


def report_on(forward, backward, **options):
    rule = gradcheck.vjp(forward, backward, name="rule", **(options or {"x": "N D"}))
    return gradcheck.verify(rule, examples=10, seed=2, checks=["gradient"])


def third(x):
    return x / 3


def assert_right(report):
    assert report.verdict == "pass", str(report)
    assert not any("right on paper" in note for note in report.notes)


def assert_wrong(report):
    assert report.verdict == "fail"
    assert all(finding.diagnosis != INACCURATE for finding in report.findings)
    assert "is wrong in" in report.findings[0].message


def assert_inaccurate(report):
    assert report.verdict == "fail", str(report)
    assert {finding.diagnosis for finding in report.findings} == {INACCURATE}
    assert f"\n    {INACCURATE}" in report.findings[0].message


def test_a_third_by_product_is_right_and_another_number_is_wrong():
    assert_right(report_on(third, lambda dout, x: dout * (1.0 / 3)))
    assert_wrong(report_on(third, lambda dout, x: dout * 0.333333333333))
    assert_wrong(report_on(third, lambda dout, x: dout / 3 * (1 + 2e-13)))


@pytest.mark.parametrize(("share", "expected"), [(1.0, "pass"), (1.1, "fail")])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_constants_are_rounded_to_low_precision_beside_its_arrays_each_by_itself(
    dtype, share, expected
):
    """3 * c and c are then not exactly three to one, which shows where terms cancel, as at -5."""
    c, scale = 0.044715, 0.7978845608028654

    def inner(x):
        return np.tanh(scale * (x + c * x**3))

    def backward(dout, x):
        t = inner(x)
        slope = 0.5 * x * (1 - t * t) * scale * (1 + 3 * c * share * x**2)
        return dout * (0.5 * (1 + t) + slope)

    rule = gradcheck.vjp(lambda x: 0.5 * x * (1 + inner(x)), backward, x="N", name="gelu")
    x = np.array([-4.978341, -3.0090327, 0.7], dtype)
    report = gradcheck.verify_at(rule, (x,), checks=["gradient"])
    assert report.verdict == expected, str(report)


def by_a_detour(size, slope=1.0 / 3):
    return lambda dout, x: (dout * slope + size) - size


def test_a_backward_that_adds_and_subtracts_a_large_number_is_inaccurate_and_not_excused():
    assert_inaccurate(report_on(third, by_a_detour(1e14)))


def test_a_detour_does_not_excuse_a_wrong_factor():
    assert_wrong(report_on(third, by_a_detour(1e6, slope=0.3334)))


def test_a_small_detour_is_a_note_that_counts_digits():
    report = report_on(third, by_a_detour(1e4))
    assert report.verdict == "pass", str(report)
    (note,) = (note for note in report.notes if "right on paper" in note)
    assert re.fullmatch(
        r"the gradient of x is right on paper, "
        r"and loses \d digits? more than needed in float64, at \|x\| ~ \S+",
        note,
    )
    assert report.power["gradient"]["accuracy"]["x"] in note


def small_negative(rng):
    return (-(10.0 ** rng.uniform(-13, -11, size=4)),)


def log_of_one_less_exp(x):
    return np.log(-np.expm1(x))


def log_of_one_less_exp_that_cancels(x):
    return np.log(1 - np.exp(x))


def steady(dout, x):
    return dout * np.exp(x) / np.expm1(x)


def cancelling(dout, x):
    return -dout * np.exp(x) / (1 - np.exp(x))


def test_a_backward_that_cancels_is_inaccurate_where_the_true_program_keeps_the_digits():
    assert_right(report_on(log_of_one_less_exp, steady, inputs=small_negative))
    assert_inaccurate(report_on(log_of_one_less_exp, cancelling, inputs=small_negative))


def test_a_backward_that_cancels_as_its_forward_does_loses_nothing_more():
    report = report_on(log_of_one_less_exp_that_cancels, cancelling, inputs=small_negative)
    assert report.verdict != "fail", str(report)
    assert not any("right on paper" in note for note in report.notes)


def differs(rule, point):
    """Say which gradients extended precision alone calls another function."""
    claim = claim_at(rule, point)
    evidence = extended.Extended(Programs()).examine(rule, claim, np.random.default_rng(0))
    assert evidence.abstention is None
    with np.errstate(invalid="ignore"):
        return [
            path
            for path, entry in evidence.entries.items()
            if np.any(np.abs(entry.claimed - entry.true) > entry.bound + entry.loss)
        ]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_a_layer_is_true_in_extended_precision_and_a_hair_is_not(layer):
    rule = rule_of(layer)
    point = point_of(rule)
    assert not differs(rule, point)
    assert differs(with_hair(layer, by_a_factor, point), point)


def test_above_64_by_64_numbers_extended_precision_abstains_and_says_so():
    rule = gradcheck.vjp(third, lambda dout, x: dout / 3, x="N")
    point = gradcheck.Point((np.ones(64 * 64 + 1),), np.ones(64 * 64 + 1))
    evidence = extended.Extended(Programs()).examine(
        rule, claim_at(rule, point), np.random.default_rng(0)
    )
    assert evidence.abstention == "an input has 4097 entries, more than 4096"


LOW = [np.float32, np.float16, ml_dtypes.bfloat16]


def sigmoid_in_its_precision(x):
    return (1 / (1 + np.exp(-x))).astype(x.dtype)


def low_precision_report(dtype, backward, trace, numbers):
    x = np.array(numbers, dtype)
    rule = gradcheck.vjp(
        sigmoid_in_its_precision,
        lambda g, x: backward(g, x).astype(x.dtype),
        inputs=lambda rng: (x,),
        name="sigmoid",
    )
    return gradcheck.verify_at(rule, (x,), trace=trace, checks=["gradient"])


@pytest.mark.parametrize("trace", [True, False], ids=["traced", "untraced"])
@pytest.mark.parametrize("dtype", LOW)
def test_a_layer_of_low_precision_is_accurate_or_wrong(dtype, trace):
    s = sigmoid_in_its_precision
    right = low_precision_report(dtype, lambda g, x: g * s(x) * s(-x), trace, [0.5, -1.25])
    assert right.verdict == "pass", str(right)
    assert right.power["gradient"]["accuracy"] == {"x": "accurate"}
    wrong = low_precision_report(dtype, lambda g, x: g * s(x), trace, [0.5, -1.25])
    assert wrong.verdict == "fail"
    assert "is wrong in 2 of 2 entries" in wrong.findings[0].message


def detour_report(dtype, size):
    """The derivative is 1 - x; a number is added to it and taken off again."""
    x = np.array([0.4, 0.37], dtype)
    rule = gradcheck.vjp(
        lambda x: x - x * x / 2,
        lambda g, x: ((g * (1 - x) + dtype(size)) - dtype(size)).astype(x.dtype),
        inputs=lambda rng: (x,),
        name="detour",
    )
    return gradcheck.verify_at(rule, (x,), checks=["gradient"])


def test_digits_lost_in_float32_are_counted_and_placed():
    report = detour_report(np.float32, 1024)
    assert report.verdict == "pass", str(report)
    assert report.power["gradient"]["accuracy"]["x"].endswith(
        "more than needed in float32, at |x| ~ 0.4"
    )


@pytest.mark.parametrize("dtype", LOW)
def test_a_layer_of_low_precision_that_loses_all_digits_is_inaccurate(dtype):
    assert_inaccurate(detour_report(dtype, {np.float32: 2.0**24}.get(dtype, 4096)))


def test_the_entry_that_shows_an_error_least_is_named():
    rule = gradcheck.vjp(
        lambda x, y: np.sin(x) + y, lambda g, x, y: (g * np.cos(x), g), x="2", y="2", name="rule"
    )
    point = (np.array([0.3, 1.5]), np.ones(2))
    power = gradcheck.verify_at(rule, point, trace=False, checks=["gradient"]).power["gradient"]
    assert power["worst"] == "x[1]"
    assert power["visible"]["x"]["error"] == power["smallest_visible_error"]
    assert power["visible"]["y"]["error"] < power["smallest_visible_error"]
