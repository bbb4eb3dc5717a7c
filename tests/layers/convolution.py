"""2-D convolution by four loops, and by im2col."""

import numpy as np

from tests.layers import Pair

STRIDE, PADDING = 2, 1


def loops_forward(x, w, b):
    n, _, height, width = x.shape
    filters, _, kh, kw = w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (PADDING, PADDING), (PADDING, PADDING)))
    rows = 1 + (height + 2 * PADDING - kh) // STRIDE
    columns = 1 + (width + 2 * PADDING - kw) // STRIDE
    out = np.zeros((n, filters, rows, columns))
    for image in range(n):
        for channel in range(filters):
            for i in range(rows):
                for j in range(columns):
                    top, left = i * STRIDE, j * STRIDE
                    window = padded[image, :, top : top + kh, left : left + kw]
                    out[image, channel, i, j] = np.sum(window * w[channel]) + b[channel]
    return out, (x, w, padded)


def loops_backward(dout, cache):
    return _loops_backward(dout, cache)


def _loops_backward(dout, cache, *, stride=STRIDE, accumulate=True, crop=PADDING):
    x, w, padded = cache
    n, filters, rows, columns = dout.shape
    kh, kw = w.shape[2:]
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    db = np.sum(dout, axis=(0, 2, 3))
    for image in range(n):
        for channel in range(filters):
            for i in range(rows):
                for j in range(columns):
                    window = np.s_[
                        image, :, i * stride : i * stride + kh, j * stride : j * stride + kw
                    ]
                    g = dout[image, channel, i, j]
                    dw[channel] += padded[window] * g
                    if accumulate:
                        dpadded[window] += w[channel] * g
                    else:
                        dpadded[window] = w[channel] * g
    height, width = x.shape[2:]
    return dpadded[:, :, crop : crop + height, crop : crop + width], dw, db


def loops_backward_stride_one(dout, cache):
    return _loops_backward(dout, cache, stride=1)


def loops_backward_overwrites(dout, cache):
    return _loops_backward(dout, cache, accumulate=False)


def loops_backward_crop_at_corner(dout, cache):
    return _loops_backward(dout, cache, crop=0)


def im2col_indices(shape, kh, kw):
    _, channels, height, width = shape
    rows, columns = height - kh + 1, width - kw + 1
    i = np.tile(np.repeat(np.arange(kh), kw), channels)[:, None] + np.repeat(
        np.arange(rows), columns
    )
    j = np.tile(np.arange(kw), kh * channels)[:, None] + np.tile(np.arange(columns), rows)
    c = np.repeat(np.arange(channels), kh * kw)[:, None]
    return c, i, j


def im2col_forward(x, w, b):
    filters, _, kh, kw = w.shape
    c, i, j = im2col_indices(x.shape, kh, kw)
    columns = x[:, c, i, j].transpose(1, 2, 0).reshape(w[0].size, -1)
    out = w.reshape(filters, -1) @ columns + b.reshape(-1, 1)
    out = out.reshape(filters, x.shape[2] - kh + 1, x.shape[3] - kw + 1, x.shape[0])
    return out.transpose(3, 0, 1, 2), (x.shape, w, columns)


def im2col_backward(dout, cache):
    return _im2col_backward(dout, cache)


def _im2col_backward(dout, cache, *, accumulate=True, order=(1, 2, 3, 0)):
    shape, w, columns = cache
    filters, _, kh, kw = w.shape
    db = dout.sum(axis=(0, 2, 3))
    flat = dout.transpose(order).reshape(filters, -1)
    dw = (flat @ columns.T).reshape(w.shape)
    dcolumns = w.reshape(filters, -1).T @ flat
    dcolumns = dcolumns.reshape(dcolumns.shape[0], -1, shape[0]).transpose(2, 0, 1)
    dx = np.zeros(shape)
    c, i, j = im2col_indices(shape, kh, kw)
    if accumulate:
        np.add.at(dx, (slice(None), c, i, j), dcolumns)
    else:
        dx[:, c, i, j] += dcolumns
    return dx, dw, db


def im2col_backward_overwrites(dout, cache):
    return _im2col_backward(dout, cache, accumulate=False)


def im2col_backward_wrong_order(dout, cache):
    return _im2col_backward(dout, cache, order=(1, 0, 2, 3))


def im2col_backward_average(dout, cache):
    dx, dw, db = im2col_backward(dout, cache)
    return dx, dw / dout.shape[0], db


LAYERS = [
    Pair(
        "convolution by loops",
        loops_forward,
        loops_backward,
        (loops_backward_stride_one, loops_backward_overwrites, loops_backward_crop_at_corner),
        lambda rng: (
            rng.normal(size=(2, 1, 4, 3)),
            rng.normal(size=(2, 1, 3, 2)),
            rng.normal(size=2),
        ),
    ),
    Pair(
        "convolution by im2col",
        im2col_forward,
        im2col_backward,
        (im2col_backward_overwrites, im2col_backward_wrong_order, im2col_backward_average),
        lambda rng: (
            rng.normal(size=(2, 2, 4, 3)),
            rng.normal(size=(3, 2, 2, 2)),
            rng.normal(size=3),
        ),
    ),
]
