"""Derivations in pytest, seen from outside: which documents are collected, and what an item says."""

import json

import pytest

RIGHT = r"""A loss and its gradient:

$$E = \frac12 \|x\|^2$$

$$\frac{\partial E}{\partial x} = x$$
"""
WRONG = RIGHT.replace(r"\partial x} = x", r"\partial x} = 2x")
OPEN = RIGHT + "\n$$\\frac{\\partial E}{\\partial q} = q$$\n"


@pytest.fixture
def folder(pytester):
    """A folder with a right, a wrong and an open document, and a test that passes; runs pytest there."""
    docs = pytester.mkdir("docs")
    for name, text in (("right", RIGHT), ("wrong", WRONG), ("open", OPEN)):
        (docs / f"{name}.md").write_text(text)
    (pytester.path / "README.md").write_text(WRONG)
    pytester.makepyfile(test_other="def test_other():\n    pass\n")
    return pytester.runpytest_subprocess


def test_a_document_is_an_item_for_each_equation_with_its_line(folder):
    result = folder("docs/right.md", "--collect-only", "-q")
    result.stdout.fnmatch_lines(["docs/right.md::line-3", "docs/right.md::line-5"])


def test_no_document_is_collected_that_nobody_named(folder):
    folder().assert_outcomes(passed=1)


def test_the_documents_that_the_ini_key_names_are_collected(folder):
    result = folder("-o", "gradcheck_derivations=docs/r*.md docs/w*.md")
    result.assert_outcomes(passed=4, failed=1)


def test_a_document_that_is_named_for_its_doctests_is_left_to_them(folder):
    folder("README.md", "--doctest-glob=*.md").assert_outcomes()


def test_a_wrong_equation_fails_with_its_line_its_reason_and_no_traceback(folder):
    result = folder("docs/wrong.md")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*docs/wrong.md:5: false: the right side is 2 times the left side*",
            r"*\frac{\partial E}{\partial x} = 2x*",
            "*docs/wrong.md: 2 rows: 2 read, 2 checked, 1 wrong, 0 certified; *line 5*",
        ]
    )
    assert "Traceback" not in result.stdout.str()


def test_an_equation_that_is_not_checked_is_inconclusive(folder):
    result = folder("docs/open.md")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*docs/open.md:7: not checked: *"])
    folder("docs/open.md", "-o", "gradcheck_inconclusive=skip").assert_outcomes(passed=2, skipped=1)
    warned = folder("docs/open.md", "-o", "gradcheck_inconclusive=warn")
    warned.assert_outcomes(passed=3, warnings=1)


def test_an_equation_is_selected_by_its_line(folder):
    folder("docs/wrong.md::line-5").assert_outcomes(failed=1)
    folder("docs/wrong.md", "-k", "line-3").assert_outcomes(passed=1, deselected=1)


def test_two_equations_on_one_line_are_two_items(pytester):
    (pytester.path / "notes.md").write_text("$$y = 2x$$ and $$z = 3x$$\n")
    result = pytester.runpytest_subprocess("notes.md", "--collect-only", "-q")
    result.stdout.fnmatch_lines(["notes.md::line-1-1", "notes.md::line-1-2"])


def test_a_document_that_cannot_be_read_is_one_sentence(pytester):
    (pytester.path / "notes.md").write_bytes(b"\xff\xfe\x00")
    result = pytester.runpytest_subprocess("notes.md")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*not UTF-8 text*"])
    assert "Traceback" not in result.stdout.str()


def test_the_report_holds_the_document_beside_the_rules_from_the_workers_of_xdist_too(
    folder, pytester
):
    pytester.runpytest_subprocess("docs/wrong.md", "--gradcheck-report=out.json", "-n", "2")
    content = json.loads((pytester.path / "out.json").read_text())
    (found,) = content["derivations"]
    assert found["path"].endswith("docs/wrong.md")
    assert found["verdict"] == "fail"
    assert [row["verdict"] for row in found["rows"]] == ["true", "false"]


def test_under_github_actions_a_wrong_equation_is_annotated_at_its_line(folder, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    folder("docs/wrong.md").stdout.fnmatch_lines(
        ["::error file=docs/wrong.md,line=5,title=false::the right side is 2 times the left side*"]
    )
