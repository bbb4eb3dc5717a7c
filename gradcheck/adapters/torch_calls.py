"""Running torch functions on NumPy arrays, and their derivatives by torch.

The claimed derivative is what torch's engine gives, hand-written backwards and all. The true one is
torch's own autodiff of the forwards: while it is computed every `torch.autograd.Function`, nested ones
too, runs its forward as plain torch code with gradients enabled, and its backward is not used.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from gradcheck import trees
from gradcheck.errors import Abstention, UsageError
from gradcheck.rules import Step

__all__ = [
    "autodiff",
    "backward",
    "gradients_of",
    "has_jvp",
    "imported_torch",
    "pushforward",
    "run",
    "to_arrays",
    "to_tensors",
    "watch",
]

Function = Callable[..., Any]


def imported_torch() -> Any:
    """Return the torch module.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise UsageError(
            "gradcheck.torch_function needs torch; install it with: pip install 'gradcheck[torch]'"
        ) from error
    return torch


def to_tensors(inputs: Any, device: str, *, tracked: bool = False) -> Any:
    """Return a tree of arrays as tensors on a device; other leaves stay as they are.

    Args:
        inputs: the tree.
        device: where the tensors lie.
        tracked: whether those of real or complex numbers require gradients.
    """

    def tensor(leaf: Any) -> Any:
        if not isinstance(leaf, (np.ndarray, np.generic)):
            return leaf
        found = _tensor(np.asarray(leaf)).to(device)
        return found.requires_grad_() if tracked and trees.is_variable(leaf) else found

    return trees.map_leaves(tensor, inputs)


def _tensor(array: np.ndarray[Any, Any]) -> Any:
    """Copy an array into a tensor of the same strides, negative ones excepted, which torch lacks."""
    torch = imported_torch()
    repeated = tuple(
        slice(0, 1) if stride == 0 and size > 1 else slice(None)
        for stride, size in zip(array.strides, array.shape, strict=True)
    )
    own = torch.from_numpy(np.array(array[repeated], copy=True))
    if array.flags.c_contiguous or min(array.strides, default=0) < 0:
        return own.expand(array.shape)
    steps = [stride // array.itemsize for stride in array.strides]
    return torch.empty_strided(own.shape, steps, dtype=own.dtype).copy_(own).expand(array.shape)


def to_arrays(tree: Any) -> Any:
    """Return a tree of tensors as arrays."""

    def array(leaf: Any) -> Any:
        return leaf.detach().resolve_conj().cpu().numpy() if hasattr(leaf, "detach") else leaf

    return trees.map_leaves(array, tree)


def run(function: Function, inputs: tuple[Any, ...], device: str) -> Any:
    """Return the output of a torch function at arrays, as arrays.

    Every run draws the same random numbers, so that dropout is one function.
    """
    torch = imported_torch()
    with torch.no_grad(), _same_random_numbers(device):
        return to_arrays(function(*to_tensors(inputs, device)))


def backward(
    function: Function,
    inputs: tuple[Any, ...],
    device: str,
    node_of: Any = None,
    *,
    whole: bool = False,
) -> tuple[Any, Callable[[Any], list[Any]]]:
    """Run a torch function, and return its output with the pullback of torch's engine.

    The pullback returns one gradient for each real or complex array of the inputs in their order,
    None where torch gives none.

    Args:
        function: from tensors to tensors.
        inputs: trees of arrays.
        device: where it runs.
        node_of: a `torch.autograd.Function` that is all of `function`; its backward is then called
            as it stands, for the engine would sum a gradient of the wrong shape to the right one.
        whole: whether all of the graph is run, as by `Tensor.backward`: what was marked with
            `once_differentiable` raises there, and has no path to the inputs.
    """
    torch = imported_torch()
    tensors = to_tensors(inputs, device, tracked=True)
    with torch.enable_grad(), _same_random_numbers(device):
        # a function may write into its inputs, which no leaf of torch's graph allows
        outputs = function(*(_cloned(value) for value in tensors))
    leaves = [leaf for _, leaf in trees.leaves(tensors) if _is_tracked(leaf)]

    def pullback(cotangent: Any) -> list[Any]:
        seeds = [leaf for _, leaf in trees.leaves(to_tensors(cotangent, device))]
        results = [leaf for _, leaf in trees.leaves(outputs)]
        node = next((leaf.grad_fn for leaf in results if getattr(leaf, "grad_fn", None)), None)
        with _same_random_numbers(device, skip=1):
            if node_of is not None and node is not None and type(node) is node_of._backward_cls:
                with torch.no_grad():
                    found = node.apply(*seeds)
                found = found if isinstance(found, (tuple, list)) else (found,)
                own = trees.leaves(tuple(tensors))
                kept = [
                    value for (_, leaf), value in zip(own, found, strict=False) if _is_tracked(leaf)
                ]
                return [to_arrays(value) for value in kept]
            pairs = [
                (result, seed)
                for result, seed in zip(results, seeds, strict=True)
                if result.requires_grad
            ]
            if not pairs:
                return [None] * len(leaves)
            ends, weights = zip(*pairs, strict=True)
            if whole:
                for leaf in leaves:
                    leaf.grad = None
                torch.autograd.backward(ends, weights, retain_graph=True)
                found = [leaf.grad for leaf in leaves]
            else:
                found = torch.autograd.grad(
                    ends, leaves, weights, allow_unused=True, retain_graph=True
                )
        return [None if value is None else to_arrays(value) for value in found]

    return to_arrays(outputs), pullback


def has_jvp(function: Any) -> bool:
    """Say whether this is a `torch.autograd.Function` that has a `jvp` of its own."""
    return function is not None and function.jvp is not imported_torch().autograd.Function.jvp


def pushforward(
    function: Function, inputs: tuple[Any, ...], tangents: tuple[Any, ...], device: str
) -> Any:
    """Return the tangent of the output by torch's forward-mode autodiff, as arrays.

    Args:
        function: from tensors to tensors.
        inputs: trees of arrays.
        tangents: their tangents, in the same containers; None for a leaf without real numbers.
        device: where it runs.
    """
    torch = imported_torch()
    forward_ad = torch.autograd.forward_ad

    def dual(leaf: Any, tangent: Any) -> Any:
        # torch gives a zero tensor of its own kind to a Function where an input has no tangent
        return leaf if tangent is None else forward_ad.make_dual(leaf, tangent)

    def tangent_of(leaf: Any) -> Any:
        tangent = forward_ad.unpack_dual(leaf).tangent
        return torch.zeros_like(leaf) if tangent is None else tangent

    pairs = zip(
        trees.leaves(to_tensors(inputs, device)),
        trees.leaves(to_tensors(tangents, device)),
        strict=True,
    )
    with forward_ad.dual_level(), _same_random_numbers(device):
        with warnings.catch_warnings():  # torch calls what it deprecates itself
            warnings.simplefilter("ignore", DeprecationWarning)
            duals = trees.rebuild(inputs, [dual(one, other) for (_, one), (_, other) in pairs])
        return to_arrays(trees.map_leaves(tangent_of, function(*duals)))


def watch(
    function: Function, inputs: tuple[Any, ...], cotangent: Any, device: str, node_of: Any = None
) -> list[Step]:
    """Run forward and backward; return what they found and left of the inputs and the cotangent.

    Writing into an input is a function's own way with tensors, and torch keeps account of it; a
    `torch.autograd.Function` declares it by `mark_dirty` and returns the tensor.
    """
    torch = imported_torch()
    own = tuple(_cloned(value) for value in to_tensors(inputs, device, tracked=True))
    seeds = to_tensors(cotangent, device)

    def state() -> tuple[tuple[Any, ...], Any]:
        found, last = to_arrays(_cloned((own, seeds)))
        return found, last

    before = state()
    with torch.enable_grad(), _same_random_numbers(device):
        outputs = function(*own)
    returned = {id(leaf) for _, leaf in trees.leaves(outputs)}
    declared = node_of is None or any(id(leaf) in returned for _, leaf in trees.leaves(own))
    between = state()
    pairs = zip(trees.leaves(outputs), trees.leaves(seeds), strict=True)
    kept = [(one, other) for (_, one), (_, other) in pairs if _is_tracked(one)]
    if kept:
        ends, weights = zip(*kept, strict=True)
        with _same_random_numbers(device, skip=1):
            torch.autograd.backward(ends, weights)
    return [
        ("forward", between if declared else before, between),
        ("backward", between, state()),
    ]


def gradients_of(function: Function) -> Function:
    """Return the function of tensors and a cotangent, last, to the gradients of the real ones.

    torch can differentiate it again, as it does where a caller asks for `create_graph=True`.
    """

    def gradients(*arguments: Any) -> tuple[Any, ...]:
        torch = imported_torch()

        def tracked(leaf: Any) -> Any:
            if _is_tracked(leaf) or not hasattr(leaf, "detach"):
                return leaf
            real = leaf.is_floating_point() or leaf.is_complex()
            return leaf.detach().requires_grad_() if real else leaf

        *inputs, cotangent = arguments
        with torch.enable_grad():
            own = trees.map_leaves(tracked, tuple(inputs))
            outputs = function(*(_cloned(value) for value in own))
            leaves = [leaf for _, leaf in trees.leaves(own) if _is_tracked(leaf)]
            pairs = zip(trees.leaves(outputs), trees.leaves(cotangent), strict=True)
            kept = [(one, other) for (_, one), (_, other) in pairs if _is_tracked(one)]
            found: Any = [None] * len(leaves)
            if kept:
                ends, weights = zip(*kept, strict=True)
                found = torch.autograd.grad(
                    ends, leaves, weights, allow_unused=True, create_graph=True
                )
        return tuple(
            torch.zeros_like(leaf) if value is None else value
            for leaf, value in zip(leaves, found, strict=True)
        )

    return gradients


def autodiff(
    function: Function, inputs: tuple[Any, ...], cotangent: Any, device: str
) -> Sequence[Any]:
    """Return the gradients by torch's own autodiff of the forwards, one for each variable.

    Raises:
        Abstention: the forward cannot be run so, or leaves torch.
    """
    with _forwards_inlined():
        try:
            _, pullback = backward(function, inputs, device)
            found = pullback(cotangent)
        except Exception as error:
            raise Abstention(
                f"torch cannot differentiate the forward ({type(error).__name__}: {_first_line(error)})"
            ) from error
    if found and all(value is None for value in found):
        raise Abstention("the forward leaves torch: nothing of its output depends on its inputs")
    variables = trees.variables(inputs)
    return [
        np.zeros_like(value) if gradient is None else gradient
        for value, gradient in zip(variables, found, strict=True)
    ]


class Context:
    """What a forward sees as `ctx` while torch differentiates it: it keeps what it is told."""

    def __init__(self, inputs: tuple[Any, ...]) -> None:
        self.saved_tensors: tuple[Any, ...] = ()
        self.needs_input_grad = tuple(getattr(value, "requires_grad", False) for value in inputs)
        self.constant_outputs: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep the tensors, which no backward will ask for."""
        self.saved_tensors = tensors

    save_for_forward = save_for_backward

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Remember the outputs that the function declares to be constants."""
        self.constant_outputs = tensors

    def mark_dirty(self, *tensors: Any) -> None:
        """Accept what needs no care here: inputs are copies."""

    def set_materialize_grads(self, value: bool) -> None:
        """Accept what concerns a backward alone."""


_PATCH = threading.RLock()


@contextmanager
def _forwards_inlined() -> Iterator[None]:
    """Let every `torch.autograd.Function` run as its forward alone, for torch to differentiate.

    `Function.apply` hands over to the class above it, also where the user's code holds on to
    `apply` itself; there is no other place that all of them pass.
    """
    function = imported_torch().autograd.Function
    parent = function.__mro__[1]
    with _PATCH:
        parent.apply = classmethod(_inlined)
        try:
            yield
        finally:
            del parent.apply


def _inlined(cls: Any, *inputs: Any) -> Any:
    function = imported_torch().autograd.Function
    separate = cls.setup_context is not function.setup_context
    context = Context(inputs)
    output = cls.forward(*inputs) if separate else cls.forward(context, *inputs)
    if separate:
        cls.setup_context(context, inputs, output)
    constants = {id(value) for value in context.constant_outputs}
    if not constants:
        return output
    return trees.map_leaves(lambda leaf: leaf.detach() if id(leaf) in constants else leaf, output)


@contextmanager
def _same_random_numbers(device: str, skip: int = 0) -> Iterator[None]:
    """Draw from a fixed state, another one for each `skip`, and put that of the program back."""
    generators = _generators(device)
    before = [generator.get_state() for generator in generators]
    for generator in generators:
        generator.manual_seed(skip)
    try:
        yield
    finally:
        for generator, state in zip(generators, before, strict=True):
            generator.set_state(state)


def _generators(device: str) -> list[Any]:
    """List the hidden generators of the CPU and of the device; `torch.manual_seed` reaches them all,
    and formats the stack each time."""
    torch = imported_torch()
    found = [torch.default_generator]
    place = torch.device(device)
    if place.type == "cuda":
        torch.cuda.init()
        found.append(torch.cuda.default_generators[place.index or 0])
    return found


def _cloned(tree: Any) -> Any:
    return trees.map_leaves(lambda leaf: leaf.clone() if hasattr(leaf, "clone") else leaf, tree)


def _is_tracked(leaf: Any) -> bool:
    return bool(getattr(leaf, "requires_grad", False))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]
