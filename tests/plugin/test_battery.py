"""The whole battery through the plugin: each fault is caught by its check, right code stays green."""

import re
from pathlib import Path

from gradcheck.checks import CHECKS
from gradcheck.rules import Rule
from tests.plugin import rules_that_look_wrong
from tests.plugin.rules_with_faults import CAUGHT_BY

HERE = Path(__file__).parent
SEED = 1


def outcomes_of(run_here, pytester, module, examples, *arguments):
    """Run pytest on a copy of a module of rules; return the outcome of each item that ran."""
    pytester.makepyfile(test_rules=(HERE / f"{module}.py").read_text())
    result = run_here(
        f"--gradcheck-examples={examples}", f"--gradcheck-seed={SEED}", "-v", *arguments
    )
    found = re.findall(r"test_rules.py::(\w+)::(\w+) (\w+)", result.stdout.str())
    return {(rule, check): outcome for rule, check, outcome in found}, result


def test_each_fault_fails_the_item_of_its_check(run_here, pytester):
    items = [f"test_rules.py::{rule}::{check}" for rule, check in CAUGHT_BY.items()]
    found, _ = outcomes_of(run_here, pytester, "rules_with_faults", 20, *items)
    assert {*CAUGHT_BY.values()} == {check.name for check in CHECKS}
    assert found == dict.fromkeys(CAUGHT_BY.items(), "FAILED")


def test_right_code_that_looks_wrong_stays_green(run_here, pytester):
    found, result = outcomes_of(run_here, pytester, "rules_that_look_wrong", 8)
    rules = [name for name, value in vars(rules_that_look_wrong).items() if isinstance(value, Rule)]
    assert len(found) == len(rules) * len(CHECKS)
    red = {item: outcome for item, outcome in found.items() if outcome not in ("PASSED", "SKIPPED")}
    assert not red, result.stdout.str()
