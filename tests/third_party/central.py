"""Central differences, for reproductions that use nothing of gradcheck."""

import numpy as np

STEP = 1e-5
"""The error of a central difference is the step squared, and its rounding 1e-16 over the step: both about
1e-10 for values and derivatives of the order of 1."""

AGREES = {"rtol": 1e-6, "atol": 1e-8}
"""What such a difference confirms, with room; each of the faults here is larger by far."""


def slopes(f, x, step=STEP):
    """Return the gradient of the scalar `f` at `x`, of its shape, entry by entry.

    >>> slopes(lambda x: np.sum(x**2), np.array([1.0, -3.0])).round(6)
    array([ 2., -6.])
    """
    gradient = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        move = np.zeros(x.shape)
        move[place] = step
        gradient[place] = (f(x + move) - f(x - move)) / (2 * step)
    return gradient


def agree(claimed, true):
    """Whether two gradients are the same to what central differences say."""
    return np.shape(claimed) == np.shape(true) and np.allclose(claimed, true, **AGREES)
