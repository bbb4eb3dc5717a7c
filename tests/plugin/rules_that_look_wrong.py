"""Right rules that a checker may take for wrong: all checks pass them, or do not apply."""

import numpy as np

import gradcheck

RANDOM = np.random.default_rng(0)
TABLE = RANDOM.normal(size=(3, 2)).astype(np.float32)

gradient_of_log_without_its_eps = gradcheck.vjp(
    lambda y: np.log(y + 1e-7),
    lambda g, y: g / y,
    y=gradcheck.positive("N"),
    derivative_of=lambda y: np.log(y),
)

float32_buffer = gradcheck.vjp(lambda x: x @ TABLE, lambda g, x: g @ TABLE.T, x="N 3")


class Affine:
    """x w, whose gradient adds up until it is cleared."""

    def __init__(self):
        self.w, self.dw = np.ones((2, 3)), np.zeros((2, 3))

    def forward(self, x):
        self.x = x
        return x @ self.w

    def backward(self, dout):
        self.dw += self.x.T @ dout
        return dout @ self.w.T


accumulates_by_design = gradcheck.layer(
    Affine, params=["w"], grads={"w": "dw"}, x="N 2", accumulates=True
)

another_order = gradcheck.vjp(
    lambda x, w: x @ w, lambda g, x, w: {"dw": x.T @ g, "dx": g @ w.T}, x="N D", w="D M"
)


def sigmoid(z):
    y = 1 / (1 + np.exp(-z))
    return y, y


in_terms_of_the_output = gradcheck.pair(sigmoid, lambda dout, y: dout * y * (1 - y), z="N")


def centred(x):
    return x - x.mean(axis=0)


gradient_of_zero = gradcheck.vjp(
    lambda x: np.sum(centred(x), axis=0) + x[0], lambda g, x: g * (np.arange(len(x)) == 0)[:, None],
    x="N D",
)  # fmt: skip


def cross_entropy(z, t):
    return -np.sum(t * (z - np.log(np.sum(np.exp(z - z.max()))) - z.max()))


def cross_entropy_gradient(g, z, t):
    e = np.exp(z - z.max())
    return g * (np.sum(t) * e / e.sum() - t), None


soft_targets = gradcheck.vjp(cross_entropy, cross_entropy_gradient, z="C", t="C")

kink_of_relu = gradcheck.vjp(lambda x: np.maximum(x, 0), lambda g, x: g * (x > 0), x="N D")
kink_of_abs = gradcheck.vjp(lambda x: np.abs(x), lambda g, x: g * np.sign(x), x="N")
kinks_of_clip = gradcheck.vjp(lambda x: np.clip(x, -1, 1), lambda g, x: g * (np.abs(x) <= 1), x="N")


def dropout(x):
    kept = (RANDOM.random(x.shape) < 0.5) * 2.0
    return x * kept, kept


dropout_redrawn = gradcheck.pair(dropout, lambda dout, kept: dout * kept, x="N 6")


def rows_and_classes(table, index):
    found = table[index]
    return found, np.argmax(found, axis=-1)


def rows_backward(gs, table, index):
    dtable = np.zeros_like(table)
    np.add.at(dtable, index, gs[0])
    return dtable, None


integers_in_and_out = gradcheck.vjp(
    rows_and_classes,
    rows_backward,
    table="V D",
    index=gradcheck.integers("N", below="V"),
    output=("N D", "N"),
)

bias_without_its_leading_axis = gradcheck.vjp(
    lambda x, b: x + b, lambda g, x, b: (g, g.sum(axis=0)), x="N D", b="1 D"
)
