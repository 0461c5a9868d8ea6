"""One competitor in a process of its own: ``worker.py MODULE WORKLOAD``.

Prints ``ready`` when everything is built and warm; then each line on its standard input asks for one round, answered by
a JSON object with the seconds of the fastest and the median call of the round. ``memory`` is answered by the peak
resident bytes. Runs under symgraph's Python and under MXNet's, so it imports nothing but NumPy and the module.
"""

from __future__ import annotations

import json
import pathlib
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent)]

from benchmarks import networks  # noqa: E402

#: Seconds of one round.
ROUND = 0.5


def fill(arrays: dict[str, Any], skip: tuple[str, ...] = ()) -> None:
    """Give every parameter the same small random values in each module; variances and scales become one."""
    rng = np.random.RandomState(0)
    for name in sorted(arrays):
        if name in skip:
            continue
        shape = arrays[name].shape
        if name.endswith(("gamma", "var")):
            arrays[name][:] = np.ones(shape, np.float32)
        else:
            fan = int(np.prod(shape[1:])) or 1
            arrays[name][:] = (rng.standard_normal(shape) / np.sqrt(fan)).astype(np.float32)


def inference(mx: Any, depth: int) -> Callable[[], None]:
    """ResNet inference of one image."""
    executor = networks.resnet(mx, depth).simple_bind(mx.cpu(), grad_req="null", data=(1, 3, 224, 224))
    fill(executor.arg_dict)
    fill(executor.aux_dict)

    def run() -> None:
        executor.forward(is_train=False)
        executor.outputs[0].wait_to_read()

    return run


def training(
    mx: Any, symbol: Any, shapes: dict[str, tuple[int, ...]], hyper: dict[str, float], classes: int = 0
) -> Callable[[], None]:
    """One training step with RMSProp, from feeding a batch to renewed weights."""
    rng = np.random.RandomState(1)
    feed = {
        n: rng.randint(0, classes, s).astype("f")
        if classes and n.endswith("label")
        else rng.standard_normal(s).astype("f")
        for n, s in shapes.items()
    }
    if mx.__name__ == "symgraph":
        step = mx.sym.training_step(symbol, "rmsprop_update", **hyper)
        executor = step.simple_bind(mx.cpu(), **shapes)
        fill(executor.arg_dict, tuple(shapes))

        def step_symgraph() -> None:
            executor.forward(is_train=True, **feed)

        return step_symgraph
    request = {n: "null" if n in shapes else "write" for n in symbol.list_arguments()}
    executor = symbol.simple_bind(mx.cpu(), grad_req=request, **shapes)
    fill(executor.arg_dict, tuple(shapes))
    names = [n for n in symbol.list_arguments() if n not in shapes]
    states = {n: mx.nd.zeros(executor.arg_dict[n].shape) for n in names}
    feeds = {n: mx.nd.array(x) for n, x in feed.items()}

    def step_mxnet() -> None:
        executor.forward(is_train=True, **feeds)
        executor.backward()
        for n in names:
            w = executor.arg_dict[n]
            mx.nd.rmsprop_update(w, executor.grad_dict[n], states[n], out=w, **hyper)
        mx.nd.waitall()

    return step_mxnet


def update(mx: Any, size: int) -> Callable[[], None]:
    """``rmsprop_update`` of `size` weights in one tensor."""
    rng = np.random.RandomState(0)
    weight, grad, n = (rng.random_sample(size).astype(np.float32) for _ in range(3))
    if mx.__name__ == "symgraph":
        # The update as it runs in a training graph: bound once, renewed in place.
        w, g, s = (mx.sym.Variable(name) for name in ("w", "g", "n"))
        step = mx.sym.rmsprop_update(w, g, s, lr=0.01, gamma1=0.9, attr={"__renews__": "w"})
        executor = step.bind(
            mx.cpu(),
            {"w": mx.nd.array(weight), "g": mx.nd.array(grad)},
            grad_req="null",
            aux_states={"n": mx.nd.array(n)},
        )

        def step() -> None:
            executor.forward(is_train=True)

        # What the plan needs beside weights, gradients and states, all of its threads together.
        step.scratch = executor.bound(True).plan.arena.nbytes  # type: ignore[attr-defined]
        return step
    weight, grad, n = mx.nd.array(weight), mx.nd.array(grad), mx.nd.array(n)

    def run() -> None:
        mx.nd.rmsprop_update(weight, grad, n, out=weight, lr=0.01, gamma1=0.9)
        weight.wait_to_read()

    return run


def hand_written() -> Callable[[], None]:
    """Linear regression with RMSProp as a person would write it in NumPy, every view and constant made beforehand.

    The arithmetic is that of the operators, weight decay included; weights, gradients and states lie in one array each.
    """
    rng = np.random.RandomState(1)
    data, label = rng.standard_normal((10, 5)).astype("f"), rng.standard_normal((10, 1)).astype("f")
    x, y = np.empty_like(data), np.empty_like(label)
    weights, states, grads = (np.zeros(6, "f") for _ in range(3))
    w_t, b = weights[:5].reshape(1, 5).T, weights[5:]
    dw, db = grads[:5].reshape(1, 5), grads[5:]
    out, error = np.empty((10, 1), "f"), np.empty((10, 1), "f")
    error_t = error.T
    t = np.empty(6, "f")
    scale, decay, gamma, rest, epsilon, rate = (np.array(v, "f") for v in (0.1, 0.0, 0.9, 0.1, 1e-8, 0.01))
    add, subtract, multiply, divide = np.add, np.subtract, np.multiply, np.divide
    matmul, square, sqrt, total, copy = np.matmul, np.square, np.sqrt, np.add.reduce, np.copyto

    def step() -> None:
        copy(x, data)
        copy(y, label)
        matmul(x, w_t, out)
        add(out, b, out)
        subtract(out, y, error)
        matmul(error_t, x, dw)
        total(error, 0, None, db)
        multiply(grads, scale, grads)
        multiply(weights, decay, t)
        add(grads, t, grads)
        square(grads, t)
        multiply(t, rest, t)
        multiply(states, gamma, states)
        add(states, t, states)
        add(states, epsilon, t)
        sqrt(t, t)
        divide(grads, t, t)
        multiply(t, rate, t)
        subtract(weights, t, weights)

    return step


def workload(module: str, name: str) -> Callable[[], None]:
    """Return one call of a workload."""
    if module == "numpy":
        return {"linear": hand_written}[name]()
    mx = __import__(module)
    hyper = {"lr": 0.001, "gamma1": 0.9}
    makers: dict[str, Callable[[], Callable[[], None]]] = {
        "linear": lambda: training(
            mx,
            networks.linear_regression(mx),
            {"data": (10, 5), "label": (10, 1)},
            {"lr": 0.01, "gamma1": 0.9, "rescale_grad": 0.1},
        ),
        "mlp": lambda: training(mx, networks.mlp(mx), {"data": (32, 784), "label": (32,)}, hyper, 10),
        "lenet": lambda: training(mx, networks.lenet(mx), {"data": (64, 1, 28, 28), "label": (64,)}, hyper, 10),
        "wide": lambda: training(mx, networks.mlp(mx, (1024,) * 3), {"data": (128, 784), "label": (128,)}, hyper, 10),
        "resnet18-train": lambda: training(
            mx, networks.resnet(mx, 18), {"data": (8, 3, 224, 224), "softmax_label": (8,)}, hyper, 1000
        ),
        "resnet18": lambda: inference(mx, 18),
        "resnet50": lambda: inference(mx, 50),
        "rmsprop": lambda: update(mx, 20_000_000),
    }
    return makers[name]()


def main() -> None:
    """Serve rounds until the input ends."""
    module, name = sys.argv[1:]
    run = workload(module, name)
    for _ in range(3):
        run()
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "memory":
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            print(json.dumps({"peak": peak, "scratch": getattr(run, "scratch", None)}), flush=True)
            continue
        times: list[float] = []
        end = time.perf_counter() + ROUND
        while time.perf_counter() < end or len(times) < 3:
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        print(json.dumps({"min": min(times), "median": statistics.median(times)}), flush=True)


if __name__ == "__main__":
    main()
