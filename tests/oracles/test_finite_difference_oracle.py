"""What differences of the user's real forward say of a claimed gradient."""

import numpy as np
import pytest

import gradcheck
from gradcheck.oracles.finite_differences import FEW_ENTRIES, FiniteDifferences
from gradcheck.rules import Point, claim_at

RNG = np.random.default_rng(5)


def elementwise(f, derivative, **options):
    return gradcheck.vjp(f, lambda dout, x: dout * derivative(x), x="N", name="rule", **options)


def entries(rule, x, cotangent=None, seed=0):
    """Return what differences say of x: true values, bounds, and the claim."""
    claim = claim_at(rule, Point((np.asarray(x, float),), cotangent))
    evidence = FiniteDifferences().examine(rule, claim, np.random.default_rng(seed))
    found = evidence.entries["x"]
    return found.true, found.bound, claim.variables[0].claimed, evidence


@pytest.mark.parametrize("size", [1, FEW_ENTRIES, FEW_ENTRIES + 1, 1000])
def test_the_true_gradient_lies_within_the_bound_of_few_and_of_many_entries(size):
    x = RNG.normal(size=size)
    true, bound, _, _ = entries(elementwise(np.sin, np.cos), x)
    assert np.all(np.abs(true - np.cos(x)) <= bound)
    assert np.all(bound <= 1e-6 * np.maximum(np.abs(np.cos(x)), 1e-3))


@pytest.mark.parametrize("place", [0, 137, 999])
def test_one_flipped_sign_in_a_diagonal_jacobian_of_a_thousand_entries_is_found(place):
    """Projections onto one random direction, compared by norm, miss it."""
    x = RNG.uniform(0.5, 1.0, size=1000)
    sign = np.ones(1000)
    sign[place] = -1
    true, bound, claimed, _ = entries(elementwise(np.sin, lambda x: sign * np.cos(x)), x)
    assert np.flatnonzero(np.abs(true - claimed) > bound).tolist() == [place]
    assert abs(true[place] - np.cos(x[place])) <= bound[place]


def test_a_small_wrong_entry_beside_large_ones_is_found():
    weights = np.full(500, 1e6)
    weights[77] = 1e-2
    wrong = weights.copy()
    wrong[77] *= 1.001
    x = RNG.normal(size=500)
    rule = gradcheck.vjp(lambda x: weights * x, lambda g, x: g * wrong, x="N")
    true, bound, claimed, _ = entries(rule, x, RNG.normal(size=500))
    assert np.flatnonzero(np.abs(true - claimed) > bound).tolist() == [77]


def test_a_coarser_direction_changes_nothing_of_what_a_finer_one_has_found():
    """Entries from 1e-10 to 1e6 are tested again and again, along directions of other bounds."""
    x = np.random.default_rng(0).choice([-1.0, 1.0], 20) * 10 ** np.linspace(-10, 6.5, 20)
    bell = lambda x: np.exp(-(x**2))  # noqa: E731
    for seed in range(10):
        true, bound, claimed, _ = entries(
            elementwise(bell, lambda x: -2 * x * bell(x)), x, seed=seed
        )
        assert np.all(np.abs(true - claimed) <= bound)
        wrong = elementwise(bell, lambda x: -2 * x * bell(x) + (x == x[11]) * 1e-3)
        true, bound, claimed, _ = entries(wrong, x, seed=seed)
        assert np.flatnonzero(np.abs(true - claimed) > bound).tolist() == [11]


def test_wrong_entries_are_localised_in_far_fewer_forwards_than_entries():
    x = RNG.normal(size=4096)
    wrong = np.ones(4096)
    wrong[[5, 2000, 4000]] = [1.01, 0.99, -1]
    rule = elementwise(np.tanh, lambda x: wrong * (1 - np.tanh(x) ** 2))
    true, bound, claimed, evidence = entries(rule, x)
    found = set(np.flatnonzero(np.abs(true - claimed) > bound).tolist())
    assert {5, 2000, 4000} <= found
    assert evidence.evaluations < 4096


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (1e-6, False),  # of the claims beside 1e5**3, which hold 7e-4 of it
        (1.0, True),
    ],
)
def test_what_rounding_beside_a_large_entry_explains_is_not_searched_for(error, found):
    x = np.concatenate([[1e5], RNG.uniform(1e-3, 2e-3, size=40)])
    off = np.where(x < 1, error, 0.0)
    rule = elementwise(lambda x: x**3, lambda x: 3 * x**2 + off)
    true, bound, claimed, evidence = entries(rule, x)
    assert np.any(np.abs(claimed - true) > bound) == found
    assert (evidence.evaluations > 100) == found


def test_steps_stay_inside_the_declared_domain():
    seen = []

    def log(x):
        seen.append(float(np.min(x)))
        return np.log(x)

    rule = gradcheck.vjp(log, lambda g, x: g / x, x=gradcheck.positive("N"))
    true, bound, claimed, _ = entries(rule, [1e-3, 1.0, 20.0])
    assert min(seen) > 0
    assert np.all(np.abs(true - claimed) <= bound)


def test_entries_at_both_ends_of_the_declared_domain_are_undecided_and_do_not_hinder_others():
    rule = gradcheck.vjp(np.square, lambda g, x: g * 2 * x, x=gradcheck.probabilities("1 C"))
    x = np.zeros((1, 40))
    x[0, 0], x[0, 20] = 0.25, 0.75
    for seed in range(20):
        _, bound, _, evidence = entries(rule, x, np.ones((1, 40)), seed)
        assert np.flatnonzero(np.isfinite(bound)).tolist() == [0, 20]
        assert "end of the declared domain" in evidence.reason


def wrong_entries(rule, x, cotangent):
    """Return the entries whose claim lies outside of what differences allow, at kinks an interval."""
    _, _, claimed, evidence = entries(rule, x, cotangent)
    found = evidence.entries["x"]
    return np.flatnonzero(np.abs(found.true - claimed) > found.bound + found.spread).tolist()


def pooled(take):
    """Maxima of a row's neighbours; at a tie the backward takes the left or right one, by `take`."""

    def vjp(dout, x):
        gradient = np.zeros_like(x)
        for place, weight in enumerate(dout):
            left = x[place] > x[place + 1] or (x[place] == x[place + 1] and take(place))
            gradient[place if left else place + 1] += weight
        return gradient

    return gradcheck.vjp(lambda x: np.maximum(x[:-1], x[1:]), vjp, x="N+1")


TIES = np.array([3.0, 3.0, 3.0, 1.0])
"""As x[1] grows, so do the maxima 0 and 1; weighted by 7 and -7 their sum stays."""


def test_ties_of_several_outputs_that_cancel_are_no_error_of_a_backward_that_takes_one_side_each():
    for take in (lambda place: True, lambda place: False, lambda place: place % 2):
        for x in (TIES, np.concatenate([TIES, np.arange(20.0)])):
            cotangent = np.zeros(len(x) - 1)
            cotangent[:3] = 7.0, -7.0, 1.0
            assert wrong_entries(pooled(take), x, cotangent) == []


@pytest.mark.parametrize("error", [1e-6, 1e-3, 1.0])
def test_beside_ties_that_cancel_a_wrong_claim_is_found(error):
    """Only 0 to 7 is a subgradient of the first maximum by x[1], and -7 to 0 of the second by x[2]."""

    def vjp(dout, x):
        return pooled(lambda place: False).vjp((x,))[1](dout)[0] * (1 + error)

    rule = gradcheck.vjp(lambda x: np.maximum(x[:-1], x[1:]), vjp, x="N+1")
    assert wrong_entries(rule, TIES, np.array([7.0, -7.0, 1.0])) == [1, 2]


@pytest.mark.parametrize(
    ("at_zero", "wrong"), [(0.0, []), (0.5, []), (1.0, []), (1.05, [0]), (-1e-6, [0])]
)
def test_a_kink_that_many_outputs_share_is_held_to_the_slopes_of_its_sides(at_zero, wrong):
    """The outputs bend to both sides, by 3, -2 and -1/2, and together by 1/2."""
    weights = np.array([[3.0, -2.0, -0.5], [1.0, 1.0, 1.0]])

    def vjp(dout, x):
        return (dout @ weights.T) * np.where(x == 0, at_zero, x > 0)

    rule = gradcheck.vjp(lambda x: np.maximum(x, 0) @ weights, vjp, x="2")
    assert wrong_entries(rule, np.array([0.0, 1.0]), np.ones(3)) == wrong


def test_curvature_of_outputs_that_cancels_is_no_excuse():
    """x^2 weighted by 1 and -1: the bends cancel as those of kinks do, but shrink with the step."""
    for error in (1e-7, 1e-4, 1e-1, 10.0):
        rule = gradcheck.vjp(
            lambda x: np.append(1e3 * x**2, -1e3 * x**2),
            lambda g, x, e=error: g[:1] * 2e3 * x + g[1:] * -2e3 * x + e,
            x="1",
        )
        true, bound, claimed, _ = entries(rule, [1.0], np.ones(2))
        assert abs(true[0] - claimed[0]) > bound[0]


def test_at_a_kink_the_truth_is_the_interval_between_the_slopes_of_both_sides():
    rule = elementwise(lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(float))
    claim = claim_at(rule, Point((np.array([0.0, 1.0]),), np.array([2.0, 1.0])))
    found = FiniteDifferences().examine(rule, claim, np.random.default_rng(0)).entries["x"]
    assert found.true == pytest.approx([1.0, 1.0])
    assert found.spread == pytest.approx([1.0, 0.0])
    assert np.all(found.bound < 1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_layer_of_low_precision_is_differenced_in_float64_at_its_own_inputs(dtype):
    x = RNG.normal(size=6).astype(dtype)
    rule = gradcheck.vjp(
        lambda x: np.tanh(x), lambda g, x: g * (1 - np.tanh(x) ** 2), inputs=lambda rng: (x,)
    )
    claim = claim_at(rule, Point((x,)))
    found = FiniteDifferences().examine(rule, claim, np.random.default_rng(0)).entries["x"]
    exact = 1 - np.tanh(x.astype(float)) ** 2
    assert np.all(np.abs(found.true - exact) <= found.bound)
    assert np.all(found.bound < 1e-8)
    assert found.claimed == pytest.approx(exact, rel=1e-12)


def test_a_forward_that_rounds_to_float32_itself_is_bounded_by_its_noise():
    def forward(x):
        return np.sin(x.astype(np.float32))

    x = RNG.normal(size=3)
    true, bound, _, _ = entries(elementwise(forward, np.cos), x)
    assert np.all(np.abs(true - np.cos(x)) <= bound)
    assert np.all(bound > 1e-9)


def test_a_forward_of_which_two_runs_differ_is_left_alone_and_the_spread_is_told():
    rng = np.random.default_rng(0)
    rule = elementwise(lambda x: x * (rng.random(x.shape) < 0.5), lambda x: np.ones_like(x))
    claim = claim_at(rule, Point((np.ones(8),)))
    evidence = FiniteDifferences().examine(rule, claim, RNG)
    assert "nondeterministic: two runs of the forward differ by" in evidence.abstention


@pytest.mark.parametrize("gap", [1e-12, 3e-7, 1e-3])
def test_near_a_kink_the_bound_still_holds(gap):
    rule = elementwise(lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(float))
    true, bound, claimed, _ = entries(rule, [gap, -gap])
    decided = np.isfinite(bound)
    assert np.all(np.abs(true - claimed)[decided] <= bound[decided] + 1e-14)


def test_a_cotangent_of_another_scale_changes_nothing_but_the_unit():
    x = RNG.normal(size=5)
    rule = elementwise(np.sin, np.cos)
    for scale in (1e-150, 1e150):
        true, bound, claimed, _ = entries(rule, x, np.full(5, scale))
        assert np.all(np.abs(true - claimed) <= bound)
        assert np.all(bound <= 1e-6 * scale)


def test_directions_differ_from_draw_to_draw():
    x = RNG.normal(size=50)
    rule = elementwise(np.sin, np.cos)
    _, first, _, _ = entries(rule, x, seed=1)
    _, second, _, _ = entries(rule, x, seed=2)
    assert not np.array_equal(first, second)


def test_complex_inputs_are_left_to_other_oracles():
    rule = gradcheck.vjp(lambda z: z, lambda g, z: g, inputs=lambda rng: (np.ones(2, complex),))
    claim = claim_at(rule, Point((np.ones(2, complex),)))
    evidence = FiniteDifferences().examine(rule, claim, RNG)
    assert evidence.abstention == "complex inputs are not differenced"


def test_a_forward_that_raises_beside_the_point_is_undecided_not_an_error():
    def root(x):
        if np.any(x < 1):
            raise ValueError("below the domain")
        return np.sqrt(x - 1)

    _, bound, _, _ = entries(elementwise(root, lambda x: 0.5 / np.sqrt(x - 1)), [1.0])
    assert not np.isfinite(bound[0])


@pytest.mark.parametrize("factor", [1.0, 1.001])
def test_a_forward_that_writes_every_output_into_one_buffer_is_differenced(factor):
    buffer = np.zeros(3)

    def forward(x):
        np.sin(x, out=buffer)
        return buffer

    rule = gradcheck.vjp(forward, lambda g, x: factor * g * np.cos(x), x="3", name="buffered")
    report = gradcheck.verify_at(
        rule, (np.array([0.3, -1.0, 2.0]),), trace=False, checks=["gradient"]
    )
    assert report.verdict == ("pass" if factor == 1 else "fail"), str(report)
