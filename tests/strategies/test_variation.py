"""Variation: corners are put into the user's own draws, and what the draws keep is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gradcheck import vjp
from gradcheck.rules import Point, Rule
from gradcheck.strategies import points
from gradcheck.strategies.points import VARIED
from gradcheck.strategies.variation import MANNERS, laws_of, vary

Array = np.ndarray[Any, Any]


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def softmax(rng: np.random.Generator) -> Array:
    weights = np.exp(rng.normal(size=(4, 3)))
    return weights / weights.sum(axis=-1, keepdims=True)


def unit(rng: np.random.Generator) -> Array:
    rows = rng.normal(size=(4, 3))
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def symmetric(rng: np.random.Generator) -> Array:
    square = rng.normal(size=(3, 3))
    return square + square.T


DRAWS: dict[str, tuple[Any, set[str]]] = {
    "free": (lambda rng: rng.normal(size=(4, 3)), set()),
    "complex": (lambda rng: rng.normal(size=4) + 1j * rng.normal(size=4), set()),
    "positive": (lambda rng: rng.random((4, 3)) + 0.1, {"not negative", "not zero"}),
    "rectified": (lambda rng: np.maximum(rng.normal(size=(4, 3)), 0), {"not negative"}),
    "negative": (lambda rng: -rng.random(5) - 0.1, {"not positive", "not zero"}),
    "mask": (lambda rng: (rng.random((4, 3)) < 0.5) * 1.0, {"whole numbers", "not negative"}),
    "one-hot": (
        lambda rng: np.eye(3)[rng.integers(0, 3, 4)],
        {"whole numbers", "not negative", "rows sum to 1"},
    ),
    "probabilities": (softmax, {"not negative", "not zero", "rows sum to 1"}),
    "unit rows": (unit, {"rows of norm 1"}),
    "symmetric": (symmetric, {"symmetric"}),
    "sorted": (lambda rng: np.sort(rng.normal(size=(4, 3)), axis=-1), {"sorted"}),
}


@pytest.mark.parametrize("name", DRAWS)
def test_the_laws_of_the_users_draws_are_seen(name: str) -> None:
    draw, laws = DRAWS[name]
    assert laws <= set(laws_of([draw(random(seed)) for seed in range(8)]))


def test_a_free_array_has_no_law() -> None:
    assert laws_of([random(seed).normal(size=(4, 3)) for seed in range(8)]) == ()


def test_one_draw_that_breaks_a_law_ends_it() -> None:
    rows = [softmax(random(seed)) for seed in range(8)]
    assert "rows sum to 1" in laws_of(rows)
    assert "rows sum to 1" not in laws_of([*rows, rows[0] * 1.001])


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("manner", MANNERS)
@hypothesis_settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_the_draws_keep_is_kept(name: str, manner: str, seed: int) -> None:
    draw, _ = DRAWS[name]
    seen = [draw(random(index)) for index in range(8)]
    values = draw(random(seed))
    varied = vary(values, manner, seen, random(seed))
    assert set(laws_of([*seen, values])) <= set(laws_of([*seen, varied]))
    assert varied.shape == values.shape
    assert varied.dtype == values.dtype
    assert np.all(np.isfinite(varied))


@pytest.mark.parametrize("manner", [manner for manner in MANNERS if manner != "as drawn"])
def test_a_free_array_is_varied_in_every_manner(manner: str) -> None:
    seen = [random(seed).normal(size=(4, 3)) for seed in range(8)]
    assert not np.array_equal(vary(seen[0], manner, seen, random()), seen[0])


def test_zeros_ties_and_scales_are_what_they_say() -> None:
    values = random().normal(size=100)
    seen = [random(seed).normal(size=100) for seed in range(8)]
    assert 20 < np.count_nonzero(vary(values, "zeros", seen, random()) == 0) < 80
    assert np.unique(vary(values, "ties", seen, random())).size < 80
    assert np.array_equal(vary(values, "large", seen, random()), values * 1e3)
    assert np.array_equal(vary(values, "small", seen, random()), values * 1e-3)


def test_a_mask_changes_only_by_the_order_of_its_rows() -> None:
    masks = [(random(seed).random((4, 3)) < 0.5) * 1.0 for seed in range(8)]
    for manner in MANNERS:
        varied = vary(masks[0], manner, masks, random())
        assert np.array_equal(np.sort(varied, axis=-1), np.sort(masks[0], axis=-1))


def test_entries_that_never_change_are_kept() -> None:
    seen = [np.tril(random(seed).normal(size=(4, 4))) for seed in range(8)]
    varied = vary(seen[0], "fresh", seen, random())
    assert np.array_equal(varied, np.tril(varied))
    assert not np.array_equal(varied, seen[0])


def test_an_empty_array_stays() -> None:
    assert vary(np.zeros((0, 3)), "fresh", [], random()).shape == (0, 3)


def collected(rule: Rule, count: int = 100) -> list[Point]:
    import hypothesis

    found: list[Point] = []

    @hypothesis.seed(0)
    @hypothesis.settings(max_examples=count, database=None)
    @given(points(rule))
    def collect(point: Point) -> None:
        found.append(point)

    collect()
    return found


def weighted_rule(**own: Any) -> Rule:
    """A loss with a weight without gradient, a flag, and a list of weights with one."""

    def forward(x: Any, weight: Any, axis: Any, layers: Any) -> Any:
        return (x * weight).sum(axis) * layers[0].sum() * layers[1].sum()

    def backward(dout: Any, x: Any, weight: Any, axis: Any, layers: Any) -> Any:
        scale = layers[0].sum() * layers[1].sum()
        return np.expand_dims(dout, axis) * weight * scale, None, None, [layers[0] * 0.0, None]

    return vjp(forward, backward, **own)


def drawn_inputs(rng: np.random.Generator) -> tuple[Any, ...]:
    return (
        rng.normal(size=(3, 2)),
        rng.normal(size=(3, 2)),
        int(rng.integers(2)),
        [rng.normal(size=2), rng.normal(size=2)],
    )


def test_only_inputs_with_a_gradient_are_varied_and_the_label_tells() -> None:
    drawn = collected(weighted_rule(inputs=drawn_inputs))
    varied = [point.label.split(VARIED)[1] for point in drawn if VARIED in point.label]
    words = " ".join(varied)
    assert "x zeros" in words
    assert "layers[0]" in words
    assert "weight" not in words
    assert "axis" not in words
    assert "layers[1]" not in words
    assert 20 < len(varied) < 80


def test_zeros_are_put_where_the_user_draws_none() -> None:
    drawn = collected(weighted_rule(inputs=drawn_inputs))
    assert any(np.any(point.inputs[0] == 0) for point in drawn)
    assert not any(np.any(point.inputs[1] == 0) for point in drawn)


def test_points_of_a_strategy_are_varied_too() -> None:
    strategy = st.integers(0, 99).map(lambda seed: drawn_inputs(random(seed)))
    drawn = collected(weighted_rule(points=strategy))
    assert any(np.any(point.inputs[0] == 0) for point in drawn)
    assert any("drawn by points=, varied: " in point.label for point in drawn)


def test_a_rule_whose_backward_raises_is_not_varied() -> None:
    def broken(dout: Any, x: Any) -> Any:
        raise ValueError("not today")

    rule = vjp(lambda x: x * 2, broken, inputs=lambda rng: (rng.normal(size=3),))
    assert not any(VARIED in point.label for point in collected(rule, 30))


def test_arrays_keep_their_precision_and_their_kind() -> None:
    import jax.numpy as jnp

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        return jnp.asarray(rng.normal(size=3), "float32"), rng.normal(size=3).astype("float32")

    rule = vjp(lambda x, y: x * y, lambda dout, x, y: (dout * y, dout * x), inputs=draw)
    drawn = collected(rule, 40)
    assert any(VARIED in point.label for point in drawn)
    for point in drawn:
        assert isinstance(point.inputs[0], jnp.ndarray)
        assert isinstance(point.inputs[1], np.ndarray)
        assert point.inputs[0].dtype == point.inputs[1].dtype == "float32"
