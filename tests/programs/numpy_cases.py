"""What of NumPy is traced: expressions for every covered function, and the table in the docs.

Run `python -m tests.programs.numpy_cases` to write the table.
"""

from __future__ import annotations

import functools
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import scipy.special as special

TABLE = Path(__file__).parents[2] / "docs" / "numpy-coverage.md"

INPUTS: dict[str, Any] = {
    "x": lambda rng: rng.normal(size=(3, 4)),
    "y": lambda rng: rng.normal(size=(3, 4)),
    "p": lambda rng: rng.uniform(0.5, 2, size=(3, 4)),
    "q": lambda rng: rng.uniform(1.2, 3, size=(3, 4)),
    "u": lambda rng: rng.uniform(-0.9, 0.9, size=(3, 4)),
    "m": lambda rng: rng.normal(size=(4, 2)),
    "v": lambda rng: rng.normal(size=4),
    "w": lambda rng: rng.normal(size=3),
    "t": lambda rng: rng.normal(size=(2, 3, 4)),
    "a": lambda rng: rng.normal(size=(2, 3, 3)) + 3 * np.eye(3),
    "s": lambda rng: (lambda b: b @ b.swapaxes(-1, -2) + np.eye(3))(rng.normal(size=(2, 3, 3))),
}
"""The inputs by the name that an expression uses for them. `s` is symmetric and positive."""

ELEMENTWISE_ONE = {
    "x": "absolute arctan arcsinh cbrt conjugate cos cosh deg2rad exp exp2 expm1 fabs imag negative "
    "nan_to_num positive rad2deg degrees radians real sin sinc sinh square tan tanh",
    "p": "log log1p log2 log10 sqrt reciprocal",
    "q": "arccosh",
    "u": "arccos arcsin arctanh",
}
ELEMENTWISE_TWO = (
    "add arctan2 copysign fmax fmin hypot logaddexp logaddexp2 maximum minimum multiply subtract"
)
STEPS = "ceil floor rint round sign trunc isfinite isinf isnan signbit logical_not"
COMPARISONS = (
    "equal greater greater_equal less less_equal not_equal logical_and logical_or logical_xor"
)
SPECIAL = {
    "x": "erf erfc expit log_expit log_ndtr ndtr exp2 expm1 cbrt",
    "p": "digamma entr gammaln log1p psi",
    "u": "erfinv",
}
MATH = {
    "x": "asinh atan cbrt cos cosh degrees erf erfc exp exp2 expm1 fabs radians sin sinh tan tanh",
    "p": "lgamma log log1p log2 log10 sqrt",
    "q": "acosh",
    "u": "acos asin atanh",
}
REDUCTIONS = "amax amin max mean min prod std sum var median"


def _cases() -> dict[str, list[str]]:
    cases: dict[str, list[str]] = {}

    def add(name: str, *expressions: str) -> None:
        cases.setdefault(name, []).extend(expressions)

    for prefix, tables in (("np", ELEMENTWISE_ONE), ("special", SPECIAL)):
        for argument, names in tables.items():
            for name in names.split():
                add(f"{prefix}.{name}", f"{prefix}.{name}({argument})")
    for argument, names in MATH.items():
        for name in names.split():
            add(f"math.{name}", f"math.{name}({argument}[0, 1]) * {argument}")
    for name in ELEMENTWISE_TWO.split():
        add(f"np.{name}", f"np.{name}(x, y)", f"np.{name}(x, 0.3)", f"np.{name}(v, t)")
    for name in STEPS.split():
        add(f"np.{name}", f"np.{name}(x * 2) * x")
    for name in COMPARISONS.split():
        add(f"np.{name}", f"np.{name}(x, y) * x + np.{name}(x, 0.3)")
    for name in REDUCTIONS.split():
        for keywords in ("", ", axis=0", ", axis=(0, 2), keepdims=True"):
            add(f"np.{name}", f"np.{name}(t{keywords})")
    for name in ("sum", "mean", "prod", "std", "var"):
        add(f"np.{name}", f"np.{name}(t, axis=-1, where=t > -1)")
    for name in ("std", "var"):
        add(f"np.{name}", f"np.{name}(x, axis=1, ddof=1)")
    for name in ("max", "min"):
        add(f"np.{name}", f"np.{name}(x, axis=1, initial=0.1, where=x > 0)")

    add("np.true_divide", "x / p", "np.divide(1.0, p)")
    add("np.floor_divide", "(x * 3 // p) * x", "np.floor_divide(x, 0.7) + x")
    add("np.remainder", "x % 0.7", "np.mod(x, p)")
    add("np.fmod", "np.fmod(x, 0.7)")
    add("np.divmod", "divmod(x, 0.7)[1] + np.divmod(x, p)[0]")
    add("np.modf", "np.modf(x * 3)[0]")
    add(
        "np.power",
        "x**2",
        "x**3",
        "p**0.5",
        "p**-1.5",
        "2.0**x",
        "np.power(p, x)",
        "x ** np.array(4)",
    )
    add("np.float_power", "np.float_power(p, 2.5)")
    add("np.heaviside", "np.heaviside(x, 0.5) * x")
    add("np.bitwise_and", "((x > 0) & (y > 0)) * x")
    add("np.bitwise_or", "((x > 0) | (y > 0)) * x")
    add("np.bitwise_xor", "((x > 0) ^ (y > 0)) * x")
    add("np.left_shift", "((x > 0) << 2) * x")
    add("np.right_shift", "(np.argsort(x) >> 1) * x")
    add("np.invert", "~(x > 0) * x")
    add("np.where", "np.where(x > 0, x, y)", "np.where(v > 0, t, 0.0)", "x[np.where(x > 0)]")
    add(
        "np.clip",
        "np.clip(x, -0.5, 0.5)",
        "x.clip(min=0)",
        "np.clip(x, None, y)",
        "np.clip(x, -p, p)",
    )
    add("np.select", "np.select([x > 0.5, x < -0.5], [x**2, -x], 0.1 * x)")
    add("np.piecewise", "np.piecewise(x, [x < 0, x >= 0], [lambda z: z**2, lambda z: 3 * z])")
    add("special.logit", "special.logit(u / 2 + 0.5)")
    add("special.xlogy", "special.xlogy(p, q)")
    add("special.xlog1py", "special.xlog1py(p, q)")
    add("special.rel_entr", "special.rel_entr(p, q)")
    add("special.kl_div", "special.kl_div(p, q)")
    add("special.ndtri", "special.ndtri(u / 2 + 0.5)")
    add("special.softmax", "special.softmax(x, axis=1)")
    add("special.log_softmax", "special.log_softmax(x, axis=1)")
    add("special.logsumexp", "special.logsumexp(x, axis=0)", "special.logsumexp(x, b=p)")
    add("math.atan2", "math.atan2(x[0, 0], x[1, 1]) * x")
    add("math.pow", "math.pow(p[0, 0], 1.5) * x")
    add("math.hypot", "math.hypot(x[0, 0], x[1, 1]) * x")
    add("math.copysign", "math.copysign(x[0, 0], x[1, 1]) * x")
    add("math.fmod", "math.fmod(x[0, 0], 0.7) * x")
    add("math.floor", "math.floor(x[0, 0] * 3) * x")
    add("math.ceil", "math.ceil(x[0, 0] * 3) * x")
    add("math.isnan", "x if not math.isnan(x[0, 0]) else -x")
    add("float", "float(x[0, 0]) * x", "float(np.sum(x**2))")

    add("np.all", "np.all(x > -1, axis=0) * x", "x if np.all(x < 9) else -x")
    add("np.any", "np.any(x > 1, axis=0, keepdims=True) * x")
    add("np.count_nonzero", "x * np.count_nonzero(x > 0, axis=1)[:, None]")
    add("np.ptp", "np.ptp(x, axis=1)", "np.ptp(x)")
    add("np.average", "np.average(x, axis=1, weights=v**2)")
    add("np.quantile", "np.quantile(x, 0.3, axis=1)", "np.quantile(x, [0.2, 0.5])")
    add("np.percentile", "np.percentile(x, 30, axis=0)")
    add("np.cumsum", "np.cumsum(t, axis=1)", "x.cumsum()")
    add("np.cumprod", "np.cumprod(x, axis=0)")
    add("np.nansum", "np.nansum(x, axis=1)")
    add("np.nanmean", "np.nanmean(x, axis=1)", "np.nanmean(np.where(x > 0.5, np.nan, x) ** 2)")
    add("np.nanvar", "np.nanvar(x, axis=1, ddof=1)", "np.nanvar(np.where(x > 0.5, np.nan, x))")
    add(
        "np.nanstd",
        "np.nanstd(np.where(x > 0.5, np.nan, x))",
        "np.nanstd(x, keepdims=True)",
    )
    add("np.nanmin", "np.nanmin(x, axis=1)")
    add("np.nanprod", "np.nanprod(x, axis=1)")
    add("np.nancumsum", "np.nancumsum(x, axis=1)")
    add("math.fsum", "math.fsum(x[0]) * x", "math.fsum([x[0, 0] ** 2, 1.0, x[1, 1]])")
    add(
        "np.fromiter",
        "np.fromiter((z * z for z in v), float)",
        "np.fromiter(v, float, count=2)",
    )
    add(
        "np.vectorize",
        "np.vectorize(lambda z: z * z if z > 0 else 0.0)(x)",
        "np.vectorize(lambda z, f: (z * f, 2), otypes=[float, int])(x, v)[0]",
    )
    add("np.r_", "np.r_[v, 0.5, w[1:] ** 2]", "np.r_[0:2, v]")
    add("np.c_", "np.c_[x, np.ones(3), w]")
    add("np.nanmax", "np.nanmax(x)")
    add("np.cov", "np.cov(x)")
    add("np.corrcoef", "np.corrcoef(x)")
    add("np.diff", "np.diff(x, axis=1)", "np.diff(x, n=2)")
    add("np.gradient", "np.gradient(v)")
    add("np.trapezoid", "np.trapezoid(x, dx=0.1)")
    add("np.interp", "np.interp(v, np.array([-1.0, 0.0, 1.0]), w)")
    add("np.logaddexp.reduce", "np.logaddexp.reduce(x, axis=1)")
    add("np.add.reduce", "np.add.reduce(x, axis=(0, 1))", "np.add.reduce(x)")
    add("np.maximum.reduce", "np.maximum.reduce(x, axis=1)")
    add("np.multiply.reduce", "np.multiply.reduce(x, axis=1)")
    add("np.maximum.accumulate", "np.maximum.accumulate(x, axis=1)")
    add("np.minimum.accumulate", "np.minimum.accumulate(v)")
    add("np.add.reduceat", "np.add.reduceat(x, [0, 2], axis=0)")
    add("np.multiply.outer", "np.multiply.outer(w, x)")

    add("np.argmax", "x[np.arange(3), np.argmax(x, axis=1)]", "x.ravel()[x.argmax()] * x")
    add("np.argmin", "x[x.argmin(axis=0), np.arange(4)]")
    add("np.sort", "np.sort(x, axis=0)", "np.sort(x, axis=None)")
    add("np.argsort", "x[np.argsort(x[:, 0])]", "np.take_along_axis(x, np.argsort(x, 1), 1)")
    add("np.searchsorted", "w[np.searchsorted(np.array([-0.5, 0.5]), x)]")
    add("np.nonzero", "x[np.nonzero(x > 0)] ** 2")
    add("np.argwhere", "x[tuple(np.argwhere(x > 0).T)]")
    add("np.flatnonzero", "x.ravel()[np.flatnonzero(x > 0)]")
    add("np.unravel_index", "x[np.unravel_index(np.argmax(x), x.shape)] * x")
    add(
        "np.digitize",
        "w[np.digitize(np.array([0.1, 0.6]), [0.5])] * 2",
        "w[np.digitize(x, [-0.5, 0.5])]",
        "w[np.digitize(x, [0.5, -0.5], right=True)]",
    )
    add(
        "np.bincount",
        "np.bincount([0, 2, 2, 1], weights=v, minlength=5)",
        "np.bincount([0, 2]) * w",
    )
    add(
        "np.choose",
        "np.choose((x > 0).astype(int), [x, 2 * y])",
        "(v > 0).astype(int).choose([x, y])",
    )
    add(
        "np.argpartition",
        "v[np.argpartition(-v, 1)[:2]]",
        "np.take_along_axis(x, np.argpartition(x, 2, axis=0), axis=0)",
        "x.ravel()[x.argpartition(5, axis=None)]",
    )
    add("np.partition", "np.partition(x, 2, axis=1)[:, 2]", "np.partition(x, 4, axis=None)")

    add(
        "np.matmul",
        "x @ m",
        "t @ m",
        "v @ m",
        "x @ v",
        "v @ v",
        "a @ s",
        "np.matmul(a, t)",
        "w @ t",
    )
    add(
        "np.dot",
        "np.dot(x, m)",
        "np.dot(t, m)",
        "v.dot(v)",
        "np.dot(2.0, x)",
        "np.dot(x, t.swapaxes(1, 2))",
    )
    add("np.inner", "np.inner(x, y)", "np.inner(v, v)")
    add("np.outer", "np.outer(v, w)", "np.outer(x, v)")
    add("np.vdot", "np.vdot(x, y)")
    add("np.vecdot", "np.vecdot(x, y)")
    if hasattr(np, "matvec"):  # NumPy 2.2
        add("np.matvec", "np.matvec(t, v)")
        add("np.vecmat", "np.vecmat(w, t)")
    add("np.tensordot", "np.tensordot(x, t, axes=([0, 1], [1, 2]))", "np.tensordot(x, m, 1)")
    add(
        "np.einsum", "np.einsum('ij,jk->ik', x, m)", "np.einsum('bij,ij->b', t, x)",
        "np.einsum('bij,bkj->bik', t, t)", "np.einsum('ii', a[0])", "np.einsum('...j,j', t, v)",
        "np.einsum('ij,ik,jl->kl', x, y, m, optimize=True)", "np.einsum(x, [0, 1], [1, 0])",
    )  # fmt: skip
    add("np.kron", "np.kron(w, v)")
    add("np.cross", "np.cross(w, x.T)")
    add("np.convolve", "np.convolve(v, w)", "np.convolve(v, w, 'same')")
    add("np.correlate", "np.correlate(v, w)")
    add("np.trace", "np.trace(a[0])", "np.trace(x, offset=1)")
    add("np.linalg.solve", "np.linalg.solve(a, a)", "np.linalg.solve(a[0], w)")
    add("np.linalg.inv", "np.linalg.inv(a)")
    add("np.linalg.det", "np.linalg.det(a)")
    add("np.linalg.slogdet", "np.linalg.slogdet(a)[1]")
    add("np.linalg.cholesky", "np.linalg.cholesky(s)", "np.linalg.cholesky(s, upper=True)")
    add("np.linalg.eigvalsh", "np.linalg.eigvalsh(s)")
    add("np.linalg.eigh", "np.linalg.eigh(s)[0]", "np.linalg.eigh(s)[1] ** 2")
    add("np.linalg.svd", "np.linalg.svd(x, compute_uv=False)")
    add("np.linalg.qr", "np.linalg.qr(a[0])[1] ** 2")
    add("np.linalg.pinv", "np.linalg.pinv(a)")
    add("np.linalg.matrix_power", "np.linalg.matrix_power(a, 3)")
    add("np.linalg.multi_dot", "np.linalg.multi_dot([x, m, m.T])")
    add(
        "np.linalg.norm", "np.linalg.norm(x)", "np.linalg.norm(x, axis=1, keepdims=True)",
        "np.linalg.norm(v, 1)", "np.linalg.norm(v, 3)", "np.linalg.norm(v, np.inf)",
        "np.linalg.norm(x, 'fro')",
    )  # fmt: skip

    add("np.reshape", "x.reshape(2, -1)", "np.reshape(x.T, (6, 2))", "x.T.reshape(2, 6, order='F')")
    add("np.ravel", "np.ravel(x)", "x.T.ravel()", "x.T.ravel(order='K')", "x.flatten('F')")
    add("np.transpose", "x.T", "np.transpose(t, (1, 2, 0))", "t.transpose(2, 0, 1)", "t.mT")
    add("np.permute_dims", "np.permute_dims(t, (1, 2, 0))")
    add("np.matrix_transpose", "np.matrix_transpose(t)")
    add("np.swapaxes", "np.swapaxes(t, 0, -1)")
    add("np.moveaxis", "np.moveaxis(t, 0, -1)")
    add("np.rollaxis", "np.rollaxis(t, 2)")
    add("np.expand_dims", "np.expand_dims(x, (0, 2))", "x[:, None]")
    add("np.squeeze", "np.squeeze(x[:, :1])")
    add("np.broadcast_to", "np.broadcast_to(v, (2, 4)) * 1", "np.broadcast_to(x[0, 0], (2, 2)) * 1")
    add("np.broadcast_arrays", "np.broadcast_arrays(v, x)[0] * x")
    add("np.atleast_1d", "np.atleast_1d(x[0, 0])")
    add("np.atleast_2d", "np.atleast_2d(v)")
    add("np.atleast_3d", "np.atleast_3d(x)")
    add(
        "np.concatenate",
        "np.concatenate([x, y])",
        "np.concatenate((x, m.T), axis=0)",
        "np.concatenate([x, v], axis=None)",
    )
    add("np.concat", "np.concat([x, y], axis=1)")
    add("np.stack", "np.stack([x, y], axis=1)", "np.stack([x[0], np.ones(4)], axis=-1)")
    add("np.unstack", "np.unstack(x)[1]")
    add("np.vstack", "np.vstack([x, v])")
    add("np.hstack", "np.hstack([v, w])")
    add("np.dstack", "np.dstack([x, y])")
    add("np.column_stack", "np.column_stack([w, x])")
    add("np.block", "np.block([[x, y], [y, x]])")
    add("np.append", "np.append(x, y, axis=0)", "np.append(v, 1.0)")
    add("np.insert", "np.insert(v, 1, w[0])")
    add("np.delete", "np.delete(x, 1, axis=0)")
    add("np.split", "np.split(x, 2, axis=1)[1]")
    add("np.array_split", "np.array_split(v, 3)[0]")
    add("np.hsplit", "np.hsplit(x, 2)[0]")
    add("np.dsplit", "np.dsplit(t, 2)[1]")
    add("np.vsplit", "np.vsplit(x, 3)[2]")
    add("np.repeat", "np.repeat(x, 2, axis=1)", "np.repeat(v, [1, 0, 2, 1])", "x.repeat(2)")
    add("np.tile", "np.tile(x, (2, 1))", "np.tile(v, 3)")
    add("np.roll", "np.roll(x, 1, axis=1)", "np.roll(x, -2)")
    add("np.flip", "np.flip(x)", "np.flip(x, 1)")
    add("np.fliplr", "np.fliplr(x)")
    add("np.flipud", "np.flipud(x)")
    add("np.rot90", "np.rot90(x)")
    add(
        "np.pad", "np.pad(x, 1)", "np.pad(x, ((1, 0), (2, 1)), constant_values=2.0)",
        "np.pad(x, 1, mode='edge')", "np.pad(x, 1, mode='reflect')", "np.pad(x, ((0, 0), (1, 2)), 'wrap')",
    )  # fmt: skip
    add("np.take", "np.take(x, [2, 0, 0], axis=1)", "x.take([1, 5])", "np.take(x, 1, axis=0)")
    add("np.take_along_axis", "np.take_along_axis(x, np.array([[0], [3], [1]]), axis=1)")
    add("np.compress", "np.compress([True, False, True], x, axis=0)")
    add("np.extract", "np.extract(x > 0, x)")
    add("np.diagonal", "np.diagonal(a, axis1=1, axis2=2)")
    add("np.diag", "np.diag(v)", "np.diag(x)")
    add("np.diagflat", "np.diagflat(v)")
    add("np.tril", "np.tril(a)")
    add("np.triu", "np.triu(x, 1)")
    add("np.meshgrid", "np.meshgrid(v, w)[0] * np.meshgrid(v, w)[1]")
    add("np.vander", "np.vander(w, 3)")
    add("np.ix_", "x[np.ix_([0, 2], [1, 3])]")
    add("np.copy", "np.copy(x)", "x.copy()")
    add("np.astype", "x.astype(np.float64) * x")
    add("np.apply_along_axis", "np.apply_along_axis(lambda r: r * r.sum(), 1, x)")
    add(
        "np.lib.stride_tricks.sliding_window_view",
        "np.lib.stride_tricks.sliding_window_view(x, (2, 2)).sum((2, 3))",
    )
    add(
        "np.lib.stride_tricks.as_strided", "np.lib.stride_tricks.as_strided(v, (3, 2), (8, 8)) ** 2"
    )
    add("np.polyval", "np.polyval(w, x)")
    add("np.allclose", "x if np.allclose(x, x) else -x")
    add("np.array_equal", "x if np.array_equal(x, x) else -x")
    add("np.isclose", "np.isclose(x, y) * x + x")

    add("np.array", "np.array([x[0], v])", "np.array([[x[0, 0], 1.0], [v[1], 2.0]])", "np.array(x)")
    add("np.asarray", "np.asarray(x) * 2", "np.asarray([x[0, 0], x[1, 1]])")
    add("np.ascontiguousarray", "np.ascontiguousarray(x.T)")
    add("np.full", "np.full((2, 2), x[0, 0])")
    add("np.zeros_like", "np.zeros_like(x) + x")
    add("np.ones_like", "np.ones_like(x) * x")
    add("np.empty_like", "filled(np.empty_like(x), x)")
    add("np.full_like", "np.full_like(x, x[0, 0])")
    add("np.zeros", "filled(np.zeros((3, 4)), x)")
    add("np.ones", "filled(np.ones((3, 4)), x)")
    add("np.empty", "filled(np.empty((3, 4)), x)")
    add("np.eye", "np.eye(4) * v", "added_at(np.eye(4), [0, 0, 2, 1], v)")
    add("np.arange", "np.arange(4) * v", "np.arange(1, 5.0) ** v[:, None]")
    add("np.linspace", "np.linspace(0, 1, 4) * v", "np.linspace(x[0, 0], x[1, 1], 5)")
    add(
        "np.add.at",
        "added_at(np.zeros((3, 4)), [0, 2, 0], x)",
        "added_at(np.zeros(3), ([0, 0, 1, 2],), v)",
    )
    add(
        "np.put_along_axis",
        "put(np.put_along_axis, x * 1, np.array([[0], [3], [1]]), w[:, None], 1)",
    )
    add("np.put", "put(np.put, x * 1, [0, 5], v[:2])")
    add("np.putmask", "put(np.putmask, x * 1, x > 0, y)")
    add("np.place", "put(np.place, x * 1, x > 0, v)")
    add("np.copyto", "put(np.copyto, x * 1, y)")
    add("np.fill_diagonal", "put(np.fill_diagonal, a[0] * 1, w[0])")
    return cases


def filled(room: Any, values: Any) -> Any:
    room[...] = values**2
    return room


def added_at(room: Any, index: Any, values: Any) -> Any:
    np.add.at(room, index, values)
    return room


def put(function: Any, array: Any, *arguments: Any) -> Any:
    function(array, *arguments)
    return array


CASES = _cases()


@functools.cache
def function_of(expression: str) -> tuple[Any, tuple[str, ...]]:
    """Return the function of an expression, and the names of its inputs in order."""
    names = tuple(
        name for name in INPUTS if re.search(rf"(?<![\w.'])\b{name}\b(?!['(=])", expression)
    )
    return eval(f"lambda {', '.join(names)}: {expression}", globals()), names


MADE = ("np.array", "np.asarray", "np.full", "np.fromiter", "np.vectorize", "float", "np.add.at")
"""What stands in the user's code for the function."""


def way(name: str) -> str:
    """Return how a covered function is traced, for the table."""
    from gradcheck.programs.numpy_tracing import registry, rules
    from gradcheck.programs.numpy_tracing.rules.elementwise import add_special_functions
    from gradcheck.programs.numpy_tracing.special import SPECIAL as HANDLED
    from gradcheck.programs.numpy_tracing.ufuncs import REDUCTIONS as REDUCED

    assert rules.__all__
    assert add_special_functions()
    names = {"np": np, "special": special, "math": math}
    head, *rest = name.split(".")
    function = functools.reduce(getattr, rest, names.get(head, math))
    if isinstance(function, np.ufunc):
        assert function in registry.LOOPS or function in registry.ENTRIES, name
        return "elementwise" if function in registry.LOOPS else "its own rule"
    entry = registry.ENTRIES.get(function)
    if entry is not None:
        return "a view of the same memory" if entry.lower is None else "its own rule"
    if function in registry.LOOPS:
        return "elementwise"
    if function in registry.BY_GUARD:
        return "its indices or masks under a guard"
    if function in HANDLED or name in MADE:
        return "by other calls, or as memory that is made or written"
    if isinstance(getattr(function, "__self__", None), np.ufunc):
        return (
            f"as np.{REDUCED[function.__self__].__name__}"
            if function.__self__ in REDUCED
            else "by parts"
        )
    if head == "math":
        return "a guard on the outcome"
    return "its own Python code, traced"


def table() -> str:
    """Return the page in the docs."""
    lines = [
        "# The NumPy functions that are traced",
        "",
        "Code that uses these, the same functions as methods of arrays, indexing of every kind and",
        "in-place operators becomes a program. Every expression is compared with NumPy on random",
        "inputs, and its derivative with finite differences, by `tests/programs/test_numpy_coverage.py`,",
        "which also keeps this page up to date. Anything else makes the tracer abstain: it says which",
        "function it was and on which line.",
        "",
        "*Its own Python code, traced* says that NumPy implements the function in Python by others of",
        "this list, so that it is followed into its implementation.",
        "",
        "| function | traced as | tested on |",
        "| --- | --- | --- |",
    ]
    for name in sorted(CASES, key=lambda name: (name.count("."), name.lower())):
        shown = ", ".join(f"`{expression}`".replace("|", "\\|") for expression in CASES[name])
        lines.append(f"| `{name}` | {way(name)} | {shown} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(table())
