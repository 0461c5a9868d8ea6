"""The command ``symgraph``: the demonstration, the operators' documentation, a look into files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from symgraph.errors import ArgumentError, SymgraphError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0 for success, 1 for an error, 2 for wrong usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except SymgraphError as error:
        print(f"symgraph: {error}", file=sys.stderr)
    except OSError as error:
        print(f"symgraph: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("symgraph: interrupted", file=sys.stderr)
        return 130
    return 1


def _parser() -> argparse.ArgumentParser:
    import symgraph

    parser = argparse.ArgumentParser(prog="symgraph", description="Symbolic computation graphs on NumPy.")
    parser.add_argument("--version", action="version", version=f"symgraph {symgraph.__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")

    demo = commands.add_parser("demo", help="train linear regression by one Symbol, save it, resume it")
    demo.set_defaults(run=_demo)
    demo.add_argument("--data", metavar="TABLE", help="columns of numbers, the last one the target; default: made here")
    demo.add_argument("--out", type=Path, default=Path("."), metavar="FOLDER", help="where to write the files")
    demo.add_argument("--epochs", type=_positive, default=2)
    demo.add_argument("--batch", type=_positive, default=10)
    demo.add_argument("--rows", type=_positive, default=1500, help="how many rows of the table to use")
    demo.add_argument("--learning-rate", type=float, default=0.01)
    demo.add_argument("--gamma", type=float, default=0.9, help="decay rate of the average of the squared gradient")
    demo.add_argument("--epsilon", type=float, default=1e-6)
    demo.add_argument("--seed", type=int, default=0)
    demo.add_argument("--resume", type=_positive, metavar="EPOCH", help=argparse.SUPPRESS)

    ops = commands.add_parser("ops", help="list the operators, or document one")
    ops.set_defaults(run=_ops)
    ops.add_argument("name", nargs="?")

    inspect = commands.add_parser(
        "inspect", help="show the graph in a -symbol.json file, or the arrays in a .params file"
    )
    inspect.set_defaults(run=_inspect)
    inspect.add_argument("file")
    inspect.add_argument(
        "--shape", action="append", default=[], metavar="NAME=N,N", help="shape of an argument; may be given repeatedly"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


def _demo(options: argparse.Namespace) -> int:
    from symgraph import demo

    settings = demo.Settings(
        options.batch,
        options.epochs,
        options.learning_rate,
        options.gamma,
        options.epsilon,
        options.rows,
        options.seed,
    )
    if options.resume is not None:
        print(demo.resume(options.data, settings, options.out, options.resume))
        return 0
    demo.main_job(options.data, settings, options.out)
    return 0


def _ops(options: argparse.Namespace) -> int:
    import symgraph  # noqa: F401 - registers the operators
    from symgraph.op import all_operators, find
    from symgraph.op.docs import document, signature

    if options.name is None:
        for cls in sorted(all_operators(), key=lambda c: c.op_name.lower()):
            print(f"{cls.op_name:<32} {(cls.__doc__ or '').strip().splitlines()[0]}")
        return 0
    cls = find(options.name)
    print(f"{options.name}{signature(cls)}\n\n{document(cls)}")
    return 0


def _inspect(options: argparse.Namespace) -> int:
    import symgraph as mx
    from symgraph.inspect import summary

    if str(options.file).endswith(".json"):
        print(summary(mx.sym.load(options.file), dict(map(_shape, options.shape))))
        return 0
    arrays = mx.nd.load(options.file)
    items = arrays.items() if isinstance(arrays, dict) else enumerate(arrays)
    for name, array in items:
        print(f"{name!s:<48} {array.dtype!s:<10} {array.shape}")
    return 0


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, sizes = text.partition("=")
    try:
        return name, tuple(int(n) for n in sizes.split(",") if n.strip())
    except ValueError:
        raise ArgumentError(f"--shape takes NAME=N,N,..., got {text!r}", where="inspect") from None


if __name__ == "__main__":
    sys.exit(main())
