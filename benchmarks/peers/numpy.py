"""NumPy as a person would write it who wants speed: arrays made beforehand, every call writes into one of them.

Weights, gradients and states lie in one array each, so that one row of calls renews them all. Long rows go block by
block, so that what a call writes is still in the cache when the next one reads it, and on all cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.workloads import Work, Workload, value

#: Weights in a block, and weights from which on several threads pay.
BLOCK, MANY = 1 << 14, 1 << 19


def workload(workload: Workload, mode: str) -> Work:
    """Prepare a workload."""
    if workload.group == "update":
        return _update(workload)
    if workload.name not in ("linear", "mlp"):
        raise NotImplementedError("not written by hand")
    flat = [np.zeros(sum(int(np.prod(s)) for s in workload.parameters().values()), np.float32) for _ in range(3)]
    views = [_views(workload, a) for a in flat]
    for name, array in workload.initial():
        views[0][name][:] = array
    make = _linear if workload.name == "linear" else _mlp
    gradient, renew = make(workload, *views[:2]), _renew(*flat, workload.hyper)

    def run() -> None:
        gradient()
        renew()

    return Work(run, lambda: dict(views[0]))


def _views(workload: Workload, flat: np.ndarray) -> dict[str, np.ndarray]:
    """Return the parameters as pieces of one array."""
    views, start = {}, 0
    for name, shape in workload.parameters().items():
        stop = start + int(np.prod(shape))
        views[name] = flat[start:stop].reshape(shape)
        start = stop
    return views


def _renew(w: np.ndarray, g: np.ndarray, n: np.ndarray, hyper: dict[str, float]) -> Callable[[], object]:
    """Return RMSProp of flat arrays."""
    add, subtract, multiply, divide = np.add, np.subtract, np.multiply, np.divide
    square, sqrt = np.square, np.sqrt
    gamma, rest, epsilon, rate, scale, decay = (
        np.array(v, np.float32)
        for v in (hyper["gamma1"], 1 - hyper["gamma1"], 1e-8, hyper["lr"], hyper["rescale_grad"], hyper["wd"])
    )
    plain = hyper["rescale_grad"] == 1 and hyper["wd"] == 0

    def block(w: np.ndarray, g: np.ndarray, n: np.ndarray, t: np.ndarray, u: np.ndarray) -> Callable[[], None]:
        def renew(g: np.ndarray = g) -> None:
            square(g, t)
            multiply(t, rest, t)
            multiply(n, gamma, n)
            add(n, t, n)
            add(n, epsilon, t)
            sqrt(t, t)
            divide(g, t, t)
            multiply(t, rate, t)
            subtract(w, t, w)

        def scale_and_renew() -> None:
            multiply(g, scale, u)
            multiply(w, decay, t)
            add(u, t, u)
            renew(u)

        return renew if plain else scale_and_renew

    def part(start: int, stop: int) -> Callable[[], object]:
        scratch = np.empty((2, min(BLOCK, stop - start)), np.float32)
        cuts = [slice(k, min(k + BLOCK, stop)) for k in range(start, stop, BLOCK)]
        blocks = [block(w[c], g[c], n[c], *scratch[:, : c.stop - c.start]) for c in cuts]
        return blocks[0] if len(blocks) == 1 else lambda: [run() for run in blocks]

    if w.size < MANY:
        return part(0, w.size)
    threads = os.cpu_count() or 1
    ends = [w.size * k // threads for k in range(threads + 1)]
    parts = [part(*ends[k : k + 2]) for k in range(threads)]
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(lambda run: run(), parts))


def _update(workload: Workload) -> Work:
    flat = [np.empty(workload.size, np.float32) for _ in range(3)]
    views = _views(workload, flat[0])
    for k, (name, shape) in enumerate(workload.parameters().items()):
        piece = slice(k * views[name].size, (k + 1) * views[name].size)
        for role, array in zip("wgn", flat, strict=True):
            array[piece] = value(f"{role}{k}", shape)
    return Work(_renew(*flat, workload.hyper), lambda: dict(views))


def _linear(workload: Workload, w: dict[str, np.ndarray], g: dict[str, np.ndarray]) -> Callable[[], None]:
    data, label = workload.batch().values()
    x, y, out = np.empty_like(data), np.empty_like(label), np.empty_like(label)
    w_t, b, dw, db = w["fc_weight"].T, w["fc_bias"], g["fc_weight"], g["fc_bias"]
    out_t = out.T
    matmul, add, subtract, total, copy = np.matmul, np.add, np.subtract, np.add.reduce, np.copyto

    def gradient() -> None:
        copy(x, data)
        copy(y, label)
        matmul(x, w_t, out)
        add(out, b, out)
        subtract(out, y, out)
        matmul(out_t, x, dw)
        total(out, 0, None, db)

    return gradient


def _mlp(workload: Workload, w: dict[str, np.ndarray], g: dict[str, np.ndarray]) -> Callable[[], None]:
    data, label = workload.batch().values()
    x = np.empty_like(data)
    w0_t, b0, w1, b1 = w["fc0_weight"].T, w["fc0_bias"], w["out_weight"], w["out_bias"]
    dw0, db0, dw1, db1 = g["fc0_weight"], g["fc0_bias"], g["out_weight"], g["out_bias"]
    hidden, back = np.empty((2, len(x), 64), np.float32)
    scores, chosen = np.empty((len(x), 10), np.float32), np.empty((len(x), 10), bool)
    column, alive, zero = np.empty((len(x), 1), np.float32), np.empty(hidden.shape, bool), np.float32(0)
    w1_t, scores_t, back_t = w1.T, scores.T, back.T
    classes = np.arange(10, dtype=np.float32)
    column_of_label = label[:, None]
    matmul, add, subtract, multiply, divide = np.matmul, np.add, np.subtract, np.multiply, np.divide
    largest, total, exp, maximum, copy = np.maximum.reduce, np.add.reduce, np.exp, np.maximum, np.copyto
    equal, greater = np.equal, np.greater

    def gradient() -> None:
        copy(x, data)
        matmul(x, w0_t, hidden)
        add(hidden, b0, hidden)
        maximum(hidden, zero, out=hidden)
        matmul(hidden, w1_t, scores)
        add(scores, b1, scores)
        largest(scores, 1, None, column, True)
        subtract(scores, column, scores)
        exp(scores, scores)
        total(scores, 1, None, column, True)
        divide(scores, column, scores)
        equal(column_of_label, classes, chosen)
        subtract(scores, chosen, scores)
        matmul(scores_t, hidden, dw1)
        total(scores, 0, None, db1)
        matmul(scores, w1, back)
        greater(hidden, zero, alive)
        multiply(back, alive, back)
        matmul(back_t, x, dw0)
        total(back, 0, None, db0)

    return gradient
