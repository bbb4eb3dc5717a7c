"""Ten torch Functions as people write them, each with a wrong twin; imported only where torch is."""

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable

import gradcheck


class Square(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * g * x


class SquareSlightlyOff(Square):
    """Off by 0.05 %, which a relative tolerance of 1e-3 passes."""

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2.001 * g * x


class Affine(Function):
    @staticmethod
    def forward(ctx, x, w, b):
        ctx.save_for_backward(x, w)
        return x @ w + b

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g @ w.T, x.T @ g, g.sum(0)


class AffineBroadcastBias(Affine):
    """The engine would sum the gradient of b to its shape."""

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g @ w.T, x.T @ g, g


class Softmax(Function):
    @staticmethod
    def forward(ctx, z):
        e = torch.exp(z - z.max(dim=-1, keepdim=True).values)
        s = e / e.sum(dim=-1, keepdim=True)
        ctx.save_for_backward(s)
        return s

    @staticmethod
    def backward(ctx, g):
        (s,) = ctx.saved_tensors
        return s * (g - (s * g).sum(dim=-1, keepdim=True))


class SoftmaxMean(Softmax):
    @staticmethod
    def backward(ctx, g):
        (s,) = ctx.saved_tensors
        return s * (g - g.mean(dim=-1, keepdim=True))


class Sigmoid(Function):
    """The newer style: the context is filled apart from the forward."""

    @staticmethod
    def forward(z):
        return 1 / (1 + torch.exp(-z))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, g):
        (a,) = ctx.saved_tensors
        return g * a * (1 - a)


class SigmoidOfOutput(Sigmoid):
    @staticmethod
    def backward(ctx, g):
        (a,) = ctx.saved_tensors
        s = torch.sigmoid(a)
        return g * s * (1 - s)


class LayerNorm(Function):
    """Saves intermediates, which are constants to a second derivative: there is none, as it says."""

    @staticmethod
    def forward(ctx, x, gain):
        mean = x.mean(-1, keepdim=True)
        std = torch.sqrt(((x - mean) ** 2).mean(-1, keepdim=True) + 1e-5)
        y = (x - mean) / std
        ctx.save_for_backward(y, std, gain)
        return y * gain

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        y, std, gain = ctx.saved_tensors
        dy = g * gain
        dx = dy - dy.mean(-1, keepdim=True) - y * (dy * y).mean(-1, keepdim=True)
        return dx / std, (g * y).sum(0)


class LayerNormTwoTerms(LayerNorm):
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        y, std, gain = ctx.saved_tensors
        dy = g * gain
        return (dy - dy.mean(-1, keepdim=True)) / std, (g * y).sum(0)


class MinMax(Function):
    """Two outputs."""

    @staticmethod
    def forward(ctx, x, y):
        ctx.x_is_larger = x > y
        return torch.minimum(x, y), torch.maximum(x, y)

    @staticmethod
    def backward(ctx, g_min, g_max):
        larger = ctx.x_is_larger
        return torch.where(larger, g_max, g_min), torch.where(larger, g_min, g_max)


class MinMaxIgnoresOne(MinMax):
    @staticmethod
    def backward(ctx, g_min, g_max):
        larger = ctx.x_is_larger
        return torch.where(larger, 0 * g_max, g_min), torch.where(larger, g_min, g_max)


class Gather(Function):
    """Integer input, repeated indices."""

    @staticmethod
    def forward(ctx, table, index):
        ctx.save_for_backward(index)
        ctx.rows = table.shape
        return table[index]

    @staticmethod
    def backward(ctx, g):
        (index,) = ctx.saved_tensors
        return torch.zeros(ctx.rows, dtype=g.dtype).index_add(0, index, g), None


class GatherOverwrites(Gather):
    @staticmethod
    def backward(ctx, g):
        (index,) = ctx.saved_tensors
        found = torch.zeros(ctx.rows, dtype=g.dtype)
        found[index] = g
        return found, None


class Dropout(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mask = torch.rand_like(x) > 0.4
        return x * ctx.mask / 0.6

    @staticmethod
    def backward(ctx, g):
        return g * ctx.mask / 0.6


class DropoutRedraws(Dropout):
    @staticmethod
    def backward(ctx, g):
        return g * (torch.rand_like(g) > 0.4) / 0.6


class RoundStraightThrough(Function):
    @staticmethod
    def forward(ctx, x):
        return torch.round(x)

    @staticmethod
    def backward(ctx, g):
        return g


class RoundStraightThroughTwice(RoundStraightThrough):
    @staticmethod
    def backward(ctx, g):
        return 2 * g


class ClipGradient(Function):
    """The identity, whose gradient is that of a sum clipped to 0.1 x cotangent."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return 0.1 * g


class ClipGradientSign(ClipGradient):
    @staticmethod
    def backward(ctx, g):
        return -0.1 * g


CASES = [
    (Square, SquareSlightlyOff, {"x": "N"}),
    (Affine, AffineBroadcastBias, {"x": "N D", "w": "D M", "b": "M"}),
    (Softmax, SoftmaxMean, {"z": "N C"}),
    (Sigmoid, SigmoidOfOutput, {"z": "N"}),
    (LayerNorm, LayerNormTwoTerms, {"x": "N D", "gain": "D"}),
    (MinMax, MinMaxIgnoresOne, {"x": "N", "y": "N"}),
    (Gather, GatherOverwrites, {"table": "V D", "index": gradcheck.integers("N", below="V")}),
    (Dropout, DropoutRedraws, {"x": "N D"}),
    (RoundStraightThrough, RoundStraightThroughTwice, {"x": "N", "derivative_of": lambda x: x}),
    (
        ClipGradient,
        ClipGradientSign,
        {"x": "N", "derivative_of": lambda x: 0.1 * x},
    ),
]
