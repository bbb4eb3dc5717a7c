"""What every test of this repository shares."""

import os
from importlib.util import find_spec

# Before NumPy or torch is loaded: on arrays as small as these, threads only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

pytest_plugins = ["pytester"]

# Modules of cases that import torch, which `--doctest-modules` would collect where there is none.
collect_ignore = [] if find_spec("torch") else ["tests/adapters/torch_functions.py"]
