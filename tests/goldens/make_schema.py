"""Extract the schema of the operators that exist here from the reference data on MXNet's 886.

Run by this package's own Python when operators are added::

    python -m tests.goldens.make_schema [FOLDER OF THE REFERENCE DATA]

Reads ``oracle/ops.json`` of the reference data (by default beside the checkout, as ``shared``) and writes
``schema.json``: for each operator its aliases, the names of its inputs, the parameter that counts them, and its
parameters in order with kind, choices and default as text. Nothing is decided here but which words mean the same.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import symgraph.ops  # noqa: F401  (registers the operators)
from symgraph.op import all_operators

FOLDER = Path(__file__).resolve().parent
SHARED = FOLDER.parents[2] / "shared"

#: MXNet's words for the kinds of parameters, by what they mean.
KINDS = {
    "bool": ("boolean",),
    "int": ("int", "int (non-negative)", "long", "long (non-negative)", "ptr"),
    "float": ("float", "real_t"),
    "double": ("double",),
    "text": ("string",),
    "ints": ("Shape(tuple)", "Shape", "tuple of <long>", "tuple of <int>"),
    "floats": ("tuple of <float>", "tuple of <double>"),
}
KIND = {word: kind for kind, words in KINDS.items() for word in words}


def parameter(told: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter in the words of `KINDS`."""
    text = told["type"]
    found: dict[str, Any] = {"name": told["name"]}
    if text == "enum":
        # NumPy has no bfloat16.
        found |= {"kind": "choice", "choices": sorted(set(told["enum"]) - {"None", "bfloat16"})}
        if "None" in told["enum"] or told.get("enum_allows_None"):
            found["none"] = True
    else:
        found["kind"] = KIND.get(text.removesuffix(" or None"), text)
        if text.endswith(" or None"):
            found["none"] = True
    if told.get("default") is not None:
        found["default"] = told["default"].strip("'")
        if found["default"] == "None":
            found["none"] = True
    return found


def operator(told: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of an operator."""
    return {
        "aliases": sorted(told["aliases"]),
        "inputs": [i["name"] for i in told["inputs"]],
        "count": told["key_var_num_args"],
        "params": [parameter(p) for p in told["params"]],
    }


def main() -> None:
    """Write the file."""
    shared = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED
    told = json.loads((shared / "oracle" / "ops.json").read_text(encoding="utf-8"))["ops"]
    kept = {cls.op_name: operator(told[cls.op_name]) for cls in all_operators() if cls.op_name in told}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(kept[name])}" for name in sorted(kept))
    (FOLDER / "schema.json").write_text("{\n" + lines + "\n}\n", encoding="utf-8")
    print(f"{len(kept)} operators", file=sys.stderr)


if __name__ == "__main__":
    main()
