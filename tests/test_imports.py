"""What importing gradcheck costs a suite that has no gradient tests: nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gradcheck

HEAVY = ("jax", "hypothesis", "numpy", "rich", "click", "torch", "scipy")
PACKAGE = Path(gradcheck.__file__).parent


def modules_after(statement):
    code = f"import sys\n{statement}\nprint(' '.join(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("statement", ["import gradcheck", "import gradcheck.pytest_plugin"])
def test_importing_imports_none_of_the_heavy_packages(statement):
    assert not modules_after(statement) & set(HEAVY)


def test_using_a_name_imports_what_it_needs():
    assert "numpy" in modules_after("import gradcheck; gradcheck.vjp")


@pytest.mark.parametrize("name", gradcheck.__all__)
def test_every_public_name_can_be_used(name):
    assert getattr(gradcheck, name) is not None


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'gradcheck' has no attribute 'nonsense'"):
        gradcheck.nonsense  # noqa: B018


def test_the_list_of_public_names_is_complete():
    """What type checkers see (the TYPE_CHECKING block) is what `__all__` offers."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name for node in guarded.body for alias in node.names}
    assert seen - {"Any"} == set(gradcheck.__all__)


HOUSE = [
    "errors",
    "seeds",
    "trees",
    "randomness",
    "gradients",
    "contracts",
    "resolution",
    "programs",
    "rules",
    "complex_parts",
    "adapters",
    "strategies",
    "oracles",
    "verdicts",
    "diagnosis",
    "checks",
    "branch_approach",
    "branch_search",
    "localisation",
    "search",
    "derivations",
    "reports",
    "verification",
    "discovery",
    "plugin",
    "pytest_plugin",
    "cli",
]
"""The rooms of the house from top to bottom: a module imports only from rooms above its own."""


def imports_of(path):
    tree = ast.parse(path.read_text())
    guarded = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in guarded and node.module:
            parts = node.module.split(".")
            if parts[0] == "gradcheck" and len(parts) > 1:
                yield parts[1]


def test_data_flows_down_the_house():
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {other}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if not (room := path.relative_to(PACKAGE).parts[0].removesuffix(".py")).startswith("__")
        for other in imports_of(path)
        if HOUSE.index(other) > HOUSE.index(room)
    ]
    assert not wrong


def test_nothing_of_gradcheck_imports_the_specimen():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not any(alias.name.split(".")[0] == "reference" for alias in node.names), (
                    path
                )
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] != "reference", path
