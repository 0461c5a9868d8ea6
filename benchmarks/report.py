"""The page docs/benchmarks.md, from the results in docs/benchmarks.json. Measures nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from benchmarks.compare import PEERS
from benchmarks.graph import LIMIT, STAGES
from benchmarks.workloads import WORKLOADS

__all__ = ["lines", "page"]

Results = dict[str, Any]

GROUPS = {
    "training": "Training steps",
    "inference": "Inference of 224 x 224 images",
    "update": "RMSProp updates of weights",
}

#: Bytes of traffic of an update of one weight: weight, gradient and average read, weight and average written.
TRAFFIC = 20


def duration(seconds: float) -> str:
    """Format a time with three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size or unit == "µs":
            return f"{three(seconds / size)} {unit}"
    raise AssertionError


def three(number: float) -> str:
    """Format a number with three digits."""
    if not number or not math.isfinite(number):
        return f"{number:g}"
    places = 2 - math.floor(math.log10(abs(number)))
    return f"{round(number, places):.{max(places, 0)}f}"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Return the lines of a Markdown table; the first column is text, all others are figures."""
    heads = list(heads)
    return [
        f"| {' | '.join(heads)} |",
        "|---" + "|---:" * (len(heads) - 1) + "|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def measured(results: Results, name: str) -> dict[str, Any]:
    """Return the peers that have figures in a workload, in the order of `PEERS`."""
    found = results.get(name, {}).get("results", {})
    return {p: found[p] for p in PEERS if "min" in found.get(p, ()) and "skipped" not in found[p]}


def ratio(results: Results, name: str, peer: str, ours: str) -> float | None:
    """Return how many times as long a peer takes as we do, None where one of them is missing."""
    found = measured(results, name)
    return found[peer]["min"] / found[ours]["min"] if peer in found and ours in found else None


def best_peer(results: Results, name: str) -> str | None:
    """Return the fastest of the other libraries. NumPy by hand is no library."""
    found = measured(results, name)
    others = [p for p in found if PEERS[p].library]
    return min(others, key=lambda p: found[p]["min"]) if others else None


def lines(what: str, found: Any) -> list[str]:
    """Return what was measured of one workload, for a terminal."""
    if what in WORKLOADS:
        return table(WORKLOAD_HEADS, workload_rows(what, {what: {"results": found}}))
    others = {"limits": limits_lines, "graph": graph_lines, "imports": imports_lines, "profile": profile_parts}
    return others[what](found)


WORKLOAD_HEADS = ("", "min", "median", "to plain", "to jit", "peak MB", "beyond MB", "deviation")


def workload_rows(name: str, results: Results) -> Iterator[list[str]]:
    """Yield the rows of one workload: its name, then a row for each peer."""
    stamp = results[name].get("stamp")
    when = f", {stamp['date']}, commit {stamp['commit']}" if stamp else ""
    yield [f"**{WORKLOADS[name].what}** (`{name}`{when})", *[""] * 7]
    for peer, r in measured(results, name).items():
        ratios = [ratio(results, name, peer, ours) for ours in ("symgraph", "symgraph-jit")]
        yield [
            PEERS[peer].title,
            duration(r["min"]),
            duration(r["median"]),
            *("" if x is None else f"{x:.2f}" for x in ratios),
            f"{r['peak'] / 1e6:.0f}",
            f"{r['beyond'] / 1e6:.0f}",
            f"{r['deviation']:.0e}".replace("0e+00", "0") if "deviation" in r else "",
        ]


def missing(results: Results, names: list[str]) -> list[str]:
    """Return sentences on who was not measured, and why."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for name in names:
        for peer, r in results[name]["results"].items():
            if "skipped" in r and peer != "memory":
                reasons.setdefault((peer, r["skipped"]), []).append(name)
    return [
        f"- {PEERS[peer].title} in {'all of them' if where == names else ', '.join(where)}: {why}"
        for (peer, why), where in reasons.items()
    ]


def limits_lines(found: dict[str, float]) -> list[str]:
    """Return the physical limits."""
    return [
        f"- product of two 2048 x 2048 float32 matrices: {found['gemm'] / 1e9:.0f} GFLOP/s",
        f"- memory, one array read, one written (copy): {found['copy'] / 1e9:.1f} GB/s",
        f"- memory, two arrays read, one written (triad): {found['triad'] / 1e9:.1f} GB/s",
        f"- memory, three arrays read, two of them written, as RMSProp does: {found['update'] / 1e9:.1f} GB/s",
    ]


def bandwidth(results: Results, name: str, peer: str) -> tuple[float, float] | None:
    """Return bytes a second of an update, and the share of what memory can do.

    That is the rate of the same traffic alone in the same rounds, else of the probe, or of the fastest peer, where that
    has shown that there is more.
    """
    rates = {p: TRAFFIC * WORKLOADS[name].size / r["min"] for p, r in measured(results, name).items()}
    alone = rates.get("memory") or results.get("limits", {}).get("results", {}).get("update")
    return (rates[peer], rates[peer] / max(alone, *rates.values())) if alone and peer in rates else None


def bandwidth_lines(results: Results) -> list[str]:
    """Return the table of RMSProp of 2e7 weights against the bandwidth of memory."""
    rows = []
    for name in ("rmsprop-2e7-1", "rmsprop-2e7-100"):
        for peer in measured(results, name):
            if reached := bandwidth(results, name, peer):
                what = f"{PEERS[peer].title}, {WORKLOADS[name].tensors} tensors".replace("1 tensors", "1 tensor")
                rows.append([what, f"{reached[0] / 1e9:.1f}", f"{reached[1]:.0%}"])
    return table(("RMSProp of 2e7 weights", "GB/s", "of what memory can do"), rows) if rows else []


def graph_lines(found: Any) -> list[str]:
    """Return the table of graph work."""
    rows = []
    for nodes, modules in found.items():
        for module, stages in modules.items():
            cells = [stages.get(s, "") for s in STAGES]
            count = int(nodes)
            shown = [c if isinstance(c, str) else f"{duration(c)} ({duration(c / count)})" for c in cells]
            rows.append([f"{count:,} nodes, {PEERS[module].title}", *shown])
    return table(("", *STAGES), rows)


def imports_lines(found: Any) -> list[str]:
    """Return the table of imports."""
    rows = [[f"`import {module}`", duration(seconds)] for module, seconds in found["seconds"].items()]
    return table(("", "min"), rows)


#: Says from results what was reached, and whether that is what was wanted; None where it was not measured.
Judge = Callable[[Results], tuple[str, bool] | None]


class Target(NamedTuple):
    """A figure that is wanted."""

    wanted: str
    reached: Judge


def to_mxnet(ours: str, wanted: float) -> Judge:
    """Return the judge of: MXNet takes at least `wanted` times as long in all training and inference."""

    def reached(results: Results) -> tuple[str, bool] | None:
        names = [n for n, w in WORKLOADS.items() if w.group in ("training", "inference")]
        ratios = {n: r for n in names if (r := ratio(results, n, "mxnet", ours)) is not None}
        return _least(ratios, wanted, len(names))

    return reached


def _least(ratios: dict[str, float], wanted: float, count: int) -> tuple[str, bool] | None:
    """Judge `count` ratios, some of which may be missing; then the answer is never yes."""
    if not ratios:
        return None
    good = sum(r >= wanted for r in ratios.values())
    worst = min(ratios, key=ratios.__getitem__)
    return f"{good} of {count} workloads{_absent(ratios, count)}; least {ratios[worst]:.2f} ({worst})", good == count


def _absent(found: dict[str, float], count: int) -> str:
    return f", {count - len(found)} not measured" if len(found) < count else ""


def to_best_peer(results: Results, ours: str) -> dict[str, float]:
    """Return of each workload how many times as long its best peer takes."""
    found = {}
    for name in WORKLOADS:
        peer = best_peer(results, name)
        r = ratio(results, name, peer, ours) if peer else None
        if r is not None:
            found[name] = r
    return found


def plain_to_best(results: Results) -> tuple[str, bool] | None:
    """Judge: plain takes at most twice as long as the best peer."""
    return _least(to_best_peer(results, "symgraph"), 0.5, len(WORKLOADS))


def jit_to_best(ours: str) -> Judge:
    """Return the judge of: with compiled loops at least equal on all but two, and nowhere below 0.7."""

    def reached(results: Results) -> tuple[str, bool] | None:
        ratios = to_best_peer(results, ours)
        if not ratios:
            return None
        slower = sorted((n for n in ratios if ratios[n] < 1), key=ratios.__getitem__)
        text = f"slower in {len(slower)} of {len(WORKLOADS)}{_absent(ratios, len(WORKLOADS))}"
        if slower:
            text += ": " + ", ".join(f"{n} {ratios[n]:.2f}" for n in slower)
        return text, len(slower) <= 2 and min(ratios.values()) >= 0.7 and len(ratios) == len(WORKLOADS)

    return reached


def large_update(results: Results) -> tuple[str, bool] | None:
    """Judge: RMSProp of 2e7 weights, plain against MXNet."""
    names = ("rmsprop-2e7-1", "rmsprop-2e7-100")
    return _least({n: r for n in names if (r := ratio(results, n, "mxnet", "symgraph")) is not None}, 1.5, len(names))


def large_update_bandwidth(results: Results) -> tuple[str, bool] | None:
    """Judge: RMSProp of 2e7 weights, with jit against the memory."""
    reached = bandwidth(results, "rmsprop-2e7-1", "symgraph-jit")
    return (f"{reached[1]:.0%}, {reached[0] / 1e9:.1f} GB/s", reached[1] >= 0.8) if reached else None


def linear_plain(results: Results) -> tuple[str, bool] | None:
    """Judge: a linear step takes at most 15 µs."""
    found = measured(results, "linear")
    if "symgraph" not in found:
        return None
    seconds = found["symgraph"]["min"]
    return duration(seconds), seconds <= 15e-6


def linear_jit(results: Results) -> tuple[str, bool] | None:
    """Judge: a linear step with jit is faster than JAX's."""
    found = measured(results, "linear")
    if not {"symgraph-jit", "jax"} <= found.keys():
        return None
    ours, theirs = found["symgraph-jit"]["min"], found["jax"]["min"]
    return f"{duration(ours)}, JAX {duration(theirs)}", ours < theirs


def linear_numpy(results: Results) -> tuple[str, bool] | None:
    """Judge: a linear step takes at most 1.3 times as long as by hand."""
    r = ratio(results, "linear", "numpy", "symgraph")
    return (f"{1 / r:.2f}", 1 / r <= 1.3) if r else None


def memory(field: str) -> Judge:
    """Return the judge of: training needs at most as much memory as MXNet."""

    def reached(results: Results) -> tuple[str, bool] | None:
        names = [n for n, w in WORKLOADS.items() if w.group == "training"]
        found = {n: measured(results, n) for n in names}
        both = [n for n in names if {"symgraph", "mxnet"} <= found[n].keys()]
        shares = {n: found[n]["mxnet"][field] / found[n]["symgraph"][field] for n in both}
        return _least(shares, 1, len(names))

    return reached


def import_time(results: Results) -> tuple[str, bool] | None:
    """Judge: import takes less than 200 ms and does not import networkx."""
    if "imports" not in results:
        return None
    found = results["imports"]["results"]
    seconds, networkx = found["seconds"]["symgraph"], found["networkx"]
    text = f"{duration(seconds)}, networkx {'is' if networkx else 'is not'} imported"
    return text, seconds < 0.2 and not networkx


TARGETS = (
    Target("training and inference: plain at least 1.2 times as fast as MXNet", to_mxnet("symgraph", 1.2)),
    Target("training and inference: jit at least 1.5 times as fast as MXNet", to_mxnet("symgraph-jit", 1.5)),
    Target("the same: jit with the inexact passes", to_mxnet("symgraph-tuned", 1.5)),
    Target("every workload: plain takes at most twice as long as the best peer", plain_to_best),
    Target("every workload but two: jit as fast as the best peer, nowhere below 0.7", jit_to_best("symgraph-jit")),
    Target("the same: jit with the inexact passes", jit_to_best("symgraph-tuned")),
    Target("RMSProp of 2e7 weights: plain 1.5 times as fast as MXNet", large_update),
    Target("RMSProp of 2e7 weights in one tensor: jit reaches 80 % of what memory can do", large_update_bandwidth),
    Target("linear regression: at most 15 µs a step", linear_plain),
    Target("linear regression: with jit faster than JAX", linear_jit),
    Target("linear regression: at most 1.3 times as long as NumPy by hand", linear_numpy),
    Target("training: MXNet's peak memory of the process, by symgraph's, at least 1", memory("peak")),
    Target("training: MXNet's memory beyond the imported library, by symgraph's, at least 1", memory("beyond")),
    Target("import: less than 200 ms, without networkx", import_time),
)


def targets(results: Results) -> list[str]:
    """Return the table of the figures wanted."""
    rows = []
    for target in TARGETS:
        found = target.reached(results)
        rows.append([target.wanted, *((found[0], "yes" if found[1] else "no") if found else ("not measured", ""))])
    heads = ("wanted", "measured", "reached")
    return [f"| {' | '.join(heads)} |", "|---" * 3 + "|", *(f"| {' | '.join(row)} |" for row in rows)]


def overview(results: Results) -> list[str]:
    """Return one row for each workload: the least time of each peer."""
    names = [n for n in WORKLOADS if measured(results, n)]
    peers = [p for p in PEERS if p != "memory" and any(p in measured(results, n) for n in names)]
    rows = []
    for name in names:
        found = {p: r for p, r in measured(results, name).items() if p in peers}
        fastest = min(found, key=lambda p: found[p]["min"])
        shown = {p: duration(r["min"]) for p, r in found.items()}
        rows.append([f"`{name}`", *(f"**{shown[p]}**" if p == fastest else shown.get(p, "") for p in peers)])
    return table(("", *(PEERS[p].title for p in peers)), rows)


def title(results: Results) -> list[str]:
    """Return where, when and with what was measured."""
    stamps = [r["stamp"] for r in results.values()]
    machines = sorted({f"{s['processor']}, {s['cores']} cores, {s['memory']} of memory" for s in stamps})
    dates = sorted({s["date"] for s in stamps})
    found: dict[str, set[str]] = {}
    for result in results.values():
        for peer, r in result["results"].items():
            if peer in PEERS and isinstance(r, dict):
                for library, version in r.get("versions", {}).items():
                    found.setdefault(library, set()).add(version)
    used = ", ".join(f"{library} {' and '.join(sorted(v))}" for library, v in sorted(found.items()))
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    commits = ", ".join(sorted({s["commit"] for s in stamps}))
    rounds = sorted({int(s["rounds"]) for s in stamps})
    quick = sum(s["quick"] for s in stamps)
    return [
        *[f"- **{quick} of {len(stamps)} results are of a short run (`--quick`) and no more than a sign of life**"]
        * bool(quick),
        *(f"- Machine: {m}" for m in machines),
        f"- Date: {when}; rounds: {' or '.join(map(str, rounds))}",
        f"- symgraph: commit {commits} (`+`: with changes)",
        f"- Versions: {used}",
    ]


def page(results: Results) -> str:
    """Return the page."""
    parts = [
        HEAD.strip(),
        "\n".join(title(results)),
        "## Wanted and reached",
        WANTED.strip(),
        "\n".join(targets(results)),
    ]
    parts += ["## Overview", "Least time of a call; the fastest in bold.", "\n".join(overview(results))]
    if "limits" in results:
        parts += ["## What the machine can do", "\n".join(limits_lines(results["limits"]["results"]))]
    if rows := bandwidth_lines(results):
        parts += [MEMORY.strip(), "\n".join(rows)]
    parts += ["## In full", FULL.strip()]
    for group, heading in GROUPS.items():
        names = [n for n, w in WORKLOADS.items() if w.group == group and n in results]
        if names:
            rows = [row for n in names for row in workload_rows(n, results)]
            parts += [f"### {heading}", "\n".join(table(WORKLOAD_HEADS, rows))]
            if absent := missing(results, names):
                parts += ["Not measured:", "\n".join(absent)]
    if "profile" in results:
        parts += ["## Where the time goes", PROFILE.strip(), *profile_parts(results["profile"]["results"])]
    if "graph" in results:
        parts += ["## Graphs of growing size", GRAPH.strip(), "\n".join(graph_lines(results["graph"]["results"]))]
    if "imports" in results:
        parts += ["## Import", IMPORT.strip(), "\n".join(imports_lines(results["imports"]["results"]))]
    return "\n\n".join(part for part in parts if part) + "\n"


def profile_parts(found: dict[str, list[tuple[str, int, float, int]]]) -> list[str]:
    """Return headings and tables of what each call spends its time on."""
    modes = {"": "plain", "jit": "jit", "tuned": "jit, inexact"}
    parts = []
    for what, steps in found.items():
        name, _, mode = what.partition(" ")
        whole = sum(seconds for _, _, seconds, _ in steps)
        rows = [
            [
                kind,
                str(count),
                duration(seconds),
                f"{seconds / whole:.0%}",
                f"{flops / seconds / 1e9:.0f}" * bool(flops),
            ]
            for kind, count, seconds, flops in steps
            if seconds >= whole / 100
        ]
        parts.append(f"`{name}`, {modes[mode]}: {duration(whole)} in all")
        parts.append("\n".join(table(("steps", "number", "time", "share", "GFLOP/s"), rows)))
    return parts


HEAD = """
# Benchmarks

Written by `python -m benchmarks` from `docs/benchmarks.json`; do not edit. `benchmarks/peers.sh` makes the peers.
"""

WANTED = """
"Plain" is symgraph on NumPy alone, "jit" is symgraph with compiled loops, "inexact" adds the passes that round
otherwise and are off by default. "Best peer" is the fastest of the other libraries in a workload; NumPy by hand is
shown beside them and is none.
"""

MEMORY = """
An update of a weight moves five numbers: it reads weight, gradient and average, and writes weight and average. "Memory
alone" does that and next to nothing else, in the same rounds. What memory can do is its rate (where it was not
measured, the last figure above), or the fastest peer's, where that has shown that there is more.
"""

FULL = """
Each peer is a process with an environment of its own, on all cores; rounds alternate between them. A round calls again
and again for half a second. "Min" is the fastest call of all rounds, "median" the median of the rounds' medians. "To
plain" and "to jit" are min divided by symgraph's min: above 1, symgraph is faster. "Peak" is the most memory that the
process held while it ran, "beyond" how much of it was not there before the workload was prepared; compiling is part of
it. Initial weights, batch and arithmetic are the same for all. "Deviation" is how far the result lies from plain
symgraph's after three calls, relative to what they changed; a peer beyond the tolerance of a workload is left out.

A training step goes from a batch to renewed weights, with MXNet's RMSProp: epsilon is inside of the root.
"""

PROFILE = """
Of workloads that fall short of a figure: the least time of each step of the plan, timed by itself, by kinds of steps;
what takes less than a hundredth of the whole is left out. GFLOP/s counts the operations of the definition.
"""

GRAPH = f"""
Seconds, and seconds a node, of a chain of layers: five nodes are a layer with weight and bias, an activation and an
addition. Small graphs are measured in all rounds, larger ones in fewer, the largest once. A stage may take
{LIMIT:.0f} s.
"""

IMPORT = """
Seconds beyond those of an interpreter that imports nothing.
"""
