"""Residues: the laws of the field, and the identities that its functions keep."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gradcheck.errors import Abstention
from gradcheck.programs.arithmetics import modular
from gradcheck.programs.arithmetics.finite_field import FiniteField
from gradcheck.programs.arithmetics.rationals import meant_by
from gradcheck.programs.arithmetics.residues import Draws
from gradcheck.programs.primitives.structure import padded

PRIMES = modular.safe_primes()[[0, -1]]
ORDERS = (PRIMES - 1) // 2
P, Q = int(PRIMES[1]), int(ORDERS[1])

residues = st.integers(0, P - 1)
units = st.integers(1, P - 1)


def is_prime(n):
    return n > 1 and all(n % k for k in range(2, int(n**0.5) + 1))


def test_the_primes_are_safe_and_small_numbers_are_squares_modulo_each():
    primes = modular.safe_primes()
    assert len({*primes.tolist()}) == len(primes) > 400
    for p in primes[::40].tolist():
        assert is_prime(p)
        assert is_prime((p - 1) // 2)
    assert np.all((primes < 2**31) & ((primes - 1) // 2 > modular.SMALLEST_Q))
    for number in (2, 3, 5, 7):
        assert all(pow(number, (p - 1) // 2, p) == 1 for p in primes.tolist())
    assert all(pow(-1, (p - 1) // 2, p) == p - 1 for p in primes.tolist())


def test_no_safe_prime_is_left_out():
    found = {*modular.safe_primes().tolist()}
    for p in range(max(found) - 20 * modular.STEP, 2**31, modular.STEP):
        assert (p in found) == (is_prime(p) and is_prime((p - 1) // 2))


@settings(max_examples=30, deadline=None)
@given(
    arrays(np.int64, (2, 3, 7), elements=residues), arrays(np.int64, (2, 7, 4), elements=residues)
)
def test_a_matrix_product_is_python_s(a, b):
    exact = np.einsum("bij,bjk->bik", a.astype(object), b.astype(object)) % P
    np.testing.assert_array_equal(modular.matmul(a, b, P), exact.astype(np.int64))


def test_a_matrix_product_of_the_largest_residues_does_not_overflow():
    a = np.full((1, 65_000), P - 1, np.int64)
    assert modular.matmul(a, a.T, P)[0, 0] == 65_000 * (P - 1) ** 2 % P


@pytest.mark.parametrize("shape", [(), (3,), (100,), (5, 5, 5), (0,)])
@pytest.mark.parametrize("modulus", [PRIMES, ORDERS])
def test_many_inverses_together(shape, modulus):
    x = np.random.default_rng(0).integers(1, modulus, (*shape, 2))
    assert np.all(x * modular.inverse(x, modulus) % modulus == 1)


@settings(max_examples=30)
@given(units, units, st.integers(0, P), st.integers(0, P))
def test_powers_are_python_s(x, y, first, second):
    found = modular.power(np.array([x, y]), np.array([first, second]), PRIMES)
    assert found.tolist() == [pow(x, first, int(PRIMES[0])), pow(y, second, P)]


@settings(max_examples=50)
@given(units, st.integers(0, Q - 1))
def test_powers_of_roots_by_tables_are_python_s(base, exponent):
    roots = [pow(base, 2, p) for p in PRIMES.tolist()]
    tables = modular.powers_of(np.array(roots), PRIMES)
    found = modular.root_power(tables, np.array([[exponent, 1], [0, exponent]]), PRIMES)
    assert found.tolist() == [
        [pow(roots[0], exponent, int(PRIMES[0])), roots[1]],
        [1, pow(roots[1], exponent, P)],
    ]


def test_hashes_depend_on_entry_and_key():
    x = np.arange(1000)
    first, second = modular.hashed(x, 1, P), modular.hashed(x, 2, P)
    assert len(np.unique(first)) == 1000
    assert not np.any(first == second)
    assert abs(np.mean(first) / P - 0.5) < 0.05


@pytest.mark.parametrize(
    ("constant", "meant"),
    [
        (0.1, "1/10"),
        (1e-5, "1/100000"),
        (0.044715, "8943/200000"),
        (1 / 3, "1/3"),
        (2 / 7, "2/7"),
        (-1 / 300, "-1/300"),
        (np.sqrt(3.0), "√(3)"),
        (1 / np.sqrt(8), "√(1/8)"),
        (1e14, "100000000000000"),
        (np.float32(0.1), "1/10"),
        (np.float32(1) / np.float32(3), "1/3"),
        (0.1 + 0.2, str(Fraction(0.1 + 0.2))),
        (np.pi, str(Fraction(np.pi))),
    ],
)
def test_a_constant_is_the_number_that_was_written(constant, meant):
    assert str(meant_by(constant)) == meant


@pytest.fixture(autouse=True)
def silence():
    """Companions may be infinite or undefined; the evaluator silences that, and so do we."""
    with np.errstate(all="ignore"):
        yield


RNG, DRAWS = np.random.default_rng(11), 3


def variables(*shapes):
    field = FiniteField(Draws.of(DRAWS, RNG))
    return field, *(field.variable(RNG.normal(size=shape)) for shape in shapes)


def residue(value):
    """Return the residues modulo the primes, of which the last axis has one for each draw."""
    return value.lanes[..., :DRAWS]


def assert_equal(a, b):
    np.testing.assert_array_equal(residue(a), residue(b))
    np.testing.assert_allclose(a.companion, b.companion, rtol=1e-9)


def test_exp_turns_sums_into_products():
    field, x, y = variables((5,), (5,))
    exp, add, multiply = (field.elementwise[name] for name in ("exp", "add", "mul"))
    assert_equal(exp(add(x, y)), multiply(exp(x), exp(y)))
    assert not np.any(residue(exp(x)) == residue(exp(y)))


def test_exp_is_a_homomorphism_at_any_depth():
    field, x, y = variables((5,), (5,))
    exp, add, negate = (field.elementwise[name] for name in ("exp", "add", "neg"))
    u, v = exp(x), exp(y)
    assert_equal(exp(add(u, v)), field.multiply(exp(u), exp(v)))
    assert_equal(exp(negate(u)), field.inverse(exp(u)))


def test_exp_of_exp_does_not_look_inside():
    """Certain identities are out of reach; none that is wrong is within."""
    field, x, y = variables((5,), (5,))
    exp, add = field.elementwise["exp"], field.elementwise["add"]
    one_way, other = exp(add(x, y)), field.multiply(exp(x), exp(y))
    assert_equal(one_way, other)
    assert not np.any(residue(exp(one_way)) == residue(exp(other)))


def test_exp_undoes_log_in_sums_and_differences():
    field, x, y = variables((5,), (5,))
    exp, log, add = (field.elementwise[name] for name in ("exp", "log", "add"))
    x, y = (v._replace(companion=np.abs(v.companion)) for v in (x, y))
    assert_equal(exp(log(x)), x)
    assert_equal(exp(field.subtract(y, log(x))), field.divide(exp(y), x))
    assert_equal(exp(add(log(x), log(y))), field.multiply(x, y))
    pad = field.lift(lambda part, fill: padded(part, fill, [(0, 1, 0)]))
    zero, one = (field.constant(np.array(number)) for number in (0.0, 1.0))
    assert_equal(exp(pad(log(x), zero)), pad(x, one))


@pytest.mark.parametrize("deep", [False, True], ids=["of an input", "of an exp"])
def test_sigmoid_and_tanh_keep_their_forms(deep):
    field, x = variables((5,))
    function = field.elementwise
    x = function["exp"](x) if deep else x
    one = field.constant(np.ones(()))
    sigmoid, tanh = function["logistic"](x), function["tanh"](x)
    mirrored = function["logistic"](field.negate(x))
    assert_equal(field.add(sigmoid, mirrored), field.constant(np.ones(5)))
    assert_equal(field.multiply(one, sigmoid), sigmoid)
    assert_equal(function["tanh"](field.negate(x)), field.negate(tanh))
    ratio = field.divide(function["sinh"](x), function["cosh"](x))
    assert_equal(ratio, tanh)


def test_odd_and_even_functions_and_the_circle():
    field, x = variables((5,))
    minus = field.negate(x)
    for name in ("sin", "tan", "erf", "atan"):
        function = field.elementwise[name]
        assert_equal(function(minus), field.negate(function(x)))
    sine, cosine = field.elementwise["sin"](x), field.elementwise["cos"](x)
    assert_equal(field.elementwise["cos"](minus), cosine)
    squares = field.add(field.multiply(sine, sine), field.multiply(cosine, cosine))
    assert np.all(squares.lanes == 1)


def test_log_of_a_reciprocal():
    field, x = variables((5,))
    log = field.elementwise["log"]
    x = x._replace(companion=np.abs(x.companion))
    assert_equal(log(field.inverse(x)), field.negate(log(x)))
    assert np.all(log(field.constant(np.array(1.0))).lanes == 0)


def test_a_square_root_is_one_or_ends_its_draw():
    field = FiniteField(Draws.of(200, RNG, one_prime=True))
    x = field.variable(np.array(2.0))
    root, alive = field.elementwise["sqrt"](x), field.draws.alive
    squares = root.lanes**2 % field.moduli == x.lanes
    np.testing.assert_array_equal(squares[:200], alive)
    assert 50 < np.sum(alive) < 150
    assert field.draws.free == {0}
    field.elementwise["sqrt"](field.multiply(x, field.multiply(x, x)))
    assert len(field.draws.radicands) == 2
    assert field.draws.free == {0}  # x³ is a square wherever x is one


def test_more_square_roots_than_redraws_can_hope_for_abstain():
    field, x = variables((9,))
    square = field.multiply(x, x)
    with pytest.raises(Abstention, match="more than 6 different square roots"):
        field.elementwise["sqrt"](square)


def test_powers_split_into_a_whole_and_a_broken_exponent():
    field, x = variables((4,))
    power = field.elementwise["pow"]
    x = x._replace(companion=np.abs(x.companion))
    exponents = [field.constant(np.array(y)) for y in (2.3, 1.3, -0.7, 3.0)]
    high, low, negative, cube = (power(x, y) for y in exponents)
    assert_equal(high, field.multiply(low, x))
    assert_equal(low, field.multiply(field.multiply(negative, x), x))
    assert_equal(cube, field.multiply(field.multiply(x, x), x))


def test_a_cube_root_is_unique():
    field, x = variables((4,))
    root = field.elementwise["cbrt"](x)
    assert_equal(field.multiply(field.multiply(root, root), root), x)


def test_roots_of_constants_need_no_redraw():
    field = FiniteField(Draws.of(DRAWS, RNG))
    for n in range(2, 12):
        number, written = field.constant(np.array(float(n))), field.constant(np.sqrt(n))
        assert_equal(field.elementwise["sqrt"](number), written)
        reciprocal = field.constant(np.array(1 / np.sqrt(n)))
        assert np.all(residue(field.multiply(written, reciprocal)) == 1)


def test_a_zero_divisor_ends_its_draw_and_a_true_zero_has_no_quotient():
    field, x = variables(())
    lanes = x.lanes.copy()
    lanes[1] = 0
    field.inverse(x._replace(lanes=lanes))
    assert field.draws.alive.tolist() == [True, False, True]
    quotient = field.inverse(field.constant(np.zeros(())))
    assert np.all(quotient.lanes == -1)
    assert np.all(field.add(quotient, x).lanes == -1)
    assert field.draws.alive.tolist() == [True, False, True]


def test_degrees_bound_each_fraction_and_all_of_them_over_one_denominator():
    field, x, y = variables((3,), (3,))
    quotient = field.divide(x, y)
    assert quotient.degree == (1, 1, 3, 3)  # x1 y2 y3 / y1 y2 y3
    assert field.add(quotient, x).degree == (2, 1, 4, 3)
    assert field.multiply(quotient, quotient).degree == (2, 2, 6, 6)
    assert field.sum(quotient, (0,)).degree == (3, 3, 3, 3)


def test_sums_over_one_denominator_do_not_multiply_degrees():
    """Ten layers of a width of three: the degree grows by a term for each, not by a factor."""
    field, x, y = variables((3,), (3,))
    x = field.divide(x, y)
    for _ in range(10):
        spread = field.lift(lambda a: np.stack([a, a, a]))(x)
        x = field.sum(spread, (1,))
    assert x.degree.larger == 3
