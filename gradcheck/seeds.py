"""Seeds of runs that are given none."""

from __future__ import annotations

import secrets

__all__ = ["new_seed"]

SEED_BITS = 32
"""Bits of a seed that is drawn where none is given: enough not to repeat, short enough to type."""


def new_seed() -> int:
    """Draw a seed for a run that was given none."""
    return secrets.randbits(SEED_BITS)
