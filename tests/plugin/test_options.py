"""The options of the plugin, on the command line and as ini keys, seen from outside."""

import json

import pytest

from gradcheck.checks import CHECKS

RULES = """
import numpy as np
import gradcheck

def halved(dout, x):
    return dout * x

right = gradcheck.vjp(lambda x: x**2, lambda dout, x: dout * 2 * x, x="N")
wrong = gradcheck.vjp(lambda x: x**2, halved, x="N")
known = gradcheck.vjp(lambda x: x**2, halved, x="N", expected_failures={"gradient": "issue 12"})
silent = gradcheck.vjp(lambda x: x, lambda dout, x: None, x="N")
"""
SUITE_RULES = RULES.count("= gradcheck.")
FAST = ("-k", "gradient", "--gradcheck-no-trace")


@pytest.fixture
def suite(run_here, pytester):
    pytester.makepyfile(test_layers=RULES)
    return lambda *arguments: run_here(*FAST, *arguments)


def test_the_options_are_in_the_help(run_here):
    run_here("--help").stdout.fnmatch_lines(
        [
            "*--gradcheck-profile=NAME*",
            "*--gradcheck-examples=N*",
            "*--gradcheck-seed=SEED*",
            "*--gradcheck-time-budget=SECONDS*",
            "*--gradcheck-report=FILE*",
            "*--gradcheck-no-trace*",
            "*gradcheck_inconclusive (string)*",
        ]
    )


REFUSED = {
    "--gradcheck-profile=fast": "--gradcheck-profile is 'fast': there is no profile 'fast'*",
    "--gradcheck-examples=0": "--gradcheck-examples is '0': a whole number of at least 1 was expected",
    "--gradcheck-seed=x": "--gradcheck-seed is 'x': a whole number of at least 0 was expected",
    "--gradcheck-time-budget=-1": "*'-1': a number of seconds above 0 was expected",
    "--gradcheck-report=out.csv": "*the report is written as .json or .html, not .csv",
    "-ogradcheck_inconclusive=no": "gradcheck_inconclusive is 'no': one of fail, warn, skip *",
    "-ogradcheck_examples=many": "gradcheck_examples is 'many': a whole number of at least 1*",
}


@pytest.mark.parametrize(("argument", "sentence"), REFUSED.items(), ids=list(REFUSED))
def test_a_bad_value_is_refused_in_a_sentence(pytester, argument, sentence):
    """In this process, since nothing heavy is reached."""
    result = pytester.runpytest_inprocess(argument)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {sentence}"])


def test_the_summary_says_what_was_compared_and_what_stayed_open(suite):
    result = suite("--gradcheck-examples=4", "--gradcheck-seed=1")
    result.assert_outcomes(passed=1, failed=2, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "*= gradcheck =*",
            "check *rules *architectures *points *entries *undecided *certified *digits *visible",
            "gradient *4 *",
            "inconclusive: test_layers.py::silent::gradient: the rule claims no gradient for any input",
            "expected failure: test_layers.py::known::gradient: issue 12",
            "--gradcheck-seed=1 draws the same points",
        ]
    )


def test_an_expected_failure_that_is_gone_is_a_note_unless_pytest_is_strict_about_them(
    suite, pytester
):
    pytester.makepyfile(test_layers=RULES.replace("return dout * x", "return dout * 2 * x"))
    arguments = ("-k", "known and gradient", "--gradcheck-examples=2")
    result = suite(*arguments)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*gradient was expected to fail (issue 12) and does not*"])
    result = suite(*arguments, "-o", "xfail_strict=true")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*[[]XPASS(strict)[]] issue 12*"])


def test_a_suite_without_rules_has_no_section(run_here, pytester):
    pytester.makepyfile("def test_nothing():\n    pass\n")
    assert "gradcheck =" not in run_here().stdout.str()


def test_the_workers_of_xdist_share_a_seed_and_hand_in_their_reports(pytester):
    pytester.makepyfile(test_layers=RULES)
    result = pytester.runpytest_subprocess(
        *FAST, "-n2", "--gradcheck-examples=2", "--gradcheck-report=out.json"
    )
    result.assert_outcomes(passed=1, failed=2, xfailed=1)
    result.stdout.fnmatch_lines(["*= gradcheck =*", "gradient *4 *", "--gradcheck-seed=*"])
    reports = json.loads((pytester.path / "out.json").read_text())["reports"]
    assert {report["nodeid"] for report in reports} == {
        f"test_layers.py::{rule}" for rule in ("right", "wrong", "known", "silent")
    }
    assert len({report["seed"] for report in reports}) == 1


@pytest.mark.parametrize(
    ("wanted", "outcomes"), [("warn", {"passed": 1, "warnings": 1}), ("skip", {"skipped": 1})]
)
def test_an_inconclusive_check_warns_or_skips_as_the_ini_file_says(
    run_here, pytester, wanted, outcomes
):
    pytester.makepyfile(test_layers=RULES)
    pytester.makeini(
        f"[pytest]\ngradcheck_inconclusive = {wanted}\n"
        "gradcheck_examples = 2\ngradcheck_profile = quick\n"
    )
    result = run_here("test_layers.py::silent::gradient", "-rs", "-Wdefault")
    result.assert_outcomes(**outcomes)
    result.stdout.fnmatch_lines(["*silent: inconclusive: the rule claims no gradient*"])


def test_the_junit_file_has_the_figures(suite, pytester):
    suite("--gradcheck-examples=2", "--gradcheck-seed=7", "--junitxml=out.xml")
    text = (pytester.path / "out.xml").read_text()
    assert '<property name="gradcheck_seed" value="7" />' in text
    assert '<property name="gradcheck_points" value="2" />' in text


def test_a_failure_is_replayed_from_the_database_and_lf_runs_it_alone(pytester, monkeypatch):
    pytester.makepyfile(test_layers=RULES)

    def suite(*arguments):
        return pytester.runpytest_subprocess(*FAST, *arguments)

    for variable in ("CI", "GITHUB_ACTIONS"):
        monkeypatch.delenv(variable, raising=False)
    suite("-k", "wrong and gradient", "--gradcheck-examples=5").assert_outcomes(
        failed=1, deselected=SUITE_RULES * len(CHECKS) - 1
    )
    result = suite("-k", "", "--lf", "--gradcheck-examples=5")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*a failure of an earlier run, replayed from Hypothesis's database*"]
    )


def test_findings_are_annotations_under_github_actions(suite, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    result = suite("--gradcheck-examples=2", "--gradcheck-seed=1", "--gradcheck-report=out.html")
    result.stdout.fnmatch_lines(
        [
            "::error file=test_layers.py,line=4,title=wrong%3A%3Agradient fails::wrong: the gradient*",
            "::warning file=test_layers.py,title=silent%3A%3Agradient is inconclusive::the rule*",
        ]
    )
    assert "known%3A%3A" not in result.stdout.str()


def test_the_fixture_checks_with_the_options_of_the_session(run_here, pytester):
    pytester.makepyfile(
        RULES.replace("right =", "_right =").replace("wrong =", "_wrong =").split("known")[0]
        + """
def test_right(gradchecker):
    report = gradchecker.check(_right, checks=["gradient"])
    assert report.seed == 9 and report.power["gradient"]["points"] == 3

def test_wrong(gradchecker):
    assert gradchecker.verify(_wrong, checks=["gradient"]).verdict == "fail"
    gradchecker.check(_wrong, checks=["gradient"])
"""
    )
    result = run_here("--gradcheck-examples=3", "--gradcheck-seed=9")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*GradientError: <lambda>: fail*", "gradient *3 *"])
