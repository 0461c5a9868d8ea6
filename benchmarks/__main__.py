"""Speed and memory of symgraph beside other libraries, measured in one run: ``python -m benchmarks``.

Every peer is a process of its own, and rounds alternate between them. Results go to docs/benchmarks.json, and
docs/benchmarks.md is written from that; with ``--only`` all other results stay as they were.
``benchmarks/peers.sh DIR`` makes the environments of the peers.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
from typing import Any

import numpy as np

from benchmarks import compare, graph, imports, report
from benchmarks.profile import PROFILES
from benchmarks.workloads import WORKLOADS

#: What is measured beside the workloads.
OTHERS = ("limits", "graph", "imports", "profile")


def machine() -> dict[str, str]:
    """Return the processor, its cores and the memory."""
    processor, memory = platform.processor() or platform.machine(), 0.0
    info = pathlib.Path("/proc/cpuinfo")
    if info.exists():
        fields = dict(line.split(":", 1) for line in info.read_text(encoding="utf-8").splitlines() if ":" in line)
        named = {k.strip(): v.strip() for k, v in fields.items()}
        processor = f"{named['model name']} (family {named['cpu family']}, model {named['model']})"
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"processor": processor, "cores": str(os.cpu_count()), "memory": f"{memory:.0f} GiB"}


def commit() -> str:
    """Return the commit of the checkout, with ``+`` if the package differs from it."""
    git = ["git", "-C", str(compare.ROOT)]
    try:
        name = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
        changes = [*git, "status", "--porcelain", "--", "symgraph"]
        changed = subprocess.run(changes, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "no commit"
    return name.strip() + "+" * bool(changed)


def measure(what: str, pythons: dict[str, str], rounds: int, quick: bool) -> Any:
    """Return the results of a workload or of one of `OTHERS`."""
    environment, root = compare.environment(), str(compare.ROOT)
    if what == "limits":
        command = [sys.executable, "-m", "benchmarks.limits"]
        return json.loads(subprocess.run(command, env=environment, cwd=root, check=True, capture_output=True).stdout)
    if what == "graph":
        modules = {m: pythons[m] for m in ("symgraph", "mxnet") if m in pythons}
        return graph.measure(modules, graph.SIZES[: 2 if quick else None], rounds, environment, root)
    if what == "imports":
        names = ("symgraph", "numpy", "mxnet", "torch", "jax")
        modules = {m: pythons[m] for m in names if m in pythons}
        seconds = imports.measure(modules, rounds, environment, root)
        return {"seconds": seconds, "networkx": imports.loads_networkx(sys.executable, environment, root)}
    if what == "profile":
        return {
            f"{name} {mode}".strip(): json.loads(
                subprocess.run(
                    [sys.executable, "-m", "benchmarks.profile", name, mode],
                    env=environment,
                    cwd=root,
                    check=True,
                    capture_output=True,
                ).stdout
            )
            for name, mode in PROFILES[: 1 if quick else None]
        }
    return compare.compare(what, pythons, rounds, 0.1 if quick else 0.5)


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=pathlib.Path, metavar="DIR", help="where peers.sh made the environments")
    parser.add_argument("--mxnet", metavar="PYTHON", help="a Python that has MXNet 1.9.1")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", metavar="WORKLOAD", help=f"of {', '.join([*OTHERS, *WORKLOADS])}")
    parser.add_argument("--quick", action="store_true", help="two short rounds: to see whether everything runs")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the page from the results")
    parser.add_argument("--results", type=pathlib.Path, default=compare.ROOT / "docs" / "benchmarks.json")
    options = parser.parse_args()
    everything = [*OTHERS, *WORKLOADS]
    if unknown := set(options.only or ()) - set(everything):
        parser.error(f"no workload is named {', '.join(sorted(unknown))}; there are {', '.join(everything)}")
    file: pathlib.Path = options.results
    results = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    pythons = compare.pythons(options.peers, options.mxnet)
    rounds = 2 if options.quick else options.rounds
    if not options.render:
        for peer in compare.PEERS:
            if peer not in pythons:
                print(f"{compare.PEERS[peer].title} is not installed and left out")
        for what in options.only or everything:
            print(f"\n{what}", flush=True)
            found = measure(what, pythons, rounds, options.quick)
            stamp = {
                **machine(),
                "date": str(datetime.date.today()),
                "commit": commit(),
                "python": platform.python_version(),
                "numpy": np.__version__,
                "rounds": rounds,
                "quick": options.quick,
            }
            results[what] = {"stamp": stamp, "results": found}
            file.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            print("\n".join(report.lines(what, found)), flush=True)
    file.with_suffix(".md").write_text(report.page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
