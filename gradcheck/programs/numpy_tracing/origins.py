"""Whose code a file is: the user's, which is copied and cited, or a library's."""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import lru_cache
from types import FrameType, ModuleType
from typing import Any

import numpy as np

__all__ = ["home_of", "is_library", "is_own", "is_users", "is_users_file", "user_line"]

OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
STANDARD_LIBRARY = tuple(
    os.path.abspath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib")
)
NUMPY_FOLDER = os.path.dirname(os.path.abspath(np.__file__)) + os.sep

LIBRARIES = ("numpy", "scipy")
"""Packages whose Python code is traced like the user's where no rule covers a function of theirs,
but never cited."""

CALLER_OF_USER_CODE = os.path.join("numpy_tracing", "trace.py")
"""Where the search for the user's line ends: further out is code that asked for the trace."""

FOREIGN = ("jax", "jaxlib", "torch", "ml_dtypes", "hypothesis", "pytest", "_pytest", "pluggy")
"""Packages that are left alone; what hands them a traced array stops the trace."""


@lru_cache(maxsize=1024)
def is_users_file(path: str) -> bool:
    """Say whether a source file is the user's, to be cited in messages."""
    path = os.path.abspath(path) if not path.startswith("<") else path
    if path.startswith((OWN_FOLDER, NUMPY_FOLDER, "<frozen")):
        return False
    package = _package_in_site_packages(path)
    if package is not None:
        return package not in LIBRARIES + FOREIGN
    return not path.startswith(STANDARD_LIBRARY)


def is_library(name: str) -> bool:
    """Say whether a module belongs to a library whose Python code is traced on demand."""
    return name.partition(".")[0] in LIBRARIES


def is_own(names: dict[str, Any]) -> bool:
    """Say whether globals are those of a module of this package.

    Functions of ours are copied for what their closures hold, but call no NumPy on traced values.
    """
    name = str(names.get("__name__", ""))
    module = sys.modules.get(name) if name.partition(".")[0] == "gradcheck" else None
    return module is not None and module.__dict__ is names


def is_users(module: ModuleType | dict[str, Any]) -> bool:
    """Say whether a module, or the globals of a function, is to be copied for a trace.

    The adapters of this package are copied as well, for their closures hold the user's functions.
    """
    names = module.__dict__ if isinstance(module, ModuleType) else module
    name = str(names.get("__name__", ""))
    if name.partition(".")[0] in LIBRARIES + FOREIGN:
        return False
    if name.startswith("gradcheck.programs.numpy_tracing"):
        return False
    path = names.get("__file__")
    if path is None:
        return name == "__main__" or name.partition(".")[0] not in sys.stdlib_module_names
    return _is_outside_the_standard_library(path)


@lru_cache(maxsize=1024)
def _is_outside_the_standard_library(path: str) -> bool:
    path = os.path.abspath(path)
    return _package_in_site_packages(path) is not None or not path.startswith(STANDARD_LIBRARY)


def _package_in_site_packages(path: str) -> str | None:
    for folder in ("site-packages", "dist-packages"):
        _, found, rest = path.partition(f"{os.sep}{folder}{os.sep}")
        if found:
            return rest.partition(os.sep)[0].removesuffix(".py")
    return None


def user_line() -> str | None:
    """Return the innermost line of the user's own code that is running, as `path:line`."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if is_users_file(path):
            return f"{path}:{frame.f_lineno}"
        if path.endswith(CALLER_OF_USER_CODE):
            return None
        frame = frame.f_back
    return None


def home_of(kind: type) -> dict[str, Any]:
    """Return the globals of the module of a class."""
    module = sys.modules.get(kind.__module__)
    return module.__dict__ if module is not None else {"__name__": kind.__module__}
