"""Hypothesis strategies of the points at which rules are checked."""

from __future__ import annotations

from gradcheck.strategies.networks import networks
from gradcheck.strategies.points import point_at, points

__all__ = ["networks", "point_at", "points"]
