"""Branches that no random point enters: found where they can be, named where they cannot."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

import gradcheck
from gradcheck import search

EXAMPLES = 12
SEED = 5


def squares(condition, *, inside=1.0, **options):
    """Return a rule for x ** 2 whose backward multiplies by `inside` where `condition` holds."""

    def backward(dout, x):
        factor = np.where(condition(x, dout), inside, 1.0)
        return 2.0 * x * dout * factor

    return gradcheck.vjp(lambda x: x**2, backward, name="squares", **(options or {"x": "N D"}))


def verdict(rule, **options):
    return gradcheck.verify(rule, examples=EXAMPLES, seed=SEED, checks=["gradient"], **options)


def is_huge(x, dout):
    return 1 if np.abs(x).max() > 123456.0 else 0


def has_huge_entries(x, dout):
    return x < -98765.0


def is_a_special_number(x, dout):
    return x == 3.5


def gets_a_huge_cotangent(x, dout):
    return 1 if np.sum(np.abs(dout)) >= 1e7 else 0


def is_huge_and_steep(x, dout):
    if np.abs(x).max() > 123456.0:
        return 1 if np.abs(dout).max() > 1e7 else 0
    return 0


def has_a_huge_sum_of_products(x, dout):
    hidden = np.tanh(x / 1e3) @ np.ones(x.shape[1]) * 1e3
    return 1 if hidden.max() > 900.0 * x.shape[1] else 0


def is_far_from_its_mirror(x, dout):
    return np.maximum(x, 1e6) != 1e6


def is_between(x, dout):
    return (x > 600.0) & (x < 601.0)


def is_huge_and_gets_a_huge_cotangent(x, dout):
    return 1 if (np.abs(x).max() > 123456.0) & (np.abs(dout).max() > 1e7) else 0


def is_huge_where_the_cotangent_is_negative(x, dout):
    return (x > 123456.0) & (dout < -3456.0)


HIDDEN = [
    is_between,
    is_huge_and_gets_a_huge_cotangent,
    is_huge_where_the_cotangent_is_negative,
    is_huge,
    has_huge_entries,
    is_a_special_number,
    gets_a_huge_cotangent,
    is_huge_and_steep,
    has_a_huge_sum_of_products,
    is_far_from_its_mirror,
]


@pytest.mark.parametrize("condition", HIDDEN, ids=lambda condition: condition.__name__)
def test_a_wrong_branch_that_random_points_miss_is_found(condition, monkeypatch):
    wrong = squares(condition, inside=1.001)
    report = verdict(wrong)
    assert report.verdict == "fail", str(report)
    assert verdict(squares(condition)).verdict == "pass"
    monkeypatch.setattr(search, "BRANCH_SHARE", 0.0)
    assert verdict(wrong).verdict == "pass"  # so the case shows what it is meant to


def many(x):
    return len(x) > 10


SIZES = [
    lambda x: x.shape[0] > 10,
    lambda x: x.shape[1] >= 17,
    lambda x: 10 < x.shape[0],  # noqa: SIM300 - the number as the first operand
    lambda x: x.ndim == 2 and x.shape[0] % 16 == 0,
    many,
]


@pytest.mark.parametrize("condition", SIZES, ids=[">", ">=", "first", "%", "helper"])
def test_a_backward_that_is_wrong_beyond_a_size_is_found(condition, monkeypatch):
    def rule(inside):
        def backward(dout, x):
            return 2.0 * x * dout * (inside if condition(x) else 1.0)

        return gradcheck.vjp(lambda x: x**2, backward, x="N D")

    report = verdict(rule(1.001))
    assert report.verdict == "fail", str(report)
    assert verdict(rule(1.0)).verdict == "pass"
    monkeypatch.setattr(search, "BRANCH_SHARE", 0.0)
    assert verdict(rule(1.001)).verdict == "pass"


def test_only_sizes_that_the_contract_allows_are_tried():
    seen = []

    def backward(dout, x):
        seen.append(len(x))
        return 2.0 * x * dout * (1.0 if len(x) < 30 else 2.0)

    rule = gradcheck.vjp(lambda x: x**2, backward, x="4")
    assert verdict(rule).verdict == "pass"
    assert {*seen} == {4}


def test_a_wrong_branch_of_jax_code_is_found():
    def rule(factor):
        @jax.custom_vjp
        def square(x):
            return x**2

        def backward(x, dout):
            return (2 * x * dout * jnp.where(x > 54321.0, factor, 1.0),)

        square.defvjp(lambda x: (x**2, x), backward)
        return gradcheck.jax_rule(square, x="N")

    assert verdict(rule(1.001)).verdict == "fail"
    assert verdict(rule(1.0)).verdict == "pass"


def test_the_same_seed_finds_the_same_point_and_its_reproduction_fails():
    wrong = squares(is_huge, inside=1.001)
    first, second = verdict(wrong), verdict(wrong)
    assert first.reproduction == second.reproduction
    assert first.findings == second.findings
    found = eval(first.reproduction, {"gradcheck": gradcheck, "np": np, "squares": wrong})
    assert found.verdict == "fail"


def bounded(x, dout):
    return np.tanh(x) > 2.0


def never_negative(x, dout):
    return np.maximum(x * x, -1.0) < -0.5


@pytest.mark.parametrize(
    ("condition", "phrases"),
    [
        (bounded, ["> 2 was never true"]),
        (never_negative, ["the maximum with -1 was never -1", "< -0.5 was never true"]),
    ],
)
def test_a_branch_that_cannot_be_entered_is_named_and_is_no_failure(condition, phrases):
    report = verdict(squares(condition, inside=2.0))
    assert report.verdict == "pass"
    line = condition.__code__.co_firstlineno + 1
    (check,) = report.as_dict()["checks"]
    assert [branch["branch"] for branch in check["never_entered"]] == phrases
    for branch in check["never_entered"]:
        assert branch["line"].endswith(f"test_branches.py:{line}")
        assert branch["source"].startswith("return np.")
    for phrase in phrases:
        assert f"test_branches.py:{line}: {phrase}: return np." in str(report)


def test_a_report_in_html_names_what_was_never_entered(tmp_path):
    verdict(squares(bounded)).to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "&gt; 2 was never true: <code>return np.tanh(x) &gt; 2.0</code>" in page


def test_a_branch_outside_the_domain_is_never_entered():
    def condition(x, dout):
        seen.append(float(np.min(x)))
        return x < 0

    seen: list[float] = []
    report = verdict(squares(condition, inside=2.0, x=gradcheck.positive("N")))
    assert report.verdict == "pass"
    assert [branch.phrase for branch in report.checks[0].never_entered] == ["< 0 was never true"]
    assert min(seen) > 0


def test_a_branch_outside_what_a_strategy_draws_is_never_entered():
    """By moves: what it draws is found, among the other inputs too."""
    few = gradcheck.elements("N D", st.floats(0.5, 1.5))
    report = verdict(squares(lambda x, dout: x > 2, inside=2.0, x=few))
    assert report.verdict == "pass"
    assert [branch.phrase for branch in report.checks[0].never_entered] == ["> 2 was never true"]
    assert verdict(squares(lambda x, dout: x > 1, inside=2.0, x=few)).verdict == "fail"
    assert verdict(squares(gets_a_huge_cotangent, inside=2.0, x=few)).verdict == "fail"


def test_a_branch_outside_what_the_users_draws_keep_is_never_entered():
    def draw(rng):
        rows = rng.random((3, 4))
        return (rows / rows.sum(axis=1, keepdims=True),)

    report = verdict(squares(lambda x, dout: x > 1.5, inside=2.0, inputs=draw))
    assert report.verdict == "pass"
    assert [branch.phrase for branch in report.checks[0].never_entered] == ["> 1.5 was never true"]


def test_what_a_strategy_of_one_input_draws_is_not_moved():
    few = gradcheck.elements("3", st.floats(0.25, 0.75))
    report = verdict(squares(lambda x, dout: x > 5.0, inside=2.0, x=few))
    assert [branch.phrase for branch in report.checks[0].never_entered] == ["> 5 was never true"]
    assert report.verdict == "pass"


def test_what_is_varied_around_the_users_own_points_enters_branches():
    arrays = st.lists(st.floats(0.25, 0.75), min_size=3, max_size=3)
    points = arrays.map(lambda row: (np.array(row),))
    assert verdict(squares(lambda x, dout: x > 5.0, inside=2.0, points=points)).verdict == "fail"
    assert verdict(squares(lambda x, dout: x > 5.0, inside=1.0, points=points)).verdict == "pass"


def test_a_branch_within_what_the_users_draws_keep_is_entered():
    def draw(rng):
        return (rng.random((3, 4)) + 0.1,)

    wrong = squares(lambda x, dout: x > 87654.0, inside=1.001, inputs=draw)
    assert verdict(wrong).verdict == "fail"


def test_where_all_branches_are_entered_no_point_is_added():
    report = verdict(squares(lambda x, dout: x > 0))
    assert report.power["gradient"]["points"] == EXAMPLES
    assert report.checks[0].never_entered == ()
    assert "never entered" not in str(report)


def test_points_that_enter_branches_are_a_quarter_of_the_run_at_most():
    def condition(x, dout):
        return sum((np.maximum(x * x, -float(k)) > 1e9 * k) * 1 for k in range(1, 20)) > 1e9

    report = verdict(squares(condition))
    assert EXAMPLES < report.power["gradient"]["points"] <= EXAMPLES * 1.25


def test_no_branch_is_sought_in_code_that_is_not_traced():
    report = verdict(squares(is_huge, inside=1.001), trace=False)
    assert report.power["gradient"]["points"] == EXAMPLES
    assert report.checks[0].never_entered == ()
