"""Run the symbol programs on real MXNet and record in ``symbols.json`` what they find, see README.md."""

from __future__ import annotations

import os

os.environ["MXNET_MKLDNN_ENABLED"] = "0"

import contextlib
import sys
import warnings
from typing import Any

import mxnet as mx
import numpy as np

from tests.goldens import programs
from tests.goldens.store import save_index
from tests.goldens.symbol_programs import LOWER_BOUNDS, PROGRAMS


def encode(value: Any) -> Any:
    """Reduce errors to their family; nothing else needs to change for JSON."""
    if isinstance(value, dict):
        if value.keys() == {"raises"}:
            return {"raises": programs.family(value["raises"]) if value["raises"] else ""}
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, list):
        return [encode(item) for item in value]
    return value


def main() -> None:
    warnings.simplefilter("ignore")
    only = sys.argv[1:]
    cases: dict[str, Any] = {}
    for name, source in PROGRAMS.items():
        if only and not any(word in name for word in only):
            continue
        print(name, file=sys.stderr, flush=True)
        with contextlib.redirect_stdout(None):
            finding = programs.run(source, mx)
        cases[name] = {"source": source, "result": encode(finding), "lower_bound": name in LOWER_BOUNDS}
        if only:
            print(cases[name]["result"])
    if not only:
        save_index("symbols", {"mxnet": mx.__version__, "numpy": np.__version__, "script": "make_symbols.py"}, cases)


if __name__ == "__main__":
    main()
