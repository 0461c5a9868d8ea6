"""The networks that benchmarks run, each written once.

A network is a function of `layers` and an input. `layers` is a peer's vocabulary: `dense`, `conv`, `norm`, ... as
methods, which make a layer of that library from a tensor of that library. So every peer computes the same network with
parameters of the same names and shapes; `Shapes` is the vocabulary that only finds out what these are.

Parameters have MXNet's names and layouts: ``<layer>_weight`` (outputs, inputs) or (filters, channels, height, width),
``<layer>_bias``, and of a normalisation ``<layer>_gamma``, ``_beta``, ``_moving_mean``, ``_moving_var``.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Shapes", "lenet", "linear", "lstm", "mlp", "mobilenet", "resnet"]


def linear(layers: Any, x: Any) -> Any:
    """One linear unit."""
    return layers.dense(x, 1, "fc")


def mlp(layers: Any, x: Any, hidden: tuple[int, ...]) -> Any:
    """A perceptron with rectified hidden layers and ten classes."""
    for k, width in enumerate(hidden):
        x = layers.relu(layers.dense(x, width, f"fc{k}"))
    return layers.dense(x, 10, "out")


def lenet(layers: Any, x: Any) -> Any:
    """LeNet as MXNet's examples had it: two convolutions with tanh and max pooling, two dense layers."""
    for k, filters in enumerate((20, 50)):
        x = layers.tanh(layers.conv(x, filters, 5, 1, 0, f"conv{k}", bias=True))
        x = layers.max_pool(x, 2, 2, 0)
    x = layers.tanh(layers.dense(layers.flatten(x), 500, "fc0"))
    return layers.dense(x, 10, "fc1")


def lstm(layers: Any, x: Any, vocabulary: int = 10000, width: int = 200) -> Any:
    """A language model: words (batch, steps) to scores of the next word (batch * steps, vocabulary)."""
    x = layers.lstm(layers.embed(x, vocabulary, width, "embed"), width, "lstm")
    return layers.dense(x, vocabulary, "out")


def _unit(layers: Any, x: Any, name: str, filters: int, kernel: int, stride: int, groups: int = 1) -> Any:
    """Convolution and normalisation."""
    x = layers.conv(x, filters, kernel, stride, kernel // 2, name, groups=groups)
    return layers.norm(x, f"{name}_bn")


def resnet(layers: Any, x: Any, depth: int) -> Any:
    """ResNet for 224 x 224 images (He et al., 2015), first version: 18 with basic blocks, 50 with bottlenecks."""
    bottleneck = depth == 50
    units = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}[depth]
    x = layers.relu(_unit(layers, x, "stem", 64, 7, 2))
    x = layers.max_pool(x, 3, 2, 1)
    for stage, count in enumerate(units):
        for unit in range(count):
            name, width = f"s{stage}u{unit}", 64 << stage
            stride = 2 if stage > 0 and unit == 0 else 1
            out = width * 4 if bottleneck else width
            short = x
            if unit == 0 and (stage > 0 or bottleneck):
                short = _unit(layers, x, f"{name}_short", out, 1, stride)
            if bottleneck:
                x = layers.relu(_unit(layers, x, f"{name}_a", width, 1, 1))
                x = layers.relu(_unit(layers, x, f"{name}_b", width, 3, stride))
                x = _unit(layers, x, f"{name}_last", out, 1, 1)
            else:
                x = layers.relu(_unit(layers, x, f"{name}_a", width, 3, stride))
                x = _unit(layers, x, f"{name}_last", width, 3, 1)
            x = layers.relu(layers.add(x, short))
    return layers.dense(layers.mean_pool(x), 1000, "fc")


def mobilenet(layers: Any, x: Any) -> Any:
    """MobileNet for 224 x 224 images (Howard et al., 2017), width 1."""
    x = layers.relu(_unit(layers, x, "stem", 32, 3, 2))
    channels = 32
    blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for k, (filters, stride) in enumerate(blocks):
        x = layers.relu(_unit(layers, x, f"b{k}_depth", channels, 3, stride, groups=channels))
        x = layers.relu(_unit(layers, x, f"b{k}_point", filters, 1, 1))
        channels = filters
    return layers.dense(layers.mean_pool(x), 1000, "fc")


class Shapes:
    """Layers on shapes: a tensor is its shape, and the shapes of all parameters are noted in `parameters`."""

    def __init__(self) -> None:
        self.parameters: dict[str, tuple[int, ...]] = {}

    def dense(self, x: Any, width: int, name: str) -> Any:
        self.parameters[f"{name}_weight"] = (width, x[-1])
        self.parameters[f"{name}_bias"] = (width,)
        return (x[0], width)

    def conv(
        self, x: Any, filters: int, kernel: int, stride: int, pad: int, name: str, groups: int = 1, bias: bool = False
    ) -> Any:
        self.parameters[f"{name}_weight"] = (filters, x[1] // groups, kernel, kernel)
        if bias:
            self.parameters[f"{name}_bias"] = (filters,)
        return (x[0], filters, *((n + 2 * pad - kernel) // stride + 1 for n in x[2:]))

    def norm(self, x: Any, name: str) -> Any:
        for role in ("gamma", "beta", "moving_mean", "moving_var"):
            self.parameters[f"{name}_{role}"] = (x[1],)
        return x

    def relu(self, x: Any) -> Any:
        return x

    tanh = relu

    def add(self, x: Any, y: Any) -> Any:
        assert x == y
        return x

    def max_pool(self, x: Any, kernel: int, stride: int, pad: int) -> Any:
        return (*x[:2], *((n + 2 * pad - kernel) // stride + 1 for n in x[2:]))

    def mean_pool(self, x: Any) -> Any:
        return x[:2]

    def flatten(self, x: Any) -> Any:
        return (x[0], x[1] * x[2] * x[3])

    def embed(self, x: Any, rows: int, width: int, name: str) -> Any:
        self.parameters[f"{name}_weight"] = (rows, width)
        return (*x, width)

    def lstm(self, x: Any, width: int, name: str) -> Any:
        for role, inputs in (("i2h", x[-1]), ("h2h", width)):
            self.parameters[f"{name}_{role}_weight"] = (4 * width, inputs)
            self.parameters[f"{name}_{role}_bias"] = (4 * width,)
        return (x[0] * x[1], width)
