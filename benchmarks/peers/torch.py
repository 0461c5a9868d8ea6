"""PyTorch, eager or compiled: gradients by autograd, the update by operations over all weights at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)

from benchmarks.workloads import Work, Workload, value


class Layers:
    """Layers as functions of tensors; `parameters` are by name."""

    def __init__(self, parameters: dict[str, torch.Tensor], training: bool) -> None:
        self.parameters = parameters
        self.training = training

    def dense(self, x: Any, width: int, name: str) -> Any:
        return F.linear(x, self.parameters[f"{name}_weight"], self.parameters[f"{name}_bias"])

    def conv(
        self, x: Any, filters: int, kernel: int, stride: int, pad: int, name: str, groups: int = 1, bias: bool = False
    ) -> Any:
        p = self.parameters
        return F.conv2d(x, p[f"{name}_weight"], p[f"{name}_bias"] if bias else None, stride, pad, 1, groups)

    def norm(self, x: Any, name: str) -> Any:
        gamma, beta, mean, var = (
            self.parameters[f"{name}_{k}"] for k in ("gamma", "beta", "moving_mean", "moving_var")
        )
        return F.batch_norm(x, mean, var, gamma, beta, self.training, 0.1, 1e-5)

    def relu(self, x: Any) -> Any:
        return torch.relu(x)

    def tanh(self, x: Any) -> Any:
        return torch.tanh(x)

    def add(self, x: Any, y: Any) -> Any:
        return x + y

    def max_pool(self, x: Any, kernel: int, stride: int, pad: int) -> Any:
        return F.max_pool2d(x, kernel, stride, pad)

    def mean_pool(self, x: Any) -> Any:
        return F.adaptive_avg_pool2d(x, 1).flatten(1)

    def flatten(self, x: Any) -> Any:
        return x.flatten(1)

    def embed(self, x: Any, rows: int, width: int, name: str) -> Any:
        return F.embedding(x, self.parameters[f"{name}_weight"])

    def lstm(self, x: Any, width: int, name: str) -> Any:
        roles = ("i2h_weight", "h2h_weight", "i2h_bias", "h2h_bias")
        weights = [self.parameters[f"{name}_{k}"] for k in roles]
        start = x.new_zeros(1, x.shape[0], width)
        return torch.lstm(x, (start, start), weights, True, 1, 0.0, self.training, False, True)[0].flatten(0, 1)


def update_(weights: Any, grads: Any, states: Any, hyper: dict[str, float]) -> None:
    """RMSProp in place; PyTorch's own has epsilon outside of the root."""
    if hyper["wd"]:
        grads = torch._foreach_add(grads, weights, alpha=hyper["wd"])
    torch._foreach_mul_(states, hyper["gamma1"])
    torch._foreach_addcmul_(states, grads, grads, value=1 - hyper["gamma1"])
    roots = torch._foreach_add(states, 1e-8)
    torch._foreach_sqrt_(roots)
    torch._foreach_addcdiv_(weights, grads, roots, value=-hyper["lr"])


class Network(torch.nn.Module):
    """An inference: the parameters are a module's, so that the compiler may take them for constants."""

    def __init__(self, workload: Workload, parameters: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.workload = workload
        for name, tensor in parameters.items():
            self.register_buffer(name, tensor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        layers = Layers(dict(self.named_buffers()), False)
        return torch.softmax(self.workload.network(layers, x), 1)  # type: ignore[misc]


def tensor(array: np.ndarray) -> torch.Tensor:
    """Return a tensor; images and filters with channels last, which is faster in every network here."""
    made = torch.from_numpy(array)
    return made.to(memory_format=torch.channels_last) if array.ndim == 4 else made


def workload(workload: Workload, mode: str) -> Work:
    """Prepare a workload; `mode` is ``compile`` for ``torch.compile``."""
    compiled = mode == "compile"
    if workload.group == "update":
        return _update(workload, compiled)
    parameters = {name: tensor(a) for name, a in workload.initial()}
    batch = {n: tensor(a) for n, a in workload.batch().items()}
    return (_inference if workload.group == "inference" else _training)(workload, parameters, batch, compiled)


def _update(workload: Workload, compiled: bool) -> Work:
    shapes = workload.parameters()
    w, g, n = (
        [torch.from_numpy(value(f"{role}{k}", shape)) for k, shape in enumerate(shapes.values())] for role in "wgn"
    )
    update = torch.compile(update_) if compiled else update_

    @torch.no_grad()
    def run() -> None:
        update(w, g, n, workload.hyper)

    return Work(run, lambda: {name: a.numpy() for name, a in zip(shapes, w, strict=True)})


def _inference(workload: Workload, parameters: Any, batch: Any, compiled: bool) -> Work:
    network, last = Network(workload, parameters).eval(), None
    data = batch["data"]
    if compiled:
        from torch._inductor import config

        config.freezing = True  # normalisation becomes part of convolution
        network = torch.compile(network)

    @(torch.no_grad if compiled else torch.inference_mode)()
    def run() -> None:
        nonlocal last
        last = network(data)

    return Work(run, lambda: {"output": last.numpy()})  # type: ignore[attr-defined]


def _training(workload: Workload, parameters: Any, batch: Any, compiled: bool) -> Work:
    weights = {n: a for n, a in parameters.items() if "moving" not in n}
    moving = {n: a for n, a in parameters.items() if "moving" in n}
    states = [torch.zeros_like(w) for w in weights.values()]
    hyper, scale = workload.hyper, workload.hyper["rescale_grad"]
    data, label = batch["data"], batch["label"]
    if workload.data == workload.label:
        data = data.long()
    if workload.classes:
        label = label.long().flatten()

    def loss(weights: Any) -> Any:
        scores = workload.network(Layers({**weights, **moving}, True), data)  # type: ignore[misc]
        if workload.classes:
            return F.cross_entropy(scores, label, reduction="sum") * scale
        return F.mse_loss(scores, label, reduction="sum") * (scale / 2)

    def gradients() -> Any:
        if compiled:
            return list(torch.func.grad(loss)(weights).values())
        return torch.autograd.grad(loss(weights), list(weights.values()))

    def step() -> None:
        grads = gradients()
        with torch.no_grad():
            update_(list(weights.values()), grads, states, hyper)

    if compiled:
        step = torch.compile(step)
    else:
        for w in weights.values():
            w.requires_grad_()
    return Work(step, lambda: {n: w.detach().numpy() for n, w in weights.items()})
