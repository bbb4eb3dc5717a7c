"""The pytest plugin, seen from outside: small suites in a string, and what pytest prints for them."""

import pytest

from gradcheck.checks import CHECKS

LAYERS = """
import numpy as np
import gradcheck

def forward(x, w, b):
    return x @ w + b, (x, w)

def backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)

def lost_transpose(dout, cache):
    x, w = cache
    return dout @ w.T, (x.T @ dout) * 0.5, dout.sum(axis=0)

right = gradcheck.pair(forward, backward, x="N D", w="D M", b="M")
wrong = gradcheck.pair(forward, lost_transpose, x="N D", w="D M", b="M")
"""


ITEMS = 2 * len(CHECKS)
IDLE = ("batch", "jvp", "second_order")
"""The checks that do not apply to these rules."""

OUTCOMES = {"passed": ITEMS - 1 - 2 * len(IDLE), "failed": 1, "skipped": 2 * len(IDLE)}
DRAWN = ("--gradcheck-examples=8", "--gradcheck-seed=1")


@pytest.fixture
def suite(run_here, pytester):
    """A folder with one test module that holds a right and a wrong rule; runs pytest there."""
    pytester.makepyfile(test_layers=LAYERS)
    return lambda *arguments: run_here(*DRAWN, *arguments)


def test_each_check_of_each_rule_is_an_item_of_its_own(suite):
    result = suite("--collect-only", "-q")
    names = [check.name for check in CHECKS]
    result.stdout.fnmatch_lines(
        [f"test_layers.py::{rule}::{name}" for rule in ("right", "wrong") for name in names]
    )


def test_a_right_rule_passes_and_a_wrong_one_fails_with_its_report(suite):
    result = suite()
    result.assert_outcomes(**OUTCOMES)
    result.stdout.fnmatch_lines(
        [
            "*wrong: the gradient of w *is wrong in * entr*; worst is w*",
            "*claimed *",
            "*true *finite differences*",
            "*claimed = true × 0.5: a factor is wrong*",
            "*smallest failing case: N=*, D=*, M=*",
            "*gradcheck.verify_at(wrong, gradcheck.Point((np.array(*",
            "*--gradcheck-seed=1*",
        ]
    )
    assert "Traceback" not in result.stdout.str()


def test_items_are_selected_by_rule_and_by_check_with_k(suite):
    suite("-k", "right and gradient").assert_outcomes(passed=1, deselected=ITEMS - 1)
    suite("test_layers.py::wrong::gradient").assert_outcomes(failed=1)


def test_an_undecided_rule_fails_the_item_and_says_why(run_here, pytester):
    pytester.makepyfile(
        test_layers="""
        import gradcheck
        silent = gradcheck.vjp(lambda x: x, lambda dout, x: None, x="N")
        """
    )
    result = run_here("--gradcheck-examples=3", "-k", "gradient")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*silent: inconclusive*", "*claims no gradient for any input*"])


def test_a_rule_that_cannot_be_run_is_one_sentence_and_no_traceback(run_here, pytester):
    pytester.makepyfile(
        test_layers="""
        import gradcheck
        broken = gradcheck.vjp(lambda x: x, lambda dout, x: (dout, dout), x="N")
        """
    )
    result = run_here("--gradcheck-examples=3", "-k", "gradient")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["RuleError: rule 'broken': the backward returned 2 gradients for the 1 input*"]
    )


def test_the_items_run_under_xdist(pytester):
    pytester.makepyfile(test_layers=LAYERS)
    pytester.runpytest_subprocess(*DRAWN, "-n", "2").assert_outcomes(**OUTCOMES)


def test_without_the_plugin_the_rules_are_plain_variables(pytester):
    pytester.makepyfile(test_layers=LAYERS + "\ndef test_other():\n    assert right.name\n")
    result = pytester.runpytest_subprocess("-p", "no:gradcheck")
    result.assert_outcomes(passed=1)


def test_a_private_rule_is_not_collected(run_here, pytester):
    pytester.makepyfile(test_layers=LAYERS.replace("wrong =", "_wrong ="))
    result = run_here("--collect-only", "-q")
    assert "::right::" in result.stdout.str()
    assert "wrong" not in result.stdout.str()
