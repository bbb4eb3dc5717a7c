"""The search: seeds, Hypothesis's database and health checks, and the limits of time."""

import subprocess
import sys

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis.database import InMemoryExampleDatabase

import gradcheck
from gradcheck.strategies import points


def square(backward, **options):
    options = options or {"x": "N D"}
    return gradcheck.vjp(lambda x: x**2, backward, name="square", **options)


def right(dout, x):
    return dout * 2 * x


def wrong_where_large(dout, x):
    return dout * 2 * x * np.where(np.abs(x) > 3, 1.001, 1)


@pytest.fixture
def database():
    """Load a profile of Hypothesis with a database of its own, as a user would."""
    before = hypothesis.settings.get_current_profile_name()
    database = InMemoryExampleDatabase()
    hypothesis.settings.register_profile("kept", database=database)
    hypothesis.settings.load_profile("kept")
    yield database
    hypothesis.settings.load_profile(before)


def verify(rule, **options):
    return gradcheck.verify(rule, checks=["gradient"], trace=False, **options)


def test_a_failure_of_an_earlier_run_is_replayed_first(database):
    first = verify(square(wrong_where_large))
    assert (first.verdict, first.replayed) == ("fail", False)
    again = verify(square(wrong_where_large))
    assert (again.verdict, again.replayed) == ("fail", True)
    assert again.power["gradient"]["points"] == 1


def test_a_mended_rule_passes_though_its_failures_are_replayed(database):
    verify(square(wrong_where_large))
    assert any(database.data.values())
    mended = gradcheck.vjp(lambda x: x**2, wrong_where_large, x="N D", name="square")
    object.__setattr__(mended, "linearise", square(right).linearise)
    report = verify(mended)
    assert (report.verdict, report.replayed) == ("pass", False)


def test_a_rule_of_another_name_does_not_meet_the_failures_of_this_one(database):
    verify(square(wrong_where_large))
    other = gradcheck.vjp(lambda x: x**2, wrong_where_large, x="N D", name="other")
    assert not verify(other).replayed


def test_a_given_seed_neither_reads_nor_writes_the_database(database):
    seeded = [verify(square(wrong_where_large), seed=3) for _ in range(2)]
    assert not database.data
    assert seeded[0].findings[0].message == seeded[1].findings[0].message
    verify(square(wrong_where_large))
    assert not verify(square(wrong_where_large), seed=3).replayed


def test_a_profile_without_database_as_under_ci_keeps_nothing_and_draws_anew():
    """Hypothesis's profile "ci" derandomises; the points must differ from run to run all the same."""
    before = hypothesis.settings.get_current_profile_name()
    hypothesis.settings.load_profile("ci")
    try:
        seeds = {verify(square(right), examples=1).seed for _ in range(3)}
        drawn = []
        seen = gradcheck.vjp(
            lambda x: (drawn.append(x.tobytes()), x)[1], lambda dout, x: dout, x="N"
        )
        for seed in (1, 2, 1):
            verify(seen, examples=3, seed=seed)
            drawn.append("end")
    finally:
        hypothesis.settings.load_profile(before)
    assert len(seeds) == 3
    first, second, third = "\n".join(map(str, drawn)).split("end")[:3]
    assert first.strip() == third.strip() != second.strip()


SEEDED = """
import gradcheck
rule = gradcheck.vjp(lambda x, y: x * y, lambda dout, x, y: (dout * y, dout * x), x="N D", y="N D")
drawn = []
import gradcheck.search as search
examine = search._Search._examine
search._Search._examine = lambda self, point: (drawn.append(str(point)), examine(self, point))
gradcheck.verify(rule, seed=7, checks=["shapes"])
import hashlib
print(hashlib.sha256("".join(drawn).encode()).hexdigest())
"""


def test_a_seed_draws_the_same_points_whatever_other_modules_are_loaded(tmp_path):
    """Hypothesis mixes the numbers of loaded source files into its own draws of integers."""
    numbers = ", ".join(str(number**3 + 1) for number in range(200))
    (tmp_path / "numbers_of_mine.py").write_text(f"NUMBERS = [{numbers}, 0, 1, 2, 3, 4, 5]\n")
    (tmp_path / "alone.py").write_text(SEEDED)
    (tmp_path / "beside.py").write_text("import numbers_of_mine\n" + SEEDED)
    printed = {
        subprocess.run(
            [sys.executable, tmp_path / name],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
        ).stdout
        for name in ("alone.py", "beside.py")
    }
    assert len(printed) == 1


def test_a_second_check_meets_the_points_of_the_first():
    rule = square(right)
    report = gradcheck.verify(rule, seed=5, examples=10)
    alone = gradcheck.verify(square(right), seed=5, examples=10, checks=["shapes"])
    assert report.power["shapes"] == alone.power["shapes"]


def test_a_rule_that_is_hard_to_draw_passes_with_a_note_of_the_health_check():
    rule = gradcheck.vjp(np.log, lambda dout, x: dout / x, x="N 3", name="log")
    report = verify(rule, seed=1, examples=10)
    assert report.verdict == "pass"
    assert any(
        note.startswith("drawing points is hard (the forward's output is not finite)")
        and "filtering out a lot of inputs" in note
        for note in report.notes
    )


def test_a_user_who_suppresses_the_health_check_hears_nothing_of_it():
    before = hypothesis.settings.get_current_profile_name()
    suppressed = [hypothesis.HealthCheck.filter_too_much]
    hypothesis.settings.register_profile("patient", suppress_health_check=suppressed)
    hypothesis.settings.load_profile("patient")
    try:
        rule = gradcheck.vjp(np.log, lambda dout, x: dout / x, x="N 3", name="log")
        assert not verify(rule, seed=1, examples=10).notes
    finally:
        hypothesis.settings.load_profile(before)


def test_a_backward_that_is_wrong_now_and_then_fails_with_a_note():
    calls = []

    def backward(dout, x):
        calls.append(1)
        return dout * 2 * x * (1.5 if len(calls) == 7 else 1)

    report = verify(square(backward), seed=1, examples=10)
    assert report.verdict == "fail"
    assert "a point that failed passed when it was looked at again" in report.notes[0]


def test_a_time_budget_ends_the_shrinking_too_and_keeps_the_failure(monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr("gradcheck.search.time.monotonic", lambda: next(clock))
    report = verify(square(lambda dout, x: dout * x * (1 + (x.size < 4))), seed=1, time_budget=12)
    assert report.verdict == "fail"
    assert "gradient: the time budget of 12 s ended the search early" in report.notes


@given(points(square(right)))
def test_points_serve_in_a_plain_test(point):
    (x,) = point.inputs
    assert x.shape == point.cotangent.shape
