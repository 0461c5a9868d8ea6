"""Seconds to build, infer, bind, write and read graphs of growing size; growth should be linear.

    python -m benchmarks.graph [--sizes 1000 10000 100000] [--mxnet PYTHON]

The graph is a chain of fully connected layers, activations and additions. With ``--mxnet`` the same script runs under
that Python beside ours, in the same run.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent)]


def chain(mx: Any, nodes: int) -> Any:
    """Return a network of about `nodes` nodes, variables included."""
    net = mx.sym.Variable("data")
    skip = net
    for k in range(nodes // 5):
        net = mx.sym.FullyConnected(net, num_hidden=8, name=f"fc{k}")
        net = mx.sym.Activation(net, act_type="relu", name=f"relu{k}")
        net = net + skip
    return net


def measure(module: str, nodes: int, rounds: int = 3) -> dict[str, float]:
    """Return seconds of each stage, the least of `rounds`."""
    mx = __import__(module)
    best: dict[str, float] = {}

    def timed(stage: str, run: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = run()
        best[stage] = min(best.get(stage, 1e9), time.perf_counter() - start)
        return result

    for _ in range(rounds):
        net = timed("build", lambda: chain(mx, nodes))
        timed("infer", lambda net=net: net.infer_shape(data=(4, 8)))
        timed("bind", lambda net=net: net.simple_bind(mx.cpu(), grad_req="null", data=(4, 8)))
        text = timed("write", lambda net=net: net.tojson())
        timed("read", lambda text=text: mx.sym.load_json(text))
    best["build + infer + bind"] = best["build"] + best["infer"] + best["bind"]
    return best


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--mxnet", metavar="PYTHON", help="a Python that has MXNet 1.9.1")
    parser.add_argument("--child", metavar="MODULE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps([measure(options.child, n, 1) for n in options.sizes]))
        return
    peers: dict[str, list[dict[str, float]]] = {"symgraph": [measure("symgraph", n) for n in options.sizes]}
    if options.mxnet:
        sizes = [str(n) for n in options.sizes if n <= 10_000]
        done = subprocess.run(
            [options.mxnet, __file__, "--child", "mxnet", "--sizes", *sizes],
            capture_output=True,
            text=True,
            check=True,
        )
        peers["mxnet"] = json.loads(done.stdout.strip().splitlines()[-1])
    stages = ["build", "infer", "bind", "build + infer + bind", "write", "read"]
    print(f"{'module':<10}{'nodes':>8}" + "".join(f"{s:>22}" for s in stages))
    for module, rows in peers.items():
        for n, row in zip(options.sizes, rows, strict=False):
            print(f"{module:<10}{n:>8}" + "".join(f"{row[s]:>20.3f} s" for s in stages))


if __name__ == "__main__":
    main()
