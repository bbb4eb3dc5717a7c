"""When an entry is right, wrong or undecided, and what follows for a check and a rule."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.errors import UsageError
from gradcheck.oracles.evidence import Entries, Evidence
from gradcheck.resolution import EPSILON, ROUNDING_ALLOWANCE, natural_scale
from gradcheck.verdicts import (
    Decision,
    OutputSize,
    Verdict,
    decide,
    profile_named,
    worst,
)

POWER = 1e-6
X = np.array([1.0, -1.0, 1.0])


def evidence(true, bound, oracle="oracle", **entries):
    true = np.asarray(true, float)
    bounds = np.broadcast_to(np.asarray(bound, float), true.shape)
    return Evidence(oracle, {"x": Entries(true, bounds, **entries)})


def decisions(claimed, *found, value=X, contraction=1.0, power=POWER):
    judgement = decide(
        value, np.asarray(claimed, float), OutputSize(contraction, contraction), found, "x", power
    )
    return [Decision(decision) for decision in judgement.decisions]


R, W, U = Decision.RIGHT, Decision.WRONG, Decision.UNDECIDED


def test_a_claim_within_a_small_bound_is_right_and_one_outside_is_wrong():
    true = evidence([1.0, 2.0, 3.0], 1e-12)
    assert decisions([1.0, 2.0, 3.0], true) == [R, R, R]
    assert decisions([1.0, 2.0, 3.0 + 1e-9], true) == [R, R, W]


def test_a_claim_within_a_bound_too_large_to_mean_anything_is_undecided():
    assert decisions([1.0, 2.0, 3.0], evidence([1.0, 2.0, 3.0], 1e-3)) == [U, U, U]


def test_a_claim_outside_a_large_bound_is_wrong_all_the_same():
    assert decisions([1.0, 2.0, 4.0], evidence([1.0, 2.0, 3.0], 1e-3)) == [U, U, W]


def test_a_small_wrong_entry_beside_large_right_ones_is_wrong():
    """A comparison by norm would pass it."""
    claimed, true = [1e6, 1e6, 2e-3], [1e6, 1e6, 1e-3]
    assert decisions(claimed, evidence(true, 1e-12)) == [R, R, W]


def test_a_large_array_is_no_more_lenient_than_a_small_one():
    value, true = np.ones(100_000), np.ones(100_000)
    claimed = true.copy()
    claimed[77_777] += 1e-9
    judgement = decide(value, claimed, OutputSize(1.0, 1.0), [evidence(true, 1e-12)], "x", POWER)
    assert judgement.count(W) == 1
    assert judgement.decisions[77_777] == W


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_claim_that_is_not_finite_where_the_truth_is_finite_is_wrong(wrong):
    assert decisions([1.0, wrong, 3.0], evidence([1.0, 2.0, 3.0], 1e-12)) == [R, W, R]


def test_an_oracle_that_is_not_finite_decides_nothing():
    assert decisions([1.0, 2.0, 3.0], evidence([np.nan, np.inf, 3.0], 1e-12)) == [U, U, R]
    assert decisions([1.0, 2.0, 3.0], evidence([1.0, 2.0, 3.0], [np.inf, np.nan, 0])) == [U, U, R]


def test_two_oracles_that_exclude_each_other_leave_the_entry_undecided_and_are_named():
    one, other = (
        evidence([1.0, 1, 1], 1e-12, "autodiff"),
        evidence([2.0, 1, 1], 1e-12, "differences"),
    )
    judgement = decide(X, np.ones(3), OutputSize(1.0, 1.0), [one, other], "x", POWER)
    assert [Decision(d) for d in judgement.decisions] == [U, R, R]
    assert "differences and autodiff exclude each other" in judgement.reasons[0]


def test_a_coarse_oracle_that_agrees_does_not_excuse_what_a_fine_one_refuses():
    coarse, fine = evidence([1.0, 1, 1], 1e-7), evidence([1.0, 1, 1], 1e-13, "fine")
    assert decisions([1.0 + 1e-9, 1, 1], coarse, fine) == [W, R, R]
    assert decisions([1.0 + 1e-9, 1, 1], coarse) == [R, R, R]


def test_what_float64_may_lose_is_allowed_and_four_times_as_much_is_not():
    loss = ROUNDING_ALLOWANCE * EPSILON
    true = evidence([1.0, 1.0, 1.0], 0.0)
    assert decisions([1.0 + loss / 2, 1, 1], true) == [R, R, R]
    assert decisions([1.0 + 4 * loss, 1, 1], true) == [W, R, R]


def test_a_true_zero_is_decided_by_an_absolute_resolution_of_its_natural_scale():
    assert decisions([0.0, 0, 0], evidence([0.0, 0, 0], 1e-13)) == [R, R, R]
    assert decisions([0.0, 0, 0], evidence([0.0, 0, 0], 1e-9)) == [U, U, U]
    assert decisions([1e-9, 0, 0], evidence([0.0, 0, 0], 1e-13)) == [W, R, R]


def test_evidence_of_wider_precision_is_compared_with_its_own_view_of_the_claim():
    entries = {"claimed": np.array([1.0, 1, 1 + 1e-15]), "loss": np.zeros(3)}
    assert decisions([9.0, 9, 9], evidence([1.0, 1, 1], 1e-18, **entries)) == [R, R, W]


def test_without_evidence_every_entry_is_undecided_and_the_reason_is_kept():
    abstained = Evidence("autodiff", abstention="the code does not run on JAX arrays")
    judgement = decide(X, np.ones(3), OutputSize(1.0, 1.0), [abstained], "x", POWER)
    assert judgement.count(U) == 3
    assert judgement.reasons == ("autodiff: the code does not run on JAX arrays",)


@given(st.floats(1e-100, 1e100), st.floats(1e-100, 1e100), st.sampled_from([1.0, 1 + 1e-5]))
def test_the_verdict_does_not_depend_on_the_units_of_input_and_output(unit_in, unit_out, fault):
    """Law: x in other units and E in other units change the gradient's unit and nothing else."""
    true = np.array([1.0, 2.0, -3.0])
    plain = decisions(true * [1, fault, 1], evidence(true, 1e-13))
    scaled = true * (unit_out / unit_in)
    bound = 1e-13 * (unit_out / unit_in)
    assert plain == decisions(
        scaled * [1, fault, 1], evidence(scaled, bound), value=X * unit_in, contraction=unit_out
    )


def test_the_natural_scale_is_output_over_input_and_that_of_the_typical_input_at_zero():
    assert natural_scale(np.array([2.0, 2.0]), 6.0) == pytest.approx([3.0, 3.0])
    assert natural_scale(np.array([0.0, 2.0]), 2.0) == pytest.approx([np.sqrt(2), 1.0])
    assert natural_scale(np.zeros(2), 5.0) == pytest.approx([5.0, 5.0])


@pytest.mark.parametrize("verdicts", list(itertools.product(Verdict, repeat=3)))
def test_verdicts_combine_to_the_worst_of_them(verdicts):
    combined = worst(verdicts)
    assert (combined == "fail") == ("fail" in verdicts)
    assert (combined == "pass") == (set(verdicts) == {Verdict.PASS})


def test_a_run_that_compared_nothing_does_not_pass():
    assert worst([]) is Verdict.INCONCLUSIVE


def test_an_unknown_profile_is_refused_with_the_names_of_the_known_ones():
    with pytest.raises(
        UsageError, match="no profile 'fast'; the profiles are quick, standard, thorough"
    ):
        profile_named("fast")


def paper(true, claimed):
    """Evidence in wider precision, which evaluates the claim itself."""
    return Evidence(
        "extended",
        {"x": Entries(np.array(true), np.zeros(3), np.array(claimed), np.full(3, 1e-20))},
    )


def test_a_claim_right_on_paper_and_far_off_in_float64_is_wrong_and_a_little_off_is_inaccurate():
    exact, true = [1.0, 1.0, 1.0], evidence([1.0, 1, 1], 1e-16)
    judgement = decide(
        X,
        np.array([1.01, 1 + 1e-10, 1]),
        OutputSize(1.0, 1.0),
        [true, paper(exact, exact)],
        "x",
        POWER,
    )
    assert [Decision(d) for d in judgement.decisions] == [W, R, R]
    assert judgement.inaccurate.tolist() == [False, True, False]
    assert judgement.on_paper.all()


def test_a_claim_wrong_on_paper_is_wrong_however_little_it_shows_in_float64():
    judgement = decide(
        X,
        np.ones(3),
        OutputSize(1.0, 1.0),
        [evidence([1.0, 1, 1], 1e-16), paper([1.0, 1, 1], [1.0, 1 + 1e-17, 1])],
        "x",
        POWER,
    )
    assert [Decision(d) for d in judgement.decisions] == [R, R, R]
    judgement = decide(
        X, np.ones(3), OutputSize(1.0, 1.0), [paper([1.0, 1, 1], [1.0, 1 + 1e-15, 1])], "x", POWER
    )
    assert [Decision(d) for d in judgement.decisions] == [R, W, R]


def test_a_claim_absorbed_by_rounding_where_the_truth_is_zero_is_undecided_and_not_wrong():
    """sigmoid(clip(x, -500, 500)) has no slope at -600; s (1 - s) claims 7e-218 there."""
    tail, true = np.full(3, 7e-218), evidence([0.0, 0, 0], 0.0)
    judgement = decide(X * 600, tail, OutputSize(7e-218, 1.0), [true], "x", POWER)
    assert [Decision(d) for d in judgement.decisions] == [U, U, U]
    judgement = decide(X * 600, np.full(3, 1e-9), OutputSize(7e-218, 1.0), [true], "x", POWER)
    assert [Decision(d) for d in judgement.decisions] == [W, W, W]


def test_what_several_kinks_at_one_point_explain_is_undecided_and_what_they_do_not_is_wrong():
    """relu(w x) of two units, w of both signs: slopes of one sign at 0, and the chain rule claims 0."""
    true, spread = np.array([-0.17, 0.5, 0.5]), np.array([0.002, 0.5, 0.5])
    at_kink = Evidence("differences", {"x": Entries(true, np.full(3, 1e-13), spread=spread)})
    judgement = decide(X, np.array([0.0, 0.0, 2.0]), OutputSize(1.0, 1.0), [at_kink], "x", POWER)
    assert [Decision(d) for d in judgement.decisions] == [U, R, W]
    assert any("several kinks meet" in reason for reason in judgement.reasons)


def seen_in_float64(true, claimed):
    """What differences say that saw the claim in float64, and compare the user's own numbers as well."""
    return Evidence(
        "differences",
        {"x": Entries(np.array(true), np.full(3, 1e-16), np.array(claimed), own_too=True)},
    )


def test_a_claim_right_on_paper_that_loses_digits_in_float32_is_undecided_where_nobody_saw_the_true_loss():
    size = OutputSize(1.0, 1.0, epsilon=2.0**-23)
    own = np.array([1.0, 1.1, np.nan], np.float32)
    judgement = decide(X, own, size, [seen_in_float64([1.0, 1, 1], [1.0, 1, 1])], "x", POWER)
    assert [Decision(d) for d in judgement.decisions] == [R, U, W]
    assert any("right on paper, and off in the precision" in text for text in judgement.reasons)
    wrong = decide(X, own, size, [seen_in_float64([1.0, 1, 1], [1.0, 1.1, 1])], "x", POWER)
    assert [Decision(d) for d in wrong.decisions] == [R, W, W]


def test_an_infinite_gradient_is_wrong_only_where_its_precision_could_hold_the_true_one():
    size = OutputSize(1.0, 1.0, epsilon=2.0**-23)
    own = np.array([np.inf, np.inf, -np.inf], np.float32)
    true = [1e39, 1e37, 1e39]
    judgement = decide(X, own, size, [seen_in_float64(true, true)], "x", POWER)
    assert [Decision(d) for d in judgement.decisions] == [R, W, W]


def test_what_is_neither_right_nor_wrong_on_paper_is_not_made_right_by_coarser_numbers():
    """The truth is 0; 1e-8 may be lost beside a cotangent of 1, and is no zero in float64."""
    size = OutputSize(1.0, 1.0, epsilon=2.0**-23)
    for claimed, expected in [(0.0, R), (1e-8, U), (1e-2, W)]:
        own, paper = np.full(3, claimed, np.float32), np.full(3, claimed)
        found = decide(X, own, size, [seen_in_float64([0.0, 0, 0], paper)], "x", POWER)
        assert [Decision(d) for d in found.decisions] == [expected] * 3
