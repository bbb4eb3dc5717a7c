"""Max and average pooling by loops: one backward by a mask, one by argmax."""

import numpy as np

from tests.layers import Pair


def max_forward(x, size=2):
    n, c, height, width = x.shape
    out = np.zeros((n, c, height // size, width // size))
    for i in range(height // size):
        for j in range(width // size):
            window = x[:, :, i * size : (i + 1) * size, j * size : (j + 1) * size]
            out[:, :, i, j] = np.max(window, axis=(2, 3))
    return out, (x, size)


def max_backward(dout, cache):
    x, size = cache
    n, c, rows, columns = dout.shape
    dx = np.zeros_like(x)
    for image in range(n):
        for channel in range(c):
            for i in range(rows):
                for j in range(columns):
                    top, left = i * size, j * size
                    window = x[image, channel, top : top + size, left : left + size]
                    row, column = np.unravel_index(np.argmax(window), window.shape)
                    dx[image, channel, top + row, left + column] = dout[image, channel, i, j]
    return dx, None


def max_backward_everywhere(dout, cache):
    _, size = cache
    return np.kron(dout, np.ones((1, 1, size, size))), None


def max_backward_by_minimum(dout, cache):
    x, size = cache
    return max_backward(dout, (-x, size))


def max_backward_spread_over_rows(dout, cache):
    x, size = cache
    dx = np.zeros_like(x)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            place = np.s_[:, :, i * size : (i + 1) * size, j * size : (j + 1) * size]
            window = x[place]
            mask = window == window.max(axis=3, keepdims=True)
            dx[place] = mask * dout[:, :, i, j][:, :, None, None]
    return dx, None


def average_forward(x, size=2, stride=1):
    rows, columns = (x.shape[2] - size) // stride + 1, (x.shape[3] - size) // stride + 1
    out = np.empty((*x.shape[:2], rows, columns))
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            out[..., i, j] = x[..., top : top + size, left : left + size].mean(axis=(-2, -1))
    return out, (x.shape, size, stride)


def average_backward(dout, cache):
    return _average_backward(dout, cache), None, None


def _average_backward(dout, cache, *, accumulate=True, share=None):
    shape, size, stride = cache
    dx = np.zeros(shape)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            top, left = i * stride, j * stride
            view = dx[:, :, top : top + size, left : left + size]
            part = dout[:, :, i : i + 1, j : j + 1] / (share or size * size)
            if accumulate:
                view += part
            else:
                view[...] = part
    return dx


def average_backward_overwrites(dout, cache):
    return _average_backward(dout, cache, accumulate=False), None, None


def average_backward_undivided(dout, cache):
    return _average_backward(dout, cache, share=1), None, None


def average_backward_by_stride(dout, cache):
    return _average_backward(dout, cache, share=cache[1] * cache[2]), None, None


LAYERS = [
    Pair(
        "max pooling",
        max_forward,
        max_backward,
        (max_backward_everywhere, max_backward_by_minimum, max_backward_spread_over_rows),
        lambda rng: (rng.permutation(32).reshape(2, 1, 4, 4) * 0.1, 2),
    ),
    Pair(
        "average pooling",
        average_forward,
        average_backward,
        (average_backward_overwrites, average_backward_undivided, average_backward_by_stride),
        lambda rng: (rng.normal(size=(2, 1, 3, 4)), 2, 1),
    ),
]
