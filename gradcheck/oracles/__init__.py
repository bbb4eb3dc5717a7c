"""Oracles: independent sources of the true derivative, each with a bound on its own error."""
