"""Points: inputs at which the forward runs, a cotangent of the output's shape, readable when shrunk."""

from __future__ import annotations

from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck import constant, elements, gradient, integers, one_of, positive, vjp
from gradcheck.errors import RuleError, UsageError
from gradcheck.rules import Point, Rule
from gradcheck.strategies import point_at, points
from gradcheck.strategies.values import COTANGENT_STYLES, cotangent


def affine(x: Any, w: Any, b: Any) -> Any:
    return x @ w + b


def nothing(dout: Any, *inputs: Any) -> Any:
    """A backward that no test of points asks."""
    raise AssertionError("a strategy ran the backward")


def affine_rule() -> Rule:
    return vjp(affine, nothing, x="N D", w="D M", b="M", output="N M")


def drawn_from(rule: Rule, count: int = 100, **options: Any) -> list[Point]:
    """List points that Hypothesis draws, the same at each run."""
    found: list[Point] = []

    @hypothesis.seed(0)
    @hypothesis.settings(
        max_examples=count, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @given(points(rule, **options))
    def collect(point: Point) -> None:
        found.append(point)

    collect()
    return found


@given(points(affine_rule()))
def test_a_point_keeps_its_contract_and_its_cotangent_the_output(point: Point) -> None:
    rule = affine_rule()
    assert rule.contract is not None
    sizes = rule.contract.bind(point.inputs)
    output = rule.primal(point.inputs)
    rule.contract.assert_output(output, sizes)
    assert point.cotangent.shape == output.shape
    assert point.cotangent.dtype == output.dtype
    assert np.any(point.cotangent)


def test_the_simplest_point_is_one_to_three_and_not_all_equal() -> None:
    point = hypothesis.find(points(affine_rule()), lambda point: True)
    assert [value.tolist() for value in point.inputs] == [[[1.0]], [[2.0]], [3.0]]
    assert point.cotangent.tolist() == [[1.0]]


def test_a_lost_transpose_shrinks_to_a_readable_matrix() -> None:
    def loses_a_transpose(point: Point) -> bool:
        w = point.inputs[1]
        return w.shape[0] == w.shape[1] and not np.array_equal(w, w.T)

    point = hypothesis.find(points(affine_rule()), loses_a_transpose)
    assert point.inputs[1].tolist() == [[2, 3], [4, 5]]
    assert point.inputs[0].shape == (1, 2)


def test_every_style_meets_every_input_and_the_label_tells() -> None:
    labels = " ".join(point.label for point in drawn_from(affine_rule(), 600))
    for style in COTANGENT_STYLES:
        assert f"cotangent {style}" in labels
    for name in ("x", "w", "b"):
        assert f"{name} special" in labels
        assert f"{name} small" in labels


def test_about_half_of_the_points_are_plain_in_every_array() -> None:
    plain = [
        point
        for point in drawn_from(affine_rule(), 400)
        if not any(
            style in point.label for style in ("special", "large", "small", "integers", "one-hot")
        )
    ]
    assert 100 < len(plain) < 340


def test_every_choice_is_visited_and_fits_the_sizes() -> None:
    def window(x: Any, stride: int, mode: str) -> Any:
        assert mode in ("sum", "mean")
        return x[::stride] * 1.0

    rule = vjp(
        window,
        nothing,
        x="H",
        stride=one_of(1, 2, 3),
        mode=one_of("sum", "mean"),
        output="(H-1)//stride+1",
    )
    assert rule.contract is not None
    seen = set()
    for point in drawn_from(rule):
        seen.add(point.inputs[1:])
        rule.contract.assert_output(rule.primal(point.inputs), rule.contract.bind(point.inputs))
    assert seen == {(stride, mode) for stride in (1, 2, 3) for mode in ("sum", "mean")}


def test_labels_stay_below_the_number_of_classes_and_repeat() -> None:
    rule = vjp(
        lambda table, index: table[index], nothing, table="V D", index=integers("N", below="V")
    )
    drawn = drawn_from(rule)
    assert all(np.all(point.inputs[1] < point.inputs[0].shape[0]) for point in drawn)
    assert any(np.unique(point.inputs[1]).size < point.inputs[1].size for point in drawn)


def test_elements_come_from_the_strategy_of_the_user() -> None:
    rule = vjp(lambda x: x * 1.0, nothing, x=elements("N M", st.sampled_from([0.5, -0.25])))
    drawn = drawn_from(rule)
    assert {float(v) for point in drawn for v in point.inputs[0].ravel()} == {0.5, -0.25}


def test_points_at_which_the_forward_raises_or_is_not_finite_are_discarded_and_told() -> None:
    def picky(x: Any) -> Any:
        if x.size > 4:
            raise ValueError("too many")
        return np.log(x)

    rule = vjp(picky, nothing, x="N")
    reasons: list[str] = []
    drawn = drawn_from(rule, on_discard=reasons.append)
    assert all(point.inputs[0].size <= 4 and np.all(point.inputs[0] > 0) for point in drawn)
    assert "the forward raised ValueError: too many" in reasons
    assert "the forward's output is not finite" in reasons


def test_a_declared_domain_keeps_the_forward_finite() -> None:
    reasons: list[str] = []
    assert drawn_from(vjp(np.log, nothing, x=positive("N")), on_discard=reasons.append)
    assert reasons == []


def test_a_forward_that_breaks_its_adapters_word_is_an_error_not_a_discard() -> None:
    from gradcheck import pair

    with pytest.raises(RuleError, match=r"expects a forward that returns \(out, cache\)"):
        drawn_from(pair(lambda x: x * 2, nothing, x="N"))


def test_a_forward_that_writes_into_its_input_does_not_change_the_point() -> None:
    def doubles(x: Any) -> Any:
        x *= 2
        return x

    point = hypothesis.find(points(vjp(doubles, nothing, x="N")), lambda point: True)
    assert point.inputs[0].tolist() == [1.0]


def test_a_declared_constant_is_handed_out_as_a_copy() -> None:
    table = np.arange(3.0)
    rule = vjp(lambda x, table: x * table[0], nothing, x="N", table=constant(table))
    for point in (point_at(rule), hypothesis.find(points(rule), lambda point: True)):
        assert np.array_equal(point.inputs[1], table)
        assert not np.shares_memory(point.inputs[1], table)


def test_a_scalar_rule_has_no_cotangent() -> None:
    rule = gradient(lambda x: float(np.sum(x**2)), lambda x: 2 * x, x="N")
    assert all(point.cotangent is None for point in drawn_from(rule, 20))


def test_several_outputs_have_a_cotangent_each_that_differ() -> None:
    rule = vjp(lambda x: (x * 1.0, (x.sum(), x.argmax())), nothing, x="N")
    point = hypothesis.find(points(rule), lambda point: True)
    first, (second, third) = point.cotangent
    assert first.tolist() == [1.0]
    assert float(second) == 2.0
    assert third.dtype.kind == "i"
    assert third == 0


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
@given(style=st.sampled_from(COTANGENT_STYLES), seed=st.integers(0, 99))
def test_a_cotangent_has_the_precision_of_the_output_and_is_finite(
    dtype: str, style: str, seed: int
) -> None:
    found = cotangent(np.random.default_rng(seed), np.zeros((3, 2), dtype), style)
    assert found.dtype == dtype
    assert found.shape == (3, 2)
    assert np.all(np.isfinite(found))


@pytest.mark.parametrize("style", COTANGENT_STYLES)
@pytest.mark.parametrize("dtype", [float, complex])
def test_the_cotangent_of_a_scalar_is_an_array_without_axes(dtype: Any, style: str) -> None:
    """A NumPy scalar is no ndarray, and a backward that asks for one would raise at some points."""
    found = cotangent(np.random.default_rng(0), np.zeros((), dtype), style)
    assert type(found) is np.ndarray
    assert found.shape == ()


def test_complex_cotangents_have_an_imaginary_part() -> None:
    found = cotangent(np.random.default_rng(0), np.zeros(2, complex), "counting")
    assert found.tolist() == [1 + 2j, 2 + 3j]


def test_a_one_hot_cotangent_asks_for_one_row() -> None:
    found = cotangent(np.random.default_rng(0), np.zeros((3, 2)), "one-hot")
    assert sorted(found.ravel()) == [0, 0, 0, 0, 0, 1]


def test_an_empty_output_has_an_empty_cotangent() -> None:
    for style in COTANGENT_STYLES:
        assert cotangent(np.random.default_rng(0), np.zeros((0, 2)), style).shape == (0, 2)


def test_the_users_own_inputs_are_drawn_from_a_seeded_generator() -> None:
    rule = vjp(
        lambda x, n: x * n,
        nothing,
        inputs=lambda rng: (rng.normal(size=3), int(rng.integers(1, 5))),
    )
    drawn = drawn_from(rule, 30)
    assert len({point.inputs[1] for point in drawn}) > 1
    assert all("drawn by inputs=" in point.label for point in drawn)


def test_the_users_own_points_are_drawn() -> None:
    rule = vjp(
        lambda x: x * 2, nothing, points=st.tuples(st.sampled_from([1.5, 2.5]).map(np.asarray))
    )
    assert {float(point.inputs[0]) for point in drawn_from(rule, 30)} == {1.5, 2.5}


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (
            lambda rng: np.zeros(3),
            "inputs= gave a ndarray; a tuple of 2 was expected, one value for each of x, y",
        ),
        (lambda rng: (1.0,), "inputs= gave 1 values"),
        (lambda rng: rng.nonsense(), "inputs= raised AttributeError"),
    ],
)
def test_inputs_that_do_not_fit_the_forward_are_told(inputs: Any, words: str) -> None:
    with pytest.raises(RuleError) as caught:
        drawn_from(vjp(lambda x, y: x, nothing, inputs=inputs))
    assert words in str(caught.value)


def test_a_plain_reproduction_needs_no_hypothesis() -> None:
    sizes = {"N": 2, "D": 3}
    point, again, other = (point_at(affine_rule(), sizes, seed) for seed in (7, 7, 8))
    assert [value.shape for value in point.inputs] == [(2, 3), (3, 1), (1,)]
    assert all(np.array_equal(a, b) for a, b in zip(point.inputs, again.inputs, strict=True))
    assert np.array_equal(point.cotangent, again.cotangent)
    assert not np.array_equal(point.inputs[0], other.inputs[0])


def test_a_reproduction_takes_choices() -> None:
    rule = vjp(lambda x, axis: x.sum(axis), nothing, x="N D", axis=one_of(0, 1))
    assert point_at(rule, choices={"axis": 1}).inputs[1] == 1
    assert point_at(rule).inputs[1] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sizes": {"Q": 2}}, "'Q' is no dimension and no choice of the rule; these are N, D, M"),
        ({"choices": {"axis": 1}}, "'axis' is no dimension and no choice"),
        ({"style": "gaussian"}, "no style 'gaussian'"),
    ],
)
def test_a_reproduction_that_cannot_be_made_is_told(options: Any, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        point_at(affine_rule(), **options)
    assert words in str(caught.value)


def test_sizes_that_do_not_fit_are_told() -> None:
    rule = vjp(lambda x, w: x, nothing, x="H", w="k", output="H-k+1")
    with pytest.raises(
        UsageError, match="no sizes of the other dimensions fit the contract at H = 2, k = 5"
    ):
        point_at(rule, {"H": 2, "k": 5})


def test_a_reproduction_where_the_forward_is_not_finite_is_an_error() -> None:
    with pytest.raises(RuleError, match="rule 'log': the forward's output is not finite"):
        point_at(vjp(np.log, nothing, x="N"), {"N": 50})
