"""The layer object that the README imports and that a newcomer would write."""

import numpy as np


class Dense:
    """A layer that keeps its parameters and gradients; it is right where `factor` is 1."""

    factor = 1.0

    def __init__(self, D, M):
        self.params = {"w": np.ones((D, M)), "b": np.zeros(M)}
        self.grads = {}

    def forward(self, x):
        self.x = x
        return x @ self.params["w"] + self.params["b"]

    def backward(self, dout):
        self.grads = {"w": self.x.T @ dout, "b": self.factor * dout.sum(axis=0)}
        return dout @ self.params["w"].T
