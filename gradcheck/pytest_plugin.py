"""The pytest plugin: the rules of test modules are collected, one item per check, and derivations.

The plugin imports nothing heavy before a test module has made a rule: a suite without gradient tests pays
nothing for it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck.plugin.options import add_options, read_options
from gradcheck.plugin.session import Session, session_of

if TYPE_CHECKING:
    from pathlib import Path

    from gradcheck.plugin.items import GradChecker

__all__: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gradcheck: a check of a hand-written derivative")
    config.pluginmanager.register(Session(config, read_options(config)), "gradcheck-session")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Let all workers of xdist draw by one seed."""
    node.workerinput["gradcheck_seed"] = session_of(node.config).options.seed


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> pytest.Collector | None:
    rules = sys.modules.get("gradcheck.rules")
    if rules is None or not isinstance(obj, rules.Rule) or name.startswith("_"):
        return None
    from gradcheck.plugin.items import RuleCollector

    return RuleCollector.from_parent(collector, name=name, rule=obj)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix == ".py":
        return None
    from gradcheck.plugin.derivations import DerivationFile, is_derivation

    if not is_derivation(file_path, parent.session):
        return None
    return DerivationFile.from_parent(parent, path=file_path)


@pytest.fixture
def gradchecker(request: pytest.FixtureRequest) -> GradChecker:
    """`check` and `verify` of gradcheck, with the options of the session."""
    from gradcheck.plugin.items import GradChecker

    return GradChecker(request.node)
