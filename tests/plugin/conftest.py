"""How the tests of the plugin run pytest."""

import importlib
import pkgutil
from importlib.util import find_spec

import hypothesis
import pytest

import gradcheck


@pytest.fixture(scope="session")
def everything_loaded():
    """Load all modules of gradcheck: `pytester` unloads what a run inside this process loads, and no
    second copy of a module may meet the first."""
    names = [module.name for module in pkgutil.walk_packages(gradcheck.__path__, "gradcheck.")]
    if find_spec("torch"):
        names.append("torch")
    else:
        names = [name for name in names if "torch" not in name]
    for name in names:
        if "__main__" not in name:
            importlib.import_module(name)


@pytest.fixture
def run_here(everything_loaded, pytester, monkeypatch):
    """Run pytest in this process, where all it needs is loaded already: a second or two cheaper.

    Not for what depends on how Hypothesis was loaded: its profile under CI, and its database. Its
    option `--hypothesis-seed` is put back, or it would seed all tests that follow.
    """
    monkeypatch.setattr(hypothesis.core, "global_force_seed", None)
    return pytester.runpytest_inprocess
