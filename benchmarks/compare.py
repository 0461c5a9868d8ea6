"""Workloads side by side: every peer in a process and environment of its own, rounds in turn."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.workloads import WORKLOADS, Workload

__all__ = ["PEERS", "ROOT", "compare", "environment", "pythons"]

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Peer(NamedTuple):
    """A library, or a way to use it."""

    title: str
    #: The folder of its environment. None: it runs with the Python of the benchmarks, or with one named for it.
    folder: str | None = None
    #: Whether it is a library that symgraph is compared with.
    library: bool = True


#: All peers. What follows a hyphen is the mode that its module in `benchmarks.peers` is asked for.
PEERS = {
    "symgraph": Peer("symgraph", library=False),
    "symgraph-jit": Peer("symgraph jit", library=False),
    "symgraph-tuned": Peer("symgraph jit, inexact", library=False),
    "mxnet": Peer("MXNet"),
    "torch": Peer("PyTorch", "torch"),
    "torch-compile": Peer("PyTorch compile", "torch"),
    "jax": Peer("JAX", "jax"),
    "pytensor": Peer("PyTensor", "pytensor"),
    "onnxruntime": Peer("ONNX Runtime", "onnx"),
    "numpy": Peer("NumPy by hand", library=False),
    "memory": Peer("memory alone", library=False),
}


def environment() -> dict[str, str]:
    """Return the environment of a worker: every library chooses kernels and threads for this processor by itself.

    Python keeps compiled modules, as it does for everybody who has not asked it otherwise.
    """
    taken = ("OPENBLAS_", "OMP_", "MKL_", "SYMGRAPH_", "MXNET_", "XLA_", "TORCH", "PYTHONDONTWRITEBYTECODE")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(taken)}
    return {**kept, "PYTHONWARNINGS": "ignore"}


def pythons(folder: pathlib.Path | None, mxnet: str | None) -> dict[str, str]:
    """Return the Python of each peer that there is."""
    found = dict.fromkeys(("symgraph", "numpy", "memory"), sys.executable)
    if importlib.util.find_spec("numba"):
        found["symgraph-jit"] = found["symgraph-tuned"] = sys.executable
    if mxnet:
        found["mxnet"] = mxnet
    for name, peer in PEERS.items():
        if folder and peer.folder and (python := folder.absolute() / peer.folder / "bin" / "python").exists():
            found[name] = str(python)
    return found


#: Seconds that a peer may take to prepare a workload, or for a round.
PATIENCE = 900


class Failed(Exception):  # noqa: N818 (it is no fault of ours)
    """A peer cannot do a workload; the text is its reason."""


class Competitor:
    """A worker process."""

    def __init__(self, peer: str, python: str, workload: str) -> None:
        self.peer = peer
        self.rounds: list[dict[str, float]] = []
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by close)
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.worker", peer, workload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=environment(),
            cwd=ROOT,
        )

    def answer(self) -> dict[str, Any]:
        """Return the next answer."""
        assert self.process.stdout is not None
        late = threading.Timer(PATIENCE, self.process.kill)
        late.start()
        line = self.process.stdout.readline()
        late.cancel()
        if not line:
            self.log.seek(0)
            text = self.log.read().strip().splitlines()
            status = self.process.wait()
            raise Failed(
                f"no answer in {PATIENCE} s"
                if status == -signal.SIGKILL
                else f"died with status {status}: {text[-1] if text else ''}"
            )
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise Failed(message["error"])
        return message

    def ask(self, request: str) -> dict[str, Any]:
        """Send a request; returns the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


def deviation(workload: Workload, state: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> float:
    """Return how far a result lies from another, as `Workload.tolerance` defines it."""
    if set(state) != set(reference) or any(state[n].shape != reference[n].shape for n in reference):
        return float("inf")
    initial = dict(workload.initial()) if workload.group != "inference" else {}
    found = []
    for name, expected in reference.items():
        scale = np.linalg.norm((expected - initial.get(name, expected.mean())).ravel())
        found.append(np.linalg.norm((state[name] - expected).ravel()) / scale)
    worst = float(np.max(found))  # NaN, where there is one
    return worst if np.isfinite(worst) else float("inf")


def check(workload: Workload, competitors: Iterable[Competitor]) -> dict[str, float | str]:
    """Return of each competitor how far its result lies from the first one's, or why there is no result."""
    found: dict[str, float | str] = {}
    reference: dict[str, np.ndarray] | None = None
    with tempfile.TemporaryDirectory() as folder:
        for c in competitors:
            file = f"{folder}/{c.peer}.npz"
            try:
                if not c.ask(f"check {file}")["result"]:
                    continue
            except Failed as failure:
                found[c.peer] = str(failure)
                continue
            with np.load(file) as arrays:
                state = dict(arrays)
            os.remove(file)
            reference = reference or state
            found[c.peer] = deviation(workload, state, reference)
    return found


def compare(name: str, pythons: dict[str, str], rounds: int, seconds: float) -> dict[str, dict[str, Any]]:
    """Return what was measured of each peer in a workload, or why it was not."""
    workload = WORKLOADS[name]
    result: dict[str, dict[str, Any]] = {}
    competitors = []
    for peer in PEERS:
        if peer not in pythons:
            result[peer] = {"skipped": "not installed"}
            continue
        c = Competitor(peer, pythons[peer], name)  # one after the other: preparing is not to disturb preparing
        try:
            result[peer] = c.answer()
            competitors.append(c)
        except Failed as failure:
            result[peer] = {"skipped": str(failure)}
            c.close()
    for peer, found in check(workload, competitors).items():
        if isinstance(found, str):
            result[peer] = {"skipped": found}
        else:
            result[peer]["deviation"] = found
            if found > workload.tolerance:
                result[peer]["skipped"] = f"computes something else: its result lies {found:.2g} away"
    running = [c for c in competitors if "skipped" not in result[c.peer]]
    for turn in range(rounds + 1):
        for c in list(running):
            try:
                if turn == rounds:
                    mins, medians = ([r[k] for r in c.rounds] for k in ("min", "median"))
                    result[c.peer] |= {"min": min(mins), "median": statistics.median(medians), **c.ask("memory")}
                else:
                    time.sleep(0.3)  # until the threads of the one before have stopped waiting for work
                    c.rounds.append(c.ask(f"round {seconds}"))
            except Failed as failure:
                result[c.peer]["skipped"] = str(failure)
                running.remove(c)
    for c in competitors:
        c.close()
    return result
