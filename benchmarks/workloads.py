"""What is measured: names, sizes, initial values and tolerances. Imports NumPy only, since every peer reads it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.random import RandomState  # its sequences never change; loaded here, it is no memory of a workload

from benchmarks import networks

__all__ = ["WORKLOADS", "Work", "Workload"]

#: Steps that a worker makes before its result is compared with that of the others.
CHECKED_STEPS = 3


class Work(NamedTuple):
    """A workload as a peer has prepared it."""

    #: One call, which returns when everything is computed.
    run: Callable[[], Any]
    #: The weights by name after the calls made so far, or ``{"output": ...}``, in the layout of `networks`. None: it
    #: shows what the machine can do, and has no result.
    state: Callable[[], dict[str, np.ndarray]] | None
    #: Bytes that the peer says it needs beside weights, gradients and states, where it says so.
    scratch: int | None = None


class Workload(NamedTuple):
    """A name for one computation that every peer does in its best form."""

    name: str
    #: update, training or inference.
    group: str
    what: str
    #: How far a result may lie from symgraph's: norm of the difference by norm of what the steps changed (of an
    #: inference: of the output without its mean), the largest of all tensors.
    tolerance: float
    network: Callable[[Any, Any], Any] | None = None
    data: tuple[int, ...] = ()
    label: tuple[int, ...] = ()
    #: Labels and words are less than this; 0: labels are any numbers, the loss is squared.
    classes: int = 0
    hyper: dict[str, float] = {}  # noqa: RUF012 (no one writes to it)
    #: Of an update: weights in all, and the tensors they are split into.
    size: int = 0
    tensors: int = 0

    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the parameters by name."""
        if self.network is None:
            return {f"w{k}": (self.size // self.tensors,) for k in range(self.tensors)}
        shapes = networks.Shapes()
        self.network(shapes, self.data)
        return shapes.parameters

    def initial(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the name and the first value of each parameter, one by one: they need not fit in memory twice."""
        for name, shape in self.parameters().items():
            yield name, value(name, shape)

    def batch(self) -> dict[str, np.ndarray]:
        """Return data and, for training, label."""
        words = self.classes if len(self.data) == 2 and self.data == self.label else 0
        arrays = {"data": _numbers("data", self.data, words)}
        if self.label:
            arrays["label"] = _numbers("label", self.label, self.classes)
        return arrays


def _random(name: str) -> RandomState:
    return RandomState(zlib.crc32(name.encode()))


def _numbers(name: str, shape: tuple[int, ...], classes: int) -> np.ndarray:
    rng = _random(name)
    return (rng.randint(0, classes, shape) if classes else rng.standard_normal(shape)).astype(np.float32)


def value(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the first value of a parameter, the same in every peer: it depends on its name and shape alone."""
    if name.endswith("last_bn_gamma"):  # as large as it is, a residual branch would grow the output beyond a softmax
        return np.full(shape, 0.25, np.float32)
    if name.endswith(("gamma", "moving_var")):
        return np.ones(shape, np.float32)
    if name[0] == "n" and name[1:].isdigit():  # an average of squares
        return np.square(value("root" + name, shape))
    scale = np.sqrt(2 / np.prod(shape[1:])) if len(shape) > 1 else 0.1
    rng, array = _random(name), np.empty(shape, np.float32)
    flat = array.reshape(-1)
    for start in range(0, flat.size, 1 << 16):  # in pieces, since RandomState makes float64
        piece = flat[start : start + (1 << 16)]
        piece[:] = rng.standard_normal(piece.size) * scale
    return array


def _update(text: str, tensors: int) -> Workload:
    size = int(float(text))
    what = f"rmsprop_update of {text} float32 in {tensors} tensor{'s' * (tensors > 1)}"
    hyper = {"lr": 0.001, "gamma1": 0.9, "rescale_grad": 1.0, "wd": 0.0}
    return Workload(f"rmsprop-{text}-{tensors}", "update", what, 1e-3, hyper=hyper, size=size, tensors=tensors)


def _training(
    name: str,
    what: str,
    tolerance: float,
    network: Callable[[Any, Any], Any],
    data: tuple[int, ...],
    label: tuple[int, ...] | None = None,
    classes: int = 10,
    lr: float = 1e-4,
) -> Workload:
    # Weight decay keeps averages of squares from shrinking into denormal numbers, on which processors are slow, where
    # a dead unit has no gradient.
    hyper = {"lr": lr, "gamma1": 0.9, "rescale_grad": 1 / data[0], "wd": 1e-4 if classes else 0.0}
    return Workload(name, "training", what, tolerance, network, data, label or data[:1], classes, hyper)


def _inference(network: str, title: str, function: Callable[[Any, Any], Any], batch: int) -> Workload:
    name, data = f"{network}-{batch}", (batch, 3, 224, 224)
    return Workload(name, "inference", f"{title}, batch {batch}", 1e-3, function, data)


_ALL = [
    *(_update(size, tensors) for size in ("1e3", "1e5", "1e6", "2e7") for tensors in (1, 100)),
    _training("linear", "linear regression 10 x 5", 1e-3, networks.linear, (10, 5), (10, 1), classes=0, lr=0.01),
    _training("mlp", "MLP 784-64-10, batch 32", 1e-2, partial(networks.mlp, hidden=(64,)), (32, 784)),
    _training("wide", "MLP 784-1024x3-10, batch 128", 5e-2, partial(networks.mlp, hidden=(1024,) * 3), (128, 784)),
    _training("lenet", "LeNet, batch 64", 1e-2, networks.lenet, (64, 1, 28, 28)),
    _training("lstm", "LSTM 200, 35 steps, batch 32", 1e-2, networks.lstm, (32, 35), (32, 35), classes=10000),
    _training(
        "resnet18-train",
        "ResNet-18, batch 8",
        5e-2,
        partial(networks.resnet, depth=18),
        (8, 3, 224, 224),
        classes=1000,
        lr=1e-5,  # a network this deep makes much of a bit of difference after larger steps
    ),
    *(
        _inference(name, title, function, batch)
        for name, title, function in (
            ("resnet18", "ResNet-18", partial(networks.resnet, depth=18)),
            ("resnet50", "ResNet-50", partial(networks.resnet, depth=50)),
            ("mobilenet", "MobileNet v1", networks.mobilenet),
        )
        for batch in (1, 8)
    ),
]

#: All workloads by name.
WORKLOADS = {w.name: w for w in _ALL}
