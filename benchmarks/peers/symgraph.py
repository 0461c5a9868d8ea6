"""symgraph: the whole step is one bound graph."""

from __future__ import annotations

import os

import symgraph as mx
import symgraph.executor  # else loaded by the first that binds, and counted as memory of the workload
from benchmarks.peers import symbols
from benchmarks.workloads import Work, Workload, value


def workload(workload: Workload, mode: str) -> Work:
    """Prepare a workload; `mode` is ``jit`` for compiled loops, ``tuned`` for them and all that rounds otherwise."""
    os.environ["SYMGRAPH_JIT"] = "now" if mode else "off"
    options = None
    if mode == "tuned":
        inputs = ["data"] if workload.group == "inference" else None
        options = mx.executor.Options(inputs=inputs, on={"absorb", "convolution", "stack", "product"})
    if workload.group == "update":
        names = list(workload.parameters())
        updates = []
        for k, name in enumerate(names):
            w, g, n = (mx.sym.Variable(v) for v in (name, f"g{k}", f"n{k}"))
            updates.append(mx.sym.rmsprop_update(w, g, n, **workload.hyper, attr={"__renews__": name}))
        shapes = {f"{role}{k}": shape for k, shape in enumerate(workload.parameters().values()) for role in "wg"}
        executor = mx.sym.Group(updates).simple_bind(mx.cpu(), grad_req="null", **shapes)
        symbols.fill(executor, workload)
        for k, shape in enumerate(workload.parameters().values()):
            executor.arg_dict[f"g{k}"][:] = value(f"g{k}", shape)
            executor.aux_dict[f"n{k}"][:] = value(f"n{k}", shape)
        scratch = executor.bound(True).plan.arena.nbytes
        return Work(lambda: executor.forward(is_train=True), lambda: symbols.weights(executor, workload), scratch)
    symbol, batch = symbols.Symbols(mx, workload).loss(), workload.batch()
    shapes = {n: a.shape for n, a in batch.items()}
    if workload.group == "inference":
        executor = symbol.simple_bind(mx.cpu(), grad_req="null", options=options, **shapes)
        symbols.fill(executor, workload)
        executor.arg_dict["data"][:] = batch["data"]
        return Work(lambda: executor.forward(is_train=False), lambda: {"output": executor.outputs[0].asnumpy()})
    step = mx.sym.training_step(symbol, "rmsprop_update", **workload.hyper)
    executor = step.simple_bind(mx.cpu(), options=options, **shapes)
    symbols.fill(executor, workload)
    return Work(lambda: executor.forward(is_train=True, **batch), lambda: symbols.weights(executor, workload))
