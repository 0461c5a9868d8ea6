"""Where the time of a call of symgraph goes: ``python -m benchmarks.profile WORKLOAD [jit | tuned]``.

Each step of the plan is timed by itself, in the order of a run, again and again; its least time counts. Steps of a kind
are added up. Writes JSON to standard output: a list of ``[kind, steps, seconds, floating point operations]``.
"""

from __future__ import annotations

import json
import math
import sys
import time
from typing import Any
from unittest import mock

import symgraph  # noqa: F401 (before NumPy, as its documentation has it)

# isort: split
import numpy as np

from benchmarks.peers import symgraph as peer
from benchmarks.workloads import WORKLOADS
from symgraph.backends.numpy.plan import Plan

#: What is said of: workloads that fall short of a figure, with the mode in which they do.
PROFILES = (
    ("mobilenet-1", ""),
    ("mobilenet-1", "jit"),
    ("mobilenet-1", "tuned"),
    ("resnet18-1", ""),
    ("resnet18-1", "jit"),
    ("resnet18-train", "jit"),
    ("rmsprop-1e5-1", ""),
)
#: Seconds for which all steps are run.
SECONDS = 4.0


def kind(equations: list[Any]) -> str:
    """Return what a step is, in words."""
    equation = equations[-1]
    name = equation.primitive.name
    if len(equations) > 1:
        return "fused groups"
    if not name.startswith("conv"):
        return f"`{name}`"
    what = {"conv": "convolution", "conv_data_grad": "its data gradient", "conv_weight_grad": "its weight gradient"}
    weight = equation.outputs[0] if name == "conv_weight_grad" else equation.inputs[1]
    if equation.params["groups"] > 1:
        return f"{what[name]}, depthwise"
    return f"{what[name]}, {' x '.join(map(str, weight.shape[2:]))}"


def operations(equations: list[Any]) -> int:
    """Return the floating point operations of the products of a step."""
    equation = equations[-1]
    name, out = equation.primitive.name, equation.outputs[0]
    if len(equations) > 1:
        return 0
    if name == "matmul":
        return int(2 * out.size * equation.inputs[0].shape[-1])
    if not name.startswith("conv"):
        return 0
    weight = out if name == "conv_weight_grad" else equation.inputs[1]
    results = {"conv": out, "conv_data_grad": equation.inputs[0], "conv_weight_grad": equation.inputs[-1]}[name]
    return int(2 * results.size * math.prod(weight.shape[1:]))


def profile(name: str, mode: str, seconds: float = SECONDS) -> list[tuple[str, int, float, int]]:
    """Return of each kind of step how many there are, their seconds and their floating point operations."""
    plans: list[Plan] = []
    original = Plan.__init__

    def remember(self: Plan, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        plans.append(self)

    with mock.patch.object(Plan, "__init__", remember):
        work = peer.workload(WORKLOADS[name], mode)
        for _ in range(3):
            work.run()
    plan = plans[-1]
    least = [math.inf] * len(plan.calls)
    end = time.perf_counter() + seconds
    with np.errstate(all="ignore"):
        while time.perf_counter() < end:
            for k, calls in enumerate(plan.calls):
                start = time.perf_counter()
                for call in calls:
                    call()
                least[k] = min(least[k], time.perf_counter() - start)
    found: dict[str, tuple[int, float, int]] = {}
    for step, spent in zip(plan.layout.steps, least, strict=True):
        equations = list(step.equations)
        count, before, products = found.get(kind(equations), (0, 0.0, 0))
        found[kind(equations)] = (count + 1, before + spent, products + operations(equations))
    return sorted(((k, *v) for k, v in found.items()), key=lambda row: -row[2])


def main() -> None:
    """Profile what the command line names."""
    print(json.dumps(profile(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")))


if __name__ == "__main__":
    main()
