"""The `lax` twin of every NumPy function that is traced; importing this fills the registry."""

from gradcheck.programs.numpy_tracing.rules import (
    elementwise,
    linalg,
    memory,
    reductions,
    shapes,
)

__all__ = ["elementwise", "linalg", "memory", "reductions", "shapes"]
