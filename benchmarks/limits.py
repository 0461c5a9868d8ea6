"""What this machine can do at most, by NumPy on all cores: ``python -m benchmarks.limits`` prints it as JSON.

``gemm``: floating-point operations a second of a large float32 product. ``copy`` (one array read, one written),
``triad`` (two read, one written) and ``update`` (three read, two of them written, as RMSProp does): bytes a second
between memory and processor, arrays far larger than any cache.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

__all__ = ["measure", "on_all_cores", "update_traffic"]

#: Numbers in an array, and in a block: two calls on the same block find it in the cache, and threads seldom wait for
#: each other's lock on the interpreter.
SIZE, BLOCK = 20_000_000, 1 << 16


def on_all_cores(size: int, block: int, work: Callable[[slice], object]) -> Callable[[], object]:
    """Return what does some work on every block of arrays of some size."""
    threads = os.cpu_count() or 1
    pool = ThreadPoolExecutor(threads)
    ends = [size * k // threads for k in range(threads + 1)]

    def part(k: int) -> None:
        for start in range(ends[k], ends[k + 1], block):
            work(slice(start, min(start + block, ends[k + 1])))

    return lambda: list(pool.map(part, range(threads)))


def update_traffic(size: int) -> Callable[[], object]:
    """Return what moves as many numbers as RMSProp: three arrays read, two of them written, in place."""
    a, b, c = (np.ones(size, np.float32) for _ in range(3))

    def update(part: slice) -> None:
        np.add(a[part], c[part], a[part])
        np.subtract(b[part], c[part], b[part])

    return on_all_cores(size, BLOCK, update)


def measure(size: int = SIZE, order: int = 2048, seconds: float = 3.0) -> dict[str, float]:
    """Return the best rates seen."""
    a, b, c = (np.ones(size, np.float32) for _ in range(3))
    s = np.float32(0.5)

    def copy(part: slice) -> None:
        np.copyto(a[part], b[part])

    def triad(part: slice) -> None:
        np.multiply(c[part], s, a[part])
        np.add(b[part], a[part], a[part])

    square = np.ones((order, order), np.float32)
    product = np.empty_like(square)
    return {
        "gemm": 2 * order**3 / _least(lambda: np.matmul(square, square, product), seconds),
        "copy": 8 * size / _least(on_all_cores(size, size, copy), seconds),
        "triad": 12 * size / _least(on_all_cores(size, BLOCK, triad), seconds),
        "update": 20 * size / _least(update_traffic(size), seconds),
    }


def _least(run: Callable[[], Any], seconds: float) -> float:
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


if __name__ == "__main__":
    print(json.dumps(measure()))
