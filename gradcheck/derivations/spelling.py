"""Short spellings of expressions, for sentences."""

from __future__ import annotations

from gradcheck.derivations import expressions as ex

__all__ = ["short"]


def short(expression: ex.Expression) -> str:
    """Return a short spelling of an expression."""
    match expression:
        case ex.Symbol():
            return str(expression)
        case ex.Transposed(body):
            return f"{short(body)}ᵀ"
        case ex.Call(function, primes, arguments):
            inner = ", ".join(short(argument) for argument in arguments)
            return f"{function}{chr(39) * primes}({inner})"
        case ex.Product(sign, left, right):
            mark = {"circ": " ∘ ", "odot": " ∘ "}.get(sign, " ")
            return f"{short(left)}{mark}{short(right)}"
        case ex.Derivative(of, by):
            return f"∂{short(of)}/∂{short(by)}"
        case ex.Number(value):
            return str(value)
    return "this factor"
