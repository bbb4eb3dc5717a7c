"""Random pairs of programs for the exact oracle: half of them the same function, half of them mutants.

Each pair is a random expression of three arrays and either a rewriting of it that keeps the function
(other forms of exp, tanh, products and quotients, all of which hold inside of another exp too) or the
same with one place mutated: a sign, a factor off by 1e-12, an operand, a function. A *false certificate*
is a mutant that is proven equal though numbers in extended precision tell the two apart; a *false alarm*
is a rewriting that is said to differ. What the oracle abstains from, such as a tie, counts as neither
and is counted.

    python -m benchmarks.exact_pairs [--slice K] [--size N]

Slice K has the pairs of numbers K N to (K + 1) N, and prints one line; the same pair has the same number
in every run.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradcheck.errors import Abstention
from gradcheck.oracles.certificates import Certificate
from gradcheck.oracles.exact import prove_equal
from gradcheck.programs.arithmetics.extended import EXTENDED
from gradcheck.programs.compat import enable_x64
from gradcheck.programs.evaluation import evaluate

Tree = Any
"""A name of an input, or (function, *operands)."""

NAMES, SHAPE = ("x", "y", "z"), (2, 3)

DEPTH = 4
"""Functions on the longest path of an expression: some ten of them in the median."""

HAIR = 1 + 1e-12

POINTS = 3
"""Points at which extended numbers must agree before a certified mutant counts as no mutant at all,
such as x - x with another sign."""


def functions() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the functions by name, and for each a second form of the same function."""
    import jax
    import jax.numpy as jnp

    forms = {
        "exp": (lambda a: jnp.exp(a / 8), lambda a: 1 / jnp.exp(-a / 8)),
        "tanh": (jnp.tanh, lambda a: -jnp.tanh(-a)),
        "sigmoid": (jax.nn.sigmoid, lambda a: 1 - jax.nn.sigmoid(-a)),
        "sin": (jnp.sin, lambda a: -jnp.sin(-a)),
        "log": (lambda a: jnp.log1p(a * a), lambda a: -jnp.log(1 / (1 + a**2))),
        "neg": (lambda a: -a, lambda a: 0 - a),
        "square": (lambda a: a * a, lambda a: (a + 1) ** 2 - 2 * a - 1),
        "relu": (lambda a: jnp.maximum(a, 0), lambda a: jnp.where(a > 0, a, 0)),
        "mean": (
            lambda a: a - jnp.mean(a, 0, keepdims=True),
            lambda a: a - (a[:1] + a[1:]) * 0.5,
        ),
        "softmax": (
            lambda a: jax.nn.softmax(a, 1),
            lambda a: (lambda e: e / (e @ jnp.ones((SHAPE[1], 1))))(
                jnp.exp(a - jnp.max(a, 1, keepdims=True))
            ),
        ),
        "add": (lambda a, b: a + b, lambda a, b: b + a),
        "sub": (lambda a, b: a - b, lambda a, b: -(b - a)),
        "mul": (lambda a, b: a * b, lambda a, b: ((a + b) ** 2 - (a - b) ** 2) / 4),
        "div": (lambda a, b: a / (2 + b * b), lambda a, b: 1 / (2 + b**2) * a),
        "matmul": (
            lambda a, b: a @ b.T @ a,
            lambda a, b: jnp.einsum("ij,kj,kl->il", a, b, a),
        ),
    }
    mutants = {
        "hair": lambda a: a * HAIR,
        "minus": lambda a: -a,
        "twice": lambda a: 2 * a,
        "shifted": lambda a: a + 1e-11,
        "flipped": lambda a: a[::-1],
        "squashed": lambda a: a * jnp.tanh(a),
    }
    first = {name: pair[0] for name, pair in forms.items()} | mutants
    return first, {name: pair[1] for name, pair in forms.items()} | mutants


BINARY = ("add", "sub", "mul", "div", "matmul")
UNARY = ("exp", "tanh", "sigmoid", "sin", "log", "neg", "square", "relu", "mean", "softmax")
MUTANTS = ("hair", "minus", "twice", "shifted", "flipped", "squashed")


def random_tree(rng: np.random.Generator, depth: int = DEPTH) -> Tree:
    """Draw an expression whose paths have up to `depth` functions."""
    if depth == 0 or (depth < DEPTH and rng.random() < 0.2):
        return str(rng.choice(NAMES))
    if rng.random() < 0.5:
        return str(rng.choice(UNARY)), random_tree(rng, depth - 1)
    return str(rng.choice(BINARY)), random_tree(rng, depth - 1), random_tree(rng, depth - 1)


def mutated(tree: Tree, rng: np.random.Generator) -> Tree:
    """Return the tree with one random place changed."""
    places = _places(tree)
    return _changed(tree, places[int(rng.integers(len(places)))], str(rng.choice(MUTANTS)))


def _places(tree: Tree) -> list[tuple[int, ...]]:
    if isinstance(tree, str):
        return [()]
    return [
        (),
        *((k, *rest) for k, part in enumerate(tree[1:], 1) for rest in _places(part)),
    ]


def _changed(tree: Tree, place: tuple[int, ...], mutant: str) -> Tree:
    if not place:
        return mutant, tree
    k, *rest = place
    return (*tree[:k], _changed(tree[k], tuple(rest), mutant), *tree[k + 1 :])


def value_of(tree: Tree, values: Mapping[str, Any], table: Mapping[str, Any]) -> Any:
    """Return the value of an expression whose functions are those of the table."""
    if isinstance(tree, str):
        return values[tree]
    name, *operands = tree
    return table[name](*(value_of(operand, values, table) for operand in operands))


def traced(tree: Tree, table: Mapping[str, Any]) -> Any:
    """Return an expression as a program of the three arrays."""
    import jax

    def function(*arrays: Any) -> Any:
        return value_of(tree, dict(zip(NAMES, arrays, strict=True)), table)

    with enable_x64():
        return jax.make_jaxpr(function)(*(np.ones(SHAPE) for _ in NAMES))


def judged(number: int, tables: tuple[dict[str, Any], dict[str, Any]]) -> str:
    """Return what the oracle says of the pair of this number, in the words of the summary."""
    rng = np.random.default_rng(number)
    tree, is_mutant = random_tree(rng), bool(number % 2)
    other = traced(mutated(tree, rng), tables[0]) if is_mutant else traced(tree, tables[1])
    one, point = traced(tree, tables[0]), [rng.normal(size=SHAPE) for _ in NAMES]
    try:
        found = prove_equal(one, other, point, rng)
    except Abstention:
        return "mutant abstained" if is_mutant else "rewriting abstained"
    if not isinstance(found, Certificate):
        return "mutant refused" if is_mutant else "FALSE ALARM"
    if not is_mutant:
        return "rewriting certified"
    return "FALSE CERTIFICATE" if _part(one, other, point) else "no mutant after all"


def _part(one: Any, other: Any, point: list[Any]) -> bool:
    """Say whether two programs differ in extended precision in the cell of the point."""
    for k in range(POINTS):
        near = [array * (1 + 1e-6 * k) for array in point]
        (a, a_error), (b, b_error) = (evaluate(p, near, EXTENDED)[0] for p in (one, other))
        if np.any(np.abs(a - b) > 2 * (a_error + b_error)):
            return True
    return False


def main(progress: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--slice", type=int, default=0)
    parser.add_argument("--size", type=int, default=1000)
    options = parser.parse_args()
    tables, started, counts = functions(), time.perf_counter(), Counter[str]()
    first = options.slice * options.size
    for number in range(first, first + options.size):
        verdict = judged(number, tables)
        counts[verdict] += 1
        if verdict.isupper():
            progress(f"{verdict}: pair {number}")
    words = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    seconds = time.perf_counter() - started
    progress(f"slice {options.slice}: {options.size} pairs in {seconds:.0f} s: {words}")


if __name__ == "__main__":
    main()
