"""autograd 1.9: its table of vector-Jacobian products and of Jacobian-vector products."""

import numpy as np
import pytest
from hypothesis import strategies as st

import gradcheck
from tests.third_party.central import agree, slopes

pytest.importorskip("autograd", reason="autograd is not installed (see docs/third-party.md)")

from autograd import make_vjp
from autograd import numpy as anp

pytestmark = pytest.mark.third_party

one_of, positive = gradcheck.one_of, gradcheck.positive


def tabled(function, **declared):
    """Declare a primitive with its row of the table, by each of its real arguments."""

    def vjp(dout, *inputs):
        real = [place for place, value in enumerate(inputs) if hasattr(value, "dtype")]
        found = dict.fromkeys(range(len(inputs)))
        for place in real:
            found[place] = make_vjp(function, place)(*inputs)[0](dout)
        return [found[place] for place in range(len(inputs))]

    return gradcheck.vjp(function, vjp, **declared)


def inside(low, high):
    return gradcheck.elements("N D", st.floats(low, high))


def near_zero(shape):
    return gradcheck.elements(shape, st.floats(-1, 1))


power = tabled(anp.power, x=positive("N D"), y="D")
maximum = tabled(anp.maximum, x="N D", y="D")
logaddexp = tabled(anp.logaddexp, x="N D", y="D")
arctan2 = tabled(anp.arctan2, x="N D", y=positive("N D"))
sinc = tabled(anp.sinc, x=inside(0.1, 3))
sinc_at_zero = tabled(
    anp.sinc,
    x=gradcheck.elements("N D", st.just(0.0)),
    expected_failures={"gradient": "it is 0 / 0 there, and the slope is 0"},
)
clip = tabled(lambda x: anp.clip(x, -0.5, 1.0), x="N D")
var = tabled(
    lambda x, axis, ddof: anp.var(x, axis=axis, ddof=ddof),
    x="A+1 B+1",
    axis=one_of(None, 0, -1),
    ddof=one_of(0, 1),
)
std = tabled(
    lambda x, axis, ddof: anp.std(x, axis=axis, ddof=ddof),
    x="A+2 B+2",
    axis=one_of(None, 0, -1),
    ddof=one_of(0, 1),
    expected_failures={"extremes": "NaN where it is 0, a kink with the subgradient 0"},
)
prod = tabled(lambda x, axis: anp.prod(x, axis=axis), x=inside(0.1, 3), axis=one_of(None, 0, -1))
prod_with_zeros = tabled(
    lambda x: anp.prod(x, axis=1),
    x=gradcheck.elements("2 3", st.sampled_from([0.0, 2.0])),
    expected_failures={"gradient": "the product is divided by the entry: NaN where that is 0"},
)
amax = tabled(lambda x, axis: anp.max(x, axis=axis), x="N D", axis=one_of(None, 0, -1))
tile = tabled(lambda x: anp.tile(x, (2, 1, 3)), x="N D")
repeat = tabled(lambda x, axis: anp.repeat(x, 2, axis=axis), x="N D", axis=one_of(0, 1, None))
repeat_last_axis = tabled(
    lambda x: anp.repeat(x, 2, axis=-1),
    x="2 3",
    expected_failures={"gradient": "a negative axis is taken for another"},
)
pad = tabled(lambda x: anp.pad(x, ((1, 0), (0, 2)), mode="constant"), x="N D")
diff = tabled(lambda x, axis: anp.diff(x, axis=axis), x="N+1 D+1", axis=one_of(0, 1))
sort = tabled(lambda x: anp.sort(x), x="N")
diagonal = tabled(lambda x: anp.diagonal(x, axis1=-1, axis2=-2), x="A N N")
kron = tabled(anp.kron, x="A B", y="C D")
dot = tabled(anp.dot, x="A N D", y="B D M")
einsum = tabled(lambda x, y: anp.einsum("nij,jk->ik", x, y), x="N I J", y="J K")
solve = tabled(
    lambda a, b: anp.linalg.solve(a + 9 * anp.eye(len(b)), b),
    a=near_zero("N N"),
    b="N M",
)
inverse = tabled(
    lambda a: anp.linalg.inv(a + 9 * anp.eye(a.shape[0])),
    a=near_zero("N N"),
)
slogdet = tabled(
    lambda a: anp.linalg.slogdet(a + 9 * anp.eye(a.shape[0]))[1],
    a=near_zero("N N"),
)
cholesky = tabled(
    lambda a: anp.linalg.cholesky((a + a.T) / 2 + 9 * anp.eye(a.shape[0])),
    a=near_zero("N N"),
)
norm = tabled(
    lambda x, order: anp.linalg.norm(x, order, axis=1),
    x="N D",
    order=one_of(None, 2, 3),
    expected_failures={"extremes": "NaN where it is 0, a kink with the subgradient 0"},
)
eigh = tabled(lambda a: anp.linalg.eigh((a + a.T) / 2)[0], a="3 3")
svd_values = tabled(lambda a: anp.linalg.svd(a, compute_uv=False), a="3 2")


def test_the_slope_of_sinc_at_zero_is_nan():
    zero = np.zeros(1)
    with np.errstate(invalid="ignore"):
        claimed = make_vjp(anp.sinc, 0)(zero)[0](np.ones(1))
    assert np.isnan(claimed[0])
    assert agree(slopes(lambda x: np.sum(np.sinc(x)), zero), zero)


@pytest.mark.parametrize("count", [2, 3])
def test_the_backward_of_gradient_raises_for_fewer_than_four_entries(count):
    vjp, output = make_vjp(lambda x: anp.gradient(x, axis=0), 0)(np.arange(float(count)))
    with pytest.raises((ValueError, IndexError)):
        vjp(np.ones(output.shape))


def test_the_derivative_of_a_product_with_a_zero_is_nan():
    x = np.array([0.0, 2.0, 3.0])
    with np.errstate(invalid="ignore", divide="ignore"):
        claimed = make_vjp(anp.prod, 0)(x)[0](1.0)
    assert np.isnan(claimed[0])
    assert agree(slopes(np.prod, x), [6.0, 0.0, 0.0])


def test_the_backward_of_repeat_takes_a_negative_axis_for_another():
    x, dout = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(2, 6)
    true = slopes(lambda x: np.sum(dout * np.repeat(x, 2, axis=-1)), x)
    assert agree(make_vjp(lambda x: anp.repeat(x, 2, axis=1), 0)(x)[0](dout), true)
    assert not agree(make_vjp(lambda x: anp.repeat(x, 2, axis=-1), 0)(x)[0](dout), true)


def test_the_gradient_of_the_diagonal_of_a_wide_matrix_is_square():
    x = np.ones((3, 4))
    vjp, output = make_vjp(anp.diag, 0)(x)
    assert vjp(np.ones(output.shape)).shape != x.shape


@pytest.mark.parametrize("function", [anp.linalg.norm, anp.std])
def test_the_gradients_of_norm_and_std_are_nan_where_these_are_zero(function):
    with np.errstate(invalid="ignore", divide="ignore"):
        claimed = make_vjp(function, 0)(np.zeros(3))[0](1.0)
    assert np.all(np.isnan(claimed))
