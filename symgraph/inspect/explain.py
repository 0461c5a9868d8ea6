"""The plan of an executor as the NumPy program a careful person would have written.

Every call with its operands and the buffer it writes, the bytes, the node it comes from; the buffers with their place
and lifetime; what each pass did; and, if asked, the time each call takes.
"""

from __future__ import annotations

import itertools
import json
import math
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from symgraph.backends.numpy.blocks import BLOCK_BYTES
from symgraph.backends.numpy.kernels import UFUNCS
from symgraph.backends.numpy.plan import Plan
from symgraph.backends.numpy.threads import worker_count
from symgraph.errors import ArgumentError
from symgraph.program import Value
from symgraph.program.fusion import extent
from symgraph.program.memory import Step
from symgraph.program.passes import PassRecord

__all__ = ["Explained", "Explanation", "explain"]

#: Rounds of `analyze`; each call's least time counts.
_ROUNDS = 5


class Running(Protocol):
    """One way of running an executor."""

    @property
    def plan(self) -> Plan:
        """The calls to run."""


class Explained(Protocol):
    """What `explain` needs of an executor; executors lie above inspection."""

    @property
    def symbol(self) -> Any:
        """The symbol that was bound."""

    @property
    def trains(self) -> bool:
        """Whether the graph has gradients or updates to compute."""

    def bound(self, training: bool) -> Running:
        """Return the plan of a training step or of inference."""

    def preserved(self) -> AbstractContextManager[None]:
        """Give every bound array its present values back at the end, whatever is run inside."""


@dataclass
class Explanation:
    """A plan as data.

    Attributes
    ----------
    title
        What is run, and how.
    steps
        One mapping a call: ``call``, ``result`` (spec), ``bytes``, ``node``, ``part`` (compute, renew or gradients),
        ``group`` (number of the fused group, or None), ``engine`` (what is compiled, or NumPy and why),
        ``microseconds`` (of the whole group, at its first call).
    buffers
        One mapping an arena buffer: ``name``, ``bytes``, ``offset``, ``first`` and ``last`` step.
    passes
        One record of each optimisation pass: its name, whether it ran, what it changed, and how long it took.
    memory
        ``arena`` (allocated), ``live`` (most alive at once) and ``unshared`` bytes.
    """

    title: str
    steps: list[dict[str, Any]] = field(default_factory=list)
    buffers: list[dict[str, Any]] = field(default_factory=list)
    passes: list[PassRecord] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)
    analyzed: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "title": self.title,
            "steps": self.steps,
            "buffers": self.buffers,
            "memory": self.memory,
            "passes": [asdict(p) for p in self.passes],
        }

    def __str__(self) -> str:
        total = sum(s["microseconds"] or 0.0 for s in self.steps)
        lines = [self.title]
        lines.append(
            f"memory: {_bytes(self.memory['arena'])} allocated, {_bytes(self.memory['live'])} alive at most, "
            f"{_bytes(self.memory['unshared'])} if nothing were shared"
        )
        rows = []
        group = None
        for number, s in enumerate(self.steps):
            took = ""
            if self.analyzed and s["microseconds"] is not None:
                took = f"{s['microseconds']:.1f} us {100 * s['microseconds'] / total if total else 0:3.0f}%"
            if s["group"] is not None and s["group"] != group:
                rows.append(("", _how(s), "", "", "", took))
                took = ""
            elif s["group"] is not None:
                took = ""
            group = s["group"]
            indent = "  " if group is not None else ""
            how = f"  # {s['engine']}" if group is None and s["engine"] != "NumPy" else ""
            rows.append((str(number), indent + s["call"] + how, s["result"], _bytes(s["bytes"]), s["node"], took))
        heads = ("#", "call", "result", "bytes", "node", "time" if self.analyzed else "")
        widths = [min(88, max(len(r[k]) for r in [heads, *rows])) for k in range(len(heads))]
        part = None
        lines.append("  ".join(h.ljust(w) for h, w in zip(heads, widths, strict=True)).rstrip())
        for row in rows:
            if row[0]:
                now = self.steps[int(row[0])]["part"]
                if part is not None and now != part:
                    lines.append(f"-- {now} " + "-" * 40)
                part = now
            lines.append("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())
        if self.analyzed:
            lines.append(f"total {total:.1f} us, each call alone, the least of {_ROUNDS} rounds")
        lines.append("passes")
        lines += [f"  {p}" for p in self.passes]
        return "\n".join(lines)


def explain(
    executor: Explained, *, analyze: bool = False, format: str = "text", training: bool | None = None
) -> str | dict[str, Any]:
    """Return the plan of an executor, as text or as data.

    Parameters
    ----------
    executor
        What ``bind`` or ``simple_bind`` returned.
    analyze
        Also measure each call, alone and several times over; arrays keep their values.
    format
        ``"text"`` or ``"json"``.
    training
        Which plan: of a training step or of inference. None means training if the graph has gradients or updates.

    Raises
    ------
    ArgumentError
        If `format` is another.
    """
    if format not in ("text", "json"):
        raise ArgumentError(f"explain() has no format {format!r}", facts={"formats": "text, json"})
    training = executor.trains if training is None else training
    bound = executor.bound(training)
    explanation = of_plan(
        bound.plan, f"plan of {executor.symbol!r}, {'training' if training else 'inference'}, on numpy"
    )
    if analyze:
        with executor.preserved():
            _measure(explanation, bound.plan)
    return json.dumps(explanation.as_dict(), indent=2) if format == "json" else str(explanation)


def of_plan(plan: Plan, title: str) -> Explanation:
    """Return a plan as data."""
    layout, names = plan.layout, _Names(plan)
    calls = sum(len(s.equations) for s in layout.steps)
    explanation = Explanation(f"{title}: {calls} calls in {len(layout.steps)} steps")
    explanation.memory = {
        "arena": layout.arena_bytes,
        "live": layout.live_bytes,
        "unshared": layout.unplanned_bytes,
    }
    commit, second = plan.bounds()
    engines: dict[int, str] = {key: one.state for key, one in plan.groups.items()}
    engines.update((key, one.state) for key, one in plan.kernels.items())
    for t, step in enumerate(layout.steps):
        part = "compute" if t < commit else "renew" if t < second else "gradients"
        for equation in step.equations:
            out = equation.outputs[0]
            nbytes = math.prod(extent(equation)) * out.dtype.itemsize
            explanation.steps.append(
                {
                    "call": names.call(step, equation),
                    "result": str(out.spec),
                    "bytes": out.nbytes,
                    "node": equation.origin,
                    "part": part,
                    "group": t if step.blocked else None,
                    "step": t,
                    "engine": engines.get(id(step), "NumPy"),
                    "threads": worker_count() if nbytes > BLOCK_BYTES else 1,
                    "microseconds": None,
                }
            )
    for buffer, name in names.buffers:
        explanation.buffers.append(
            {
                "name": name,
                "bytes": buffer.nbytes,
                "offset": buffer.offset,
                "first": buffer.first,
                "last": buffer.last,
            }
        )
    explanation.passes = list(plan.passes)
    return explanation


class _Names:
    """A short name for each value: its own if it is an input, else that of its buffer."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.buffers: list[tuple[Any, str]] = []
        self._named: dict[int, str] = {}
        inputs = {id(plan.layout.places[id(v)].buffer): str(v.label) for v in plan.program.inputs}
        outputs = itertools.count()
        for buffer in plan.layout.buffers:
            if id(buffer) in inputs:
                self._named[id(buffer)] = inputs[id(buffer)]
            elif buffer.kind == "output":
                self._named[id(buffer)] = f"out{next(outputs)}"
            elif buffer.kind == "arena":
                self._named[id(buffer)] = f"b{len(self.buffers)}"
                self.buffers.append((buffer, f"b{len(self.buffers)}"))
        self._hypers = {id(v): _label(v) for v in plan.program.hypers}

    def value(self, step: Step, v: Value) -> str:
        """Return the name of a value where it is read or written."""
        if id(v) in self._hypers:
            return self._hypers[id(v)]
        if id(v) in step.local:
            return f"s{step.local[id(v)]}"
        if v.kind == "constant":
            return _number(v)
        made = v.equation
        if made is not None and made.primitive.kind == "view" and self._is_view(v):
            inner = self.value(step, made.inputs[0])
            if made.primitive.name == "broadcast_to":
                return inner
            if made.primitive.name == "permute_dims":
                axes = made.params["axes"]
                return f"{inner}.T" if axes == tuple(reversed(range(len(axes)))) else f"{inner}.transpose{axes}"
            if made.primitive.name == "reshape":
                return f"{inner}.reshape{v.shape}"
            if made.primitive.name == "slice":
                return f"{inner}[{', '.join(_slice(p) for p in made.params['parts'])}]"
            return inner
        return self._named.get(id(self.plan.layout.places[id(v)].buffer), "?")

    def _is_view(self, v: Value) -> bool:
        assert v.equation is not None
        places = self.plan.layout.places
        source = v.equation.inputs[0]
        return source.kind == "constant" or (id(source) in places and places[id(source)].buffer is places[id(v)].buffer)

    def call(self, step: Step, equation: Any) -> str:
        """Return an equation as a NumPy call."""
        name = equation.primitive.name
        if name in UFUNCS:
            name = getattr(UFUNCS[name], "__name__", name)
        operands = [self.value(step, v) for v in equation.inputs]
        operands += [f"{k}={p}" for k, p in equation.params.items() if k not in ("key",)]
        return f"{name}({', '.join([*operands, 'out=' + self.value(step, equation.outputs[0])])})"


def _how(s: dict[str, Any]) -> str:
    """Return in words how a fused group runs."""
    threads = f"on {s['threads']} thread(s)"
    return f"compiled, {threads}:" if s["engine"] == "compiled" else f"in blocks, {threads}, {s['engine']}:"


def _label(v: Value) -> str:
    label = v.label
    return str(label[1]) if isinstance(label, tuple) else str(label)


def _number(v: Value) -> str:
    if v.size and (v.size == 1 or bool((v.data == v.data.flat[0]).all())):
        return str(v.data.flat[0])
    return f"constant{v.shape}"


def _slice(part: tuple[int | None, int | None, int]) -> str:
    start, stop, step = part
    text = f"{start or ''}:{'' if stop is None else stop}"
    return text if step == 1 else f"{text}:{step}"


def _bytes(n: int) -> str:
    if n < 1024:
        return f"{n} B"
    for unit in ("kB", "MB", "GB"):
        n_in = n / 1024
        if n_in < 1024 or unit == "GB":
            return f"{n_in:.1f} {unit}"
        n = int(n_in)
    return f"{n} B"


def _measure(explanation: Explanation, plan: Plan) -> None:
    """Time each step of a plan alone, in order, several rounds."""
    best = [float("inf")] * len(plan.layout.steps)
    for _ in range(_ROUNDS):
        with np.errstate(all="ignore"):
            for t, calls in enumerate(plan.calls):
                start = time.perf_counter()
                for call in calls:
                    call()
                best[t] = min(best[t], time.perf_counter() - start)
    seen: set[int] = set()
    for s in explanation.steps:
        if s["step"] not in seen:
            s["microseconds"] = best[s["step"]] * 1e6
            seen.add(s["step"])
    explanation.analyzed = True
