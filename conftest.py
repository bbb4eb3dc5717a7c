"""What every test of this repository shares."""

from importlib.util import find_spec

pytest_plugins = ["pytester"]

# Modules of cases that import torch, which `--doctest-modules` would collect where there is none.
collect_ignore = [] if find_spec("torch") else ["tests/adapters/torch_functions.py"]
