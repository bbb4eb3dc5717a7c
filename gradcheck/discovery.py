"""From what a user names (a module, a file, a folder) to the rules and derivations it holds."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from gradcheck.errors import UsageError
from gradcheck.rules import Rule

__all__ = ["FoundRule", "find_derivations", "find_rules", "rules_of"]

DOCUMENTS = frozenset({".md", ".markdown", ".ipynb"})
"""The suffixes of files that may hold a derivation."""


@dataclass(frozen=True)
class FoundRule:
    """A rule with the place it was found in.

    Attributes:
        rule: the rule, named as the variable that holds it.
        target: the module or file that holds the variable.
    """

    rule: Rule
    target: str


def find_rules(target: str, may_be_empty: bool = False) -> list[FoundRule]:
    """Import what `target` names and list its module-level rules.

    Args:
        target: a folder, a `.py` file, or the dotted name of a module. Of a folder, those files are
            imported that import gradcheck themselves.
        may_be_empty: whether a target without rules is of use all the same, for its derivations.

    Raises:
        UsageError: there is no such target, it cannot be imported, or it holds no rule.
    """
    found = [
        FoundRule(rule, place)
        for place, module in _modules(target)
        for rule in rules_of(module).values()
    ]
    if not found and not may_be_empty:
        raise UsageError(
            f"{target} holds no rules; a rule is a module-level variable made by gradcheck.pair, "
            "gradcheck.vjp, gradcheck.gradient or their kin"
        )
    return found


def find_derivations(target: str) -> list[Path]:
    """Return the documents that `target` names.

    Args:
        target: a Markdown file or notebook, or a folder, of which those documents are taken that speak
            to gradcheck themselves (a comment `<!-- gradcheck: ... -->`, or its key in the front matter).
    """
    path = Path(target)
    if path.is_dir():
        return [file for file in sorted(path.rglob("*.md")) if _speaks_to_gradcheck(file)]
    return [path] if path.suffix in DOCUMENTS else []


def _speaks_to_gradcheck(file: Path) -> bool:
    if b"gradcheck" not in file.read_bytes():
        return False
    from gradcheck.derivations.document import read

    try:
        return bool(read(file).directives)
    except UsageError:
        return False


def rules_of(module: ModuleType) -> dict[str, Rule]:
    """Return the public module-level rules of a module by their variables' names."""
    return {
        name: replace(value, name=name)
        for name, value in vars(module).items()
        if isinstance(value, Rule) and not name.startswith("_")
    }


def _modules(target: str) -> Iterator[tuple[str, ModuleType]]:
    path = Path(target)
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*.py")) if _imports_gradcheck(file)]
        for file in files:
            yield str(file), _import_file(file)
    elif path.is_file():
        if path.suffix != ".py":
            raise UsageError(
                f"{target} is neither Python nor a derivation; name a module, a .py or .md file or a folder"
            )
        yield target, _import_file(path)
    elif path.suffix == ".py" or "/" in target or "\\" in target:
        raise UsageError(f"there is no file or folder {target}")
    else:
        yield target, _import_module(target)


def _imports_gradcheck(file: Path) -> bool:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return b"gradcheck" in file.read_bytes()
    return any(
        (isinstance(node, ast.Import) and any(_is_ours(alias.name) for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and node.level == 0 and _is_ours(node.module or ""))
        for node in ast.walk(tree)
    )


def _is_ours(module: str) -> bool:
    return module.split(".")[0] == "gradcheck"


def _import_file(file: Path) -> ModuleType:
    """Import a file by the dotted name that its packages give it, so that its own imports work."""
    file = file.resolve()
    root, name = file.parent, file.stem
    while (root / "__init__.py").exists():
        root, name = root.parent, f"{root.name}.{name}"
    if "." in name:
        return _import_module(name.removesuffix(".__init__"), root)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    previous = sys.modules.get(name)
    sys.modules[name] = module
    _with_path(root)
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(name, None)
        if previous is not None:
            sys.modules[name] = previous
        raise _import_error(str(file), error) from error
    return module


def _import_module(name: str, root: Path | None = None) -> ModuleType:
    _with_path(root or Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise UsageError(f"there is no module, file or folder {name!r}") from error
        raise _import_error(name, error) from error
    except BaseException as error:
        raise _import_error(name, error) from error


def _import_error(name: str, error: BaseException) -> BaseException:
    if isinstance(error, KeyboardInterrupt):
        return error
    return UsageError(f"{name} cannot be imported: {type(error).__name__}: {error}")


def _with_path(root: Path) -> None:
    """Put `root` on the import path, as `python -m` does; a console script does not by itself."""
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
