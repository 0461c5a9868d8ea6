"""Speed of the convolution kernels, layer by layer, against MXNet 1.9.1 in the same run.

    python -m benchmarks.kernels [--mxnet PYTHON] [--rounds N] [NETWORK ...]

Each competitor is a process of its own; rounds alternate between them and the least time of all rounds counts.
``--mxnet`` names a Python that has MXNet 1.9.1, which runs with its default settings (oneDNN on); without it symgraph
is shown alone. ResNet and MobileNet are one image of 224 x 224, forward; LeNet is a batch of 64, forward and backward.
MXNet computes both gradients of a convolution together, so they are compared together.

The products are BLAS's, which chooses its code for the processor by itself: settings of the environment are taken out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.compare import ROOT, environment


class Layer(NamedTuple):
    """A convolution of square images, and how often a network has it."""

    times: int
    images: int
    channels: int
    size: int
    filters: int
    kernel: int
    stride: int = 1
    pad: int = 0
    groups: int = 1
    backward: bool = False

    @property
    def windows(self) -> int:
        """Windows along an axis."""
        return (self.size + 2 * self.pad - self.kernel) // self.stride + 1

    @property
    def flop(self) -> float:
        """Floating-point operations, an addition and a multiplication being two; both gradients have twice as many."""
        products = self.channels // self.groups * self.kernel**2 * self.filters * self.windows**2
        return 2.0 * self.images * products * (2 if self.backward else 1)

    def __str__(self) -> str:
        kind = "depthwise" if self.groups > 1 else f"{self.channels} to {self.filters}"
        stride = f" / {self.stride}" if self.stride > 1 else ""
        what = "gradients" if self.backward else "forward"
        return (
            f"{what:<10} {self.images} x {self.channels} x {self.size}^2, {kind}, {self.kernel} x {self.kernel}{stride}"
        )


def _resnet18() -> list[Layer]:
    layers = [Layer(1, 1, 3, 224, 64, 7, 2, 3), Layer(4, 1, 64, 56, 64, 3, 1, 1)]
    for channels, size in ((64, 56), (128, 28), (256, 14)):
        layers.append(Layer(1, 1, channels, size, 2 * channels, 3, 2, 1))
        layers.append(Layer(1, 1, channels, size, 2 * channels, 1, 2))
        layers.append(Layer(3, 1, 2 * channels, size // 2, 2 * channels, 3, 1, 1))
    return layers


def _resnet50() -> list[Layer]:
    layers = [Layer(1, 1, 3, 224, 64, 7, 2, 3)]
    for channels, size, width, stride, units in (
        (64, 56, 64, 1, 3),
        (256, 56, 128, 2, 4),
        (512, 28, 256, 2, 6),
        (1024, 14, 512, 2, 3),
    ):
        small = size // stride
        layers.append(Layer(1, 1, channels, size, width, 1, stride))
        layers.append(Layer(1, 1, channels, size, 4 * width, 1, stride))
        layers.append(Layer(units, 1, width, small, width, 3, 1, 1))
        layers.append(Layer(units, 1, width, small, 4 * width, 1))
        layers.append(Layer(units - 1, 1, 4 * width, small, width, 1))
    return layers


def _mobilenet() -> list[Layer]:
    layers = [Layer(1, 1, 3, 224, 32, 3, 2, 1)]
    size = 112
    for channels, filters, stride, times in (
        (32, 64, 1, 1),
        (64, 128, 2, 1),
        (128, 128, 1, 1),
        (128, 256, 2, 1),
        (256, 256, 1, 1),
        (256, 512, 2, 1),
        (512, 512, 1, 5),
        (512, 1024, 2, 1),
        (1024, 1024, 1, 1),
    ):
        layers.append(Layer(times, 1, channels, size, channels, 3, stride, 1, channels))
        size //= stride
        layers.append(Layer(times, 1, channels, size, filters, 1))
    return layers


def _lenet() -> list[Layer]:
    forward = [Layer(1, 64, 1, 28, 20, 5), Layer(1, 64, 20, 12, 50, 5)]
    return [*forward, *(layer._replace(backward=True) for layer in forward)]


NETWORKS = {"resnet18": _resnet18(), "resnet50": _resnet50(), "mobilenet": _mobilenet(), "lenet": _lenet()}


def _arrays(layer: Layer) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    shapes = (
        (layer.images, layer.channels, layer.size, layer.size),
        (layer.filters, layer.channels // layer.groups, layer.kernel, layer.kernel),
        (layer.images, layer.filters, layer.windows, layer.windows),
    )
    x, w, dy = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)
    return x, w, dy


def _symgraph(layer: Layer) -> Callable[[], object]:
    from symgraph.backends.numpy import convolution

    x, w, dy = _arrays(layer)
    case = (x.shape, w.shape, (layer.stride,) * 2, (1, 1), (layer.pad,) * 2, layer.groups, x.dtype)

    def bound(plan: Any, *arrays: Any) -> Callable[[], object]:
        call: Callable[[], object] = plan.bind(*arrays, np.empty(plan.workspace, np.uint8))
        return call

    if not layer.backward:
        return bound(convolution.plan_forward(*case), x, w, dy)
    by_data = bound(convolution.plan_data_gradient(*case), dy, w, np.empty_like(x))
    by_weight = bound(convolution.plan_weight_gradient(*case), x, dy, np.empty_like(w))

    def both() -> None:
        by_data()
        by_weight()

    return both


def _mxnet(layer: Layer) -> Callable[[], object]:
    import mxnet as mx

    x, w, dy = _arrays(layer)
    net = mx.sym.Convolution(
        mx.sym.Variable("data"),
        mx.sym.Variable("weight"),
        kernel=(layer.kernel,) * 2,
        stride=(layer.stride,) * 2,
        pad=(layer.pad,) * 2,
        num_filter=layer.filters,
        num_group=layer.groups,
        no_bias=True,
    )
    given = {"data": mx.nd.array(x), "weight": mx.nd.array(w)}
    gradients = {name: mx.nd.zeros(array.shape) for name, array in given.items()}
    head = mx.nd.array(dy)
    executor = net.bind(mx.cpu(), given, gradients, "write" if layer.backward else "null")
    executor.forward(is_train=layer.backward)

    def forward() -> None:
        executor.forward(is_train=False)
        executor.outputs[0].wait_to_read()

    def backward() -> None:
        executor.backward([head])
        mx.nd.waitall()

    return backward if layer.backward else forward


def _serve(name: str, network: str) -> None:
    """Be a competitor: for each line on standard input, time every layer of the network and print the seconds."""
    make = {"symgraph": _symgraph, "mxnet": _mxnet}[name]
    calls = [make(layer) for layer in NETWORKS[network]]
    for call in calls:
        call()
    for _ in sys.stdin:
        seconds = []
        for call in calls:
            call()
            least = float("inf")
            for _ in range(5):
                start = time.perf_counter()
                call()
                least = min(least, time.perf_counter() - start)
            seconds.append(least)
        print(json.dumps(seconds), flush=True)


def _competitor(python: str, name: str, network: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [python, "-m", "benchmarks.kernels", "--serve", name, network],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=ROOT,
    )


def _round(process: subprocess.Popen[str]) -> list[float]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("round\n")
    process.stdin.flush()
    while line := process.stdout.readline():
        if line.startswith("["):
            seconds: list[float] = json.loads(line)
            return seconds
    raise SystemExit(f"a competitor ended early: {' '.join(map(str, process.args))}")  # type: ignore[arg-type]


def measure(network: str, mxnet: str | None, rounds: int) -> dict[str, list[float]]:
    """Return the least seconds of each layer, by competitor."""
    processes = {"symgraph": _competitor(sys.executable, "symgraph", network)}
    if mxnet:
        processes["mxnet"] = _competitor(mxnet, "mxnet", network)
    results: dict[str, list[list[float]]] = {name: [] for name in processes}
    for _ in range(rounds):
        for name, process in processes.items():
            time.sleep(0.3)  # until the threads of the other competitor have stopped waiting for work
            results[name].append(_round(process))
    for process in processes.values():
        process.communicate()
    return {name: [min(layer) for layer in zip(*times, strict=True)] for name, times in results.items()}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of {', '.join(NETWORKS)}; default: all")
    parser.add_argument("--mxnet", metavar="PYTHON", help="a Python that has MXNet 1.9.1")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        _serve(*options.serve)
        return
    if unknown := set(options.networks) - set(NETWORKS):
        parser.error(f"unknown network {', '.join(sorted(unknown))}; there are {', '.join(NETWORKS)}")
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}, "
        f"{options.rounds} rounds"
    )
    if options.mxnet is None:
        print("no --mxnet PYTHON given: symgraph is measured without MXNet beside it")
    for network in options.networks or NETWORKS:
        layers = NETWORKS[network]
        seconds = measure(network, options.mxnet, options.rounds)
        ours, theirs = seconds["symgraph"], seconds.get("mxnet")
        print(f"\n{network:<56}{'times':>6}{'ms':>9}{'GFLOP/s':>9}{'MXNet ms':>10}{'ratio':>7}")
        rows = [(str(layer), layer, k) for k, layer in enumerate(layers)]
        for text, layer, k in rows:
            peer = f"{theirs[k] * 1e3:>10.3f}{theirs[k] / ours[k]:>7.2f}" if theirs else ""
            print(f"{text:<56}{layer.times:>6}{ours[k] * 1e3:>9.3f}{layer.flop / ours[k] / 1e9:>9.0f}{peer}")
        total = sum(layer.times * s for layer, s in zip(layers, ours, strict=True))
        flop = sum(layer.times * layer.flop for layer in layers)
        peer = ""
        if theirs:
            other = sum(layer.times * s for layer, s in zip(layers, theirs, strict=True))
            peer = f"{other * 1e3:>10.3f}{other / total:>7.2f}"
        print(
            f"{'all':<56}{sum(layer.times for layer in layers):>6}{total * 1e3:>9.3f}{flop / total / 1e9:>9.0f}{peer}"
        )
    print("\nratio: time of MXNet / time of symgraph")


if __name__ == "__main__":
    main()
