"""Speed against MXNet 1.9.1 and hand-written NumPy, as ratios of one run.

    python -m benchmarks.compare [--mxnet PYTHON] [--rounds N] [WORKLOAD ...]

Each competitor is a process of its own (`benchmarks.worker`); rounds alternate between them, and the least and the
median of all rounds count. ``--mxnet`` names a Python that has MXNet 1.9.1; without it symgraph is shown alone.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
from typing import Any

import numpy as np

#: Workload: (what it is, competitors beside symgraph, target as text).
WORKLOADS = {
    "linear": ("linear regression 10 x 5 with RMSProp, one step", ("mxnet", "numpy"), "mxnet >= 10, numpy >= 0.77"),
    "mlp": ("MLP 784-64-10 batch 32 with RMSProp, one step", ("mxnet",), "mxnet >= 1"),
    "lenet": ("LeNet batch 64 with RMSProp, one step", ("mxnet",), "mxnet >= 1"),
    "wide": ("MLP 784-1024x3-10 batch 128 with RMSProp, one step", ("mxnet",), ""),
    "resnet18-train": ("ResNet-18 batch 8 with RMSProp, one step", ("mxnet",), ""),
    "resnet18": ("ResNet-18 inference, 1 x 3 x 224 x 224", ("mxnet",), "mxnet >= 1"),
    "resnet50": ("ResNet-50 inference, 1 x 3 x 224 x 224", ("mxnet",), "mxnet >= 1"),
    "rmsprop": ("rmsprop_update of 2e7 float32", ("mxnet",), "mxnet >= 1"),
}


def environment() -> dict[str, str]:
    """Return the environment of a worker.

    Every BLAS chooses its kernels for this processor by itself; symgraph runs plain NumPy unless ``SYMGRAPH_JIT`` says
    otherwise.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS_", "OMP_", "MKL_"))}
    return {"SYMGRAPH_JIT": "off", **kept, "PYTHONWARNINGS": "ignore"}


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
            **c.ask("memory"),
        }
        for c in competitors
    }
    for c in competitors:
        c.close()
    return result


def rows(workload: str, result: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the lines of a table for one workload."""
    what, _, target = WORKLOADS[workload]
    ours = result["symgraph"]["min"]
    lines = []
    for module, r in result.items():
        ratio = f"{r['min'] / ours:.2f}" if module != "symgraph" else ""
        figures = (f"{r['min'] * 1e3:.4g}", f"{r['median'] * 1e3:.4g}", ratio, f"{r['peak'] / 1e6:.0f}")
        lines.append((what if module == "symgraph" else "", module, *figures, target if module == "symgraph" else ""))
    scratch = result["symgraph"].get("scratch")
    if scratch is not None:
        lines.append((f"scratch of symgraph: {scratch / 1e6:.2f} MB, {scratch / 8e7:.2%} of the weights", *[""] * 6))
    return lines


HEADS = ("workload", "competitor", "min ms", "median ms", "ratio", "peak MB", "wanted")


def main() -> None:
    """Print a table, and write it as Markdown if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", help=f"default: all of {', '.join(WORKLOADS)}")
    parser.add_argument("--mxnet", metavar="PYTHON", help="a Python that has MXNet 1.9.1")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--markdown", type=pathlib.Path, metavar="FILE", help="also write the table there")
    options = parser.parse_args()
    unknown = set(options.workloads) - set(WORKLOADS)
    if unknown:
        parser.error(f"no workload is named {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    title = (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, jit {environment()['SYMGRAPH_JIT']}, {options.rounds} rounds, {datetime.date.today()}"
    )
    print(title)
    if options.mxnet is None:
        print("no --mxnet PYTHON given: symgraph is measured without MXNet beside it")
    widths = (52, 12, 10, 11, 8, 9, 30)
    print("".join(h.ljust(w) for h, w in zip(HEADS, widths, strict=True)).rstrip())
    table = []
    for name in options.workloads or WORKLOADS:
        lines = rows(name, measure(name, options.mxnet, options.rounds))
        table += lines
        for line in lines:
            print("".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip(), flush=True)
    print("ratio: least time of the competitor / least time of symgraph")
    if options.markdown:
        lines_of_text = [f"| {' | '.join(HEADS)} |", "|---" * len(HEADS) + "|"]
        lines_of_text += [f"| {' | '.join(line)} |" for line in table]
        options.markdown.write_text(PAGE.format(title=title, table="\n".join(lines_of_text)), encoding="utf-8")


#: The page that ``--markdown`` writes.
PAGE = """# Benchmarks

Written by `python -m benchmarks.compare --mxnet PYTHON --markdown docs/benchmarks.md`; do not edit.

{title}.

Each competitor is a process of its own; rounds alternate between them. The ratio is the competitor's least time by
symgraph's: above 1, symgraph is faster. MXNet is 1.9.1 with its defaults (oneDNN). "numpy" is the same step written
by hand in NumPy, every view and constant made beforehand. Peak is the resident memory of the whole process. Every
BLAS chooses its kernels by itself: environment variables that override the choice are taken out.

{table}

Other scripts: `python -m benchmarks.graph` (building, inferring, binding, reading and writing graphs of growing size),
`python -m benchmarks.kernels` (convolutions, one by one).
"""


if __name__ == "__main__":
    main()
