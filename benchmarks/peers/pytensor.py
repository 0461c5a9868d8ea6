"""PyTensor: the whole step is one function that renews shared variables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt

from benchmarks.workloads import Work, Workload, value

pytensor.config.floatX = "float32"

#: Its C code needs a BLAS to link with, which an installation from wheels has not.
MODE = "NUMBA"


class Layers:
    """Layers as expressions; `parameters` are shared variables by name. There are no layers of images."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.parameters = parameters

    def dense(self, x: Any, width: int, name: str) -> Any:
        return x @ self.parameters[f"{name}_weight"].T + self.parameters[f"{name}_bias"]

    def relu(self, x: Any) -> Any:
        return pt.maximum(x, np.float32(0))

    def embed(self, x: Any, rows: int, width: int, name: str) -> Any:
        return self.parameters[f"{name}_weight"][x]

    def lstm(self, x: Any, width: int, name: str) -> Any:
        p = {k: self.parameters[f"{name}_{k}"] for k in ("i2h_weight", "i2h_bias", "h2h_weight", "h2h_bias")}
        i2h = x.transpose(1, 0, 2) @ p["i2h_weight"].T + (p["i2h_bias"] + p["h2h_bias"])

        def step(word: Any, output: Any, state: Any, h2h_weight: Any) -> Any:
            gates = word + output @ h2h_weight.T
            enter, forget, change, leave = (gates[:, k * width : (k + 1) * width] for k in range(4))
            state = pt.sigmoid(forget) * state + pt.sigmoid(enter) * pt.tanh(change)
            return pt.sigmoid(leave) * pt.tanh(state), state

        start = pt.zeros((x.shape[0], width), dtype="float32")
        outputs = pytensor.scan(step, i2h, [start, start], [p["h2h_weight"]], strict=True, return_updates=False)[0]
        return outputs.transpose(1, 0, 2).reshape((-1, width))


def updates(weights: Any, grads: Any, states: Any, hyper: dict[str, float]) -> dict[Any, Any]:
    """Return the new value of each weight and state."""
    lr, gamma, rest, wd, epsilon = (
        np.float32(v) for v in (hyper["lr"], hyper["gamma1"], 1 - hyper["gamma1"], hyper["wd"], 1e-8)
    )
    renewed = {}
    for w, g, n in zip(weights, grads, states, strict=True):
        g = g + wd * w if wd else g
        renewed[n] = rest * g * g + gamma * n
        renewed[w] = w - lr * g / pt.sqrt(renewed[n] + epsilon)
    return renewed


def workload(workload: Workload, mode: str) -> Work:
    """Prepare a workload."""
    if len(workload.data) == 4:
        raise NotImplementedError("PyTensor has no convolution of a batch of images")
    if workload.group == "update":
        shapes = list(workload.parameters().values())
        w, g, n = (
            [pytensor.shared(value(f"{role}{k}", s), borrow=True) for k, s in enumerate(shapes)] for role in "wgn"
        )
        run = pytensor.function([], [], updates=updates(w, g, n, workload.hyper), mode=MODE)
        names = list(workload.parameters())
        return Work(run, lambda: {name: a.get_value() for name, a in zip(names, w, strict=True)})
    parameters = {name: pytensor.shared(a, name, borrow=True) for name, a in workload.initial()}
    weights = list(parameters.values())
    states = [pytensor.shared(np.zeros_like(w.get_value(borrow=True))) for w in weights]
    batch = workload.batch()
    if workload.classes:
        batch["label"] = batch["label"].astype(np.int64).reshape(-1)
    if workload.data == workload.label:
        batch["data"] = batch["data"].astype(np.int64)
    data, label = (pt.tensor(name, shape=a.shape, dtype=a.dtype) for name, a in batch.items())
    scores = workload.network(Layers(parameters), data)  # type: ignore[misc]
    scale = np.float32(workload.hyper["rescale_grad"])
    if workload.classes:
        scores = pt.special.log_softmax(scores, axis=1)
        loss = -scores[pt.arange(label.shape[0]), label].sum() * scale
    else:
        loss = pt.sqr(scores - label).sum() * (scale / 2)
    grads = pytensor.grad(loss, weights)
    step = pytensor.function(
        [data, label], loss, updates=updates(weights, grads, states, workload.hyper), mode=MODE, trust_input=True
    )
    return Work(lambda: step(*batch.values()), lambda: {n: w.get_value() for n, w in parameters.items()})
