"""The ways of a convolution, or of a matrix product, beside each other: ``python -m benchmarks.ways``.

What decides between them, `TILE_COST` and others in `symgraph.backends.numpy.convolution` and `PRODUCTS` and others in
`symgraph.backends.numpy.product`, was chosen by this. Each line is a shape, then the least time of each way in ms;
calls of the ways alternate. "Kept" stands for weights that are constant.
"""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import symgraph  # noqa: F401 (before NumPy, as its documentation has it)

# isort: split
import numpy as np

from symgraph.backends.numba.kernels import Kernel
from symgraph.backends.numpy import convolution, direct, product, winograd
from symgraph.backends.numpy.kernel_plan import KernelPlan, aligned, refresh
from symgraph.backends.numpy.unfolding import Geometry

#: Images, channels, filters, rows and columns of an image, of a kernel, stride.
CONVOLUTIONS = [
    *((n, c, c, s, 3, 1) for n in (1, 8) for c, s in ((32, 56), (64, 56), (128, 28), (256, 14), (512, 7))),
    *((n, 3, 64, 224, 7, 2) for n in (1, 8)),
    *((n, 64, 128, 56, 3, 2) for n in (1, 8)),
    *((n, c, f, s, 1, 1) for n in (1, 8) for c, f, s in ((64, 64, 56), (256, 64, 56), (512, 128, 28), (256, 1024, 14))),
]
#: Rows, sums and columns of a product.
PRODUCTS = [(128, 1024, 1024), (1024, 128, 1024), (32, 784, 64), (32, 208, 800), (512, 512, 512), (2048, 2048, 2048)]
ROUNDS = 20


def array(*shape: int) -> Any:
    """Return random numbers that begin at a cache line."""
    x = aligned(4 * math.prod(shape)).view(np.float32).reshape(shape)
    x[...] = np.random.default_rng(0).standard_normal(shape)
    return x


def ways(plans: dict[str, KernelPlan], arrays: list[Any]) -> dict[str, float]:
    """Return the least milliseconds of a call of each plan."""
    calls = {}
    for name, plan in plans.items():
        calls[name] = plan.bind(*arrays, aligned(plan.workspace))
        Kernel(calls[name], "now")
        refresh(calls[name])
    least = dict.fromkeys(plans, math.inf)
    for _ in range(ROUNDS):
        for name, call in calls.items():
            for _ in range(2):
                start = time.perf_counter()
                call()
                least[name] = min(least[name], 1e3 * (time.perf_counter() - start))
    return least


def forward(g: Geometry, shapes: tuple[tuple[int, ...], ...]) -> dict[str, KernelPlan]:
    """Return the ways from data and weight to the result."""
    x, w, y = shapes
    blas = convolution._Forward(g, (x, w), y, np.float32)
    found: dict[str, KernelPlan] = {"BLAS": blas, "direct": direct.DirectProduct(g, np.float32, blas)}
    found["direct, kept"] = direct.DirectProduct(g, np.float32, blas, constant=True)
    if direct.is_flat(g):
        found["flat"] = direct.FlatProduct(g, np.float32, blas)
    if winograd.applies(g, np.float32):
        found["Winograd"] = winograd.WinogradProduct(g, np.float32, blas)
        found["Winograd, kept"] = winograd.WinogradProduct(g, np.float32, blas, constant=True)
    return found


def weight_gradient(g: Geometry, shapes: tuple[tuple[int, ...], ...]) -> dict[str, KernelPlan]:
    """Return the ways from data and head gradient to the gradient by the weight."""
    x, w, y = shapes
    blas = convolution._WeightGradient(g, (x, y), w, np.float32)
    found: dict[str, KernelPlan] = {"BLAS": blas, "direct": direct.DirectWeightGradient(g, np.float32, blas)}
    if winograd.applies(g, np.float32) and g.channels % winograd.PART == 0:
        found["Winograd"] = winograd.WinogradWeightGradient(g, np.float32, blas)
    return found


def show(what: str, least: dict[str, float]) -> None:
    """Print a line."""
    print(what, *(f"{name} {ms:.3f}" for name, ms in least.items()), sep="  ", flush=True)


def main() -> None:
    """Measure all shapes."""
    for n, c, f, size, kernel, stride in CONVOLUTIONS:
        pad = kernel // 2
        data, weight = (n, c, size, size), (f, c, kernel, kernel)
        g = Geometry.of(data, weight, (stride, stride), (1, 1), (pad, pad), 1)
        shapes = data, weight, (n, f, *g.windows)
        x, w, y = (array(*shape) for shape in shapes)
        what = f"{n} x {c} -> {f}, {size} x {size}, {kernel} x {kernel} / {stride}"
        show(what, ways(forward(g, shapes), [x, w, y]))
        show(f"{what}, weight gradient", ways(weight_gradient(g, shapes), [x, y, w]))
    for m, k, n in PRODUCTS:
        plans = {
            "BLAS": product.BlasProduct(((m, k), (k, n)), (m, n), np.float32),
            "packed": product.PackedProduct((m, k), (k, n), np.float32),
        }
        show(f"product {m} x {k} x {n}", ways(plans, [array(m, k), array(k, n), array(m, n)]))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(__doc__)
    main()
