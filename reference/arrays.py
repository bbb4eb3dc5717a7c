"""The one place that knows how to ask an array for its library."""

from __future__ import annotations

from typing import Any

__all__ = ["Array", "namespace"]

Array = Any
"""An array of any library that keeps the array API standard."""


def namespace(array: Array) -> Any:
    """Return the array API namespace of `array`'s library: its sum, tanh, where …

    Torch tensors do not carry theirs; array-api-compat supplies it.

    Raises:
        TypeError: `array` is no array of a library that keeps the standard.

    >>> import numpy as np
    >>> namespace(np.zeros(3)) is np
    True
    """
    if hasattr(array, "__array_namespace__"):
        return array.__array_namespace__()
    import array_api_compat

    return array_api_compat.array_namespace(array)
