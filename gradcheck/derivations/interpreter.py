"""Evaluation of expressions: first their sizes, then their numbers, by one and the same walk.

Without numbers the walk infers sizes (`numeric=False`); with them it computes, in JAX's namespace, so
that a claim becomes a program and a derivative is JAX's own. Names are looked up in a `Model`.
"""

from __future__ import annotations

from gradcheck.derivations import expressions as ex
from gradcheck.derivations.core import Frame, FreeIndex, IllShaped, OutOfRange, Result
from gradcheck.derivations.differentiation import Differentiation
from gradcheck.derivations.unread import NotUnderstood

__all__ = ["Frame", "FreeIndex", "IllShaped", "Interpreter", "OutOfRange"]


class Interpreter(Differentiation):
    """Evaluate expressions of a document."""

    def evaluate(self, expression: ex.Expression, frame: Frame) -> Result:
        """Return the value of an expression, or the Jacobian that it stands for.

        Raises:
            NotUnderstood, IllShaped, OutOfRange, FreeIndex: as their docstrings say.
        """
        match expression:
            case ex.Number(value):
                return self.number(value)
            case ex.Known():
                return self._known(expression, frame)
            case ex.Symbol():
                return self._symbol(expression, frame)
            case ex.Plus(signs, terms):
                return self._plus(signs, terms, frame)
            case ex.Product(sign, left, right):
                return self._product(sign, left, right, frame)
            case ex.Divided(above, below):
                return self._divided(above, below, frame)
            case ex.Power(base, exponent):
                return self._power(base, exponent, frame)
            case ex.Transposed(body):
                return self._transposed(self.evaluate(body, frame))
            case ex.Rooted(body):
                inner = self.value(body, frame)
                return self.make(
                    inner.axes, inner.rows, inner.cols, lambda: self.xp.sqrt(inner.data)
                )
            case ex.Absolute(body):
                inner = self.value(body, frame)
                return self.make(
                    inner.axes, inner.rows, inner.cols, lambda: self.xp.abs(inner.data)
                )
            case ex.Held(body):
                return (self.base or self).evaluate(body, frame)
            case ex.NormOf(body, order, squared):
                return self._norm(self.value(body, frame), order, squared)
            case ex.Call():
                return self._call(expression, frame)
            case ex.Derivative(of, by, shorthand):
                found = self._derivative(of, by, frame)
                return self._of_each_example(found) if shorthand else found
            case ex.SumOver():
                return self._sum(expression, frame)
            case ex.Kronecker():
                return self._kronecker(expression, frame)
            case ex.Picked(body, components):
                return self._pick(self.value(body, frame), components, frame)
            case ex.Concatenated(parts):
                return self._concatenated(parts, [self.value(part, frame) for part in parts])
            case ex.Arrayed():
                return self._arrayed(expression, frame)
            case ex.Written():
                return self._written(expression, frame)
        raise NotUnderstood("this is not read")
