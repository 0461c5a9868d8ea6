"""Small valid files that the tests of this folder cut, change and compare."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.formats.symbol_json import WRITER_VERSION, Document, NodeRecord


def variable(name: str, **more: Any) -> dict[str, Any]:
    return {"op": "null", "name": name, "inputs": [], **more}


def node(op: str, name: str, inputs: Sequence[Any], **more: Any) -> dict[str, Any]:
    return {"op": op, "name": name, "inputs": list(inputs), **more}


def old(op: str, name: str, inputs: Sequence[Any], param: Mapping[str, str], attr: Any = None) -> dict[str, Any]:
    """Make a node as versions up to 0.8 wrote it."""
    made = {"op": op, "param": dict(param), "name": name, "inputs": list(inputs), "backward_source_id": -1}
    return made if attr is None else {**made, "attr": attr}


def graph(nodes: Sequence[Any], heads: Any = None, version: int | None = WRITER_VERSION, **more: Any) -> dict[str, Any]:
    """Make a graph whose head is its last node, unless `heads` says otherwise."""
    made: dict[str, Any] = {
        "nodes": list(nodes),
        "arg_nodes": [index for index, each in enumerate(nodes) if each["op"] == "null"],
        "heads": [[len(nodes) - 1, 0, 0]] if heads is None else heads,
    }
    if version is not None:
        made["attrs"] = {"mxnet_version": ["int", version]}
    return made | more


def text(made: Any) -> str:
    return json.dumps(made, ensure_ascii=False)


def relu(**more: Any) -> dict[str, Any]:
    """The smallest graph with an edge: relu(a)."""
    return graph([variable("a"), node("relu", "r", [[0, 0, 0]])]) | more


def chain(length: int) -> Document:
    nodes = [NodeRecord("null", "x")]
    nodes += [NodeRecord("_plus_scalar", f"p{i}", {"scalar": "1"}, [(i - 1, 0, 0)]) for i in range(1, length)]
    return Document(nodes, [(length - 1, 0, 0)], list(range(length + 1)), {"mxnet_version": ("int", WRITER_VERSION)})


def body(name: str) -> Document:
    nodes = [NodeRecord("null", name, {"__subgraph_name__": name}), NodeRecord("_copy", f"{name}_out", {}, [(0, 0, 0)])]
    return Document(nodes, [(1, 0, 0)], [0, 1, 2])


#: By name: a document that uses some part of the format, as MXNet 1.9.1 would write it.
DOCUMENTS: dict[str, Document] = {
    "layer": Document(
        [
            NodeRecord("null", "data"),
            NodeRecord("null", "fc_weight", {"__init__": '["normal", {"sigma": 0.1}]', "num_hidden": "3"}),
            NodeRecord("null", "fc_bias", {"num_hidden": "3"}),
            NodeRecord("FullyConnected", "fc", {"num_hidden": "3"}, [(0, 0, 0), (1, 0, 0), (2, 0, 0)]),
        ],
        [(3, 0, 0)],
        [0, 1, 2, 3, 4],
        {"mxnet_version": ("int", WRITER_VERSION)},
    ),
    "update": Document(
        [
            NodeRecord("null", "w\u00e9"),
            NodeRecord("null", "g"),
            NodeRecord("null", "n"),
            NodeRecord(
                "rmsprop_update", "u", {"lr": "0.1", "__note__": 'a\tb\n"\\\x1b'}, [(0, 0, 0), (1, 0, 0), (2, 0, 1)]
            ),
            NodeRecord("relu", "r", {}, [(0, 0, 0)], control_deps=[3]),
        ],
        [(3, 0, 0), (4, 0, 0)],
        [0, 1, 2, 3, 4, 5],
        {"is_np_shape": ("int", 1), "mxnet_version": ("int", WRITER_VERSION), "names": ("list_str", ["a", "b"])},
    ),
    "branches": Document(
        [
            NodeRecord("null", "p"),
            NodeRecord("_cond", "_cond0", {"num_args": "3"}, [(0, 0, 0)], subgraphs=[body("yes"), body("no")]),
        ],
        [(1, 0, 0)],
        [0, 1, 2],
        {"mxnet_version": ("int", WRITER_VERSION)},
    ),
    "eleven": Document(
        [
            *(NodeRecord("null", f"v{i}") for i in range(11)),
            NodeRecord("add_n", "s", {}, [(i, 0, 0) for i in range(11)]),
        ],
        [(11, 0, 0)],
        list(range(13)),
        {"mxnet_version": ("int", WRITER_VERSION)},
    ),
}

#: The second document of `DOCUMENTS`, written out by hand from the description of the layout.
UPDATE_TEXT = """{
  "nodes": [
    {
      "op": "null", 
      "name": "w\u00e9", 
      "inputs": []
    }, 
    {
      "op": "null", 
      "name": "g", 
      "inputs": []
    }, 
    {
      "op": "null", 
      "name": "n", 
      "inputs": []
    }, 
    {
      "op": "rmsprop_update", 
      "name": "u", 
      "attrs": {
        "__note__": "a\\tb\\n\\"\\\\\x1b", 
        "lr": "0.1"
      }, 
      "inputs": [[0, 0, 0], [1, 0, 0], [2, 0, 1]]
    }, 
    {
      "op": "relu", 
      "name": "r", 
      "inputs": [[0, 0, 0]], 
      "control_deps": [3]
    }
  ], 
  "arg_nodes": [0, 1, 2], 
  "node_row_ptr": [0, 1, 2, 3, 4, 5], 
  "heads": [[3, 0, 0], [4, 0, 0]], 
  "attrs": {
    "is_np_shape": ["int", 1], 
    "mxnet_version": ["int", 10901], 
    "names": ["list_str", ["a", "b"]]
  }
}"""  # noqa: W291 - MXNet leaves a space after each comma

#: Texts of all spellings.
TEXTS: dict[str, str] = {
    "0.8": text(
        graph(
            [old("null", "data", [], {}), old("FullyConnected", "fc", [[0, 0]], {"num_hidden": "3"}, {"lr_mult": "2"})],
            heads=[[1, 0]],
            version=None,
        )
    ),
    "0.9": text(graph([variable("a"), node("clip", "c", [[0, 0, 0]], attr={"a_min": "0", "a_max": "1"})], version=904)),
    "1.9 compact": json.dumps(relu(), separators=(",", ":")),
}

V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA


def params_file(
    arrays: Sequence[bytes], names: Sequence[str] = (), *, count: int | None = None, named: int | None = None
) -> bytes:
    """Assemble a parameter file of encoded arrays."""
    made = struct.pack("<QQQ", 0x112, 0, len(arrays) if count is None else count) + b"".join(arrays)
    made += struct.pack("<Q", len(names) if named is None else named)
    for name in names:
        made += struct.pack("<Q", len(name.encode())) + name.encode()
    return made


def dense(
    shape: Sequence[int], data: bytes = b"", *, mark: int = V2, storage: int = 0, code: int = 0, device: int = 1
) -> bytes:
    """Encode an array of version 1, 2 or 3, from fields that need not fit together."""
    made = struct.pack("<I", mark)
    if mark != V1:
        made += struct.pack("<i", storage)
    made += struct.pack(f"<i{len(shape)}q", len(shape), *shape)
    return made + struct.pack("<iii", device, 0, code) + data


def dense_v0(shape: Sequence[int], data: bytes, code: int = 0) -> bytes:
    return struct.pack(f"<I{len(shape)}Iiii", len(shape), *shape, 1, 0, code) + data


def row_sparse() -> bytes:
    """Encode rows 1 and 4 of a (5, 3) array."""
    made = struct.pack("<Ii", V2, 1) + struct.pack("<iqq", 2, 2, 3) + struct.pack("<iqq", 2, 5, 3)
    made += struct.pack("<iii", 1, 0, 0) + struct.pack("<i", 6) + struct.pack("<iq", 1, 2)
    return made + np.arange(6, dtype="<f4").tobytes() + np.array([1, 4], "<i8").tobytes()


SIX = np.arange(6, dtype="<f4").tobytes()

#: By name: a parameter file of each version; all hold 'arg:w' of shape (2, 3), and 'aux:n' of shape (2,).
PARAMS: dict[str, bytes] = {
    "V0": params_file([dense_v0((2, 3), SIX), dense_v0((2,), SIX[:8])], ["arg:w", "aux:n"]),
    "V1": params_file([dense((2, 3), SIX, mark=V1), dense((2,), SIX[:8], mark=V1)], ["arg:w", "aux:n"]),
    "V2": params_file([dense((2, 3), SIX), dense((2,), SIX[:8])], ["arg:w", "aux:n"]),
    "V3": params_file([dense((2, 3), SIX, mark=V3), dense((2,), SIX[:8], mark=V3)], ["arg:w", "aux:n"]),
    "of a GPU": params_file([dense((2, 3), SIX, device=2), dense((2,), SIX[:8], device=2)], ["arg:w", "aux:n"]),
}
