"""Which programs stand for a rule at a point, and when they are traced anew."""

import numpy as np
import pytest

import gradcheck
from gradcheck.errors import Abstention
from gradcheck.oracles.autodiff import Autodiff
from gradcheck.oracles.programs import Programs
from gradcheck.rules import Point, claim_at


def new_rng(seed=0):
    """A generator of its own for every use: no test's draws depend on which tests ran before."""
    return np.random.default_rng(seed)


def at(rule, programs, *inputs, cotangent=None, seed=0):
    return programs.at(rule, claim_at(rule, Point(inputs, cotangent)), new_rng(seed))


def untraceable(x):
    """A copy by `np.nditer`, which reads plain memory behind every protocol."""
    return np.array([float(value) for value in np.nditer(x)])


def branching(x):
    if x[0] > 0:
        return x**2
    return -3 * x


def branching_vjp(dout, x):
    return dout * 2 * x if x[0] > 0 else -3 * dout


def rule_of(forward, vjp, **options):
    return gradcheck.vjp(forward, vjp, inputs=lambda rng: (rng.normal(size=3),), **options)


def test_a_trace_serves_every_point_of_its_shapes_at_which_its_guards_hold():
    rule, programs = rule_of(branching, branching_vjp), Programs()
    first = at(rule, programs, np.array([1.0, 2.0, 3.0]))
    assert at(rule, programs, np.array([4.0, -5.0, 6.0])) is first
    other_branch = at(rule, programs, np.array([-4.0, 5.0, 6.0]))
    assert other_branch is not first
    assert at(rule, programs, np.array([-1.0, 5.0, 6.0])) is other_branch
    assert at(rule, programs, np.array([1.0, 2.0])) is not first


def winners_vjp(dout, x):
    gradient = np.zeros_like(x)
    for row in range(len(x)):
        gradient[row, int(np.argmax(x[row]))] = dout[row]
    return gradient


def test_ties_where_the_backward_has_no_program_do_not_cost_the_next_point_its_own():
    """No point near twenty ties takes all the branches that were taken at them."""
    rule, programs = rule_of(lambda x: np.max(x, axis=1), winners_vjp), Programs()
    assert at(rule, programs, np.zeros((20, 2))).claimed is None
    assert at(rule, programs, np.arange(40.0).reshape(20, 2)).claimed is not None


def test_the_reused_programs_give_the_gradient_of_the_new_point():
    rule, programs = rule_of(branching, branching_vjp), Programs()
    for x in ([1.0, 2.0, 3.0], [4.0, -5.0, 6.0], [-4.0, 5.0, 6.0]):
        claim = claim_at(rule, Point((np.array(x),)))
        found = Autodiff(programs).examine(rule, claim, new_rng()).entries["x"]
        np.testing.assert_allclose(found.true, branching_vjp(np.ones(3), np.array(x)), rtol=1e-14)


def test_random_numbers_void_a_trace_and_both_sides_see_the_same_ones():
    def dropout(x):
        mask = np.random.rand(*x.shape) < 0.5  # noqa: NPY002
        return x * mask, mask

    rule = gradcheck.pair(dropout, lambda g, mask: g * mask, inputs=lambda rng: (np.ones(64),))
    programs = Programs()
    first = at(rule, programs, np.ones(64))
    assert first.random
    assert at(rule, programs, np.ones(64)) is not first
    claim = claim_at(rule, Point((np.ones(64),)))
    found = Autodiff(programs).examine(rule, claim, new_rng()).entries["x"]
    np.testing.assert_array_equal(found.true, found.claimed)


def test_a_backward_that_cannot_be_traced_leaves_the_true_program_and_says_why():
    rule = rule_of(lambda x: x**2, lambda g, x: g * 2 * untraceable(x))
    traced = at(rule, Programs(), np.array([1.0, 2.0, 3.0]))
    assert traced.claimed is None
    assert "nditer" in traced.reason or "test_programs.py:" in traced.reason


def test_a_forward_that_cannot_be_traced_abstains_with_the_line_and_is_still_differenced():
    rule = rule_of(lambda x: untraceable(x) ** 2, lambda g, x: 2 * g * x)
    with pytest.raises(Abstention) as caught:
        at(rule, Programs(), np.array([1.0, 2.0, 3.0]))
    assert "test_programs.py:" in str(caught.value)
    report = gradcheck.verify(rule, examples=10, seed=1)
    assert report.verdict == "pass", str(report)
    assert set(report.power["gradient"]["oracles"]) == {"finite differences"}


def test_code_that_is_traceable_nowhere_is_tried_ever_more_seldom(monkeypatch):
    runs = []

    def counted(x):
        runs.append(x)
        return untraceable(x)

    monkeypatch.setattr("gradcheck.oracles.programs.MOST_VAIN_POINTS", 3)
    rule, programs = rule_of(counted, lambda dout, x: dout), Programs()
    reasons, attempts = set(), []
    for length in range(1, 10):
        claim = claim_at(rule, Point((np.ones(length),), np.ones(length)))
        before = len(runs)
        with pytest.raises(Abstention) as caught:
            programs.at(rule, claim, new_rng())
        reasons.add(str(caught.value))
        attempts.append(len(runs) > before)
    assert attempts == [True] * 3 + [True, False, False, False, True, False]
    assert len(reasons) == 1, "the reason with its line is given at every point"


def test_code_that_is_traceable_late_is_traced_from_then_on(monkeypatch):
    monkeypatch.setattr("gradcheck.oracles.programs.MOST_VAIN_POINTS", 2)

    def forward(x):
        return x**2 if len(x) >= 8 else untraceable(x)

    rule, programs = rule_of(forward, lambda dout, x: dout * 2 * x), Programs()
    for length in range(1, 8):
        with pytest.raises(Abstention):
            at(rule, programs, np.ones(length))
    for length in range(8, 12):
        assert at(rule, programs, np.ones(length)).claimed is not None


def test_points_without_a_program_do_not_cost_later_points_theirs(monkeypatch):
    monkeypatch.setattr("gradcheck.oracles.programs.MOST_VAIN_POINTS", 2)

    def forward(x):
        return untraceable(x) if len(x) > 3 else x**2

    rule, programs = rule_of(forward, lambda dout, x: dout * 2 * x), Programs()
    assert at(rule, programs, np.ones(2)).claimed is not None
    for length in (4, 5, 6):
        with pytest.raises(Abstention):
            at(rule, programs, np.ones(length))
    assert at(rule, programs, np.ones(3)).claimed is not None


def test_a_guard_at_its_edge_is_a_kink_for_autodiff():
    rule = rule_of(branching, branching_vjp)
    claim = claim_at(rule, Point((np.array([0.0, 1.0, 2.0]),)))
    evidence = Autodiff(Programs()).examine(rule, claim, new_rng())
    assert np.all(np.isinf(evidence.entries["x"].bound))
    assert "a kink or tie" in evidence.reason


def test_code_that_answers_with_jax_arrays_is_traced_by_jax():
    import jax.numpy as jnp

    rule = rule_of(lambda x: jnp.sin(x), lambda g, x: g * jnp.cos(x))
    traced = at(rule, Programs(), np.array([1.0, 2.0, 3.0]), cotangent=np.ones(3))
    assert traced.trace is None
    assert traced.claimed is not None


def test_tracing_leaks_no_warning_of_the_users_code_at_an_overflow():
    """Warnings are errors in this suite, and would make the tracer abstain."""
    rule = rule_of(
        lambda x: 1 / (1 + np.exp(-x)), lambda g, x: g * np.exp(-x) / (1 + np.exp(-x)) ** 2
    )
    for seed in range(20):  # whichever way the second point lies, of which most overflow as well
        assert at(rule, Programs(), np.array([-800.0, 1.0, 2.0]), seed=seed).claimed is not None


def test_a_wrong_program_that_an_overflow_hides_is_found_at_a_second_point():
    """Both give 0 wherever exp overflows: only a point where it does not can tell them apart."""

    def tells_traced_from_plain(x):
        return 1 / (1 + (2 if type(x).__module__ == "numpy" else 1) * np.exp(-x))

    overflowing = np.array([-800.0, -900.0, -1000.0])
    rule = rule_of(tells_traced_from_plain, lambda g, x: np.zeros_like(x))
    with pytest.raises(Abstention, match="repeated at a second point, and untraced code part"):
        at(rule, Programs(), overflowing)
    honest = rule_of(lambda x: 1 / (1 + np.exp(-x)), lambda g, x: np.zeros_like(x))
    assert at(honest, Programs(), overflowing).claimed is not None
