"""The benchmarks build what they say, compute the same in every peer that is here, and their page is written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symgraph as mx
from benchmarks import profile, report
from benchmarks.compare import PEERS, Competitor, deviation
from benchmarks.graph import chain, stages
from benchmarks.peers import numpy as by_hand
from benchmarks.peers import symgraph as plain
from benchmarks.peers.symbols import Symbols
from benchmarks.workloads import CHECKED_STEPS, WORKLOADS, Work
from tests.snapshots import ROOT

BY_HAND = ["linear", "mlp", "rmsprop-1e3-1", "rmsprop-1e3-100", "rmsprop-1e5-1"]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMGRAPH_JIT", "off")  # workloads set it


def after_steps(work: Work) -> dict[str, np.ndarray]:
    for _ in range(CHECKED_STEPS):
        work.run()
    return work.state()


@pytest.mark.parametrize("name", [n for n, w in WORKLOADS.items() if w.network])
def test_parameters_are_those_of_the_symbol(name: str) -> None:
    workload = WORKLOADS[name]
    symbol = Symbols(mx, workload).loss()
    shapes, _, states = symbol.infer_shape(data=workload.data, **({"label": workload.label} if workload.label else {}))
    found = dict(zip(symbol.list_arguments(), shapes, strict=True))
    found |= dict(zip(symbol.list_auxiliary_states(), states, strict=True))
    assert workload.parameters() == {n: s for n, s in found.items() if n not in ("data", "label")}


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand_and_symgraph_compute_the_same(name: str) -> None:
    workload = WORKLOADS[name]
    reference = after_steps(plain.workload(workload, ""))
    assert deviation(workload, after_steps(by_hand.workload(workload, "")), reference) <= workload.tolerance
    # What moved the other way, or not at all, is something else.
    initial = dict(workload.initial())
    assert deviation(workload, initial, reference) == pytest.approx(1)
    assert deviation(workload, {n: 2 * initial[n] - a for n, a in reference.items()}, reference) > 1
    assert deviation(workload, {}, reference) == np.inf
    assert deviation(workload, {n: a * np.nan for n, a in reference.items()}, reference) == np.inf


def test_a_round_of_a_worker(tmp_path: Path) -> None:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("memory is told by Linux")
    worker = Competitor("symgraph", sys.executable, "rmsprop-1e3-1")
    try:
        assert "numpy" in worker.answer()["versions"]
        worker.ask(f"check {tmp_path / 'state.npz'}")
        with np.load(tmp_path / "state.npz") as arrays:
            assert arrays["w0"].shape == (1000,)
        assert worker.ask("round 0")["calls"] == 3
        told = worker.ask("memory")
        assert 0 < told["beyond"] < told["peak"]
    finally:
        worker.close()


def test_stages_of_a_graph() -> None:
    seen: list[str] = []
    stages(mx, 50, lambda stage, seconds: seen.append(stage))
    assert seen == ["build", "infer", "write", "read", "bind"]
    assert len(chain(mx, 50).get_internals().list_outputs()) == 51  # and the data


def test_help_of_the_program() -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert "--peers" in done.stdout


def figures(seconds: float, **more: Any) -> dict[str, Any]:
    return {"min": seconds, "median": 2 * seconds, "peak": 2e8, "beyond": 5e7, "deviation": 0.0, "versions": {}, **more}


def results(**workloads: dict[str, Any]) -> dict[str, Any]:
    stamp = {"date": "2000-01-01", "commit": "abc", "rounds": 5, "quick": True}
    stamp |= {"processor": "a", "cores": "2", "memory": "1 GiB"}
    return {name.replace("_", "-"): {"stamp": stamp, "results": found} for name, found in workloads.items()}


def row(lines: list[str], start: str) -> list[str]:
    (found,) = [line for line in lines if line.startswith(f"| {start} |")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_rows_of_a_workload() -> None:
    found = results(
        linear={
            "symgraph": figures(1e-5),
            "symgraph-jit": figures(5e-6),
            "mxnet": figures(2e-4, deviation=0.00123),
            "torch": {"skipped": "no torch"},
        }
    )
    lines = report.lines("linear", found["linear"]["results"])
    assert row(lines, "MXNet") == ["MXNet", "200 µs", "400 µs", "20.00", "40.00", "200", "50", "1e-03"]
    page = report.page(found)
    assert "- PyTorch in all of them: no torch" in page
    assert "1 of 1 results are of a short run" in page
    targets = report.targets(found)
    assert row(targets, "linear regression: at most 15 µs a step")[1:] == ["10.0 µs", "yes"]
    assert row(targets, "linear regression: with jit faster than JAX")[1:] == ["not measured", ""]
    # One workload out of many says nothing of all.
    assert row(targets, "training and inference: plain at least 1.2 times as fast as MXNet")[2] == "no"


def test_targets_of_a_large_update() -> None:
    memory = figures(0.008)
    del memory["deviation"]
    peers = {"symgraph": figures(0.02), "symgraph-jit": figures(0.01), "mxnet": figures(0.04), "memory": memory}
    found = results(rmsprop_2e7_1=peers, rmsprop_2e7_100={"symgraph": figures(0.02), "mxnet": figures(0.028)})
    targets = report.targets(found)
    # 2e7 weights, 20 bytes each, in 10 ms: 40 of 50 GB/s.
    assert row(targets, "RMSProp of 2e7 weights in one tensor: jit reaches 80 % of what memory can do")[1:] == [
        "80%, 40.0 GB/s",
        "yes",
    ]
    assert row(targets, "RMSProp of 2e7 weights: plain 1.5 times as fast as MXNet")[1:] == [
        "1 of 2 workloads; least 1.40 (rmsprop-2e7-100)",
        "no",
    ]
    memory["min"] = 0.02  # less than there is
    assert row(report.bandwidth_lines(found), "symgraph, 1 tensor")[1:] == ["20.0", "50%"]
    assert row(report.lines("rmsprop-2e7-1", peers), "memory alone")[-1] == ""


def test_all_targets_are_reached_or_missed_by_a_hair() -> None:
    def everything(jit: float) -> dict[str, Any]:
        peers = {"symgraph": figures(1.0), "symgraph-jit": figures(jit), "mxnet": figures(1.2), "torch": figures(0.5)}
        return results(**dict.fromkeys(WORKLOADS, peers))

    wanted = {
        "training and inference: plain at least 1.2 times as fast as MXNet": ("yes", "yes"),
        "training and inference: jit at least 1.5 times as fast as MXNet": ("yes", "yes"),
        "every workload: plain takes at most twice as long as the best peer": ("yes", "yes"),
        "every workload but two: jit as fast as the best peer, nowhere below 0.7": ("yes", "no"),
        "training: MXNet's peak memory of the process, by symgraph's, at least 1": ("yes", "yes"),
    }
    for index, jit in enumerate((0.5, 0.51)):
        lines = report.targets(everything(jit))
        assert {start: row(lines, start)[2] for start in wanted} == {s: v[index] for s, v in wanted.items()}


def test_graphs_and_imports() -> None:
    sizes = {"1000": {"symgraph": {"build": 0.02, "bind": "more than 120 s"}}}
    lines = report.graph_lines(sizes)
    assert row(lines, "1,000 nodes, symgraph")[1:] == ["20.0 ms (20.0 µs)", "", "", "", "more than 120 s"]
    found = results(imports={"seconds": {"symgraph": 0.19}, "networkx": True})
    assert row(report.targets(found), "import: less than 200 ms, without networkx")[1:] == [
        "190 ms, networkx is imported",
        "no",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.0, "1.00 s"), (0.01234, "12.3 ms"), (0.9999e-3, "1000 µs"), (123.4, "123 s"), (7.521e-6, "7.52 µs")],
)
def test_three_digits(seconds: float, text: str) -> None:
    assert report.duration(seconds) == text


def test_every_peer_has_a_module() -> None:
    modules = {file.stem for file in (ROOT / "benchmarks" / "peers").glob("*.py")} - {"__init__", "symbols"}
    assert {name.partition("-")[0] for name in PEERS} == modules


def test_profile_of_a_linear_step() -> None:
    found = {kind: (count, flops) for kind, count, _, flops in profile.profile("linear", "", 0.01)}
    assert found["`matmul`"] == (2, 2 * (2 * 10 * 5))  # the result, and the gradient by the weight
    assert found["`sqrt`"] == (1, 0)


def test_profile_of_convolutions() -> None:
    x = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 5), num_filter=6, name="conv")
    executor = mx.sym.sum(x).simple_bind(mx.cpu(), data=(2, 4, 7, 9))
    steps = executor.bound(True).plan.layout.steps
    kinds = {profile.kind(list(s.equations)): profile.operations(list(s.equations)) for s in steps}
    flops = 2 * (2 * 6 * 5 * 5) * (4 * 3 * 5)
    assert kinds["convolution, 3 x 5"] == flops
    assert kinds["its data gradient, 3 x 5"] == kinds["its weight gradient, 3 x 5"] == flops


def test_profile_in_the_report() -> None:
    (heading, table) = report.profile_parts({"lenet jit": [["`matmul`", 2, 0.9, 1800000000], ["`add`", 1, 0.001, 0]]})
    assert heading == "`lenet`, jit: 901 ms in all"
    assert table.splitlines()[2:] == ["| `matmul` | 2 | 900 ms | 100% | 2 |"]
