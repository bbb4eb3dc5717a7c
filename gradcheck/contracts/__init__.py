"""Contracts: the named dimensions and the domains of a rule's inputs and outputs."""

from __future__ import annotations

from gradcheck.contracts.contract import Contract
from gradcheck.contracts.declaration import make_contract
from gradcheck.contracts.dimensions import Shape, parse_shape
from gradcheck.contracts.domains import (
    Domain,
    booleans,
    complex,
    constant,
    elements,
    integers,
    one_hot,
    one_of,
    positive,
    probabilities,
    real,
)

__all__ = [
    "Contract",
    "Domain",
    "Shape",
    "booleans",
    "complex",
    "constant",
    "elements",
    "integers",
    "make_contract",
    "one_hot",
    "one_of",
    "parse_shape",
    "positive",
    "probabilities",
    "real",
]
