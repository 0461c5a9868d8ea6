"""Stop training whenever you like, and go on from the files.

    python examples/resume_training.py FOLDER     trains ten epochs more each time it is called

The graph file holds the whole training step, updates included; the parameter file holds weights and states. Nothing
else is needed to go on. Without a folder, the script shows that two halves are one whole.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import symgraph as mx

BATCH = 20
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(200, 3)).astype(np.float32)
TARGET = FEATURES @ np.array([[1.0], [-2.0], [0.5]], np.float32) + 3


def begin(folder: Path) -> None:
    """Write the graph, and parameters that are all zero."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=1, name="fc")
    loss = mx.sym.LinearRegressionOutput(net, mx.sym.Variable("label"), name="loss")
    step = mx.sym.training_step(loss, "rmsprop_update", lr=0.02, gamma1=0.9, rescale_grad=1 / BATCH)
    step.save(folder / "model-symbol.json")
    save(bound(folder), folder)


def bound(folder: Path) -> mx.executor.Executor:
    step = mx.sym.load(folder / "model-symbol.json")
    return step.simple_bind(mx.cpu(), data=(BATCH, 3), label=(BATCH, 1))


def save(executor: mx.executor.Executor, folder: Path) -> None:
    arrays = {f"arg:{n}": x for n, x in executor.arg_dict.items() if n not in ("data", "label")}
    mx.nd.save(str(folder / "model.params"), {**arrays, **{f"aux:{n}": x for n, x in executor.aux_dict.items()}})


def resume(folder: Path) -> mx.executor.Executor:
    executor = bound(folder)
    arrays = mx.nd.load(str(folder / "model.params"))
    for kind, target in (("arg:", executor.arg_dict), ("aux:", executor.aux_dict)):
        for name, array in arrays.items():
            if name.startswith(kind):
                target[name.removeprefix(kind)][:] = array
    return executor


def train(folder: Path, epochs: int) -> np.ndarray:
    """Train on from the files in a folder, save, and return the weights."""
    executor = resume(folder)
    for _ in range(epochs):
        for k in range(0, len(FEATURES), BATCH):
            executor.forward(is_train=True, data=FEATURES[k : k + BATCH], label=TARGET[k : k + BATCH])
    save(executor, folder)
    weight, bias = executor.arg_dict["fc_weight"].asnumpy(), executor.arg_dict["fc_bias"].asnumpy()
    loss = float(np.mean((FEATURES @ weight.T + bias - TARGET) ** 2) / 2)
    print(f"{epochs} epochs more: loss {loss:.6f}, weights {weight[0].round(3)}, bias {bias.round(3)}")
    return np.append(weight, bias)


def main(arguments: list[str]) -> None:
    if arguments:
        folder = Path(arguments[0])
        if not (folder / "model-symbol.json").exists():
            begin(folder)
        train(folder, 10)
        return
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as halves:
        begin(Path(whole))
        begin(Path(halves))
        at_once = train(Path(whole), 20)
        train(Path(halves), 10)
        in_two = train(Path(halves), 10)
    print("two halves give the same bits as one whole:", np.array_equal(at_once, in_two))
    assert np.array_equal(at_once, in_two)


if __name__ == "__main__":
    main(sys.argv[1:])
