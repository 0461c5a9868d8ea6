"""MXNet 1.9.1 with its defaults: an executor for forward and backward, an update operator for each weight."""

from __future__ import annotations

import mxnet as mx

from benchmarks.peers import symbols
from benchmarks.workloads import Work, Workload, value


def workload(workload: Workload, mode: str) -> Work:
    """Prepare a workload."""
    if workload.group == "update":
        return _update(workload)
    symbol, batch = symbols.Symbols(mx, workload).loss(), workload.batch()
    shapes = {n: a.shape for n, a in batch.items()}
    feed = {n: mx.nd.array(a) for n, a in batch.items()}
    if workload.group == "inference":
        executor = symbol.simple_bind(mx.cpu(), grad_req="null", **shapes)
        symbols.fill(executor, workload)
        feed["data"].copyto(executor.arg_dict["data"])

        def infer() -> None:
            executor.forward(is_train=False)
            executor.outputs[0].wait_to_read()

        return Work(infer, lambda: {"output": executor.outputs[0].asnumpy()})
    names = [n for n in symbol.list_arguments() if n not in shapes]
    request = {n: "write" if n in names else "null" for n in symbol.list_arguments()}
    executor = symbol.simple_bind(mx.cpu(), grad_req=request, **shapes)
    symbols.fill(executor, workload)
    triples = [(executor.arg_dict[n], executor.grad_dict[n], mx.nd.zeros(executor.arg_dict[n].shape)) for n in names]
    update, hyper = mx.nd.rmsprop_update, workload.hyper

    def step() -> None:
        executor.forward(is_train=True, **feed)
        executor.backward()
        for w, g, n in triples:
            update(w, g, n, out=w, **hyper)
        mx.nd.waitall()

    return Work(step, lambda: symbols.weights(executor, workload))


def _update(workload: Workload) -> Work:
    names = workload.parameters()
    triples = [
        tuple(mx.nd.array(value(f"{role}{k}", shape)) for role in "wgn") for k, shape in enumerate(names.values())
    ]
    update, hyper = mx.nd.rmsprop_update, workload.hyper

    def run() -> None:
        for w, g, n in triples:
            update(w, g, n, out=w, **hyper)
        mx.nd.waitall()

    return Work(run, lambda: {name: t[0].asnumpy() for name, t in zip(names, triples, strict=True)})
