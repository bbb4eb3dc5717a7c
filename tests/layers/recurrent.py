"""LSTM and GRU over time, into preallocated outputs, with their states in lists."""

import numpy as np

from tests.layers import Pair


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def lstm_forward(x, h0, wx, wh, b):
    n, t, _ = x.shape
    hidden = h0.shape[1]
    h = np.zeros((n, t, hidden))
    previous_h, previous_c = h0, np.zeros_like(h0)
    steps = []
    for step in range(t):
        a = x[:, step] @ wx + previous_h @ wh + b
        i, f, o = (sigmoid(a[:, k * hidden : (k + 1) * hidden]) for k in range(3))
        g = np.tanh(a[:, 3 * hidden :])
        c = f * previous_c + i * g
        squashed = np.tanh(c)
        h[:, step] = o * squashed
        steps.append((i, f, o, g, previous_c, squashed, previous_h))
        previous_h, previous_c = h[:, step], c
    return h, (x, wx, wh, steps)


def lstm_backward(dout, cache):
    return _lstm_backward(dout, cache)


def _lstm_backward(dout, cache, *, carry_cell=True, carry_hidden=True, gate_slope=1.0):
    x, wx, wh, steps = cache
    n, t, hidden = dout.shape
    dx = np.zeros_like(x)
    dwx, dwh, db = np.zeros_like(wx), np.zeros_like(wh), np.zeros(4 * hidden)
    dh_next, dc_next = np.zeros((n, hidden)), np.zeros((n, hidden))
    for step in reversed(range(t)):
        i, f, o, g, previous_c, squashed, previous_h = steps[step]
        dh = dout[:, step] + dh_next * carry_hidden
        dc = dc_next * carry_cell + dh * o * (1 - squashed**2)
        da = np.empty((n, 4 * hidden))
        da[:, :hidden] = dc * g * i * (1 - i)
        da[:, hidden : 2 * hidden] = dc * previous_c * f * (gate_slope - f)
        da[:, 2 * hidden : 3 * hidden] = dh * squashed * o * (1 - o)
        da[:, 3 * hidden :] = dc * i * (1 - g**2)
        dx[:, step] = da @ wx.T
        dwx += x[:, step].T @ da
        dwh += previous_h.T @ da
        db += da.sum(axis=0)
        dh_next, dc_next = da @ wh.T, dc * f
    return dx, dh_next, dwx, dwh, db


def lstm_backward_forgets_cell(dout, cache):
    return _lstm_backward(dout, cache, carry_cell=False)


def lstm_backward_last_step_only(dout, cache):
    return _lstm_backward(dout, cache, carry_hidden=False)


def lstm_backward_gate_slope(dout, cache):
    return _lstm_backward(dout, cache, gate_slope=1.01)


def gru_forward(x, h0, wx, wh):
    n, t, _ = x.shape
    hidden = h0.shape[-1]
    out = np.empty((t, n, hidden))
    h, cache = h0, []
    for step in range(t):
        ax, ah = np.dot(x[:, step], wx), np.dot(h, wh)
        r = sigmoid(ax[:, :hidden] + ah[:, :hidden])
        z = sigmoid(ax[:, hidden:-hidden] + ah[:, hidden:-hidden])
        candidate = np.tanh(ax[:, -hidden:] + r * ah[:, -hidden:])
        cache.append((h, r, z, candidate, ah[:, -hidden:]))
        h = (1 - z) * candidate + z * h
        out[step] = h
    return out.transpose(1, 0, 2), (x, wx, wh, cache)


def gru_backward(dout, cache):
    return _gru_backward(dout, cache)


def _gru_backward(dout, cache, *, through_update=1.0, through_reset=1.0, swapped=False):
    x, wx, wh, steps = cache
    hidden = wh.shape[0]
    dx, dwx, dwh = np.zeros_like(x), np.zeros_like(wx), np.zeros_like(wh)
    dh = np.zeros_like(steps[0][0])
    for step in range(x.shape[1] - 1, -1, -1):
        h, r, z, candidate, inner = steps[step]
        dh = dh + dout[:, step]
        dcandidate = dh * (z if swapped else 1 - z) * (1 - candidate**2)
        dz = dh * (h - candidate) * z * (1 - z)
        dr = dcandidate * inner * r * (1 - r) * through_reset
        dax = np.concatenate([dr, dz, dcandidate], axis=1)
        dah = np.hstack((dr, dz, dcandidate * r))
        dx[:, step] = dax @ wx.T
        dwx += x[:, step].T @ dax
        dwh += h.T @ dah
        dh = dh * z * through_update + dah @ wh.T
    assert dwh.shape == (hidden, 3 * hidden)
    return dx, dh, dwx, dwh


def gru_backward_lost_path(dout, cache):
    return _gru_backward(dout, cache, through_update=0.0)


def gru_backward_lost_reset(dout, cache):
    return _gru_backward(dout, cache, through_reset=0.0)


def gru_backward_swapped_gate(dout, cache):
    return _gru_backward(dout, cache, swapped=True)


def _draw(rng, gates):
    n, t, d, h = 2, 3, 3, 2
    scale = 0.7
    shapes = [(n, t, d), (n, h), (d, gates * h), (h, gates * h)]
    return tuple(scale * rng.normal(size=shape) for shape in shapes)


LAYERS = [
    Pair(
        "LSTM",
        lstm_forward,
        lstm_backward,
        (lstm_backward_forgets_cell, lstm_backward_last_step_only, lstm_backward_gate_slope),
        lambda rng: (*_draw(rng, 4), rng.normal(size=8)),
    ),
    Pair(
        "GRU",
        gru_forward,
        gru_backward,
        (gru_backward_lost_path, gru_backward_lost_reset, gru_backward_swapped_gate),
        lambda rng: _draw(rng, 3),
    ),
]
