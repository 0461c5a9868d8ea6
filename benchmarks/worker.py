"""One peer and one workload in a process of its own: ``python -m benchmarks.worker PEER WORKLOAD``.

Says ``{"versions": ...}`` when the workload is prepared and has made `CHECKED_STEPS` calls. Then each line on its
standard input is a request, answered by one line of JSON: ``check FILE`` writes the state of the workload there, if it
has one, ``round SECONDS`` times calls, ``memory`` tells bytes. What goes wrong is answered with ``{"error": ...}``.
Runs in each peer's environment, so it needs NumPy alone.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

if __name__ == "__main__" and sys.argv[1].startswith("symgraph"):
    import symgraph  # noqa: F401 (before NumPy, as its documentation has it)

import numpy as np

from benchmarks.workloads import CHECKED_STEPS, WORKLOADS


def resident(field: str = "VmRSS") -> int:
    """Return the bytes of this process in memory: now, or ``VmHWM``: at most so far."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(field))


def forget_peak() -> None:
    """Give back memory that is free, and let the peak be what is resident now."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w", encoding="ascii") as control:
        control.write("5")


def versions(module: str) -> dict[str, str]:
    """Return the versions of what computes."""
    found = {"python": platform.python_version()}
    for name in ("numpy", {"symgraph": "llvmlite"}.get(module, module), "jaxlib"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def timed(run: Callable[[], Any], seconds: float) -> dict[str, float]:
    """Call for so many seconds, at least three times; the first call is not timed, it finds cold caches."""
    run()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return {"min": min(times), "median": statistics.median(times), "calls": len(times)}


def serve(peer: str, name: str, answer: Callable[[Any], None]) -> None:
    """Prepare a workload and answer requests until the input ends."""
    module, _, mode = peer.partition("-")
    library = importlib.import_module(f"benchmarks.peers.{module}")
    forget_peak()
    before = resident()
    work = library.workload(WORKLOADS[name], mode)
    forget_peak()  # first values pass through NumPy: no one's need
    for _ in range(CHECKED_STEPS):
        work.run()
    peak = resident("VmHWM")  # compiling included
    answer({"versions": versions(module)})
    for line in sys.stdin:
        request, _, argument = line.strip().partition(" ")
        if request == "check":
            if work.state:
                np.savez(argument, **work.state())
            forget_peak()  # the copies just made are not the workload's
            answer({"result": bool(work.state)})
        elif request == "round":
            answer(timed(work.run, float(argument)))
        elif request == "memory":
            peak = max(peak, resident("VmHWM"))
            answer({"peak": peak, "beyond": peak - before, "scratch": work.scratch})
        else:
            raise ValueError(f"unknown request {request!r}")


def main() -> None:
    """Serve; keep standard output for answers alone."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(message: Any) -> None:
        print(json.dumps(message), file=channel, flush=True)

    try:
        serve(sys.argv[1], sys.argv[2], answer)
    except NotImplementedError as error:
        answer({"error": str(error)})
    except Exception as error:  # noqa: BLE001 (whatever a library raises is said, and the run goes on without it)
        traceback.print_exc()
        text = str(error).strip() or "no message"
        answer({"error": f"{type(error).__name__}: {text.splitlines()[0][:200]}"})


if __name__ == "__main__":
    main()
