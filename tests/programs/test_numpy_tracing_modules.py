"""The modules of the tracer, in the order of its page: each imports only from those before it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import gradcheck.programs.numpy_tracing as package

FOLDER = Path(package.__file__).parent
MODULES = [path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__"]


def listed() -> list[str]:
    """List the modules that the package's docstring names, in its order."""
    return re.findall(r"^(\w+)  ", package.__doc__ or "", re.MULTILINE)


def imported(path: Path) -> set[str]:
    """Return the modules of the package that a module imports, for types alone as well."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        within = node.module.removeprefix(package.__name__)
        if within == "":
            found.update(alias.name for alias in node.names)
        elif within != node.module:
            found.add(within.split(".")[1])
    return found


def test_the_page_of_the_tracer_names_every_module() -> None:
    assert sorted(listed()) == sorted([*MODULES, "rules"])


def test_a_module_of_the_tracer_imports_only_from_those_above_it() -> None:
    order = listed()
    for place, name in enumerate(order):
        path = FOLDER / name
        files = path.glob("*.py") if path.is_dir() else [path.with_suffix(".py")]
        for file in files:
            below = imported(file) - set(order[:place]) - {name}
            assert not below, f"{file.name} imports {below}, which stand below it"
