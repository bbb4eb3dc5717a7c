"""Domains: what is drawn is contained, what is not contained is refused by its words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.contracts import (
    Domain,
    booleans,
    complex,
    constant,
    elements,
    integers,
    one_hot,
    one_of,
    positive,
    probabilities,
    real,
)
from gradcheck.contracts.sampling import PLAIN_STYLES, STYLES
from gradcheck.errors import ContractError, UsageError

DOMAINS = {
    "real": real("N C"),
    "positive": positive("N C"),
    "complex": complex("N C"),
    "integers": integers("N C", below="K"),
    "integers from 2": integers("N C", below="K+2", at_least=2),
    "booleans": booleans("N C"),
    "one_hot": one_hot("N C"),
    "probabilities": probabilities("N C"),
    "constant": constant(np.array([1.0, 2.0])),
    "one_of": one_of(0, 1, -1, None, "same"),
}


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS.keys())
@given(
    seed=st.integers(0, 2**32 - 1),
    style=st.sampled_from(STYLES),
    n=st.integers(0, 5),
    c=st.integers(1, 5),
    k=st.integers(1, 4),
    start=st.integers(1, 4),
)
def test_every_sample_is_contained_in_its_domain(
    domain: Domain, seed: int, style: str, n: int, c: int, k: int, start: int
) -> None:
    sizes = {"N": n, "C": c, "K": k}
    value = domain.sample(np.random.default_rng(seed), sizes, style, start=start)
    assert domain.contains(value, sizes) is None
    if domain.shape is not None:
        assert value.shape == (n, c)
        assert np.all(np.isfinite(value))


@pytest.mark.parametrize("domain", [real("N"), positive("N"), probabilities("N")], ids=str)
@pytest.mark.parametrize("style", STYLES)
def test_samples_of_a_differentiable_domain_keep_within_its_limits(
    domain: Domain, style: str
) -> None:
    low, high = domain.limits
    value = domain.sample(np.random.default_rng(0), {"N": 50}, style)
    assert np.all((value >= low) & (value <= high))


@pytest.mark.parametrize(
    ("domain", "value", "words"),
    [
        (real("N"), np.array([1, 2]), "has dtype int64, but real numbers"),
        (real("N"), np.array([1j]), "has dtype complex128, but real numbers"),
        (
            positive("N"),
            np.array([1.0, 0.0]),
            "has the entry 0.0 at (1,), but a positive input is above 0",
        ),
        (positive("N"), np.array([np.nan]), "has the entry nan at (0,)"),
        (positive(""), np.array(-2.0), "has the entry -2.0 at ()"),
        (complex("N"), np.array([1.0]), "has dtype float64, but complex numbers"),
        (integers("N", below=3), np.array([0.0, 1.0]), "has dtype float64, but integers"),
        (integers("N", below=3), np.array([0, 3]), "has the entry 3 at (1,), but integers('N')"),
        (integers("N", below="C"), np.array([0, 5]), "at least 0 and below 4"),
        (integers("N", below=9, at_least=2), np.array([[2], [1]]), "has the entry 1 at (1, 0)"),
        (booleans("N"), np.array([0, 1]), "but booleans"),
        (one_hot("N C"), np.array([[1.0, 1.0]]), "has the row (0,) with the sum 2"),
        (
            one_hot("N C"),
            np.array([[0.5, 0.5]]),
            "has the entry 0.5 at (0, 0), but a one-hot input holds",
        ),
        (one_hot("C"), np.array([0.0, 0.0]), "a one-hot row holds a single 1"),
        (probabilities("N C"), np.array([[0.5, 0.4]]), "has the row (0,) with the sum 0.9"),
        (probabilities("C"), np.array([1.5, -0.5]), "has the entry 1.5 at (0,), but a probability"),
        (one_of(0, 1), 2, "is 2, but one_of(0, 1) was declared"),
        (one_of(0, 1), True, "is True"),
        (constant(np.zeros(2)), np.ones(2), "constant(array([0., 0.])) was declared"),
    ],
)
def test_a_value_outside_its_domain_is_refused(domain: Domain, value: Any, words: str) -> None:
    reason = domain.contains(value, {"C": 4})
    assert reason is not None
    assert words in reason


def test_a_bound_whose_size_is_unknown_is_not_checked() -> None:
    labels = integers("N", below="C")
    assert labels.contains(np.array([7])) is None
    assert labels.contains(np.array([-1])) is not None


def test_rows_of_float32_probabilities_may_sum_to_1_within_their_own_rounding() -> None:
    weights = np.random.default_rng(0).random((20, 7)).astype(np.float32)
    rows = weights / weights.sum(axis=-1, keepdims=True)
    assert probabilities("N C").contains(rows) is None
    rows[3, 0] += 1e-4
    assert "sums to 1" in str(probabilities("N C").contains(rows))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: integers("N", below=0), "no whole number is at least 0 and below 0"),
        (lambda: integers("N", below=2.5), "below is 2.5; a number or a dimension name"),
        (lambda: integers("N", below="C/2"), "write // for its quotient"),
        (lambda: one_of(), "no choice is given"),
        (lambda: one_hot(""), "'' has no axis"),
        (lambda: probabilities("()"), "has no axis"),
        (lambda: elements("N", [1.0, 2.0]), "a Hypothesis strategy of single numbers"),
        (lambda: positive("N,D"), "separated by spaces, not commas"),
    ],
)
def test_a_domain_that_makes_no_sense_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ContractError) as caught:
        make()
    assert words in str(caught.value)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    "domain", [real(""), positive(""), complex(""), integers("", below=3), booleans("")], ids=str
)
def test_a_scalar_input_is_an_array_without_axes(domain: Domain, style: str) -> None:
    """A NumPy scalar is no ndarray, and what wraps arrays in objects of its own refuses it."""
    found = domain.sample(np.random.default_rng(0), {}, style)
    assert type(found) is np.ndarray
    assert found.shape == ()


def test_an_unknown_style_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        UsageError, match="no style 'gaussian' of values; the styles are counting, normal"
    ):
        real("N").sample(np.random.default_rng(0), {"N": 1}, "gaussian")


def test_integers_without_a_whole_number_left_at_these_sizes_are_refused() -> None:
    with pytest.raises(ContractError, match="at least 0 and below 0"):
        integers("N", below="C").sample(np.random.default_rng(0), {"N": 1, "C": 0})


def test_counting_is_readable_and_hides_no_symmetry() -> None:
    sample = real("N N").sample(np.random.default_rng(0), {"N": 3}, "counting")
    assert np.array_equal(sample, [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    assert not np.array_equal(sample, sample.T)


def test_counting_is_distinct_and_without_zero_far_beyond_one_digit() -> None:
    sample = real("N").sample(np.random.default_rng(0), {"N": 288}, "counting")
    assert np.unique(sample).size == 288
    assert np.all(sample != 0)
    assert np.any(sample < 0)


def test_plain_styles_hold_no_ties_and_no_zeros() -> None:
    for style in PLAIN_STYLES:
        sample = real("N").sample(np.random.default_rng(1), {"N": 200}, style)
        assert np.unique(np.abs(sample)).size > 100
        assert np.all(sample != 0)


def test_the_special_style_mixes_zeros_ones_ties_and_a_few_extremes() -> None:
    sample = real("N").sample(np.random.default_rng(1), {"N": 400}, "special")
    for value in (0, 1, -1):
        assert np.count_nonzero(sample == value) > 10
    extreme = (np.abs(sample) == 1e8) | (np.abs(sample) == 1e-8)
    assert 0 < np.count_nonzero(extreme) < 100
    assert np.unique(sample).size < 300


def test_integers_are_repeated_and_reach_both_ends() -> None:
    sample = integers("N", below=50).sample(np.random.default_rng(1), {"N": 20}, "special")
    assert {0, 49} <= set(sample.tolist())
    assert np.unique(sample).size < 20


def test_probabilities_are_soft_one_hot_and_even() -> None:
    rows = probabilities("N C").sample(np.random.default_rng(1), {"N": 60, "C": 4}, "integers")
    hot = np.max(rows, axis=-1) == 1
    even = np.all(rows == 0.25, axis=-1)
    assert np.any(hot)
    assert np.any(even)
    assert np.any(~hot & ~even)


def test_the_two_parts_of_a_complex_number_differ() -> None:
    sample = complex("N").sample(np.random.default_rng(0), {"N": 4}, "counting")
    assert np.array_equal(sample, [1 + 2j, 2 + 3j, 3 + 4j, 4 + 5j])


def test_elements_are_filled_from_the_pool_each_once_while_it_lasts() -> None:
    domain = elements("N", st.floats(-1, 1))
    sample = domain.sample(np.random.default_rng(0), {"N": 6}, pool=[0.25, -0.5, 1.0])
    assert np.array_equal(sample[:3], [0.25, -0.5, 1.0])
    assert set(sample.tolist()) <= {0.25, -0.5, 1.0}
    with pytest.raises(UsageError, match="is drawn by Hypothesis"):
        domain.sample(np.random.default_rng(0), {"N": 6})


def test_a_domain_says_whether_it_can_be_differenced() -> None:
    assert [name for name, domain in DOMAINS.items() if not domain.differentiable] == [
        "integers",
        "integers from 2",
        "booleans",
        "constant",
        "one_of",
    ]
