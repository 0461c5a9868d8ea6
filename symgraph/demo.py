"""The main job in one file: linear regression trained by one Symbol, saved, and resumed bit for bit.

What ``symgraph demo`` runs. It uses only what a user has: symbols, executors, ``nd.save`` and ``nd.load``.
"""

from __future__ import annotations

import errno
import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

import symgraph as mx
from symgraph.errors import ArgumentError, FormatError

__all__ = ["Settings", "Table", "main_job", "resume", "training_symbol"]

#: Weights of the table that the demonstration makes itself.
TRUE_WEIGHTS = np.array([[0.9, -0.6, 0.4, 0.0, -0.2]], np.float32)
TRUE_BIAS = np.float32(0.5)


@dataclass(frozen=True)
class Settings:
    """How to train. Defaults are those of the published run that the results are compared with.

    Raises
    ------
    ArgumentError
        If a value makes no sense.
    """

    batch: int = 10
    epochs: int = 2
    learning_rate: float = 0.01
    gamma: float = 0.9
    epsilon: float = 1e-6
    rows: int = 1500
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"batch": 1, "epochs": 1, "learning_rate": 0, "gamma": 0, "epsilon": 0, "rows": 1, "seed": 0}
        for name, low in least.items():
            value = getattr(self, name)
            high = 1 if name == "gamma" else math.inf
            if not low <= value <= high or value == math.inf:
                wanted = f"between {low} and {high}" if name == "gamma" else f"a finite number of at least {low}"
                raise ArgumentError(f"{name} is {value}, expected {wanted}", where="demo")
        if self.batch > self.rows:
            raise ArgumentError(f"a batch of {self.batch} rows exceeds the table's {self.rows}", where="demo")


@dataclass(frozen=True)
class Table:
    """Training data: features (rows, columns) and target (rows, 1), float32, and where they come from."""

    features: np.ndarray[Any, Any]
    target: np.ndarray[Any, Any]
    source: str

    @classmethod
    def made(cls, settings: Settings) -> Table:
        """Return a table with known weights: ``y = x W^T + b`` and noise of standard deviation 0.1."""
        rng = np.random.default_rng(settings.seed)
        x = rng.standard_normal((settings.rows, TRUE_WEIGHTS.shape[1])).astype(np.float32)
        y = x @ TRUE_WEIGHTS.T + TRUE_BIAS + 0.1 * rng.standard_normal((settings.rows, 1)).astype(np.float32)
        return cls(x, y.astype(np.float32), "a table made here, with known weights")

    @classmethod
    def read(cls, path: str | Path, settings: Settings) -> Table:
        """Read columns of numbers separated by blanks, tabs or commas; the last one is the target.

        Every column is brought to mean 0 and standard deviation 1, then the first ``settings.rows`` rows are kept.

        Raises
        ------
        FormatError
            If the file is no such table, naming the line.
        OSError
            If it cannot be read.
        """
        rows: list[list[float]] = []
        try:
            text = Path(path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise FormatError("is not text: expected columns of numbers", where=str(path)) from None
        for number, line in enumerate(text.splitlines(), 1):
            cells = line.replace(",", " ").split()
            if not cells:
                continue
            try:
                values = [float(c) for c in cells]
            except ValueError:
                raise FormatError(f"line {number} is not numbers: {line[:60]!r}", where=str(path)) from None
            if rows and len(values) != len(rows[0]):
                raise FormatError(
                    f"line {number} has {len(values)} columns, the lines before have {len(rows[0])}", where=str(path)
                )
            rows.append(values)
        if len(rows) < settings.batch or len(rows[0]) < 2:
            raise FormatError(
                f"holds {len(rows)} rows; needed are at least {settings.batch}, of two columns or more", where=str(path)
            )
        data = np.array(rows)
        spread = data.std(axis=0)
        if not np.isfinite(data).all() or not spread.all():
            raise FormatError("has a column that is constant or not finite", where=str(path))
        data = ((data - data.mean(axis=0)) / spread).astype(np.float32)[: settings.rows]
        return cls(np.ascontiguousarray(data[:, :-1]), np.ascontiguousarray(data[:, -1:]), str(path))


def training_symbol(settings: Settings) -> Any:
    """Return linear regression as one Symbol that holds forward, gradient and ``rmsprop_update``."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=1, name="fc")
    loss = mx.sym.LinearRegressionOutput(net, mx.sym.Variable("label"), name="loss")
    return mx.sym.training_step(
        loss,
        "rmsprop_update",
        lr=settings.learning_rate,
        gamma1=settings.gamma,
        epsilon=settings.epsilon,
        rescale_grad=1.0 / settings.batch,
    )


def bound(step: Any, table: Table, settings: Settings) -> Any:
    """Bind a training step for batches of a table."""
    return step.simple_bind(mx.cpu(), data=(settings.batch, table.features.shape[1]), label=(settings.batch, 1))


def initialize(executor: Any, settings: Settings) -> None:
    """Draw the weights from a normal distribution of standard deviation 0.01; bias and states stay zero."""
    rng = np.random.default_rng([settings.seed, 1])
    weight = executor.arg_dict["fc_weight"]
    weight[:] = rng.normal(0, 0.01, weight.shape).astype(np.float32)


def mean_loss(executor: Any, table: Table) -> float:
    """Return ``mean((y_hat - y)^2) / 2`` over the whole table, for the executor's present weights."""
    weight, bias = executor.arg_dict["fc_weight"].asnumpy(), executor.arg_dict["fc_bias"].asnumpy()
    error = table.features.astype(np.float64) @ weight.T + bias - table.target
    return float(np.mean(error**2) / 2)


def train_epoch(executor: Any, table: Table, settings: Settings, epoch: int, out: TextIO | None) -> None:
    """Train one epoch in an order that seed and epoch decide; with `out`, show a progress line there."""
    order = np.random.default_rng([settings.seed, 2, epoch]).permutation(len(table.features))
    features, target = table.features[order], table.target[order]
    batches = len(order) // settings.batch
    begin = time.perf_counter()
    shown = begin
    for k in range(batches):
        rows = slice(k * settings.batch, (k + 1) * settings.batch)
        executor.forward(is_train=True, data=features[rows], label=target[rows])
        now = time.perf_counter()
        if out is not None and out.isatty() and (now - shown > 0.1 or k == batches - 1):
            shown = now
            filled = 30 * (k + 1) // batches
            out.write(f"\repoch {epoch} [{'#' * filled}{'.' * (30 - filled)}] {(k + 1) * settings.batch} rows")
            out.flush()
    if out is not None:
        seconds = time.perf_counter() - begin
        start = "\r" if out.isatty() else ""
        out.write(
            f"{start}epoch {epoch} [{'#' * 30}] {batches * settings.batch} rows, "
            f"{seconds / batches * 1e6:.0f} us a step, loss {mean_loss(executor, table):.4f}\n"
        )
        out.flush()


def files(folder: Path) -> tuple[Path, Path]:
    """Return the paths of ``demo-symbol.json`` and ``demo.params``, and make sure that they can be written.

    Raises
    ------
    OSError
        If not.
    """
    paths = folder / "demo-symbol.json", folder / "demo.params"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
    for path in paths:
        if path.exists() and not (path.is_file() and os.access(path, os.W_OK)):
            raise PermissionError(errno.EACCES, "cannot be replaced", str(path))
    return paths


def save(executor: Any, step: Any, folder: Path) -> tuple[Path, Path]:
    """Write both `files`; returns their paths."""
    graph, params = files(folder)
    step.save(str(graph))
    arrays = {f"arg:{n}": x for n, x in executor.arg_dict.items() if n not in ("data", "label")}
    mx.nd.save(str(params), arrays | {f"aux:{n}": x for n, x in executor.aux_dict.items()})
    return graph, params


def load(table: Table, settings: Settings, folder: Path) -> Any:
    """Return an executor made from the two files alone."""
    step = mx.sym.load(str(folder / "demo-symbol.json"))
    executor = bound(step, table, settings)
    params = mx.nd.load(str(folder / "demo.params"))
    if not isinstance(params, dict):
        raise FormatError("holds arrays without names", where=str(folder / "demo.params"))
    executor.copy_params_from(
        {n.removeprefix("arg:"): x for n, x in params.items() if n.startswith("arg:")},
        {n.removeprefix("aux:"): x for n, x in params.items() if n.startswith("aux:")},
    )
    return executor


def parameters_as_hex(executor: Any) -> str:
    """Return the exact bits of all weights and states."""
    arrays = {**executor.arg_dict, **executor.aux_dict}
    return " ".join(f"{n}={arrays[n].asnumpy().tobytes().hex()}" for n in sorted(arrays) if n not in ("data", "label"))


def table_for(data: str | None, settings: Settings) -> Table:
    """Return the table at a path, or the one made here."""
    return Table.made(settings) if data is None else Table.read(data, settings)


def resume(data: str | None, settings: Settings, folder: Path, epoch: int) -> str:
    """Load the files in a fresh process, train one more epoch, and return the bits of weights and states."""
    table = table_for(data, settings)
    executor = load(table, settings, folder)
    train_epoch(executor, table, settings, epoch, None)
    return parameters_as_hex(executor)


def main_job(data: str | None, settings: Settings, folder: Path, out: TextIO | None = None) -> float:
    """Train, show, save, resume; returns the loss after the last epoch.

    Raises
    ------
    ArgumentError
        If the resumed run differs from the uninterrupted one in a single bit.
    OSError
        If files cannot be read or written; nothing has been trained then.
    """
    out = out or sys.stdout
    files(folder)
    table = table_for(data, settings)
    step = training_symbol(settings)
    out.write(f"{len(table.features)} rows of {table.features.shape[1]} features from {table.source}\n\n")
    shapes = {"data": (settings.batch, table.features.shape[1]), "label": (settings.batch, 1)}
    from symgraph.inspect import summary

    out.write(f"the training step is one graph:\n\n{summary(step, shapes)}\n\n")
    executor = bound(step, table, settings)
    initialize(executor, settings)
    out.write(f"loss {mean_loss(executor, table):.4f} before training\n")
    for epoch in range(1, settings.epochs + 1):
        train_epoch(executor, table, settings, epoch, out)
    loss = mean_loss(executor, table)
    out.write(f"\n{executor.explain(analyze=True)}\n\n")
    if data is None:
        learned = executor.arg_dict["fc_weight"].asnumpy()[0], executor.arg_dict["fc_bias"].asnumpy()[0]
        out.write("            " + "".join(f"   x{k:<6}" for k in range(TRUE_WEIGHTS.shape[1])) + "   bias\n")
        for name, (weights, bias) in (("true", (TRUE_WEIGHTS[0], TRUE_BIAS)), ("learned", learned)):
            out.write(f"{name:>10}  " + "".join(f"{w:10.4f}" for w in weights) + f"{bias:10.4f}\n")
    graph, params = save(executor, step, folder)
    out.write(f"\nsaved {graph} ({graph.stat().st_size} bytes) and {params} ({params.stat().st_size} bytes)\n")
    _prove_resumption(executor, table, data, settings, folder, out)
    return loss


def _prove_resumption(
    executor: Any, table: Table, data: str | None, settings: Settings, folder: Path, out: TextIO
) -> None:
    epoch = settings.epochs + 1
    train_epoch(executor, table, settings, epoch, None)
    command = [sys.executable, "-m", "symgraph", "demo", "--resume", str(epoch), "--out", str(folder)]
    for name in ("batch", "epochs", "learning_rate", "gamma", "epsilon", "rows", "seed"):
        command += [f"--{name.replace('_', '-')}", repr(getattr(settings, name))]
    if data is not None:
        command += ["--data", str(data)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ArgumentError(f"the new process failed: {done.stderr.strip()[-2000:]}", where="demo")
    if done.stdout.strip() != parameters_as_hex(executor):
        raise ArgumentError("the resumed run differs from the uninterrupted one", where="demo")
    out.write(f"a new process loaded both and trained epoch {epoch}: equal to going on here, bit for bit\n")
