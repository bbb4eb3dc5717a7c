"""Says whether a hand-written derivative is right.

Importing gradcheck imports nothing heavy: each public name loads its module when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcheck import strategies
    from gradcheck.adapters.gradient import gradient
    from gradcheck.adapters.jax_rule import jax_rule
    from gradcheck.adapters.jvp import jvp
    from gradcheck.adapters.layer import layer
    from gradcheck.adapters.pair import pair
    from gradcheck.adapters.torch_function import torch_function
    from gradcheck.adapters.vjp import vjp
    from gradcheck.checks.check import Finding
    from gradcheck.contracts import (
        booleans,
        complex,
        constant,
        elements,
        integers,
        one_hot,
        one_of,
        positive,
        probabilities,
    )
    from gradcheck.derivations import Audit, audit
    from gradcheck.errors import (
        Abstention,
        BackwardError,
        ContractError,
        GradcheckError,
        GradientError,
        InconclusiveError,
        RuleError,
        ShapeError,
        UsageError,
        VerdictError,
    )
    from gradcheck.reports.report import CheckResult, Report
    from gradcheck.rules import Point, Rule
    from gradcheck.strategies.networks import network
    from gradcheck.verification import check, verify, verify_at

__version__ = "0.1.0"

_HOMES = {
    "gradcheck.adapters.gradient": ["gradient"],
    "gradcheck.adapters.jax_rule": ["jax_rule"],
    "gradcheck.adapters.jvp": ["jvp"],
    "gradcheck.adapters.layer": ["layer"],
    "gradcheck.adapters.pair": ["pair"],
    "gradcheck.adapters.torch_function": ["torch_function"],
    "gradcheck.adapters.vjp": ["vjp"],
    "gradcheck.checks.check": ["Finding"],
    "gradcheck.contracts": [
        "booleans",
        "complex",
        "constant",
        "elements",
        "integers",
        "one_hot",
        "one_of",
        "positive",
        "probabilities",
    ],
    "gradcheck.derivations": ["Audit", "audit"],
    "gradcheck.errors": [
        "Abstention",
        "BackwardError",
        "ContractError",
        "GradcheckError",
        "GradientError",
        "InconclusiveError",
        "RuleError",
        "ShapeError",
        "UsageError",
        "VerdictError",
    ],
    "gradcheck.reports.report": ["CheckResult", "Report"],
    "gradcheck.rules": ["Point", "Rule"],
    "gradcheck.strategies.networks": ["network"],
    "gradcheck.verification": ["check", "verify", "verify_at"],
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [*sorted(_HOME_OF), "strategies"]


def __getattr__(name: str) -> Any:
    if name == "strategies":
        return importlib.import_module("gradcheck.strategies")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'gradcheck' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
