"""Extended precision: the functions against decimals, the verdicts against two traps."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.programs.arithmetics.double_double import Double
from gradcheck.programs.arithmetics.extended import DOUBLE_DOUBLE, EXTENDED, LONG_DOUBLE
from gradcheck.programs.arithmetics.running_error import Bounded
from gradcheck.programs.compat import enable_x64
from gradcheck.programs.evaluation import evaluate

FORMATS = [pytest.param(DOUBLE_DOUBLE, id="double-double")]
if LONG_DOUBLE:
    FORMATS.append(pytest.param(LONG_DOUBLE, id="longdouble"))

DIGITS = 60


def decimal_exp(x):
    return x.exp()


def decimal_erf(x):
    """2/√π Σ (-1)^n x^(2n+1) / (n! (2n+1)), with digits to spare for its cancellation."""
    total, power, factorial, n = Decimal(0), x, Decimal(1), 0
    while n < 50 or abs(power / factorial) > Decimal(10) ** -(DIGITS + 5):
        total += (-1) ** n * power / (factorial * (2 * n + 1))
        n += 1
        power *= x * x
        factorial *= n
    return total * 2 / decimal_pi().sqrt()


def decimal_pi():
    """Machin: π = 16 atan(1/5) - 4 atan(1/239)."""

    def atan_of_inverse(k):
        return sum((-1) ** n / (Decimal(2 * n + 1) * Decimal(k) ** (2 * n + 1)) for n in range(100))

    return 16 * atan_of_inverse(5) - 4 * atan_of_inverse(239)


def decimal_lgamma_of_half_integer(x):
    """Γ(n + 1/2) = (2n)! √π / (4^n n!)."""
    product = decimal_pi().sqrt()
    step = Decimal("0.5")
    while step < x:
        product *= step
        step += 1
    return product.ln()


def exact(number):
    parts = number if isinstance(number, Double) else [float(number), number - float(number)]
    return sum(Decimal(float(part)) for part in parts)


def assert_within(arithmetic, name, x, truth, least=1e-3):
    program = {"erf": jax.scipy.special.erf, "erfc": jax.scipy.special.erfc,
               "lgamma": jax.lax.lgamma, "tanh": jnp.tanh, "logistic": jax.nn.sigmoid,
               "sin": jnp.sin}.get(name) or getattr(jnp, name)  # fmt: skip
    with enable_x64():
        traced = jax.make_jaxpr(program)(0.5)
    (result,) = evaluate(traced, [np.array(float(x))], arithmetic)
    with localcontext() as context:
        context.prec = 2 * DIGITS
        expected = truth(Decimal(float(x)))
        assert abs(exact(result.value) - expected) <= Decimal(float(result.error))
    # Well below a rounding in float64, or the bound would prove nothing.
    assert result.error <= 1e-16 * max(abs(float(expected)), least)


def from_exp(combine):
    return lambda x: combine(x.exp())


TRUTHS = {
    "exp": (decimal_exp, -20, 20),
    "expm1": (from_exp(lambda e: e - 1), -20, 20),
    "log": (lambda x: x.ln(), 0.01, 50),
    "log1p": (lambda x: (1 + x).ln(), -0.9, 50),
    "sqrt": (lambda x: x.sqrt(), 0.01, 50),
    "tanh": (from_exp(lambda e: (e - 1 / e) / (e + 1 / e)), -15, 15),
    "sinh": (from_exp(lambda e: (e - 1 / e) / 2), -15, 15),
    "cosh": (from_exp(lambda e: (e + 1 / e) / 2), -15, 15),
    "logistic": (from_exp(lambda e: e / (1 + e)), -15, 15),
    "erf": (decimal_erf, -5, 5),
    "erfc": (lambda x: 1 - decimal_erf(x), -5, 5),
}


@pytest.mark.parametrize("arithmetic", FORMATS)
@pytest.mark.parametrize("name", TRUTHS)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_a_function_lies_within_its_bound_of_the_decimal_truth(arithmetic, name, data):
    truth, low, high = TRUTHS[name]
    # Closer to 0 the decimal forms would cancel all their digits.
    points = st.floats(low, high).filter(lambda x: x == 0 or abs(x) > 1e-20)
    assert_within(arithmetic, name, data.draw(points), truth)


@pytest.mark.parametrize("arithmetic", FORMATS)
@pytest.mark.parametrize("x", [0.5, 1.5, 2.5, 20.5, 40.5])
def test_log_gamma_of_half_integers(arithmetic, x):
    assert_within(arithmetic, "lgamma", x, decimal_lgamma_of_half_integer, 1.0)


@pytest.mark.parametrize("arithmetic", FORMATS)
@settings(max_examples=40, deadline=None)
@given(*[st.floats(-1e6, 1e6, allow_subnormal=False)] * 3)
def test_rational_operations_lie_within_their_bounds(arithmetic, a, b, c):
    with enable_x64():
        program = jax.make_jaxpr(lambda a, b, c: (a * b - c) / (1.0 + c * c) + a)(0.0, 0.0, 0.0)
    (result,) = evaluate(program, [np.array(v) for v in (a, b, c)], arithmetic)
    a, b, c = map(Fraction, (a, b, c))
    truth = (a * b - c) / (1 + c * c) + a
    parts = result.value if isinstance(result.value, Double) else (
        float(result.value), float(result.value - float(result.value))
    )  # fmt: skip
    value = sum(Fraction(float(part)) for part in parts)
    assert abs(value - truth) <= Fraction(float(result.error))


def judged(claimed, true, *inputs, arithmetic=EXTENDED):
    """Whether two functions agree within extended rounding and the rounding of constants."""
    with enable_x64():
        programs = [jax.make_jaxpr(f)(*inputs) for f in (claimed, true)]
    first, second = (evaluate(p, inputs, arithmetic)[0] for p in programs)
    gap = arithmetic.base.elementwise["sub"](first.value, second.value)
    return bool(np.all(np.abs(arithmetic.base.companion(gap)) <= first.error + second.error))


X = np.random.default_rng(8).normal(size=5)


@pytest.mark.parametrize("arithmetic", FORMATS)
def test_a_third_by_product_or_by_quotient_is_the_same_function(arithmetic):
    assert judged(lambda g: g * (1.0 / 3), lambda g: g / 3, X, arithmetic=arithmetic)
    assert not judged(lambda g: g * 0.3333333333, lambda g: g / 3, X, arithmetic=arithmetic)
    assert not judged(lambda g: g / 3 * (1 + 2e-13), lambda g: g / 3, X, arithmetic=arithmetic)


@pytest.mark.parametrize("arithmetic", FORMATS)
def test_a_detour_by_a_large_number_is_the_same_function_and_not_a_licence(arithmetic):
    """In float64 the detour loses everything; here it is right, and an error of 1e-9 still shows."""
    detour = lambda g: (g + 1e14) - 1e14  # noqa: E731
    assert judged(detour, lambda g: g, X, arithmetic=arithmetic)
    assert not judged(detour, lambda g: g * (1 + 1e-4), X, arithmetic=arithmetic)
    if arithmetic is DOUBLE_DOUBLE:
        assert not judged(detour, lambda g: g * (1 + 1e-9), X, arithmetic=arithmetic)


@pytest.mark.parametrize("arithmetic", FORMATS)
def test_the_two_forms_of_tanh_are_the_same_function(arithmetic):
    by_sigmoid = lambda x: 2 * jax.nn.sigmoid(2 * x) - 1  # noqa: E731
    assert judged(by_sigmoid, jnp.tanh, X, arithmetic=arithmetic)
    assert not judged(lambda x: by_sigmoid(x) * (1 + 1e-12), jnp.tanh, X, arithmetic=arithmetic)


@pytest.mark.parametrize("arithmetic", FORMATS)
def test_linear_algebra_has_no_float64_in_it(arithmetic):
    a = np.random.default_rng(9).normal(size=(4, 4)) + 4 * np.eye(4)

    def residual(a):
        return a @ jnp.linalg.inv(a) - jnp.eye(4)

    with enable_x64():
        program = jax.make_jaxpr(residual)(a)
    (result,) = evaluate(program, [a], arithmetic)
    assert np.all(np.abs(arithmetic.base.companion(result.value)) <= result.error)
    assert np.max(np.abs(arithmetic.base.companion(result.value))) < 1e-18


def test_constants_are_exact_where_few_bits_say_all():
    exactly, rounded = ([0.5, -3.0, 1e14, 0.375, 0.0], [0.1, 1 / 3, np.pi, 1e-3])
    assert not np.any(EXTENDED.constant(np.array(exactly)).error)
    assert np.all(EXTENDED.constant(np.array(rounded)).error > 0)


def test_a_value_may_enter_with_its_own_bound():
    with enable_x64():
        program = jax.make_jaxpr(lambda x: 3 * x)(0.5)
    x = EXTENDED.base.constant(np.array(0.5))
    (result,) = evaluate(program, [Bounded(x, np.array(0.25))], EXTENDED)
    assert result.error == pytest.approx(0.75)
