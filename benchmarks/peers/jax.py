"""JAX: the whole step in one jit; weights and states are donated."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.workloads import Work, Workload, value


class Layers:
    """Layers as functions of arrays; `parameters` are by name, images and filters have channels last: twice as fast."""

    def __init__(self, parameters: dict[str, Any], training: bool) -> None:
        self.parameters = parameters
        self.training = training
        #: In training: the moving averages that this batch has renewed.
        self.renewed: dict[str, Any] = {}

    def dense(self, x: Any, width: int, name: str) -> Any:
        return x @ self.parameters[f"{name}_weight"].T + self.parameters[f"{name}_bias"]

    def conv(
        self, x: Any, filters: int, kernel: int, stride: int, pad: int, name: str, groups: int = 1, bias: bool = False
    ) -> Any:
        weight = self.parameters[f"{name}_weight"]
        x = lax.conv_general_dilated(
            x,
            weight,
            (stride, stride),
            ((pad, pad), (pad, pad)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )
        return x + self.parameters[f"{name}_bias"] if bias else x

    def norm(self, x: Any, name: str) -> Any:
        gamma, beta, mean, var = (
            self.parameters[f"{name}_{k}"] for k in ("gamma", "beta", "moving_mean", "moving_var")
        )
        if self.training:
            old, mean, var = (mean, var), jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
            self.renewed[f"{name}_moving_mean"] = 0.9 * old[0] + 0.1 * mean
            self.renewed[f"{name}_moving_var"] = 0.9 * old[1] + 0.1 * var
        scale = gamma * lax.rsqrt(var + 1e-5)
        return x * scale + (beta - mean * scale)

    def relu(self, x: Any) -> Any:
        return jax.nn.relu(x)

    def tanh(self, x: Any) -> Any:
        return jnp.tanh(x)

    def add(self, x: Any, y: Any) -> Any:
        return x + y

    def max_pool(self, x: Any, kernel: int, stride: int, pad: int) -> Any:
        window, strides, pads = (1, kernel, kernel, 1), (1, stride, stride, 1), ((0, 0), (pad, pad), (pad, pad), (0, 0))
        return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, pads)

    def mean_pool(self, x: Any) -> Any:
        return jnp.mean(x, (1, 2))

    def flatten(self, x: Any) -> Any:
        return x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)

    def embed(self, x: Any, rows: int, width: int, name: str) -> Any:
        return self.parameters[f"{name}_weight"][x]

    def lstm(self, x: Any, width: int, name: str) -> Any:
        p = {k: self.parameters[f"{name}_{k}"] for k in ("i2h_weight", "i2h_bias", "h2h_weight", "h2h_bias")}
        # The products of all words at once; only those of the outputs must wait for each other.
        i2h = x.transpose(1, 0, 2) @ p["i2h_weight"].T + (p["i2h_bias"] + p["h2h_bias"])

        def step(carry: Any, word: Any) -> Any:
            output, state = carry
            enter, forget, change, leave = jnp.split(word + output @ p["h2h_weight"].T, 4, 1)
            state = jax.nn.sigmoid(forget) * state + jax.nn.sigmoid(enter) * jnp.tanh(change)
            output = jax.nn.sigmoid(leave) * jnp.tanh(state)
            return (output, state), output

        start = jnp.zeros((x.shape[0], width), x.dtype)
        return lax.scan(step, (start, start), i2h)[1].transpose(1, 0, 2).reshape(-1, width)


def updated(weight: Any, grad: Any, n: Any, hyper: dict[str, float]) -> tuple[Any, Any]:
    """One RMSProp step; returns weight and state."""
    grad = grad + hyper["wd"] * weight if hyper["wd"] else grad
    n = (1 - hyper["gamma1"]) * grad * grad + hyper["gamma1"] * n
    return weight - hyper["lr"] * grad / jnp.sqrt(n + 1e-8), n


def workload(workload: Workload, mode: str) -> Work:
    """Prepare a workload."""
    if workload.group == "update":
        return _update(workload)
    parameters = {name: jnp.asarray(a.transpose(2, 3, 1, 0) if a.ndim == 4 else a) for name, a in workload.initial()}
    batch = {n: jnp.asarray(a.transpose(0, 2, 3, 1) if a.ndim == 4 else a) for n, a in workload.batch().items()}
    return (_inference if workload.group == "inference" else _training)(workload, parameters, batch)


def _update(workload: Workload) -> Work:
    names = workload.parameters()
    w, g, n = ([jnp.asarray(value(f"{role}{k}", s)) for k, s in enumerate(names.values())] for role in "wgn")

    @partial(jax.jit, donate_argnums=(0, 2))
    def step(w: Any, g: Any, n: Any) -> Any:
        pairs = [updated(*triple, workload.hyper) for triple in zip(w, g, n, strict=True)]
        return [p[0] for p in pairs], [p[1] for p in pairs]

    def run() -> None:
        nonlocal w, n
        w, n = step(w, g, n)
        jax.block_until_ready((w, n))

    return Work(run, lambda: {name: np.asarray(a) for name, a in zip(names, w, strict=True)})


def _inference(workload: Workload, parameters: Any, batch: Any) -> Work:
    last = None

    @jax.jit
    def network(parameters: Any, x: Any) -> Any:
        return jax.nn.softmax(workload.network(Layers(parameters, False), x))  # type: ignore[misc]

    def run() -> None:
        nonlocal last
        last = network(parameters, batch["data"]).block_until_ready()

    return Work(run, lambda: {"output": np.asarray(last)})


def _training(workload: Workload, parameters: Any, batch: Any) -> Work:
    weights = {n: a for n, a in parameters.items() if "moving" not in n}
    moving = {n: a for n, a in parameters.items() if "moving" in n}
    states = {n: jnp.zeros_like(w) for n, w in weights.items()}
    hyper, scale = workload.hyper, workload.hyper["rescale_grad"]
    data, label = batch["data"], batch["label"]
    if len(workload.data) == 2 and workload.data == workload.label:
        data = data.astype(int)
    if workload.classes:
        label = label.astype(int).reshape(-1)

    def loss(weights: Any, moving: Any, data: Any, label: Any) -> Any:
        layers = Layers(weights | moving, True)
        scores = workload.network(layers, data)  # type: ignore[misc]
        if workload.classes:
            chosen = jnp.take_along_axis(jax.nn.log_softmax(scores), label[:, None], 1)
            return -chosen.sum() * scale, layers.renewed
        return jnp.square(scores - label).sum() * (scale / 2), layers.renewed

    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def step(weights: Any, states: Any, moving: Any, data: Any, label: Any) -> Any:
        (result, moving), grads = jax.value_and_grad(loss, has_aux=True)(weights, moving, data, label)
        pairs = {n: updated(w, grads[n], states[n], hyper) for n, w in weights.items()}
        return {n: p[0] for n, p in pairs.items()}, {n: p[1] for n, p in pairs.items()}, moving, result

    def run() -> None:
        nonlocal weights, states, moving
        weights, states, moving, result = step(weights, states, moving, data, label)
        jax.block_until_ready((weights, states, moving, result))

    def state() -> dict[str, np.ndarray]:
        return {n: np.transpose(w, (3, 2, 0, 1)) if w.ndim == 4 else np.asarray(w) for n, w in weights.items()}

    return Work(run, state)
