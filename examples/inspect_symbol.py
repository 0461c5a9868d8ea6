"""Open a saved symbol and see what is in it.

    python examples/inspect_symbol.py resnet-18-symbol.json data=1,3,224,224

Files of MXNet 0.7 to 1.9 can be read. Without a path, a small one is made first.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

import symgraph as mx
from symgraph.inspect import summary


def small_file(folder: str) -> Path:
    """Save a small convolutional network and return its path."""
    x = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3), num_filter=8, name="conv")
    x = mx.sym.Activation(mx.sym.BatchNorm(x, name="bn"), act_type="relu", name="relu")
    x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max", name="pool")
    x = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=10, name="fc"), name="softmax")
    path = Path(folder, "small-symbol.json")
    x.save(path)
    return path


def show(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    net = mx.sym.load(path)
    print(f"{path.name} computes {', '.join(net.list_outputs())}")

    # The table of its nodes, with the shapes that follow from those given.
    table = summary(net, shapes)
    lines = str(table).splitlines()
    print("\n".join(lines if len(lines) <= 40 else [*lines[:30], f"({len(lines) - 32} more lines)", *lines[-2:]]))

    operators = Counter(row["op"] for row in table.rows if row["op"])
    print("operators:", ", ".join(f"{count} {name}" for name, count in operators.most_common()))

    # Any node can be cut out, and used as an output of its own.
    inner = net.get_internals()
    name = [each for each in inner.list_outputs() if each.endswith("_output")][-2]
    print(f"{name} alone reads {len(inner[name].list_arguments())} of {len(net.list_arguments())} arguments")


def main(arguments: list[str]) -> None:
    if arguments:
        given = (text.partition("=") for text in arguments[1:])
        show(Path(arguments[0]), {name: tuple(map(int, sizes.split(","))) for name, _, sizes in given})
        return
    with tempfile.TemporaryDirectory() as folder:
        show(small_file(folder), {"data": (1, 3, 28, 28)})


if __name__ == "__main__":
    main(sys.argv[1:])
