"""Complex arrays: gradients by either convention, a missing conjugate found under each."""

import numpy as np
import pytest

import gradcheck
from gradcheck import ContractError, verify

SEED, EXAMPLES = 1, 8
Z = gradcheck.complex("N")


def verified(rule):
    return verify(rule, seed=SEED, examples=EXAMPLES, checks=["gradient"])


def square(z):
    return z * z


def times_derivative(dw, z):
    return 2 * dw * z


def times_conjugate(dw, z):
    return 2 * dw * np.conj(z)


def modulus(z):
    return np.abs(z)


def product_of_both(w, z):
    return np.conj(w) * z, np.real(w * z)


PULLBACKS = {"jax": times_derivative, "torch": times_conjugate}
OTHER = {"jax": "torch", "torch": "jax"}

KINDS = {
    "vjp": lambda right, convention: gradcheck.vjp(
        square, PULLBACKS[convention if right else OTHER[convention]], z=Z, conjugation=convention
    ),
    "pair": lambda right, convention: gradcheck.pair(
        lambda z: (square(z), z),
        lambda dw, z: (1 if right else 1.001) * PULLBACKS[convention](dw, z),
        z=Z,
        conjugation=convention,
    ),
    "gradient of a real loss": lambda right, convention: gradcheck.gradient(
        lambda z: np.sum(np.abs(z) ** 2),
        lambda z: 2 * (z if right == (convention == "torch") else np.conj(z)),
        z=Z,
        conjugation=convention,
    ),
    "real output of modulus": lambda right, convention: gradcheck.vjp(
        modulus,
        lambda dy, z: dy * (z if right == (convention == "torch") else z.conj()) / np.abs(z),
        inputs=lambda rng: (rng.normal(size=3) + 1j * (1 + rng.random(3)),),
        conjugation=convention,
    ),
    "complex output of a real input": lambda right, convention: gradcheck.vjp(
        lambda x: np.exp(1j * x),
        lambda dw, x: np.real(
            (dw if right == (convention == "torch") else dw.conj()) * np.conj(1j * np.exp(1j * x))
        ),
        x="N",
        conjugation=convention,
    ),
    "a layer": lambda right, convention: gradcheck.layer(
        Rotation if right else RotationWrong,
        z=Z,
        params=["w"],
        w=gradcheck.complex(""),
        grads=["dw"],
        conjugation="torch",
    ),
}


class Rotation:
    """A complex factor, by torch's convention."""

    def __init__(self):
        self.w = np.array(1j)

    def forward(self, z):
        self.z = z
        return self.w * z

    def backward(self, dout):
        self.dw = np.sum(dout * self.z.conj())
        return dout * np.conj(self.w)


class RotationWrong(Rotation):
    def backward(self, dout):
        super().backward(dout)
        return dout * self.w


@pytest.mark.parametrize("convention", PULLBACKS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_declared_convention_is_held_to(kind, convention):
    report = verified(KINDS[kind](True, convention))
    assert report.verdict == "pass", str(report)
    report = verified(KINDS[kind](False, convention))
    assert report.verdict == "fail", str(report)


@pytest.mark.parametrize("convention", PULLBACKS)
def test_the_convention_that_fits_is_named(convention):
    finding = verified(KINDS["vjp"](False, convention)).findings[0]
    assert finding.input in ("z.real", "z.imag")
    assert finding.diagnosis == (
        f"right by the other convention of complex gradients: conjugation='{OTHER[convention]}'"
    )
    finding = verified(KINDS["pair"](False, convention)).findings[0]
    assert "convention" not in finding.diagnosis


@pytest.mark.parametrize("pullback", [times_derivative, times_conjugate])
def test_an_undeclared_convention_is_inconclusive_and_says_what_to_declare(pullback):
    report = verified(gradcheck.vjp(square, pullback, z=Z))
    assert report.verdict == "inconclusive"
    assert "conjugation='jax' if the backward returns dw * f'(z)" in report.checks[0].reason
    assert "conjugation='torch' if dw * conj(f'(z))" in report.checks[0].reason


def test_a_tangent_needs_no_convention():
    def cubic(z):
        return z * z * np.conj(z)

    def jvp(inputs, tangents):
        (z,), (t,) = inputs, tangents
        return 2 * z * np.conj(z) * t + z * z * np.conj(t)

    def jvp_without_conj(inputs, tangents):
        (z,), (t,) = inputs, tangents
        return 2 * z * np.conj(z) * t + z * z * t

    assert verified(gradcheck.jvp(cubic, jvp, z=Z)).verdict == "pass"
    assert verified(gradcheck.jvp(cubic, jvp_without_conj, z=Z)).verdict == "fail"


def test_custom_rules_of_jax_keep_its_convention():
    import jax
    import jax.numpy as jnp

    def with_pullback(pullback):
        @jax.custom_vjp
        def f(z):
            return z * z

        f.defvjp(lambda z: (z * z, z), lambda z, dw: (pullback(dw, z),))
        return gradcheck.jax_rule(f, z=Z)

    assert verified(with_pullback(lambda dw, z: 2 * dw * z)).verdict == "pass"
    assert verified(with_pullback(lambda dw, z: 2 * dw * jnp.conj(z))).verdict == "fail"


def test_functions_of_torch_keep_its_convention():
    torch = pytest.importorskip("torch", reason="torch is not installed")

    def with_pullback(pullback):
        class Square(torch.autograd.Function):
            @staticmethod
            def forward(ctx, z):
                ctx.save_for_backward(z)
                return z * z

            @staticmethod
            def backward(ctx, dw):
                return pullback(dw, *ctx.saved_tensors)

        return gradcheck.torch_function(Square, z=Z)

    assert verified(with_pullback(lambda dw, z: 2 * dw * z.conj())).verdict == "pass"
    assert verified(with_pullback(lambda dw, z: 2 * dw * z)).verdict == "fail"


@pytest.mark.parametrize(
    ("declare", "sentence"),
    [
        (
            lambda: gradcheck.vjp(square, times_derivative, z=Z, conjugation="numpy"),
            r"conjugation='numpy' is no convention.*conjugation='jax'.*conjugation='torch'",
        ),
        (
            lambda: gradcheck.jvp(square, lambda i, t: 2 * i[0] * t[0], z=Z, conjugation="jax"),
            r"gradcheck.jvp: conjugation='jax' is out of place.*leave it out",
        ),
    ],
)
def test_a_convention_that_makes_no_sense_is_refused(declare, sentence):
    with pytest.raises(ContractError, match=sentence):
        declare()
