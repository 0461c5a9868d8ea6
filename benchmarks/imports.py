"""Seconds that ``import X`` takes, beyond those of an interpreter that imports nothing."""

from __future__ import annotations

import subprocess
import time

__all__ = ["loads_networkx", "measure"]


def measure(pythons: dict[str, str], rounds: int, environment: dict[str, str], root: str) -> dict[str, float]:
    """Return the least seconds of each module; the modules are by name, with the Python that has them."""
    bare, best = dict.fromkeys(pythons, float("inf")), dict.fromkeys(pythons, float("inf"))
    for _ in range(rounds + 1):  # the first one fills the cache of files
        for module, python in pythons.items():
            for seconds, statement in ((bare, "pass"), (best, f"import {module}")):
                start = time.perf_counter()
                subprocess.run([python, "-c", statement], env=environment, cwd=root, check=True, capture_output=True)
                seconds[module] = min(seconds[module], time.perf_counter() - start)
    return {module: best[module] - bare[module] for module in pythons}


def loads_networkx(python: str, environment: dict[str, str], root: str) -> bool:
    """Whether ``import symgraph`` imports networkx."""
    statement = "import sys, symgraph; print('networkx' in sys.modules)"
    done = subprocess.run([python, "-c", statement], env=environment, cwd=root, check=True, capture_output=True)
    return done.stdout.strip() == b"True"
