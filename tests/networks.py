"""Small networks of the usual kinds, as training steps with data: for tests of memory and of whole programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import symgraph as mx

__all__ = ["NETWORKS", "Network", "chain", "lstm"]

sym = mx.sym


class Network(NamedTuple):
    """A network with a loss, and the shapes of its data and label; labels and words are less than `classes`."""

    loss: Any
    data: tuple[int, ...]
    label: tuple[int, ...]
    classes: int
    words: bool = False

    def step(self, **keywords: Any) -> Any:
        """Return the executor of a training step with parameters and data that are the same in each call."""
        step = mx.sym.training_step(self.loss, "rmsprop_update", lr=0.001, gamma1=0.9)
        executor = step.simple_bind(mx.cpu(), data=self.data, label=self.label, **keywords)
        self.fill(executor)
        return executor

    def gradients(self, **keywords: Any) -> Any:
        """Return an executor that computes the gradients apart, filled alike."""
        executor = self.loss.simple_bind(mx.cpu(), data=self.data, label=self.label, **keywords)
        self.fill(executor)
        return executor

    def fill(self, executor: Any) -> None:
        rng = np.random.default_rng(0)
        for name, x in sorted({**executor.arg_dict, **executor.aux_dict}.items()):
            if name == "label" or (name == "data" and self.words):
                x[:] = rng.integers(0, self.classes, x.shape)
            elif name.endswith(("gamma", "var")):
                x[:] = 1
            else:
                x[:] = rng.standard_normal(x.shape) * (1 if name == "data" else 0.1)


def _unit(x: Any, name: str, filters: int, kernel: int, stride: int = 1, groups: int = 1) -> Any:
    pad = (kernel // 2,) * 2
    x = sym.Convolution(
        x,
        kernel=(kernel,) * 2,
        stride=(stride,) * 2,
        pad=pad,
        num_filter=filters,
        num_group=groups,
        no_bias=True,
        name=name,
    )
    return sym.BatchNorm(x, fix_gamma=False, name=f"{name}_bn")


def _relu(x: Any) -> Any:
    return sym.Activation(x, act_type="relu")


def _classified(x: Any, classes: int) -> Any:
    return sym.SoftmaxOutput(sym.FullyConnected(x, num_hidden=classes, name="out"), sym.Variable("label"), name="loss")


def _pooled(x: Any) -> Any:
    return sym.Flatten(sym.Pooling(x, kernel=(1, 1), global_pool=True, pool_type="avg"))


def chain(depth: int, width: int = 32, batch: int = 256) -> Network:
    """Return linear layers and rectifiers in a row."""
    x = sym.Variable("data")
    for k in range(depth):
        x = _relu(sym.FullyConnected(x, num_hidden=width, name=f"fc{k}"))
    return Network(_classified(x, 10), (batch, width), (batch,), 10)


def _lenet() -> Network:
    x = sym.Variable("data")
    for k, filters in enumerate((6, 12)):
        x = sym.Activation(sym.Convolution(x, kernel=(5, 5), num_filter=filters, name=f"conv{k}"), act_type="tanh")
        x = sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max")
    x = sym.Activation(sym.FullyConnected(sym.Flatten(x), num_hidden=50, name="fc"), act_type="tanh")
    return Network(_classified(x, 10), (16, 1, 28, 28), (16,), 10)


def _resnet() -> Network:
    x = _relu(_unit(sym.Variable("data"), "stem", 8, 3))
    for stage, filters in enumerate((8, 16, 32)):
        for unit in range(2):
            name, stride = f"s{stage}u{unit}", 2 if stage and not unit else 1
            short = _unit(x, f"{name}_short", filters, 1, stride) if stride > 1 else x
            x = _relu(_unit(x, f"{name}_a", filters, 3, stride))
            x = _relu(_unit(x, f"{name}_b", filters, 3) + short)
    return Network(_classified(_pooled(x), 10), (8, 3, 32, 32), (8,), 10)


def _mobilenet() -> Network:
    x = _relu(_unit(sym.Variable("data"), "stem", 8, 3, 2))
    channels = 8
    for k, (filters, stride) in enumerate([(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (64, 1)]):
        x = _relu(_unit(x, f"b{k}_depth", channels, 3, stride, groups=channels))
        x = _relu(_unit(x, f"b{k}_point", filters, 1))
        channels = filters
    return Network(_classified(_pooled(x), 10), (4, 3, 48, 48), (4,), 10)


def lstm(batch: int = 8, steps: int = 12, width: int = 32, words: int = 200) -> Network:
    """Return a language model, unrolled."""
    data = sym.Embedding(sym.Variable("data"), input_dim=words, output_dim=width, name="embed")
    weights = {f"{w}_{r}": sym.Variable(f"{w}_{r}") for w in ("i2h", "h2h") for r in ("weight", "bias")}
    state = output = sym.zeros(shape=(batch, width))
    outputs = []
    for k, x in enumerate(sym.SliceChannel(data, num_outputs=steps, axis=1, squeeze_axis=True)):
        i2h, h2h = (
            sym.FullyConnected(v, weights[f"{w}_weight"], weights[f"{w}_bias"], num_hidden=4 * width, name=f"{w}{k}")
            for w, v in (("i2h", x), ("h2h", output))
        )
        gates = sym.SliceChannel(i2h + h2h, num_outputs=4)
        enter, forget, leave = (sym.Activation(gates[g], act_type="sigmoid") for g in (0, 1, 3))
        state = forget * state + enter * sym.Activation(gates[2], act_type="tanh")
        output = leave * sym.Activation(state, act_type="tanh")
        outputs.append(sym.expand_dims(output, axis=1))
    x = sym.FullyConnected(sym.Reshape(sym.Concat(*outputs, dim=1), shape=(-1, width)), num_hidden=words, name="out")
    loss = sym.SoftmaxOutput(x, sym.Reshape(sym.Variable("label"), shape=(-1,)), name="loss")
    return Network(loss, (batch, steps), (batch, steps), words, words=True)


def _dropout() -> Network:
    x = sym.Variable("data")
    for k in range(4):
        x = sym.Dropout(_relu(sym.FullyConnected(x, num_hidden=64, name=f"fc{k}")), p=0.4, name=f"drop{k}")
    return Network(_classified(x, 10), (64, 32), (64,), 10)


#: Functions that make a network, by name.
NETWORKS: dict[str, Callable[[], Network]] = {
    "MLP": lambda: chain(3, 64),
    "LeNet": _lenet,
    "ResNet": _resnet,
    "MobileNet": _mobilenet,
    "LSTM": lstm,
    "dropout": _dropout,
}
