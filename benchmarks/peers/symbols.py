"""What symgraph and MXNet share: the dialect in which both build the networks."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.workloads import Workload


class Symbols:
    """Layers as symbols of `mx`, which is symgraph or MXNet."""

    def __init__(self, mx: Any, workload: Workload) -> None:
        self.sym = mx.sym
        self.workload = workload

    def dense(self, x: Any, width: int, name: str) -> Any:
        return self.sym.FullyConnected(x, num_hidden=width, name=name)

    def conv(
        self, x: Any, filters: int, kernel: int, stride: int, pad: int, name: str, groups: int = 1, bias: bool = False
    ) -> Any:
        return self.sym.Convolution(
            x,
            kernel=(kernel, kernel),
            stride=(stride, stride),
            pad=(pad, pad),
            num_filter=filters,
            num_group=groups,
            no_bias=not bias,
            name=name,
        )

    def norm(self, x: Any, name: str) -> Any:
        return self.sym.BatchNorm(x, fix_gamma=False, eps=1e-5, momentum=0.9, name=name)

    def relu(self, x: Any) -> Any:
        return self.sym.Activation(x, act_type="relu")

    def tanh(self, x: Any) -> Any:
        return self.sym.Activation(x, act_type="tanh")

    def add(self, x: Any, y: Any) -> Any:
        return x + y

    def max_pool(self, x: Any, kernel: int, stride: int, pad: int) -> Any:
        return self.sym.Pooling(x, kernel=(kernel, kernel), stride=(stride, stride), pad=(pad, pad), pool_type="max")

    def mean_pool(self, x: Any) -> Any:
        return self.sym.Flatten(self.sym.Pooling(x, kernel=(1, 1), global_pool=True, pool_type="avg"))

    def flatten(self, x: Any) -> Any:
        return self.sym.Flatten(x)

    def embed(self, x: Any, rows: int, width: int, name: str) -> Any:
        return self.sym.Embedding(x, input_dim=rows, output_dim=width, name=name)

    def lstm(self, x: Any, width: int, name: str) -> Any:
        """Unroll the graph of ``mx.rnn.LSTMCell``, outputs merged."""
        sym = self.sym
        batch, steps = self.workload.data
        weights = {k: sym.Variable(f"{name}_{k}") for k in ("i2h_weight", "i2h_bias", "h2h_weight", "h2h_bias")}
        state = output = sym.zeros(shape=(batch, width))
        outputs = []
        for k, word in enumerate(sym.SliceChannel(x, num_outputs=steps, axis=1, squeeze_axis=True)):
            i2h, h2h = (
                sym.FullyConnected(
                    value,
                    weights[f"{role}_weight"],
                    weights[f"{role}_bias"],
                    num_hidden=4 * width,
                    name=f"{name}_t{k}_{role}",
                )
                for role, value in (("i2h", word), ("h2h", output))
            )
            gates = sym.SliceChannel(i2h + h2h, num_outputs=4, name=f"{name}_t{k}_slice")
            enter, forget, leave = (sym.Activation(gates[g], act_type="sigmoid") for g in (0, 1, 3))
            change = sym.Activation(gates[2], act_type="tanh")
            state = forget * state + enter * change
            output = leave * sym.Activation(state, act_type="tanh")
            outputs.append(sym.expand_dims(output, axis=1))
        return sym.Reshape(sym.Concat(*outputs, dim=1), shape=(-1, width))

    def loss(self) -> Any:
        """Return the network of the workload with its output layer."""
        assert self.workload.network is not None
        net = self.workload.network(self, self.sym.Variable("data"))
        label = self.sym.Variable("label")
        if not self.workload.classes and self.workload.group == "training":
            return self.sym.LinearRegressionOutput(net, label, name="loss")
        if len(self.workload.label) > 1:
            label = self.sym.Reshape(label, shape=(-1,))
        return self.sym.SoftmaxOutput(net, label, name="softmax")


def fill(executor: Any, workload: Workload) -> None:
    """Give the parameters of an executor their first values."""
    arrays = {**executor.arg_dict, **executor.aux_dict}
    for name, array in workload.initial():
        arrays[name][:] = array


def weights(executor: Any, workload: Workload) -> dict[str, np.ndarray]:
    """Return the parameters that training renews."""
    return {n: executor.arg_dict[n].asnumpy() for n in workload.parameters() if n in executor.arg_dict}
