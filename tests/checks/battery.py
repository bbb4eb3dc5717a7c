"""What the tests of the checks share: one check of one rule, and what it says."""

from typing import Any

import gradcheck
from gradcheck.reports.report import CheckResult
from gradcheck.rules import Rule

EXAMPLES, SEED = 40, 5


def result_of(rule: Rule, check: str, **options: Any) -> CheckResult:
    """Verify a rule by one check, and return its result."""
    report = gradcheck.verify(rule, examples=EXAMPLES, seed=SEED, checks=[check], **options)
    (result,) = report.checks
    return result


def message_of(rule: Rule, check: str, **options: Any) -> str:
    """Return the message of the first finding of a rule that must fail by this check."""
    result = result_of(rule, check, **options)
    assert result.verdict == "fail", f"{rule.name} passes {check}"
    assert {finding.check for finding in result.findings} == {check}
    return result.findings[0].message


def assert_passes(rule: Rule, check: str, **options: Any) -> CheckResult:
    """Require that the check examined the rule at some point and passed it."""
    result = result_of(rule, check, **options)
    assert result.verdict == "pass", [finding.message for finding in result.findings]
    assert result.applies, result.reason
    return result


def assert_does_not_apply(rule: Rule, check: str, why: str) -> None:
    """Require that the check says that it has nothing to examine, and why; the rule still passes."""
    report = gradcheck.verify(rule, examples=EXAMPLES, seed=SEED, checks=["gradient", check])
    result = report.checks[-1]
    assert not result.applies
    assert result.reason.startswith("does not apply: ")
    assert why in result.reason
    assert report.verdict == "pass", str(report)
