"""ONNX Runtime: the same network as an ONNX model, fused by a session with its defaults."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.workloads import Work, Workload


class Layers:
    """Layers as nodes of a model; a tensor is its name."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def dense(self, x: str, width: int, name: str) -> str:
        return self.node("Gemm", x, f"{name}_weight", f"{name}_bias", transB=1)

    def conv(
        self, x: str, filters: int, kernel: int, stride: int, pad: int, name: str, groups: int = 1, bias: bool = False
    ) -> str:
        inputs = [x, f"{name}_weight", *[f"{name}_bias"] * bias]
        return self.node("Conv", *inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, group=groups)

    def norm(self, x: str, name: str) -> str:
        roles = (f"{name}_{k}" for k in ("gamma", "beta", "moving_mean", "moving_var"))
        return self.node("BatchNormalization", x, *roles, epsilon=1e-5)

    def relu(self, x: str) -> str:
        return self.node("Relu", x)

    def add(self, x: str, y: str) -> str:
        return self.node("Add", x, y)

    def max_pool(self, x: str, kernel: int, stride: int, pad: int) -> str:
        return self.node("MaxPool", x, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def mean_pool(self, x: str) -> str:
        return self.node("Flatten", self.node("GlobalAveragePool", x))


def session(workload: Workload) -> Any:
    """Return a session that infers the network."""
    layers = Layers()
    output = layers.node("Softmax", workload.network(layers, "data"), axis=1)  # type: ignore[misc]
    graph = helper.make_graph(
        layers.nodes,
        workload.name,
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, workload.data)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, (workload.data[0], 1000))],
        [numpy_helper.from_array(a, name) for name, a in workload.initial()],
    )
    # The oldest versions that have all of these operators in today's form, so that every runtime reads them.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def workload(workload: Workload, mode: str) -> Work:
    """Prepare a workload."""
    if workload.group != "inference":
        raise NotImplementedError("ONNX Runtime infers only")
    runtime, data = session(workload), workload.batch()["data"]
    last: list[np.ndarray] = []

    def run() -> None:
        last[:] = runtime.run(None, {"data": data})

    return Work(run, lambda: {"output": last[0]})
