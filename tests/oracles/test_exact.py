"""The exact oracle certifies right derivatives and refuses wrong ones, by a hair as by a mile."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.errors import Abstention
from gradcheck.oracles.certificates import Certificate, Mismatch
from gradcheck.oracles.exact import prove_equal
from gradcheck.programs.compat import enable_x64

_rng = np.random.default_rng(7)


def draw(*shape):
    return _rng.normal(size=shape)


def traced(function, *inputs):
    with enable_x64():
        return jax.make_jaxpr(function)(*inputs)


def judge(forward, backward, inputs, cotangent=None):
    """Compare a hand-written backward(*inputs, dout) with JAX's pullback of forward."""
    with enable_x64():
        shape = jax.eval_shape(forward, *inputs).shape
    dout = draw(*shape) if cotangent is None else cotangent

    def true(*arguments):
        return jax.vjp(forward, *arguments[:-1])[1](arguments[-1])

    def claimed(*arguments):
        gradients = backward(*arguments)
        return gradients if isinstance(gradients, tuple) else (gradients,)

    point = [*inputs, dout]
    rng = np.random.default_rng(5)
    return prove_equal(traced(claimed, *point), traced(true, *point), point, rng)


def affine(x, w, b):
    return x @ w + b


def softmax(x):
    e = jnp.exp(x - jnp.max(x, 1, keepdims=True))
    return e / jnp.sum(e, 1, keepdims=True)


def softmax_backward(x, g, keep=1.0):
    s = softmax(x)
    return s * (g - keep * jnp.sum(g * s, 1, keepdims=True))


def softmax_backward_unshifted(x, g):
    """Right only by exp's shift invariance."""
    e = jnp.exp(x)
    s = e / jnp.sum(e, 1, keepdims=True)
    return s * g - s * jnp.sum(g * s, 1, keepdims=True)


def deep_softmax_backward(x, w, g, slope=1.0):
    t = jnp.tanh(x)
    dz = softmax_backward_unshifted(t @ w, g)
    return dz @ w.T * (slope - t * t), t.T @ dz


LABELS = np.array([0, 2, 1, 1])


def cross_entropy(x):
    return -jnp.mean(jax.nn.log_softmax(x)[jnp.arange(4), LABELS])


def cross_entropy_backward(x, g, examples=4):
    return g * (softmax(x) - jax.nn.one_hot(LABELS, 3)) / examples


def layer_norm(x):
    centred = x - jnp.mean(x, 1, keepdims=True)
    return centred / jnp.sqrt(jnp.mean(centred**2, 1, keepdims=True) + 1e-5)


def layer_norm_backward(x, g, variance=1.0):
    centred = x - jnp.mean(x, 1, keepdims=True)
    scale = 1 / jnp.sqrt(jnp.mean(centred**2, 1, keepdims=True) + 1e-5)
    h = centred * scale
    inner = variance * h * jnp.mean(g * h, 1, keepdims=True)
    return scale * (g - jnp.mean(g, 1, keepdims=True) - inner)


MASK = np.tril(np.ones((4, 4), bool))


def attention_weights(q, k):
    return softmax(jnp.where(MASK, q @ k.T / np.sqrt(3.0), -jnp.inf))


def attention(q, k, v):
    return attention_weights(q, k) @ v


def attention_backward(q, k, v, g, scale=3**-0.5):
    p = attention_weights(q, k)
    dp = g @ v.T
    ds = p * (dp - jnp.sum(dp * p, 1, keepdims=True)) * scale
    return ds @ k, ds.T @ q, p.T @ g


def lstm_gates(x, h, w, b):
    i, f, o, g = jnp.split(jnp.concatenate([x, h], 1) @ w + b, 4, 1)
    return jax.nn.sigmoid(i), jax.nn.sigmoid(f), jax.nn.sigmoid(o), jnp.tanh(g)


def lstm(x, h, c, w, b):
    i, f, o, g = lstm_gates(x, h, w, b)
    return o * jnp.tanh(f * c + i * g)


def lstm_backward(x, h, c, w, b, dh, forget=1.0):
    i, f, o, g = lstm_gates(x, h, w, b)
    t = jnp.tanh(f * c + i * g)
    dc = dh * o * (1 - t * t)
    dz = [
        dc * g * i * (1 - i),
        dc * c * f * (forget - f),
        dh * t * o * (1 - o),
        dc * i * (1 - g * g),
    ]
    dz = jnp.concatenate(dz, 1)
    dxh = dz @ w.T
    return dxh[:, :3], dxh[:, 3:], dc * f, jnp.concatenate([x, h], 1).T @ dz, jnp.sum(dz, 0)


IMAGE, KERNEL = (1, 2, 4, 4), (2, 2, 3, 3)


def convolution(x, k):
    return jax.lax.conv_general_dilated(x, k, (1, 1), "VALID")


def convolution_backward(x, k, g, flip=True):
    """By loops over kernel positions, as hand-written layers do."""
    dx, dk = jnp.zeros(IMAGE), jnp.zeros(KERNEL)
    for i in range(3):
        for j in range(3):
            patch = x[:, :, i : i + 2, j : j + 2]
            dk = dk.at[:, :, i, j].set(jnp.einsum("bohw,bchw->oc", g, patch))
            row, column = (i, j) if flip else (j, i)
            back = jnp.einsum("bohw,oc->bchw", g, k[:, :, row, column])
            dx = dx.at[:, :, i : i + 2, j : j + 2].add(back)
    return dx, dk


def max_pool(x):
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2), (1, 2), "VALID")


def max_pool_backward(x, g, strict=False):
    pairs = x.reshape(4, 2, 2)
    best = jnp.max(pairs, 2, keepdims=True)
    mask = pairs < best if strict else pairs == best
    return (mask * g[:, :, None]).reshape(4, 4)


def huber(x):
    return jnp.where(jnp.abs(x) < 0.5, 0.5 * x**2, 0.5 * (jnp.abs(x) - 0.25))


def sigmoid_slope(x, g):
    s = jnp.exp(x) / (1 + jnp.exp(x))
    return g * s * (1 - s)


TABLE = draw(5, 3)
ROWS = np.array([1, 0, 1, 4])

RIGHT_AND_WRONG = {
    "affine": (
        affine,
        lambda x, w, b, g: (g @ w.T, x.T @ g, jnp.sum(g, 0)),
        {"mean for sum": lambda x, w, b, g: (g @ w.T, x.T @ g, jnp.mean(g, 0)),
         "one part in 10^10": lambda x, w, b, g: (g @ w.T, x.T @ g * (1 + 1e-10), jnp.sum(g, 0))},
        (draw(4, 3), draw(3, 2), draw(2)),
    ),
    "mean by a reciprocal": (
        lambda x: jnp.mean(x, 0),
        lambda x, g: jnp.ones((7, 1)) * g * (1.0 / 7),
        {"1/6": lambda x, g: jnp.ones((7, 1)) * g * (1.0 / 6),
         "rounded": lambda x, g: jnp.ones((7, 1)) * g * 0.1428571429},
        (draw(7, 2),),
    ),
    "relu": (
        jax.nn.relu,
        lambda x, g: g * (x > 0),
        {"no mask": lambda x, g: g, "of the negative side": lambda x, g: g * (x < 0)},
        (draw(4, 3),),
    ),
    "leaky relu judged by its output": (
        lambda x: jnp.where(x > 0, x, 0.01 * x),
        lambda x, g: g * jnp.where(jnp.where(x > 0, x, 0.01 * x) > 0, 1, 0.01),
        {"slope twice": lambda x, g: g * jnp.where(x > 0, 1, 0.0001)},
        (draw(4, 3),),
    ),
    "softmax": (
        softmax,
        softmax_backward,
        {"diagonal only": lambda x, g: softmax(x) * (1 - softmax(x)) * g,
         "nearly": lambda x, g: softmax_backward(x, g, keep=1 - 1e-12)},
        (draw(4, 3),),
    ),
    "softmax by shift invariance": (
        softmax,
        softmax_backward_unshifted,
        {"no sum": lambda x, g: softmax(x) * g},
        (draw(4, 3),),
    ),
    "softmax cross-entropy": (
        cross_entropy,
        cross_entropy_backward,
        {"sum for mean": lambda x, g: cross_entropy_backward(x, g, 1),
         "no cotangent": lambda x, g: cross_entropy_backward(x, 1.0)},
        (draw(4, 3),),
    ),
    "softmax by its logarithm": (
        softmax,
        lambda x, g: (lambda s: s * (g - jnp.sum(g * s, 1, keepdims=True)))(
            jnp.exp(jax.nn.log_softmax(x))
        ),
        {"no sum": lambda x, g: g * jnp.exp(jax.nn.log_softmax(x))},
        (draw(4, 3),),
    ),
    "softmax behind tanh, by shift invariance": (
        lambda x, w: softmax(jnp.tanh(x) @ w),
        deep_softmax_backward,
        {"tanh's slope": lambda x, w, g: deep_softmax_backward(x, w, g, slope=1 + 1e-9)},
        (draw(3, 2), draw(2, 3)),
    ),
    "softplus": (
        jax.nn.softplus,
        lambda x, g: g * jax.nn.sigmoid(x),
        {"tanh for sigmoid": lambda x, g: g * jnp.tanh(x)},
        (draw(4, 3),),
    ),
    "sigmoid": (
        jax.nn.sigmoid,
        sigmoid_slope,
        {"of the input": lambda x, g: g * x * (1 - x)},
        (draw(4, 3),),
    ),
    "sigmoid by its square form": (
        lambda x: 1 / (1 + jnp.exp(-x)),
        lambda x, g: g * jnp.exp(x) / (1 + jnp.exp(x)) ** 2,
        {"no square": lambda x, g: g * jnp.exp(x) / (1 + jnp.exp(x))},
        (draw(4, 3),),
    ),
    "tanh by sigmoid": (
        jnp.tanh,
        lambda x, g: g * (1 - (2 * jax.nn.sigmoid(2 * x) - 1) ** 2),
        {"no square": lambda x, g: g * (1 - jnp.tanh(x))},
        (draw(4, 3),),
    ),
    "layer norm": (
        layer_norm,
        layer_norm_backward,
        {"no variance": lambda x, g: layer_norm_backward(x, g, variance=0.0),
         "nearly": lambda x, g: layer_norm_backward(x, g, variance=1 - 1e-9)},
        (draw(2, 3),),
    ),
    "attention": (
        attention,
        attention_backward,
        {"no scale": lambda *a: attention_backward(*a, scale=1.0),
         "scale twice": lambda *a: attention_backward(*a, scale=1 / 3)},
        (draw(4, 3), draw(4, 3), draw(4, 2)),
    ),
    "attention masked by a large number": (
        lambda x: softmax(jnp.where(MASK, x, -1e9)),
        lambda x, g: softmax_backward(jnp.where(MASK, x, -1e9), g),
        {"no sum": lambda x, g: softmax(jnp.where(MASK, x, -1e9)) * g},
        (draw(4, 4),),
    ),
    "lstm step": (
        lstm,
        lstm_backward,
        {"forget gate": lambda *a: lstm_backward(*a, forget=1 + 1e-11)},
        (draw(2, 3), draw(2, 2), draw(2, 2), draw(5, 8), draw(8)),
    ),
    "convolution": (
        convolution,
        convolution_backward,
        {"kernel transposed": lambda x, k, g: convolution_backward(x, k, g, flip=False)},
        (draw(*IMAGE), draw(*KERNEL)),
    ),
    "max pooling": (
        max_pool,
        max_pool_backward,
        {"to the losers": lambda x, g: max_pool_backward(x, g, strict=True)},
        (draw(4, 4),),
    ),
    "huber": (
        huber,
        lambda x, g: g * jnp.where(jnp.abs(x) < 0.5, x, 0.5 * jnp.sign(x)),
        {"no sign": lambda x, g: g * jnp.where(jnp.abs(x) < 0.5, x, 0.5)},
        (draw(4, 3),),
    ),
    "embedding": (
        lambda table: table[ROWS],
        lambda table, g: jnp.zeros((5, 3)).at[ROWS].add(g),
        {"last write wins": lambda table, g: jnp.zeros((5, 3)).at[ROWS].set(g)},
        (TABLE,),
    ),
    "power": (
        lambda x: jnp.exp(x) ** 1.7,
        lambda x, g: g * 1.7 * jnp.exp(x) ** 0.7 * jnp.exp(x),
        {"exponent kept": lambda x, g: g * 1.7 * jnp.exp(x) ** 1.7 * jnp.exp(x)},
        (draw(4),),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT_AND_WRONG)
def test_a_right_backward_is_certified_and_its_faults_are_refused(name):
    forward, right, faults, inputs = RIGHT_AND_WRONG[name]
    certificate = judge(forward, right, inputs)
    assert isinstance(certificate, Certificate)
    assert certificate.probability < 1e-15
    for fault in faults.values():
        assert isinstance(judge(forward, fault, inputs), Mismatch)


def test_a_mismatch_says_which_output_and_entries():
    forward, _, faults, inputs = RIGHT_AND_WRONG["affine"]
    mismatch = judge(forward, faults["mean for sum"], inputs)
    assert mismatch.output == 2
    assert mismatch.entries.tolist() == [True, True]


def test_a_certificate_names_its_cell_and_the_constants_it_read():
    x = np.array([[1.0, -2.0]])
    certificate = judge(
        lambda x: jnp.where(x > 0, x, 0.1 * x), lambda x, g: g * jnp.where(x > 0, 1, 0.1), (x,)
    )
    assert all(name.startswith(f"gt at {__file__}") for name in certificate.cell_names)
    assert certificate.cell_names[0].endswith(": [[1 0]]")
    assert certificate.constants == {0.1: "1/10"}


@pytest.mark.parametrize("slope", [1.0, 2.0])
def test_at_a_tie_nothing_is_proven_and_nothing_refuted(slope):
    with pytest.raises(Abstention, match="a kink or tie, between cells"):
        judge(jax.nn.relu, lambda x, g: g * slope * (x > 0), (np.array([0.0, 1.0]),))


def decided_by_rounding(form):
    """Two forms of one function under relu; far out one of them rounds to the other side of it."""
    return lambda x: jax.nn.relu(form(x))


@pytest.mark.parametrize(
    ("one", "other", "x", "reason"),
    [
        (jax.nn.sigmoid, lambda a: 1 - jax.nn.sigmoid(-a), -50.0, "a kink or tie, between cells"),
        (
            lambda a: a * 2.0**-60,
            lambda a: (a + 0.3) - (a + 0.1) - 0.2 + a * 2.0**-60,
            1.1,
            r"max at .* is decided by less than rounding",
        ),
    ],
)
def test_where_rounding_decides_a_branch_nothing_is_refuted(one, other, x, reason):
    point, rng = [np.array([x])], np.random.default_rng(0)
    one, other, wrong = (
        traced(decided_by_rounding(form), *point) for form in (one, other, lambda a: one(a) + 1)
    )
    with pytest.raises(Abstention, match=reason):
        prove_equal(one, other, point, rng)
    assert isinstance(prove_equal(one, wrong, point, rng), Mismatch)


def test_a_certificate_holds_for_its_cell_only():
    """A fault on the negative side alone is not seen from the positive side."""
    wrong_below = lambda x, g: g * jnp.where(x > 0, 1.0, 0.5)  # noqa: E731
    here = judge(jax.nn.relu, wrong_below, (np.array([1.0, 2.0]),))
    there = judge(jax.nn.relu, wrong_below, (np.array([1.0, -2.0]),))
    assert isinstance(here, Certificate)
    assert isinstance(there, Mismatch)


def test_what_is_beyond_the_method_abstains_with_its_reason():
    x = draw(9, 3)
    with pytest.raises(Abstention, match="square roots are beyond the finite field"):
        judge(layer_norm, layer_norm_backward, (x,))
    with pytest.raises(Abstention, match="exact evidence is for at most 4096"):
        judge(jnp.sin, lambda x, g: g * jnp.cos(x), (np.ones(5000),), np.ones(5000))
    with pytest.raises(Abstention, match="primitive erf_inv has no finite-field arithmetic"):
        judge(jax.lax.erf_inv, lambda x, g: g * x, (np.array([0.5]),))


def test_an_overflowing_output_abstains():
    with pytest.raises(Abstention, match="infinite or undefined"):
        judge(jnp.exp, lambda x, g: g * jnp.exp(x), (np.array([1000.0]),))


def power_of(x, n):
    result = jnp.ones_like(x)
    for _ in range(n):
        result = result * x
    return result


def test_a_degree_near_the_prime_abstains():
    def tower(x):
        for _ in range(30):
            x = x * x
        return x

    program = traced(tower, 0.5)
    with pytest.raises(Abstention, match="too near to the prime"):
        prove_equal(program, program, [np.array(0.5)], np.random.default_rng(0))


# Random expressions: a rewriting that keeps the value is certified, a small change is refused.

LEAVES = st.sampled_from(["x", "y", "z"])


def expressions(children):
    unary = st.tuples(
        st.sampled_from(["exp", "tanh", "sin", "log1pexp", "neg", "square"]), children
    )
    binary = st.tuples(st.sampled_from(["+", "-", "*", "/"]), children, children)
    return unary | binary


EXPRESSIONS = st.recursive(LEAVES, expressions, max_leaves=7)

UNARY = {
    "exp": lambda a: jnp.exp(0.1 * a),
    "tanh": jnp.tanh,
    "sin": jnp.sin,
    "log1pexp": lambda a: jnp.log1p(a * a),
    "neg": lambda a: -a,
    "square": lambda a: a * a,
}
SAME_UNARY = UNARY | {
    "exp": lambda a: 1 / jnp.exp(-0.1 * a),
    "tanh": lambda a: -jnp.tanh(-a),
    "sin": lambda a: -jnp.sin(-a),
    "log1pexp": lambda a: -jnp.log(1 / (1 + a**2)),
    "square": lambda a: (a + 1) ** 2 - 2 * a - 1,
}
BINARY = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / (2 + b * b),
}
SAME_BINARY = {
    "+": lambda a, b: 2 * b - (b - a),
    "-": lambda a, b: -(b - a),
    "*": lambda a, b: ((a + b) ** 2 - (a - b) ** 2) / 4,
    "/": lambda a, b: 1 / (2 + b**2) * a,
}


def value_of(expression, values, unary, binary):
    if isinstance(expression, str):
        return values[expression]
    operator, *operands = expression
    operands = [value_of(operand, values, unary, binary) for operand in operands]
    return (unary if len(operands) == 1 else binary)[operator](*operands)


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS, st.sampled_from([1e-3, 1e-9, 1.0]))
def test_a_rewritten_expression_is_certified_and_a_mutant_refused(expression, change):
    def original(*values):
        return value_of(expression, dict(zip("xyz", values, strict=True)), UNARY, BINARY)

    def rewritten(*values):
        return value_of(expression, dict(zip("xyz", values, strict=True)), SAME_UNARY, SAME_BINARY)

    point = [np.array(v) for v in (0.3, -0.7, 0.5)]
    rng = np.random.default_rng(1)
    programs = [
        traced(f, *point)
        for f in (original, rewritten, lambda *values: original(*values) + change * values[0])
    ]
    assert isinstance(prove_equal(programs[0], programs[1], point, rng), Certificate)
    assert isinstance(prove_equal(programs[0], programs[2], point, rng), Mismatch)
