"""Adapters: one module for each way people write a rule, each ending in one `Rule`."""
