"""Complex numbers as pairs of real ones: how a rule on complex arrays is judged.

A function of complex numbers is a function of their real and imaginary parts, x and y, whose derivatives
are real and beyond dispute. What a *gradient* with respect to z = x + iy is, is a convention. For a real
L, with L_x and L_y its derivatives by the parts of z, two are in use:

    "jax"    L_x - i L_y, so that w = f(z) pulls dw back to dw * f'(z)        (JAX, HIPS autograd)
    "torch"  L_x + i L_y, so that w = f(z) pulls dw back to dw * conj(f'(z))  (torch, TensorFlow)

Each is the conjugate of the other, and the cotangent dw follows the same convention. A rule says by
`conjugation=` which one it keeps.

Source: JAX's "Autodiff Cookbook", section on complex numbers and differentiation; torch's "Autograd
mechanics", section on autograd for complex numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from gradcheck import trees
from gradcheck.contracts import Contract, Domain
from gradcheck.rules import Pullback, Rule, by_leaf

__all__ = ["CONVENTIONS", "Parts", "holds_complex", "in_parts", "joined", "on_parts", "split"]

CONVENTIONS = {"jax": -1, "torch": 1}
"""The sign of the imaginary part of a gradient, i L_y, in each convention."""


class Parts(NamedTuple):
    """The real and the imaginary part of a complex array."""

    real: Any
    imag: Any


def holds_complex(tree: Any) -> bool:
    """Say whether any leaf of `tree` is complex."""
    return any(_is_complex(leaf) for _, leaf in trees.leaves(tree))


def split(tree: Any, sign: int = 1) -> Any:
    """Return `tree` with `Parts` for every complex leaf, the imaginary one times `sign`.

    >>> split([1j, 2.0])
    [Parts(real=0.0, imag=1.0), 2.0]
    """
    return trees.map_leaves(lambda leaf: _split(leaf, sign) if _is_complex(leaf) else leaf, tree)


def joined(tree: Any, sign: int = 1) -> Any:
    """Return `tree` with a complex number for every `Parts`, the imaginary part times `sign`.

    >>> joined([Parts(0.0, 1.0), 2.0])
    [1j, 2.0]
    """
    if isinstance(tree, Parts):
        return _complex(tree.real, tree.imag if sign == 1 else -tree.imag)
    if isinstance(tree, dict):
        return {key: joined(part, sign) for key, part in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(joined(part, sign) for part in tree))
    if isinstance(tree, (list, tuple)):
        return type(tree)(joined(part, sign) for part in tree)
    return tree


def on_parts(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of parts that does what `function` does with complex numbers."""
    return lambda *inputs: split(function(*joined(inputs)))


def in_parts(rule: Rule, conjugation: str) -> Rule:
    """Return `rule` as a rule on the parts of its complex arrays, real throughout.

    Args:
        rule: its pullback keeps the convention.
        conjugation: a key of `CONVENTIONS`.
    """
    sign = CONVENTIONS[conjugation]

    def linearise(inputs: tuple[Any, ...]) -> tuple[Any, Pullback]:
        own = joined(inputs)
        output, raw_pullback = rule.linearise(own)

        def pullback(cotangent: Any) -> tuple[Any, ...]:
            raw = raw_pullback(joined(cotangent, sign))
            found = by_leaf(rule, own, rule.gradients_by_input(raw, own))
            return tuple(
                _gradient_in_parts(name, value, found, sign)
                for name, value in zip(rule.input_names, own, strict=True)
            )

        return split(output), pullback

    return replace(
        rule,
        primal=lambda inputs: split(rule.primal(joined(inputs))),
        linearise=linearise,
        contract=None if rule.contract is None else _contract_of_parts(rule.contract),
    )


def _gradient_in_parts(name: str, value: Any, found: dict[str, Any], sign: int) -> Any:
    """Return the gradient of one input in the containers of its parts; None where there is none."""
    leaves = trees.leaves(value, name)
    if all(found[path] is None for path, _ in leaves):
        return None
    parts = [
        _split(found[path], sign) if _is_complex(leaf) and found[path] is not None else found[path]
        for path, leaf in leaves
    ]
    return trees.rebuild(value, parts)


def _contract_of_parts(contract: Contract) -> Contract:
    """Return the contract whose complex inputs are pairs of real ones."""

    def parts(domain: Domain) -> Any:
        if domain.kind != "complex" or domain.shape is None:
            return domain
        part = replace(domain, kind="real")
        return Parts(part, part)

    inputs = {name: trees.map_leaves(parts, tree) for name, tree in contract.inputs.items()}
    return replace(contract, inputs=inputs)


def _complex(real: Any, imag: Any) -> Any:
    if type(real).__module__.startswith("jax"):
        from jax import lax

        return lax.complex(
            real, imag
        )  # a factor of 1j would be converted, and back by its transpose
    return real + 1j * imag


def _split(leaf: Any, sign: int) -> Parts:
    imag = leaf.imag
    return Parts(leaf.real, imag if sign == 1 else -imag)


def _is_complex(leaf: Any) -> bool:
    return isinstance(leaf, complex) or "complex" in str(getattr(leaf, "dtype", ""))
