"""Run the executor programs on real MXNet and record what they find, see README.md.

Writes ``executor.json`` (the programs and their findings) and ``executor.npz`` (the arrays in the findings).
"""

from __future__ import annotations

import os

os.environ["MXNET_MKLDNN_ENABLED"] = "0"  # the oneDNN kernels are wrong on some graphs, see README.md
os.environ["MXNET_ENGINE_TYPE"] = "NaiveEngine"  # BatchNorm writes its averages behind the other engine's back
os.environ["OMP_NUM_THREADS"] = "1"  # sums in one order

import contextlib
import sys
import warnings
from typing import Any

import mxnet as mx
import numpy as np

from tests.goldens import programs
from tests.goldens.executor_programs import PROGRAMS
from tests.goldens.store import Writer


def encode(value: Any, writer: Writer) -> Any:
    """Put arrays away and reduce errors to their family."""
    if isinstance(value, dict):
        if value.keys() == {"raises"}:
            return {"raises": programs.family(value["raises"]) if value["raises"] else ""}
        return {key: encode(item, writer) for key, item in value.items()}
    if isinstance(value, list):
        return [encode(item, writer) for item in value]
    return {"array": writer.add(value)} if isinstance(value, np.ndarray) else value


def main() -> None:
    warnings.simplefilter("ignore")
    only = sys.argv[1:]
    writer = Writer()
    cases: dict[str, Any] = {}
    for name, source in PROGRAMS.items():
        if only and not any(word in name for word in only):
            continue
        print(name, file=sys.stderr, flush=True)
        with contextlib.redirect_stdout(None):  # inference prints its arguments when it fails
            finding = programs.run(source, mx)
        if only:
            print(finding)
        cases[name] = {"source": source, "result": encode(finding, writer)}
    if not only:
        meta = {
            "mxnet": mx.__version__,
            "numpy": np.__version__,
            "script": "make_executor.py",
            "engine": "native kernels",
        }
        writer.save("executor", meta, cases)


if __name__ == "__main__":
    main()
