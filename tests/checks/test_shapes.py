"""The check `shapes`: gradients of another shape than their input, at sizes 1 and 0 and on broadcast axes."""

import numpy as np
import pytest

import gradcheck
from tests.checks.battery import assert_passes, message_of


def add(backward, **options):
    """x + b, where b may have one row for all."""
    options = {"x": "N D", "b": "#N D", **options}
    return gradcheck.vjp(lambda x, b: x + b, backward, name="add", **options)


def summed_to(shape, g):
    axes = tuple(axis for axis, size in enumerate(shape) if size == 1 and g.shape[axis] != 1)
    return g.sum(axis=axes, keepdims=True) if axes else g


def right(g, x, b):
    return g, summed_to(b.shape, g)


def test_a_gradient_that_is_summed_over_broadcast_axes_passes_at_every_size():
    assert not assert_passes(add(right), "shapes").tally.notes


def not_reduced(g, x, b):
    return g, g


def squeezed(g, x, b):
    return g.squeeze(), summed_to(b.shape, g)


def one_row_for_none(g, x, b):
    return (g if len(g) else np.zeros((1, *g.shape[1:]))), summed_to(b.shape, g)


@pytest.mark.parametrize(
    ("backward", "words"),
    [
        (not_reduced, "the gradient of b has shape (2, 1), b has (1, 1)"),
        (squeezed, "the gradient of x has shape (), x has (1, 1)"),
        (one_row_for_none, "the gradient of x has shape (1, 1), x has (0, 1)"),
    ],
    ids=["broadcast axis not reduced", "axes of size 1 squeezed", "one row for an empty batch"],
)
def test_a_gradient_of_another_shape_fails(backward, words):
    assert words in message_of(add(backward), "shapes")


def scale(backward, **options):
    return gradcheck.vjp(lambda x: 2 * x, backward, x="N D", name="scale", **options)


def by_rows(g, x):
    return 2 * g.reshape(len(g), -1)


def bias(backward, **options):
    return gradcheck.vjp(lambda x, b: x + b, backward, x="N D", b="D", name="bias", **options)


def by_the_mean(g, x, b):
    return g, g.mean(axis=0) * len(g)


def test_a_crash_on_an_empty_array_is_a_note_and_fails_a_strict_rule():
    words = "the backward raises for N = 0, where the forward runs"
    assert words in assert_passes(scale(by_rows), "shapes").tally.notes
    assert words in message_of(scale(by_rows, strict=True), "shapes")


def test_an_empty_gradient_of_another_shape_is_a_note_and_fails_a_strict_rule():
    def row_by_row(g, _):
        return np.array([2 * row for row in g])

    words = "for N = 0 the gradient of x is empty, and of another shape"
    assert words in assert_passes(scale(row_by_row), "shapes").tally.notes
    assert words in message_of(scale(row_by_row, strict=True), "shapes")


def test_what_is_not_zero_where_there_is_no_output_is_a_note_and_fails_a_strict_rule():
    words = "the gradient of b is not zero for N = 0, where the output is empty"
    assert words in assert_passes(bias(by_the_mean), "shapes").tally.notes
    assert words in message_of(bias(by_the_mean, strict=True), "shapes")


def test_a_forward_that_needs_an_entry_is_left_alone():
    def forward(x):
        return x - x.max(axis=0)

    def backward(g, x):
        assert len(x)
        return g - (x == x.max(axis=0)) * g.sum(axis=0)

    rule = gradcheck.vjp(forward, backward, x="N", strict=True)
    assert_passes(rule, "shapes")


def test_a_choice_that_is_a_tuple_has_no_size():
    """Its entries are numbers of the configuration, not arrays that could be empty."""

    def backward(g, x, axes):
        return np.broadcast_to(np.expand_dims(g, axes), x.shape), None

    rule = gradcheck.vjp(
        lambda x, axes: x.sum(axis=axes), backward, x="N D", axes=gradcheck.one_of((0, 1), (1,))
    )
    assert not assert_passes(rule, "shapes").tally.notes


def shifted(backward, b, **options):
    return gradcheck.vjp(lambda x, b: x + b, backward, name="shifted", x="N D", b=b, **options)


def over_examples(g, x, b):
    return g, g.sum(axis=0)


def over_entries(g, x, b):
    return g, g.sum(axis=1)


class Shift:
    """x + b with the row b inside, of which the gradient leaves out the first axis."""

    def __init__(self):
        self.b, self.db = np.zeros((1, 2)), None

    def forward(self, x):
        return x + self.b

    def backward(self, g):
        self.db = g.sum(axis=0)
        return g


LEFT_OUT = (
    "the gradient of b leaves out leading axes of size 1: right where it is only ever added to b"
)


@pytest.mark.parametrize(
    "rule",
    [
        shifted(over_examples, "1 D"),
        gradcheck.layer(Shift, x="N 2", params=["b"], grads={"b": "db"}),
    ],
    ids=["an input", "a parameter inside an object"],
)
def test_a_gradient_without_the_leading_axis_of_a_single_row_is_a_note(rule):
    report = gradcheck.verify(rule, seed=1, examples=5, checks=["gradient", "shapes"])
    assert report.verdict == "pass"
    assert report.certified
    assert [note for note in report.notes if LEFT_OUT in note]


def test_a_strict_rule_keeps_the_leading_axis_of_a_single_row():
    assert LEFT_OUT in message_of(shifted(over_examples, "1 D", strict=True), "shapes")


@pytest.mark.parametrize(
    ("backward", "b", "words"),
    [
        (
            over_entries,
            "1 D",
            "the gradient of b has shape (0,), b has (1, 1): it was summed over an axis",
        ),
        (over_examples, "#N D", "the gradient of b has shape (1,), b has (1, 1)"),
    ],
    ids=["summed over the wrong axis", "an axis that is 1 by chance"],
)
def test_an_axis_that_is_lost_otherwise_is_a_failure(backward, b, words):
    assert words in message_of(shifted(backward, b), "shapes")
