"""docs/pytest.md does what it says: its examples are run, its options and keys are those of the plugin."""

import re
from pathlib import Path

import pytest

from gradcheck.checks import CHECKS
from gradcheck.plugin.options import HELP

PAGE = (Path(__file__).parents[2] / "docs/pytest.md").read_text(encoding="utf-8")
IDLE = ("batch", "jvp", "second_order")
"""The checks that do not apply to the rule of the page."""


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def run(run_here, pytester):
    """Run pytest on the module that the page shows."""
    pytester.makepyfile(test_layers="\n\n".join(blocks("python")))
    return lambda *arguments: run_here("--gradcheck-examples=3", "--gradcheck-seed=1", *arguments)


def test_its_module_passes_with_one_item_for_each_check_and_its_two_tests(run):
    run().assert_outcomes(passed=len(CHECKS) - len(IDLE) + 2, skipped=len(IDLE))


def test_its_ways_to_choose_items_choose_them(run):
    assert '`-k "affine and gradient"`' in PAGE
    run("-k", "affine and gradient").assert_outcomes(passed=1, deselected=len(CHECKS) + 1)
    assert "`-m gradcheck` selects them all" in PAGE
    run("-m", "gradcheck", "--collect-only").stdout.fnmatch_lines(
        [f"*{len(CHECKS)}/{len(CHECKS) + 2} tests collected (2 deselected)*"]
    )


def test_a_mark_of_the_module_holds_for_the_items_of_its_rules(run, pytester):
    with (pytester.path / "test_layers.py").open("a") as file:
        file.write("\nimport pytest\n\npytestmark = pytest.mark.skip(reason='not today')\n")
    run().assert_outcomes(skipped=len(CHECKS) + 2)


def test_its_options_and_ini_keys_are_all_there_are():
    options = set(re.findall(r"`--gradcheck-([a-z-]+)", PAGE.split("## Options")[1]))
    keys = set(re.findall(r"\| `gradcheck_([a-z_]+)` \|", PAGE))
    assert options == {name.replace("_", "-") for name in HELP} | {"no-trace"}
    assert keys == {*HELP, "no_trace", "inconclusive", "derivations"}


def test_its_ini_file_collects_the_derivation_of_its_commands(run_here, pytester):
    (ini,) = blocks("ini")
    pytester.makeini(ini)
    pytester.mkdir("tests")
    document = pytester.mkdir("docs") / "backprop.md"
    lines = ["$$f(x) = x^2$$", *[""] * 92, r"$$\frac{df}{dx} = 2 x$$", ""]
    document.write_text("\n".join(lines))
    (item,) = re.findall(r"\$ pytest (docs/backprop.md::line-\d+)", PAGE)
    result = run_here("-v")
    result.stdout.fnmatch_lines([f"{item} PASSED*"])
    run_here(item).assert_outcomes(passed=1)
