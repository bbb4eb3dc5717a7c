"""Functions of arrays whose programs, and those of their derivatives, the evaluator must cover."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_rng = np.random.default_rng(20240229)
X = _rng.normal(size=(3, 4))
Y = _rng.normal(size=(3, 4))
POSITIVE = _rng.uniform(0.5, 2.0, size=(3, 4))
UNIT = _rng.uniform(-0.9, 0.9, size=(3, 4))
SQUARE = _rng.normal(size=(2, 3, 3)) + 4 * np.eye(3)
IMAGES = _rng.normal(size=(2, 4, 5, 6))
KERNEL = _rng.normal(size=(6, 4, 3, 2))
GROUPED = _rng.normal(size=(6, 2, 3, 2))
ROWS = np.array([2, 0, 2])


def names(words):
    """The names in a text, one after another."""
    return words.split()


IMAGE_LAYOUT = ("NHWC", "HWIO", "NHWC")


def _spd(a):
    return a @ jnp.swapaxes(a, -1, -2)


def _window(reducer, start):
    def pooled(x):
        return lax.reduce_window(x, start, reducer, (1, 1, 2, 3), (1, 1, 2, 1), "SAME")

    return pooled


def _convolution(**options):
    return lambda x, k: lax.conv_general_dilated(x, k, **options)


def _scan(x):
    return lax.scan(lambda c, row: (jnp.tanh(c + row), c * row), x[0], x)


NN = {
    name: (getattr(jax.nn, name), (X,))
    for name in names(
        "celu elu gelu glu hard_sigmoid hard_silu hard_swish hard_tanh identity leaky_relu "
        "log_sigmoid log_softmax logsumexp logmeanexp mish relu relu6 selu sigmoid silu soft_sign "
        "softmax softplus sparse_plus sparse_sigmoid squareplus standardize swish tanh"
    )
    if hasattr(jax.nn, name)
} | {
    "exact gelu": (lambda x: jax.nn.gelu(x, approximate=False), (X,)),
    "one_hot": (lambda x: jax.nn.one_hot(ROWS, 4) * x, (X,)),
    "dot_product_attention": (
        lambda q: jax.nn.dot_product_attention(q, q, q, is_causal=True),
        (_rng.normal(size=(2, 3, 2, 4)),),
    ),
}

ELEMENTWISE = (
    {
        name: (getattr(jnp, name), (X,))
        for name in names(
            "abs negative positive sin cos tan arctan sinh cosh tanh arcsinh exp expm1 exp2 square sign "
            "floor ceil round trunc cbrt sinc deg2rad rad2deg isnan isfinite isinf nan_to_num "
            "real imag conj i0 logical_not signbit"
        )
    }
    | {
        name: (getattr(jnp, name), (POSITIVE,))
        for name in names("log log2 log10 log1p sqrt reciprocal")
        if hasattr(jnp, name)
    }
    | {
        "arccosh": (lambda x: jnp.arccosh(1 + x), (POSITIVE,)),
        "arcsin": (jnp.arcsin, (UNIT,)),
        "arccos": (jnp.arccos, (UNIT,)),
        "arctanh": (jnp.arctanh, (UNIT,)),
        "erf": (jax.scipy.special.erf, (X,)),
        "erfc": (jax.scipy.special.erfc, (X,)),
        "erfinv": (jax.scipy.special.erfinv, (UNIT,)),
        "gammaln": (jax.scipy.special.gammaln, (POSITIVE,)),
        "digamma": (jax.scipy.special.digamma, (POSITIVE,)),
        "logit": (jax.scipy.special.logit, (UNIT * 0.5 + 0.5,)),
        "xlogy": (jax.scipy.special.xlogy, (POSITIVE, POSITIVE)),
        "ndtri": (jax.scipy.special.ndtri, (UNIT * 0.5 + 0.5,)),
        "log_ndtr": (jax.scipy.special.log_ndtr, (X,)),
        "i0e": (jax.scipy.special.i0e, (X,)),
        "i1e": (jax.scipy.special.i1e, (X,)),
        "rsqrt": (lax.rsqrt, (POSITIVE,)),
        "integer power": (lambda x: x**3 + x**-2 + x**0, (POSITIVE,)),
        "stop_gradient": (lambda x: x + lax.stop_gradient(x), (X,)),
        "cast to int": (lambda x: x.astype(jnp.int32) * x, (X,)),
        "cast to bool": (lambda x: x.astype(bool) * x, (X,)),
        "clip": (lambda x: jnp.clip(x, -0.5, 0.5), (X,)),
        "clamp": (lambda x: lax.clamp(-0.5, x, 0.5), (X,)),
        "bits": (lambda x: (ROWS << 2 | 1 & ~ROWS ^ 3 >> 1)[:, None] * x, (X,)),
    }
)

BINARY = {
    name: (getattr(jnp, name), (X, Y))
    for name in names(
        "add subtract multiply divide maximum minimum arctan2 hypot logaddexp logaddexp2 "
        "remainder fmod floor_divide greater less equal not_equal heaviside copysign "
        "fmax fmin"
    )
} | {
    "power": (jnp.power, (POSITIVE, Y)),
    "where": (lambda x, y: jnp.where(x > y, x, 2 * y), (X, Y)),
    "select": (lambda x, y: jnp.select([x > 0, y > 0], [x, y], 0.5), (X, Y)),
    "integer division": (lambda x: x * (ROWS // 2 + ROWS % 2)[:, None], (X,)),
    "divmod of negatives": (lambda x: x * ((-3 * ROWS) // 2 + (-ROWS) % 3)[:, None], (X,)),
    "isclose": (jnp.isclose, (X, Y)),
}

REDUCTIONS = {
    name: ((lambda f: lambda x: f(x, axis=1))(getattr(jnp, name)), (X,))
    for name in names(
        "sum mean var std prod max min argmax argmin nansum nanmean nanmax all any cumsum cumprod "
        "sort argsort median ptp average count_nonzero"
    )
} | {
    "sum of all": (jnp.sum, (X,)),
    "max of all": (jnp.max, (X,)),
    "prod of all": (jnp.prod, (POSITIVE,)),
    "argmax of all": (jnp.argmax, (X,)),
    "norm": (jnp.linalg.norm, (X,)),
    "norm 1": (lambda x: jnp.linalg.norm(x, ord=1, axis=1), (X,)),
    "norm inf": (lambda x: jnp.linalg.norm(x, ord=jnp.inf, axis=1), (X,)),
    "quantile": (lambda x: jnp.quantile(x, 0.3, axis=0), (X,)),
    "cummax": (lambda x: lax.cummax(x, 1), (X,)),
    "cummin": (lambda x: lax.cummin(x, 0, reverse=True), (X,)),
    "cumlogsumexp": (lambda x: lax.cumlogsumexp(x, 1), (X,)),
    "reverse cumsum": (lambda x: lax.cumsum(x, 0, reverse=True), (X,)),
    "logsumexp": (lambda x: jax.scipy.special.logsumexp(x, axis=0), (X,)),
    "top_k": (lambda x: lax.top_k(x, 2)[0], (X,)),
    "sort by key": (lambda x, y: lax.sort((x, y), dimension=1, num_keys=1), (X, Y)),
    "lexsort": (lambda x, y: lax.sort((jnp.round(x), y), dimension=0, num_keys=2), (X, Y)),
    "sum of nothing": (lambda x: jnp.sum(x[:, :0], axis=1) + jnp.max(x[:, :0], 1, initial=0), (X,)),
    "diff": (jnp.diff, (X,)),
    "trapezoid": (jnp.trapezoid, (X,)),
}

SHAPES = {
    "reshape": (lambda x: x.reshape(2, 6).ravel(order="F"), (X,)),
    "transpose": (lambda x: x.T, (X,)),
    "moveaxis": (lambda x: jnp.moveaxis(x, 0, 2), (IMAGES,)),
    "squeeze": (lambda x: jnp.squeeze(x[:, None, :, None]), (X,)),
    "broadcast": (lambda x: jnp.broadcast_to(x[:, None], (3, 2, 4)), (X,)),
    "large broadcast": (lambda x: jnp.broadcast_to(x[:, None], (3, 500, 4)), (X,)),
    "flip": (lambda x: jnp.flip(x, 1), (X,)),
    "roll": (lambda x: jnp.roll(x, 2, axis=1), (X,)),
    "concatenate": (lambda x, y: jnp.concatenate([x, y], 1), (X, Y)),
    "stack": (lambda x, y: jnp.stack([x, y], 1), (X, Y)),
    "split": (lambda x: jnp.split(x, [1, 3], axis=1), (X,)),
    "unstack": (lambda x: jnp.unstack(x, axis=1), (X,)),
    "tile": (lambda x: jnp.tile(x, (2, 3)), (X,)),
    "repeat": (lambda x: jnp.repeat(x, 2, axis=0), (X,)),
    "repeat by counts": (lambda x: jnp.repeat(x, np.array([1, 0, 2]), axis=0), (X,)),
    "pad": (lambda x: jnp.pad(x, ((1, 2), (0, 1))), (X,)),
    "pad by edges": (lambda x: jnp.pad(x, 1, mode="edge"), (X,)),
    "pad by reflection": (lambda x: jnp.pad(x, 1, mode="reflect"), (X,)),
    "interior and negative pad": (lambda x: lax.pad(x, 1.5, ((-1, 2, 1), (2, -3, 2))), (X,)),
    "crop all": (lambda x: lax.pad(x, 0.5, ((-3, 0, 0), (0, 1, 0))), (X,)),
    "strided slice": (lambda x: x[::-2, 1::2], (X,)),
    "dynamic slice": (lambda x: lax.dynamic_slice(x, (ROWS[0], 5), (2, 2)), (X,)),
    "dynamic update": (
        lambda x, y: lax.dynamic_update_slice(x, y[:2, :2], (ROWS[0], -1)),
        (X, Y),
    ),
    "rows": (lambda x: x[ROWS], (X,)),
    "columns": (lambda x: x[:, ROWS], (X,)),
    "points": (lambda x: x[ROWS, ROWS[::-1]], (X,)),
    "take": (lambda x: jnp.take(x, jnp.array([0, 9]), axis=1, mode="fill"), (X,)),
    "take clipped": (lambda x: jnp.take(x, jnp.array([0, 9]), axis=1, mode="clip"), (X,)),
    "take_along_axis": (lambda x: jnp.take_along_axis(x, jnp.argsort(x, 1), 1), (X,)),
    "set": (lambda x, y: x.at[ROWS[:2]].set(y[:2]), (X, Y)),
    "add at": (lambda x, y: x.at[ROWS].add(y), (X, Y)),
    "add at columns": (lambda x, y: x.at[:, ROWS].add(y[:, :3]), (X, Y)),
    "add outside": (lambda x, y: x.at[jnp.array([0, 7, 1])].add(y), (X, Y)),
    "max at": (lambda x, y: x.at[ROWS].max(y) * 1.0, (X, Y)),
    "min at": (lambda x, y: x.at[ROWS].min(y) * 1.0, (X, Y)),
    "diagonal": (lambda x: jnp.diagonal(x, axis1=1, axis2=2), (SQUARE,)),
    "tril": (jnp.tril, (SQUARE,)),
    "trace": (lambda x: jnp.trace(x[0]), (SQUARE,)),
    "meshgrid": (lambda x: jnp.meshgrid(x[0], x[1]), (X,)),
    "segment_sum": (lambda x: jax.ops.segment_sum(x, ROWS, 3), (X,)),
    "gather in batches": (
        lambda x: jax.vmap(lambda row, k: row[k])(x, jnp.array([1, 0, 3])),
        (X,),
    ),
    "scatter in batches": (
        lambda x: jax.vmap(lambda row, k: row.at[k].add(row[0]))(x, jnp.array([1, 0, 3])),
        (X,),
    ),
}

PRODUCTS = {
    "matmul": (lambda x, y: x @ y.T, (X, Y)),
    "transposed matmul": (lambda x, y: x.T @ y, (X, Y)),
    "vector": (lambda x, y: x @ y[0], (X, Y)),
    "batched": (lambda x: jnp.matmul(x, x), (SQUARE,)),
    "tensordot": (lambda x: jnp.tensordot(x, x, ((0, 2), (0, 2))), (IMAGES,)),
    "einsum": (lambda x: jnp.einsum("bchw,bdhw->bcd", x, x), (IMAGES,)),
    "outer": (lambda x: jnp.outer(x[0], x[1]), (X,)),
    "kron": (jnp.kron, (X, Y)),
    "cross": (lambda x: jnp.cross(x[0, :3], x[1, :3]), (X,)),
    "inverse": (jnp.linalg.inv, (SQUARE,)),
    "solve": (lambda a: jnp.linalg.solve(a, a[..., :1] ** 2), (SQUARE,)),
    "determinant": (jnp.linalg.det, (SQUARE,)),
    "large determinant": (lambda a: jnp.linalg.det(_spd(a)), (X + np.eye(3, 4),)),
    "slogdet": (lambda a: jnp.linalg.slogdet(a)[1], (SQUARE,)),
    "cholesky": (lambda a: jnp.linalg.cholesky(_spd(a)), (SQUARE,)),
    "triangular": (
        lambda a: jax.scipy.linalg.solve_triangular(a[0], a[1], trans=1, lower=True),
        (SQUARE,),
    ),
    "right triangular": (
        lambda a: lax.linalg.triangular_solve(a, a + 1, left_side=False, lower=False),
        (SQUARE,),
    ),
    "convolution": (_convolution(window_strides=(1, 1), padding="SAME"), (IMAGES, KERNEL)),
    "strided, dilated convolution": (
        _convolution(
            window_strides=(2, 1),
            padding=((1, 2), (0, -1)),
            lhs_dilation=(2, 1),
            rhs_dilation=(1, 2),
        ),
        (IMAGES, KERNEL),
    ),
    "grouped convolution": (
        _convolution(window_strides=(1, 2), padding="VALID", feature_group_count=2),
        (IMAGES, GROUPED),
    ),
    "convolution of other layout": (
        _convolution(window_strides=(1, 1), padding="VALID", dimension_numbers=IMAGE_LAYOUT),
        (IMAGES.transpose(0, 2, 3, 1), KERNEL.transpose(2, 3, 1, 0)),
    ),
    "np.convolve": (lambda x: jnp.convolve(x[0], x[1]), (X,)),
}

WINDOWS = {
    "max pooling": (_window(lax.max, -jnp.inf), (IMAGES,)),
    "min pooling": (_window(lax.min, jnp.inf), (IMAGES,)),
    "sum pooling": (_window(lax.add, 0.0), (IMAGES,)),
}

CONTROL = {
    "jit": (jax.jit(lambda x: jnp.tanh(x) * 2), (X,)),
    "checkpoint": (jax.checkpoint(lambda x: jnp.sin(jnp.sin(x))), (X,)),
    "scan": (_scan, (X,)),
    "reverse scan": (lambda x: lax.scan(lambda c, r: (c * r, c), x[0], x, reverse=True), (X,)),
    "fori_loop": (lambda x: lax.fori_loop(0, 3, lambda k, c: jnp.sin(c) + k, x), (X,)),
    "cond": (lambda x: lax.cond(x[0, 0] > 0, jnp.sin, jnp.cos, x), (X,)),
    "switch": (lambda x: lax.switch(ROWS[0], [jnp.sin, jnp.cos, jnp.exp], x), (X,)),
    "map": (lambda x: lax.map(lambda r: jnp.sum(r) * r, x), (X,)),
    "vmap": (jax.vmap(lambda r: jnp.sum(r) * r), (X,)),
}

WITHOUT_VJP = {
    "while_loop": (
        lambda x: lax.while_loop(lambda c: jnp.sum(c) < 50, lambda c: c * c + 1, x),
        (X,),
    ),
    "nextafter": (lambda x, y: jnp.nextafter(x, y) * 1.0, (X, Y)),
    "multiply at": (lambda x, y: x.at[ROWS].multiply(y), (X, Y)),
    "histogram": (lambda x: jnp.histogram(x, bins=4)[0] * 1.0, (X,)),
    "searchsorted": (lambda x: jnp.searchsorted(jnp.sort(x[0]), x[1]) * 1.0, (X,)),
    "bincount": (lambda x: jnp.bincount(ROWS, length=3) * x[:, 0], (X,)),
    "unique indices": (lambda x: jnp.argsort(x, axis=0) * 1.0, (X,)),
}

DIFFERENTIABLE = NN | ELEMENTWISE | BINARY | REDUCTIONS | SHAPES | PRODUCTS | WINDOWS | CONTROL
