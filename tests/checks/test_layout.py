"""The check `layout`: code that takes the order of memory for the order of entries fails."""

import numpy as np
import pytest

import gradcheck
from tests.checks.battery import assert_does_not_apply, assert_passes, message_of, result_of


def row_scale(backward, **options):
    """x scaled by the number of its row, so that entries are told apart."""

    def forward(x):
        return x * np.arange(1, len(x) + 1)[:, None]

    return gradcheck.vjp(forward, backward, x="N D", name="rows", **options)


def right(g, x):
    return g * np.arange(1, len(x) + 1)[:, None]


def by_reshape(g, x):
    return (g.reshape(-1) * np.repeat(np.arange(1, len(x) + 1), x.shape[1])).reshape(g.shape)


def in_place_on_a_copy(g, x):
    dx = np.array(g, order="K")
    dx *= np.arange(1, len(x) + 1)[:, None]
    return dx


@pytest.mark.parametrize("backward", [right, by_reshape, in_place_on_a_copy])
def test_code_that_handles_strides_passes(backward):
    assert_passes(row_scale(backward), "layout")


def in_order_of_memory(g, x):
    return (g.ravel(order="K") * np.repeat(np.arange(1, len(x) + 1), x.shape[1])).reshape(g.shape)


def from_the_raw_buffer(g, x):
    raw = np.frombuffer(g.base if g.base is not None else g, g.dtype)[: g.size].reshape(g.shape)
    return right(raw, x)


def by_setting_the_shape(g, x):
    flat = g.view()
    flat.shape = (g.size,)
    return right(flat.reshape(g.shape), x)


@pytest.mark.parametrize(
    ("backward", "words"),
    [
        (in_order_of_memory, ["depends on the memory layout", "in Fortran order", "contiguous  "]),
        (
            from_the_raw_buffer,
            [
                "depends on the memory layout",
                "non-contiguous (every other entry)",
                "contiguous      2.0",
            ],
        ),
        (by_setting_the_shape, ["backward raised", "and takes contiguous arrays (here"]),
    ],
)
def test_code_that_needs_contiguous_memory_fails(backward, words):
    message = message_of(row_scale(backward), "layout")
    assert all(word in message for word in words), message


def test_writing_into_a_read_only_cotangent_is_a_note_here_and_fails_a_strict_rule():
    def backward(g, x):
        g *= np.arange(1, len(x) + 1)[:, None]
        return g

    result = assert_passes(row_scale(backward), "layout")
    assert any("read-only" in note for note in result.tally.notes)
    assert "read-only" in message_of(row_scale(backward, strict=True), "layout")


def test_jax_has_no_layout():
    jax = pytest.importorskip("jax")
    rule = gradcheck.jax_rule(jax.nn.relu, x="N")
    assert_does_not_apply(rule, "layout", "no memory layout")


def test_a_torch_function_that_views_its_cotangent_fails():
    torch = pytest.importorskip("torch")

    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, g):
            return 2 * torch.as_strided(g, g.shape, (g.shape[1], 1))

    class Right(Double):
        @staticmethod
        def backward(ctx, g):
            return 2 * g

    assert result_of(gradcheck.torch_function(Right, x="N D"), "layout").verdict == "pass"
    message = message_of(gradcheck.torch_function(Double, x="N D"), "layout")
    assert "depends on the memory layout" in message or "takes contiguous arrays" in message


@pytest.mark.parametrize(("seen", "wrong"), [("saved", True), ("contiguous", False)])
def test_a_torch_function_that_views_a_saved_input_fails(seen, wrong):
    """The cotangent may well be contiguous where a transposed input is not."""
    torch = pytest.importorskip("torch")

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**2

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            x = x if wrong else x.contiguous()
            return 2 * g * torch.as_strided(x, x.shape, (x.shape[1], 1))

    rule = gradcheck.torch_function(Square, x="N D", name="square")
    if wrong:
        message = message_of(rule, "layout")
        assert "differs where inputs and cotangent are in Fortran order" in message
    else:
        assert_passes(rule, "layout")


def test_a_dropout_of_torch_whose_mask_lies_as_its_input_does_is_left_alone():
    torch = pytest.importorskip("torch")

    class Dropout(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mask = torch.empty_like(x).bernoulli_(0.5)
            return x * ctx.mask

        @staticmethod
        def backward(ctx, g):
            return g * ctx.mask

    rule = gradcheck.torch_function(Dropout, x="N 8")
    assert_passes(rule, "layout")
    hidden = np.zeros((3, 8))  # where no mask shows in the output
    point = gradcheck.Point((hidden,), np.arange(1.0, 25.0).reshape(3, 8))
    assert gradcheck.verify_at(rule, point, checks=["layout"]).verdict == "pass"
