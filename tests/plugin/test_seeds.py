"""Which points a session draws: its seed, Hypothesis's profiles and database, also under CI."""

import json
import re

import pytest

RULES = """
import gradcheck

def halved(dout, x):
    return dout * x

right = gradcheck.vjp(lambda x: x**2, lambda dout, x: dout * 2 * x, x="N M")
wrong = gradcheck.vjp(lambda x: x**2, halved, x="N M")
"""
DRAWN = """
import gradcheck

def square(x):
    with open("drawn.txt", "a") as file:
        print(repr(x.tolist()), file=file)
    return x**2

right = gradcheck.vjp(square, lambda dout, x: dout * 2 * x, x="N M")
"""


@pytest.fixture
def under_ci(monkeypatch):
    """Hypothesis loads its profile "ci" then: derandomised, without a database."""
    monkeypatch.setenv("CI", "true")


@pytest.fixture
def drawn(pytester):
    """Run one check of a rule whose forward writes down what it is given; return that, and the seed."""
    pytester.makepyfile(test_drawn=DRAWN)

    def run(*arguments):
        file = pytester.path / "drawn.txt"
        file.unlink(missing_ok=True)
        shapes = "test_drawn.py::right::shapes"
        result = pytester.runpytest_subprocess(shapes, "--gradcheck-examples=3", *arguments)
        result.assert_outcomes(passed=1)
        (seed,) = re.findall(r"--gradcheck-seed=(\d+) draws", result.stdout.str())
        return file.read_text(), seed

    return run


def test_under_ci_each_run_draws_new_points_and_the_printed_seed_draws_them_again(under_ci, drawn):
    points, seed = drawn()
    assert drawn()[0] != points
    assert drawn(f"--gradcheck-seed={seed}")[0] == points


def test_under_ci_no_failure_is_kept_unless_a_profile_has_a_database(under_ci, pytester):
    pytester.makepyfile(test_layers=RULES)
    failing = ("test_layers.py::wrong::gradient", "--gradcheck-examples=3", "--gradcheck-no-trace")
    pytester.runpytest_subprocess(*failing).assert_outcomes(failed=1)
    assert not [*(pytester.path / ".hypothesis").glob("examples/*")]
    pytester.makeconftest(
        "import hypothesis\n"
        "from hypothesis.database import DirectoryBasedExampleDatabase\n"
        "hypothesis.settings.register_profile('kept', database=DirectoryBasedExampleDatabase('kept'))\n"
        "hypothesis.settings.load_profile('kept')\n"
    )
    pytester.runpytest_subprocess(*failing).assert_outcomes(failed=1)
    result = pytester.runpytest_subprocess(*failing)
    result.stdout.fnmatch_lines(["*replayed from Hypothesis's database*"])


def test_a_seed_of_hypothesis_serves_as_well(run_here, pytester):
    pytester.makepyfile(test_layers=RULES)
    result = run_here(
        "test_layers.py::right::shapes", "--gradcheck-examples=2", "--hypothesis-seed=11"
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["--gradcheck-seed=11 draws the same points"])


def test_points_of_a_rule_are_drawn_by_a_test_of_hypothesis_itself(run_here, pytester):
    pytester.makepyfile(
        RULES
        + """
from hypothesis import Phase, given, settings

@given(gradcheck.strategies.points(right))
@settings(max_examples=10)
def test_right(point):
    (x,) = point.inputs
    assert x.ndim == 2 and point.cotangent.shape == x.shape

@given(gradcheck.strategies.points(wrong))
@settings(max_examples=10, phases=[Phase.generate])  # to explain a failure takes its time
def test_wrong(point):
    assert gradcheck.verify_at(wrong, point, checks=["gradient"], trace=False).verdict != "fail"
"""
    )
    result = run_here("-k", "test_right or test_wrong")
    result.assert_outcomes(passed=1, failed=1, deselected=24)
    result.stdout.fnmatch_lines(["*Failing test case: test_wrong(*"])


def test_every_option_is_an_ini_key_too(run_here, pytester):
    pytester.makepyfile(test_layers=RULES)
    pytester.makeini(
        """
        [pytest]
        gradcheck_profile = quick
        gradcheck_examples = 3
        gradcheck_seed = 5
        gradcheck_time_budget = 100
        gradcheck_no_trace = true
        gradcheck_report = out.json
        """
    )
    result = run_here("test_layers.py::right::gradient")
    result.assert_outcomes(passed=1)
    (report,) = json.loads((pytester.path / "out.json").read_text())["reports"]
    (check,) = report["checks"]
    assert (report["seed"], check["power"]["points"]) == (5, 3)
    assert check["certificate"] is None  # nothing was traced


def test_a_time_budget_ends_a_search_and_says_so(run_here, pytester):
    pytester.makepyfile(
        """
        import time
        import gradcheck

        def slow(x):
            time.sleep(0.02)
            return x**2

        right = gradcheck.vjp(slow, lambda dout, x: dout * 2 * x, x="N")
        """
    )
    result = run_here(
        "test_a_time_budget_ends_a_search_and_says_so.py::right::shapes",
        "--gradcheck-time-budget=0.2",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["note: *right::shapes: shapes: the time budget of 0.2 s ended the search early"]
    )


def test_the_html_report_of_the_workers_of_xdist_has_each_rule_once_with_its_checks_in_order(
    pytester,
):
    pytester.makepyfile(test_layers=RULES)
    result = pytester.runpytest_subprocess(
        "-n2", "-k", "right", "--gradcheck-examples=2", "--gradcheck-report=out.html"
    )
    text = (pytester.path / "out.html").read_text()
    assert text.count("<h2>right: ") == 1
    order = [text.index(f">{check}<") for check in ("gradient", "shapes", "linearity", "dtype")]
    assert order == sorted(order)
    lines = [line.split()[0] for line in result.stdout.lines if line.strip()]
    start = lines.index("gradient")
    assert lines[start : start + 3] == ["gradient", "shapes", "linearity"]
