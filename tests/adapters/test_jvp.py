"""`gradcheck.jvp`: a derivative by tangents, transposed along signed basis tangents."""

import numpy as np
import pytest

import gradcheck
from gradcheck import jvp, verify

EXAMPLES, SEED = 15, 3


def verdict_of(rule):
    report = verify(rule, examples=EXAMPLES, seed=SEED)
    return report.verdict, report


def affine(x, w, b):
    return x @ w + b


def affine_jvp(inputs, tangents):
    x, w, _ = inputs
    dx, dw, db = tangents
    return dx @ w + x @ dw + db


def affine_jvp_forgets_w(inputs, tangents):
    return tangents[0] @ inputs[1] + tangents[2]


AFFINE = {"x": "N D", "w": "D M", "b": "M"}


def test_a_right_jvp_passes_and_its_missing_term_is_named():
    verdict, report = verdict_of(jvp(affine, affine_jvp, **AFFINE))
    assert verdict == "pass", str(report)
    assert report.power["gradient"]["oracles"]["autodiff"] == EXAMPLES
    verdict, report = verdict_of(jvp(affine, affine_jvp_forgets_w, **AFFINE))
    assert verdict == "fail"
    assert report.findings[0].input == "w"


WRONG = {
    "off by 0.05 %": lambda x, t: 2.001 * x[0] * t[0],
    "blind to the sign of the tangent": lambda x, t: 2 * x[0] * np.abs(t[0]),
    "quadratic in the tangent": lambda x, t: 2 * x[0] * t[0] * t[0],
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=list(WRONG))
def test_a_wrong_jvp_fails(wrong):
    assert verdict_of(jvp(np.square, lambda x, t: 2 * x[0] * t[0], x="N"))[0] == "pass"
    assert verdict_of(jvp(np.square, wrong, x="N"))[0] == "fail"


def test_a_jvp_that_is_linear_along_each_axis_only_is_found_out():
    def mixes(inputs, tangents):
        return 2 * inputs[0] * tangents[0] + tangents[0] * tangents[0][::-1]

    rule = jvp(np.square, mixes, inputs=lambda rng: (rng.normal(size=4),))
    verdict, report = verdict_of(rule)
    assert verdict == "fail"
    assert "the JVP is not linear in the tangents" in report.findings[0].message


def test_a_tangent_of_another_shape_fails_with_both_shapes():
    rule = jvp(lambda x: x.sum(), lambda x, t: t[0], x="N 2")
    verdict, report = verdict_of(rule)
    assert verdict == "fail"
    assert "the tangent of the output alone, of the same shape" in report.findings[0].message


def test_labels_get_no_tangent_and_trees_get_trees():
    def forward(weights, index):
        return weights["w"][index] * weights["scale"]

    def right(inputs, tangents):
        weights, index = inputs
        dweights, nothing = tangents
        assert nothing is None
        return dweights["w"][index] * weights["scale"] + weights["w"][index] * dweights["scale"]

    rule = jvp(
        forward,
        right,
        weights={"w": "V", "scale": ""},
        index=gradcheck.integers("N", below="V"),
    )
    assert verdict_of(rule)[0] == "pass"


def test_too_many_entries_are_refused_with_the_number():
    rule = jvp(np.square, lambda x, t: 2 * x[0] * t[0], inputs=lambda rng: (rng.normal(size=5000),))
    _, pullback = rule.vjp((np.ones(5000),))
    with pytest.raises(gradcheck.BackwardError, match="the inputs have 5000 entries"):
        pullback(np.ones(5000))


def test_several_outputs_have_a_tuple_of_tangents():
    def forward(x):
        return np.sin(x), x.sum()

    def right(inputs, tangents):
        return np.cos(inputs[0]) * tangents[0], tangents[0].sum()

    def wrong(inputs, tangents):
        return np.cos(inputs[0]) * tangents[0], tangents[0].mean()

    assert verdict_of(jvp(forward, right, x="N", output=("N", "")))[0] == "pass"
    assert verdict_of(jvp(forward, wrong, x="N", output=("N", "")))[0] == "fail"
