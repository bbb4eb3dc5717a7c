"""docs/third-party.md: its figures are those of the modules, and its tests are there."""

import importlib
import re
from pathlib import Path

import pytest

from gradcheck.rules import Rule

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "third-party.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| \[([\w-]+)\]\(.*?\) \S+ \| (\d+) \|.*?\| (\d+) \| (\d*) ?\|", PAGE, re.M)


def test_the_page_has_a_row_for_each_module_and_their_sum():
    modules = {path.stem.removeprefix("test_") for path in HERE.glob("test_*.py")}
    assert {name.replace("-", "_") for name, *_ in ROWS} == modules - {"documentation"}
    assert f"has {sum(int(rules) for _, rules, *_ in ROWS)} rules" in PAGE


@pytest.mark.third_party
@pytest.mark.parametrize(("library", "rules", "right", "wrong"), ROWS)
def test_the_page_counts_the_rules_of_each_library(library, rules, right, wrong):
    module = importlib.import_module(f"tests.third_party.test_{library.replace('-', '_')}")
    if not hasattr(module, "pytestmark"):  # pytest keeps what it imported up to the skip
        pytest.skip(f"{library} is not installed (see docs/third-party.md)")
    failures = [rule.expected_failures for rule in vars(module).values() if isinstance(rule, Rule)]
    known = sum(map(bool, failures))
    assert [len(failures), len(failures) - known, known] == [
        int(rules),
        int(right),
        int(wrong or 0),
    ]


def test_every_test_that_the_page_names_is_there():
    sources = "".join(path.read_text(encoding="utf-8") for path in HERE.glob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", PAGE)
    assert len(named) > 15
    assert [name for name in named if f"def {name}(" not in sources] == []
