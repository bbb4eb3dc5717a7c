# ruff: noqa: B008, NPY002, RET504 - as people write it
"""Code that tempts a tracer into a wrong program. Each snippet is a function of `x`, shape (4, 3).

`RIGHT` must be traced to the right program; `ABSTAINS` pairs a snippet with words of the reason for
which it must be refused.
"""

from __future__ import annotations

import copy
import functools
import math
import pickle
import random
from collections import defaultdict, deque, namedtuple
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import exp
from typing import Any, NamedTuple

import numpy as np
import numpy.linalg as la
from numpy import zeros as make_room
from numpy.lib.stride_tricks import as_strided, sliding_window_view

RIGHT: list[Any] = []
ABSTAINS: list[tuple[Any, str]] = []


def right(function):
    RIGHT.append(function)
    return function


def abstains(words):
    def register(function):
        ABSTAINS.append((function, words))
        return function

    return register


# Views and aliases


@right
def write_through_a_slice(x):
    out = np.ones((4, 3))
    view = out[1:3]
    view[...] = x[:2] ** 2
    return out


@right
def write_through_a_transpose_of_a_reshape(x):
    y = x.copy()
    y.reshape(2, 6).T[2] = x[0, :2] * 3
    return y


@right
def ravel_is_a_view_here_and_a_copy_there(x):
    y = x * 1.0
    y.ravel()[0] = 10.0
    z = (x * 1.0).T
    z.ravel()[1] = 20.0
    return y + z.T


@right
def stale_view_reads_the_new_memory(x):
    y = x * 2
    row = y[1]
    y[1, :] = np.sin(x[0])
    return row * x[2]


@right
def two_views_overlap(x):
    y = x.reshape(-1) * 1.0
    y[1:] += y[:-1]
    y[:-2] -= y[2:]
    return y


@right
def reversed_and_strided_view(x):
    y = np.zeros_like(x)
    y[::-2, ::-1] = x[:2]
    return y * x


@right
def view_kept_in_a_list(x):
    y = x + 0.0
    rows = [y[i] for i in range(4)]
    for i, row in enumerate(rows):
        row *= i
    return y


@right
def swap_by_views_is_a_bug_that_must_be_kept(x):
    y = x * 1.0
    y[0], y[1] = y[1], y[0]
    return y


@right
def swap_by_fancy_index(x):
    y = x * 1.0
    y[[0, 1]] = y[[1, 0]]
    return y


@right
def diagonal_written_through_flat(x):
    y = np.zeros((3, 3))
    y.flat[:: 3 + 1] = x[0]
    return y @ x.T


@right
def fill_the_diagonal(x):
    y = x[:3] * 1.0
    np.fill_diagonal(y, x[3, 0])
    return y


@right
def windows_as_strided(x):
    y = np.ascontiguousarray(x * 2)
    s = y.strides
    return as_strided(y, (3, 2, 3), (s[0], s[0], s[1])).sum(axis=1)


@right
def sliding_windows_see_a_later_write(x):
    y = x[:, 0] * 1.0
    windows = sliding_window_view(y, 2)
    y[1] = x[0, 1] * x[0, 2]
    return windows.prod(axis=-1)


@right
def broadcast_then_reduce(x):
    wide = np.broadcast_to(x[:, None, :], (4, 2, 3))
    return (wide * np.arange(2.0)[:, None]).sum(axis=1)


@right
def in_place_on_the_input(x):
    x *= 2
    x[0] += x[1]
    return x


@right
def in_place_on_a_view_of_the_input(x):
    first = x[0]
    first -= x.mean()
    return x.sum(axis=0)


@right
def out_is_an_operand(x):
    y = x * 1.0
    np.multiply(y, y, out=y)
    np.add(y, x, out=y, where=x > 0)
    return y


@right
def matrix_product_into_out(x):
    y = np.empty((4, 4))
    np.matmul(x, x.T, out=y)
    np.dot(y, y, out=y[:])
    return y / 10


@right
def shape_is_assigned(x):
    y = x * 1.0
    y.shape = (2, 6)
    y[0] = 1.0
    return y.T


@right
def scalar_rebinds_where_array_mutates(x):
    total = x[0, 0]
    first = total
    total += x[1, 1]
    return np.array([first, total])


@right
def augmented_assignment_of_an_element(x):
    y = np.zeros(3)
    for row in x:
        for j in range(3):
            y[j] += row[j] ** 2
    return y


@right
def zero_dimensional_array_is_mutable(x):
    total = np.zeros(())
    alias = total
    for row in x:
        total += row.sum()
    return alias * x[0]


@right
def split_gives_views(x):
    y = x * 1.0
    top, bottom = np.split(y, 2)
    top += bottom
    return y


@right
def copy_is_no_view(x):
    y = x * 1.0
    z = y.copy()
    y[0] = 0.0
    return z + copy.deepcopy(y) + copy.copy(z)


# Conversions


@right
def asarray_is_no_copy(x):
    y = np.asarray(x)
    z = np.array(x)
    y[0] = 0
    return x + z


@right
def ascontiguousarray_copies_only_when_it_must(x):
    y = np.ascontiguousarray(x)
    y[0, 0] = 1.0
    z = np.ascontiguousarray(x.T)
    z[1] = 2.0
    return x.T * z


@right
def array_of_elements(x):
    return np.array([[x[0, 0], 1.0], [x[1, 1], x[2, 2] * 2]])


@right
def list_of_rows(x):
    return np.stack([row / row.sum() for row in x]) + np.array(list(x))


@right
def float_and_math(x):
    return x * float(x[0, 0]) + math.tanh(x[1, 1]) + math.sqrt(abs(x[2, 2])) + exp(x[0, 1])


@right
def item_and_tolist(x):
    rows = x.tolist()
    return np.array(rows[1]) * x.item(2) + x[3, 1].item()


@right
def builtins_on_arrays(x):
    return sum(x) * max(x[0]) - abs(min(x[:, 1])) + round(x[0, 0] * 100, 0)


@right
def integer_from_a_float(x):
    return x * int(x[0, 0] * 3) + math.floor(x[1, 0])


@right
def astype_and_float32(x):
    return x.astype(np.float32).astype(float) + x.astype(float, copy=False)


@right
def python_loop_in_c(x):
    return np.vectorize(math.sin)(x)


@right
def summed_by_fsum(x):
    return x * math.fsum(x[0])


@abstains("pickled")
def pickled(x):
    return x * pickle.loads(pickle.dumps(x))


@abstains("asks for plain numbers")
def buffer_protocol(x):
    with np.nditer(x) as elements:
        return x * sum(float(e) for e in elements)


@abstains("is not covered")
def bytes_of_memory(x):
    return x * np.frombuffer(x.tobytes()).reshape(x.shape)


@abstains("is not covered")
def other_dtype_of_the_same_memory(x):
    return (x * 1.0).view(np.int64).astype(float)


@abstains("part at output")
def value_through_text(x):
    return x * np.float64(f"{x[0, 0]:.3f}")


# State


BUFFER = np.zeros((4, 3))
CALLS = {"count": 0}
HISTORY: list[Any] = []
SCALE = np.array([1.0, 2.0, 3.0])
LATEST = np.zeros((4, 3))


@right
def global_buffer(x):
    np.maximum(x, 0.1, out=BUFFER)
    return BUFFER * SCALE


@right
def global_buffer_that_remembers(x):
    BUFFER[0] += x[0]
    return BUFFER + x


@np.vectorize
def softplus_of_one(v):
    return v + math.log1p(math.exp(-v)) if v > 0 else math.log1p(math.exp(v))


@right
def vectorized_at_its_definition(x):
    return softplus_of_one(x) * x


@right
def vectorized_over_positions(x):
    return np.vectorize(lambda i, j: x[i, j] ** 2 + x[j, i], otypes=[float])([[0], [1]], [0, 2])


@right
def vectorized_to_the_type_of_its_first_result(x):
    return x * np.vectorize(lambda v: 0 if v == x[0, 0] else 3 * v)(x)


@abstains("np.vectorize with keywords, excluded= or signature= is not covered")
def vectorized_by_signature(x):
    return np.vectorize(lambda row: row * 2, signature="(n)->(n)")(x)


@right
def global_in_a_class_body(x):
    class Settings:
        factor = SCALE * len(SCALE)
        widths = tuple(SCALE.size for _ in range(2))

    return x * Settings.factor + Settings.widths[1]


@right
def globals_found_by_their_names(x):
    BUFFER[...] = 0
    globals()["BUFFER"][0] = x[0] ** 2
    return BUFFER + globals()["SCALE"] * x


@right
def global_assigned_in_the_run(x):
    global LATEST
    LATEST = x * 2
    return LATEST + LATEST**2


@right
def counter_in_a_global(x):
    CALLS["count"] += 1
    return x * CALLS["count"]


@right
def history_in_a_list(x):
    HISTORY.append(x)
    return sum(HISTORY) * 2


def default_argument_is_shared(x, seen=[np.ones(3)]):  # noqa: B006 - the snippet's point
    seen[0] *= x[0]
    return x * seen[0]


right(default_argument_is_shared)


@functools.lru_cache
def scale_for(width):
    return np.full(width, 1 / width)


@right
def cached_constant(x):
    return x * scale_for(3)


@functools.lru_cache
def cached_square(value):
    return value * value


@abstains("used as a parameter")
def cached_by_value(x):
    return x * cached_square(x[0, 0])


def memoise(function):
    known = {}

    @functools.wraps(function)
    def remembered(x):
        key = x.shape
        if key not in known:
            known[key] = function(x)
        return known[key]

    return remembered


@right
@memoise
def cached_by_shape(x):
    return x**2


class Layer:
    gain = np.array(2.0)

    def __init__(self):
        self.cache = None
        self.total = np.zeros(3)
        self.queue = deque(maxlen=2)
        self.rng = np.random.default_rng(5)

    @property
    def doubled(self):
        return self.cache * self.gain

    def forward(self, x):
        self.cache = x
        self.total += x.sum(axis=0)
        self.queue.append(x[0])
        return self.doubled + self.total + self.queue[-1]

    def noisy(self, x):
        return x + self.rng.normal(size=x.shape)


LAYER = Layer()


@right
def state_on_an_object(x):
    return LAYER.forward(x) + LAYER.forward(x * 2)


right(LAYER.noisy)
right(Layer().forward)


@dataclass
class Settings:
    power: int = 3
    weights: Any = field(default_factory=lambda: np.arange(1.0, 4.0))


class Cached(NamedTuple):
    value: Any
    settings: Settings


Plain = namedtuple("Plain", "first second")


@right
def containers(x):
    kept = Cached(x * 2, Settings())
    groups = defaultdict(list)
    for row in kept.value:
        groups["rows"].append(row)
    pair = Plain(groups["rows"][0], [groups["rows"][1]])
    return {"a": pair.first * kept.settings.weights, "b": (pair.second[0] ** kept.settings.power,)}


def counting():
    n = 0

    def step(x):
        nonlocal n
        n += 1
        return x * n

    return step


right(counting())


def weights():
    while True:
        yield 1.0


WEIGHTS = weights()
next(WEIGHTS)


@abstains("generator")
def shared_generator(x):
    return x * next(WEIGHTS)


@right
def own_generator(x):
    def scaled():
        for i, row in enumerate(x):
            yield row * i

    return np.array(list(scaled()))


@abstains("part at output")
def fresh_entropy(x):
    return x * np.random.default_rng().random()


@right
def drawn_with_a_seed(x):
    return x * np.random.default_rng(3).random(3)


@right
def drawn_globally(x):
    keep = np.random.rand(*x.shape) < 0.5
    keep[0] = True
    return np.where(keep, x, 0) / 0.5 + random.random()


@right
def drawn_and_written_to(x):
    noise = np.random.normal(size=x.shape)
    noise *= x
    return noise


# Branches, sorting, ties, masks


@right
def branch_on_a_value(x):
    if x[0, 0] > 0 and not x.sum() < -50:
        return x * 2
    return -x


@right
def loop_until_small(x):
    y = x * 1.0
    while np.abs(y).max() > 0.5:
        y = y / 2
    return y


@right
def sorted_by_value(x):
    order = np.argsort(x[:, 0])
    y = x[order]
    return y * np.arange(1, 5)[:, None] + np.sort(x, axis=0)


@right
def python_sort_by_value(x):
    rows = sorted(x, key=lambda row: row[1])
    return rows[0] - rows[-1]


@right
def winner_by_argmax(x):
    best = np.argmax(x, axis=1)
    y = np.zeros_like(x)
    y[np.arange(4), best] = x[np.arange(4), best] ** 2
    return y + best[:, None]


@right
def ties_in_max(x):
    y = np.maximum(x, x) + np.max(np.stack([x, x]), axis=0)
    return y


@right
def boolean_mask_read_and_written(x):
    y = x * 1.0
    positive = y > 0
    y[positive] = np.sqrt(y[positive])
    y[~positive] *= 0.1
    y[y > 1] = 1.0
    return y


@right
def mask_over_rows_only(x):
    y = x * 1.0
    y[x[:, 0] > 0] = x[3]
    y[x[:, 1] < 0] = 0.5
    return y


@right
def where_gives_indices(x):
    rows, columns = np.where(x > 0.3)
    out = np.zeros(4)
    np.add.at(out, rows, x[rows, columns] ** 2)
    return out


@right
def count_as_a_number(x):
    active = (x > 0).sum()
    return x / max(active, 1)


@right
def nonzero_and_count_nonzero(x):
    y = np.where(x > 0, x, 0)
    return y / np.count_nonzero(y + 1e-30, axis=0) + len(np.nonzero(x > 0)[0])


@abstains("used as a parameter")
def unique_values(x):
    return np.unique(x) * 2


@right
def repeated_indices_last_wins(x):
    y = np.zeros(3)
    y[[0, 0, 2]] = x[:3, 0]
    y[[1, 1]] += x[0, :2]
    return y


@right
def updates_at_repeated_indices(x):
    y = np.ones(3)
    np.multiply.at(y, [0, 0, 2], x[:3, 0])
    np.maximum.at(y, [1, 1], x[0, :2])
    np.subtract.at(y, 0, 5 * x[3, 0])
    return y


@right
def list_and_negative_indices(x):
    return x[[-1, 0, -1]] + x[-2][[0, -1, 1]] + x[..., None][1, :, 0]


@right
def put_place_and_copyto(x):
    y = np.zeros((4, 3))
    np.copyto(y, x, where=x > 0)
    np.put(y, [0, 5], x[1, :2])
    np.putmask(y, y > 1, 1.5)
    np.place(y, y < 0.1, [x[0, 0], x[0, 1]])
    np.put_along_axis(y, np.array([[0], [1], [2], [0]]), x[:, :1], axis=1)
    return y


@right
def ufunc_methods(x):
    y = np.add.reduce(x, axis=1) + np.multiply.reduce(x, 1)
    z = np.add.accumulate(x, axis=0)[-1] + np.maximum.accumulate(x)[-1]
    return np.multiply.outer(y, z) + np.add.reduceat(x[:, 0], [0, 2]).sum()


@right
def logaddexp_reduce(x):
    return np.logaddexp.reduce(x, axis=1) + np.subtract.reduce(x, axis=1)


@right
def swallowed_type_error(x):
    try:
        x.no_such_method()
    except AttributeError:
        return x * 2
    return x


@abstains("asks for plain numbers")
def swallowed_everything(x):
    try:
        return x * next(np.nditer(x))
    except Exception:
        return x


@abstains("asks for plain numbers")
def swallowed_even_base_exceptions(x):
    try:
        scale = np.float32(x[0, 0])
    except BaseException:
        scale = 1.0
    return x * scale


@right
def assertions_on_values(x):
    assert np.all(np.isfinite(x))
    assert np.allclose(x, x)
    assert isinstance(x, np.ndarray)
    assert isinstance(x[0, 0], float)
    np.testing.assert_array_equal(x.shape, (4, 3))
    return x + 1


@right
def asks_for_the_type(x):
    if type(x) is np.ndarray or isinstance(x, np.ndarray):
        return x * 2
    return x


@abstains("part at output")
def trusts_only_the_exact_type(x):
    return x * 2 if type(x) is np.ndarray else x


@abstains("another thread")
def written_from_a_thread(x):
    out = np.zeros(4)

    def work(i):
        out[i] = x[i].sum()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(4)))
    return out


@right
def imports_inside(x):
    import numpy
    from numpy import empty, linalg

    y = empty((4, 3))
    y[:] = x / linalg.norm(x)
    return numpy.square(y)


@right
def names_under_other_names(x):
    out = make_room(3)
    out[0] = la.norm(x)
    out[1:] = la.det(x[:3]), la.inv(x[:3]).sum()
    return out


@right
def array_api_namespace(x):
    xp = x.__array_namespace__()
    y = xp.zeros((3, 4))
    y[...] = xp.permute_dims(x, (1, 0))
    return xp.concat([y, xp.matrix_transpose(x)], axis=1)


@right
def result_that_does_not_depend_on_x(x):
    return np.ones(x.shape), x * 0 + 1, 3.0


@right
def unused_and_dead_code(x):
    y = np.zeros(3)
    y[0] = x[0, 0]
    y[:] = 5.0
    return y * x[0]


@abstains("read-only")
def write_to_the_real_part(x):
    z = x + 1j * x
    z.real[0] = 5.0
    return z * 2


@right
def real_part_of_real_numbers_is_a_view(x):
    y = x * 1.0
    y.real[0] = 5.0
    np.real(y)[1] += 1
    return y * np.imag(x + 2j * x)


@abstains("shows one element several times")
def write_to_overlapping_windows(x):
    y = x[:, 0] * 1.0
    windows = as_strided(y, (3, 2), (8, 8))
    windows[...] = windows * 2
    return y


@right
def einsum_and_friends(x):
    a = np.einsum("ij,kj->ik", x, x) + np.einsum("ij,ij->i", x, x)[:, None]
    b = np.tensordot(x, x, axes=([1], [1])) + np.inner(x, x) + np.outer(x[:, 0], x[:, 1])
    return a * b + np.einsum("ii", a) + np.kron(x[0], x[:, 0]).sum()


@right
def empty_arrays(x):
    nothing = x[:0]
    return np.concatenate([nothing, x]).sum(axis=0) + nothing.sum(axis=0)


@right
def sequence_of_scalars(x):
    return (
        np.mean([x[0, 0], x[1, 1] ** 2, 3.0]) + np.max([x[0], x[1]], axis=0) + np.hypot(*x[0, :2])
    )


@abstains("raised ZeroDivisionError")
def raises(x):
    return x / (1 // 0)


@right
def constants_through_uncovered_functions(x):
    order = np.arange(4)
    np.random.shuffle(order)
    lookup = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.fill_diagonal(lookup, 7.0)
    chosen = np.random.choice(lookup.ravel(), size=3)
    window = np.hanning(5)[1:4] + np.fft.rfft(chosen).real.sum()
    return x[order] * chosen + window + np.choose([0, 1, 1], [lookup[0, 0], window])


@right
def constants_that_change_between_uses(x):
    order, table = np.arange(4), np.eye(3)
    y = x[order] @ table
    order[:2] = order[1::-1]
    np.fill_diagonal(table, 7.0)
    y = y * x[order] @ table
    np.random.default_rng(0).shuffle(table)
    np.random.shuffle(order)
    return y[order] @ table + table.sum()


@right
def own_reverse_mode(x):
    class Value:
        def __init__(self, data, parents=(), backward=lambda g: ()):
            self.data, self.parents, self.backward, self.grad = data, parents, backward, 0.0

        def __add__(self, other):
            return Value(self.data + other.data, (self, other), lambda g: (g, g))

        def __mul__(self, other):
            return Value(
                self.data * other.data, (self, other), lambda g: (g * other.data, g * self.data)
            )

        def tanh(self):
            t = np.tanh(self.data)
            return Value(t, (self,), lambda g: (g * (1 - t**2),))

        def run(self):
            order, seen = [], set()

            def visit(value):
                if value not in seen:
                    seen.add(value)
                    for parent in value.parents:
                        visit(parent)
                    order.append(value)

            visit(self)
            self.grad = np.ones_like(self.data)
            for value in reversed(order):
                for parent, g in zip(value.parents, value.backward(value.grad), strict=True):
                    parent.grad = parent.grad + g

    leaf = Value(x)
    ((leaf * leaf + leaf).tanh() * leaf).run()
    return leaf.grad


# Objects of a library that wrap arrays, and memory made by the type itself


class Wrapped:
    """A value that asks, by NumPy's older protocol, that arrays leave their operators to it."""

    __array_priority__ = 200

    def __init__(self, data):
        if not isinstance(data, np.ndarray):
            raise TypeError(f"{type(data)} is no array")
        self.data = data

    def __rmul__(self, other):
        return Wrapped(3 * other * self.data)

    def __rsub__(self, other):
        return Wrapped(other - 2 * self.data)


@right
def an_array_leaves_its_operators_to_what_has_the_higher_priority(x):
    return (x * (x - Wrapped(x**2))).data


@right
def memory_made_by_the_type_ndarray(x):
    room = np.ndarray((2, *x.shape), dtype=x.dtype)
    for number in range(2):
        room[number] = x ** (number + 1)
    return room if isinstance(room, np.ndarray) else None


@abstains("plain numbers")
def memory_made_by_the_type_ndarray_over_a_buffer(x):
    room = np.ndarray(x.shape, float, bytearray(8 * x.size))
    room[...] = 2 * x
    return room
