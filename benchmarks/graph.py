"""Graphs of growing size: seconds to build, infer, write, read and bind them; growth should be linear.

The graph is a chain of fully connected layers, activations and additions, five nodes each. ``python -m benchmarks.graph
MODULE NODES`` prints a line of JSON after each stage, so that who waits knows which stage is too long or crashes.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

__all__ = ["SIZES", "STAGES", "measure"]

SIZES = (1_000, 10_000, 100_000, 1_000_000)

#: In the order in which they run: binding takes longest, and is last.
STAGES = ("build", "infer", "write", "read", "bind")

#: Seconds that a stage may take.
LIMIT = 120.0


def chain(mx: Any, nodes: int) -> Any:
    """Return a network of `nodes` nodes, variables included."""
    skip = net = mx.sym.Variable("data")
    for k in range(nodes // 5):
        net = mx.sym.FullyConnected(net, num_hidden=8, name=f"fc{k}")
        net = mx.sym.Activation(net, act_type="relu", name=f"relu{k}")
        net = net + skip
    return net


def stages(mx: Any, nodes: int, tell: Callable[[str, float], None]) -> None:
    """Run every stage once and tell its seconds."""

    def timed(stage: str, run: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = run()
        tell(stage, time.perf_counter() - start)
        return result

    net = timed("build", lambda: chain(mx, nodes))
    timed("infer", lambda: net.infer_shape(data=(4, 8)))
    text = timed("write", net.tojson)
    timed("read", lambda: mx.sym.load_json(text))
    timed("bind", lambda: net.simple_bind(mx.cpu(), grad_req="null", data=(4, 8)))


def _lines(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put("")


def once(python: str, module: str, nodes: int, environment: dict[str, str], root: str) -> dict[str, float | str]:
    """Return the seconds of each stage in a process of its own, and of what did not end why."""
    process = subprocess.Popen(
        [python, "-m", "benchmarks.graph", module, str(nodes)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        cwd=root,
    )
    found: dict[str, float | str] = {}
    lines: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=_lines, args=(process, lines), daemon=True)
    reader.start()
    for stage in STAGES:
        try:
            line = lines.get(timeout=LIMIT + 30)  # and what is before the first stage
        except queue.Empty:
            found[stage] = f"more than {LIMIT:.0f} s"
            break
        if not line:
            found[stage] = f"ends with status {process.wait()}"
            break
        found |= json.loads(line)
    process.kill()
    process.wait()
    reader.join()
    return found


def measure(
    pythons: dict[str, str], sizes: tuple[int, ...], rounds: int, environment: dict[str, str], root: str
) -> Any:
    """Return for each size and module the least seconds of each stage, or why there are none.

    Small graphs have all the rounds, large ones fewer, the largest one.
    """
    result: dict[str, dict[str, dict[str, float | str]]] = {}
    for nodes in sizes:
        best: dict[str, dict[str, float | str]] = {module: {} for module in pythons}
        for _ in range(max(1, min(rounds, 300_000 // nodes))):
            for module, python in pythons.items():
                for stage, seconds in once(python, module, nodes, environment, root).items():
                    old = best[module].get(stage)
                    if isinstance(old, float) and isinstance(seconds, float):
                        seconds = min(old, seconds)
                    best[module][stage] = seconds
        result[str(nodes)] = best
    return result


def main() -> None:
    """Run the stages, small ones three times."""
    module, nodes = sys.argv[1], int(sys.argv[2])
    mx = __import__(module)
    stages(mx, 50, lambda stage, seconds: None)  # what happens once a process is not the graph's
    best: dict[str, float] = {}

    def note(stage: str, seconds: float) -> None:
        best[stage] = min(seconds, best.get(stage, seconds))

    for _ in range(2 if nodes <= 10_000 else 0):
        stages(mx, nodes, note)

    def tell(stage: str, seconds: float) -> None:
        note(stage, seconds)
        print(json.dumps({stage: best[stage]}), flush=True)

    stages(mx, nodes, tell)


if __name__ == "__main__":
    main()
