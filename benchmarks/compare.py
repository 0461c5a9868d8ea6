"""Speed against MXNet 1.9.1 and hand-written NumPy, as ratios of one run.

    python -m benchmarks.compare [--mxnet PYTHON] [--rounds N] [WORKLOAD ...]

Each competitor is a process of its own (`benchmarks.worker`); rounds alternate between them, and the least and the
median of all rounds count. ``--mxnet`` names a Python that has MXNet 1.9.1; without it symgraph is shown alone.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
from typing import Any

#: Workload: (what it is, competitors beside symgraph, target as text).
WORKLOADS = {
    "linear": ("linear regression 10 x 5 with RMSProp, one step", ("mxnet", "numpy"), "mxnet >= 10, numpy >= 0.77"),
    "mlp": ("MLP 784-64-10 batch 32 with RMSProp, one step", ("mxnet",), "mxnet >= 1"),
    "lenet": ("LeNet batch 64 with RMSProp, one step", ("mxnet",), "mxnet >= 1"),
    "resnet18": ("ResNet-18 inference, 1 x 3 x 224 x 224", ("mxnet",), "mxnet >= 1"),
    "resnet50": ("ResNet-50 inference, 1 x 3 x 224 x 224", ("mxnet",), "mxnet >= 1"),
    "rmsprop": ("rmsprop_update of 2e7 float32", ("mxnet",), "mxnet >= 1"),
}


def environment() -> dict[str, str]:
    """Return the environment of a worker: every BLAS chooses its kernels for this processor by itself."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS_", "OMP_", "MKL_"))}
    return {**kept, "PYTHONWARNINGS": "ignore"}


class Competitor:
    """A worker process."""

    def __init__(self, python: str, module: str, workload: str) -> None:
        self.module = module
        script = pathlib.Path(__file__).resolve().parent / "worker.py"
        self.process = subprocess.Popen(
            [python, str(script), module, workload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        self.rounds: list[dict[str, float]] = []
        self._expect("ready")

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            assert self.process.stderr is not None
            raise SystemExit(f"{self.module}: {self.process.stderr.read()[-2000:]}")
        return line.strip()

    def _expect(self, word: str) -> None:
        while self._line() != word:
            continue

    def ask(self, what: str) -> dict[str, float]:
        """Send one request; returns the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        answer: dict[str, float] = json.loads(self._line())
        return answer

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure(workload: str, mxnet: str | None, rounds: int) -> dict[str, Any]:
    """Return seconds a call, least and median, of each competitor in a workload."""
    _, peers, _ = WORKLOADS[workload]
    pythons = {"mxnet": mxnet, "numpy": sys.executable}
    competitors = [Competitor(sys.executable, "symgraph", workload)]
    competitors += [Competitor(pythons[p] or "", p, workload) for p in peers if pythons[p]]
    for _ in range(rounds):
        for c in competitors:
            c.rounds.append(c.ask("round"))
    result = {
        c.module: {
            "min": min(r["min"] for r in c.rounds),
            "median": statistics.median(r["median"] for r in c.rounds),
            "peak": c.ask("memory")["peak"],
        }
        for c in competitors
    }
    for c in competitors:
        c.close()
    return result


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", choices=[*WORKLOADS, []], help="default: all")
    parser.add_argument("--mxnet", metavar="PYTHON", help="a Python that has MXNet 1.9.1")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {options.rounds} rounds")
    if options.mxnet is None:
        print("no --mxnet PYTHON given: symgraph is measured without MXNet beside it")
    print(f"{'workload':<52}{'competitor':<12}{'min ms':>10}{'median ms':>11}{'ratio':>8}{'peak MB':>9}")
    for name in options.workloads or WORKLOADS:
        what, _, target = WORKLOADS[name]
        result = measure(name, options.mxnet, options.rounds)
        ours = result["symgraph"]["min"]
        for module, r in result.items():
            ratio = f"{r['min'] / ours:.2f}" if module != "symgraph" else ""
            print(
                f"{what:<52}{module:<12}{r['min'] * 1e3:>10.3f}{r['median'] * 1e3:>11.3f}{ratio:>8}"
                f"{r['peak'] / 1e6:>9.0f}"
            )
            what = ""
        print(f"{'':<52}ratio: time of the competitor / time of symgraph; wanted: {target}")


if __name__ == "__main__":
    main()
