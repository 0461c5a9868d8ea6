"""Run every case of ``operator_cases`` on real MXNet and record what it does.

Run by the Python that has MXNet 1.9.1, see README.md. Writes ``operators.json`` and ``operators.npz``. What is run is
decided in ``operator_cases``; here is only how a case is run and what is written down about it.
"""

from __future__ import annotations

import os

os.environ["MXNET_MKLDNN_ENABLED"] = "0"  # the oneDNN kernels are wrong on some graphs, see README.md
os.environ["MXNET_ENGINE_TYPE"] = "NaiveEngine"  # errors are raised where they happen
os.environ["OMP_NUM_THREADS"] = "1"  # sums in one order

import contextlib
import json
import sys
import warnings
import zlib
from typing import Any

import mxnet as mx
import numpy as np

from tests.goldens.operator_cases import CASES, SLICE, UNWRITTEN, Case
from tests.goldens.store import Writer

UNTOUCHED = -12345.5
"""Start value of the gradient buffers; a gradient that still has it everywhere was not written."""


ERRORS = (mx.MXNetError, IndexError, TypeError, ValueError)
"""What MXNet raises when it refuses."""


def random_state(*words: str) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32("/".join(words).encode()))


def make_data(case: Case) -> dict[str, np.ndarray]:
    """Make the input arrays of a case; they depend on nothing but the case's and the input's name."""
    data = {}
    for name, spec in case.inputs.items():
        rng = random_state(case.id, name)
        kind, shape, dtype, values = spec
        if kind == "uniform":
            array = rng.uniform(values[0], values[1], shape)
        elif kind == "integers":
            array = rng.randint(values[0], values[1], shape)
        elif kind == "distinct":
            array = rng.permutation(int(np.prod(shape))).reshape(shape) * 0.25 - 1.0
        else:
            array = np.array(values, "float64" if np.dtype(dtype).kind == "f" else "int64").reshape(shape)
        data[name] = np.asarray(array).astype(dtype)
    return data


#: Modules that hold operators under their name less a prefix.
PREFIXES = {"_contrib_": mx.symbol.contrib, "_linalg_": mx.symbol.linalg, "_random_": mx.symbol.random}


def function_of(name: str) -> Any:
    """Return the function that composes an operator."""
    for module in (mx.symbol.op, mx.symbol._internal):
        if hasattr(module, name):
            return getattr(module, name)
    return next(getattr(m, name.removeprefix(p)) for p, m in PREFIXES.items() if name.startswith(p))


def compose(case: Case) -> Any:
    """Call the operator on one variable per input."""
    function = function_of(case.op)
    variables = {name: mx.sym.Variable(name) for name in case.inputs}
    if all(name.startswith("arg") for name in variables):
        return function(*variables.values(), name="op", **case.attrs)
    return function(**variables, name="op", **case.attrs)


def with_hidden_outputs(symbol: Any) -> tuple[Any, int, dict[str, str], str]:
    """Return the symbol with all outputs as heads, the number of visible ones, its attributes and its operator."""
    graph = json.loads(symbol.tojson())
    row = graph["node_row_ptr"]
    node = graph["nodes"][-1]
    visible = len(symbol.list_outputs())
    graph["heads"] = [[len(row) - 2, index, 0] for index in range(row[-1] - row[-2])]
    return mx.sym.load_json(json.dumps(graph)), visible, node.get("attrs", {}), node["op"]


def plain_shapes(shapes: Any) -> Any:
    return None if shapes is None else [None if shape is None else list(shape) for shape in shapes]


def plain_types(types: Any) -> Any:
    return None if types is None else [None if kind is None else np.dtype(kind).name for kind in types]


def infer_from_one(symbol: Any, data: dict[str, np.ndarray]) -> dict[str, Any]:
    """Record what follows from one input's shape, and from the first input's dtype, alone."""
    names = symbol.list_arguments() + symbol.list_auxiliary_states()
    facts: dict[str, Any] = {}
    for given in data:
        try:
            arguments, outputs, aux = symbol.infer_shape_partial(**{given: data[given].shape})
        except ERRORS:
            facts.setdefault("shapes_from", {})[given] = "refused"
            continue
        inputs = dict(zip(names, plain_shapes(list(arguments) + list(aux)), strict=True))
        facts.setdefault("shapes_from", {})[given] = {"inputs": inputs, "outputs": plain_shapes(outputs)}
    first = next(iter(data))
    try:
        arguments, outputs, aux = symbol.infer_type(**{first: data[first].dtype})
    except ERRORS:
        facts["types_from_first"] = "refused"
        return facts
    if arguments is None:
        facts["types_from_first"] = None
    else:
        inputs = dict(zip(names, plain_types(list(arguments) + list(aux)), strict=True))
        facts["types_from_first"] = {"inputs": inputs, "outputs": plain_types(outputs)}
    return facts


class Run:
    """One binding of a symbol to fresh copies of the data."""

    def __init__(self, symbol: Any, data: dict[str, np.ndarray], with_grad: list[str]) -> None:
        def fresh(names: list[str]) -> dict[str, Any]:
            return {name: mx.nd.array(data[name], dtype=data[name].dtype) for name in names}

        self.args = fresh(symbol.list_arguments())
        self.aux = fresh(symbol.list_auxiliary_states())
        self.grads = {name: mx.nd.full(data[name].shape, UNTOUCHED, dtype=data[name].dtype) for name in with_grad}
        requests = {name: "write" if name in with_grad else "null" for name in self.args}
        self.executor = symbol.bind(
            mx.cpu(), self.args, args_grad=self.grads or None, grad_req=requests, aux_states=self.aux
        )

    def forward(self, train: bool) -> list[np.ndarray]:
        return [output.asnumpy() for output in self.executor.forward(is_train=train)]

    def backward(self, heads: list[np.ndarray]) -> dict[str, np.ndarray]:
        self.executor.backward([mx.nd.array(head, dtype=head.dtype) for head in heads])
        return {name: grad.asnumpy() for name, grad in self.grads.items()}

    def state(self) -> dict[str, np.ndarray]:
        return {name: array.asnumpy() for name, array in {**self.args, **self.aux}.items()}


def make_heads(case: Case, outputs: list[np.ndarray]) -> list[np.ndarray]:
    heads = []
    for index, output in enumerate(outputs):
        rng = random_state(case.id, f"head {index}")
        if output.dtype.kind == "f":
            heads.append(rng.uniform(-1, 1, output.shape).astype(output.dtype))
        else:
            heads.append(rng.randint(0, 4, output.shape).astype(output.dtype))
    return heads


def gradients(
    case: Case, symbol: Any, data: dict[str, np.ndarray], heads: list[np.ndarray]
) -> tuple[dict[str, np.ndarray], list[str], Run | None]:
    """Return the gradients of all float inputs that have one, the inputs that refuse, and the run that gave them."""
    wanted = [name for name in symbol.list_arguments() if data[name].dtype.kind == "f"]

    def attempt(names: list[str]) -> tuple[dict[str, np.ndarray], Run]:
        run = Run(symbol, data, names)
        run.forward(True)
        return run.backward(heads), run

    if not wanted:
        return {}, [], None
    try:
        grads, run = attempt(wanted)
        return grads, [], run
    except ERRORS:
        pass
    grads, refused, kept = {}, [], None
    for name in wanted:
        try:
            one, kept = attempt([name])
            grads.update(one)
        except ERRORS:
            refused.append(name)
    return grads, refused, kept


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def record(case: Case, writer: Writer) -> dict[str, Any]:
    """Run one case and return its entry of the index."""
    data = make_data(case)
    entry: dict[str, Any] = {"op": case.op, "inputs": list(data), "train": case.train, "arrays": {}}
    arrays = entry["arrays"]

    def keep(role: str, array: np.ndarray) -> None:
        arrays[role] = writer.add(array)

    for name, array in data.items():
        keep(f"in.{name}", array)
    entry["attrs"] = {key: str(value) for key, value in case.attrs.items()}
    try:
        symbol = compose(case)
    except ERRORS as error:
        return {**entry, "slice": case.op in SLICE, "refused": "compose", "error": type(error).__name__}
    complete, entry["visible"], entry["attrs"], entry["op"] = with_hidden_outputs(symbol)
    entry["slice"] = entry["op"] in SLICE
    if case.op != entry["op"]:
        entry["called"] = case.op
    entry["aux"] = symbol.list_auxiliary_states()
    entry["outputs"] = complete.list_outputs()
    if len(data) > 1 and case.partial:
        entry.update(infer_from_one(symbol, data))
    try:
        _, inferred_shapes, _ = symbol.infer_shape(**{name: array.shape for name, array in data.items()})
        if inferred_shapes is None:
            return {**entry, "refused": "infer_shape"}
    except ERRORS:
        return {**entry, "refused": "infer_shape"}
    try:
        _, inferred_types, _ = symbol.infer_type(**{name: array.dtype for name, array in data.items()})
        if inferred_types is None:
            return {**entry, "refused": "infer_type"}
    except ERRORS:
        return {**entry, "refused": "infer_type"}
    stage = "bind"
    try:
        run = Run(symbol, data, [])
        stage = "forward"
        outputs = run.forward(case.train)
        if complete.list_outputs() != symbol.list_outputs():
            outputs += Run(complete, data, []).forward(case.train)[entry["visible"] :]
    except ERRORS:
        return {**entry, "refused": stage}
    entry["shapes"] = [list(output.shape) for output in outputs]
    entry["dtypes"] = [output.dtype.name for output in outputs]
    visible = outputs[: entry["visible"]]
    if plain_shapes(inferred_shapes) != entry["shapes"][: len(visible)]:
        entry["inferred_shapes"] = plain_shapes(inferred_shapes)
    if plain_types(inferred_types) != entry["dtypes"][: len(visible)]:
        entry["inferred_types"] = plain_types(inferred_types)
    if not case.values:
        return entry
    for index, output in enumerate(outputs):
        if index not in UNWRITTEN.get(entry["op"], ()):
            keep(f"out.{index}", output)
    after_forward = run.state()
    for name, array in after_forward.items():
        if not same(array, data[name]):
            keep(f"after_forward.{name}", array)
    if not case.train or not case.grad:
        return entry
    heads = make_heads(case, visible)
    grads, refused, run_back = gradients(case, symbol, data, heads)
    if refused:
        entry["grad_refused"] = refused
    untouched = [
        name for name, grad in grads.items() if grad.size and (grad == np.asarray(UNTOUCHED, grad.dtype)).all()
    ]
    if untouched:
        entry["grad_untouched"] = untouched
    if len(grads) > len(untouched):
        for index, head in enumerate(heads):
            keep(f"head.{index}", head)
    for name, grad in grads.items():
        if name not in untouched:
            keep(f"grad.{name}", grad)
    if run_back is not None:
        for name, array in run_back.state().items():
            if not same(array, after_forward[name]):
                keep(f"after_backward.{name}", array)
    return entry


def main() -> None:
    warnings.simplefilter("ignore")
    writer = Writer()
    entries: dict[str, Any] = {}
    only = sys.argv[1:]
    for case in CASES:
        if only and not any(word in case.id for word in only):
            continue
        if case.id in entries:
            raise SystemExit(f"two cases have the id {case.id}")
        print(case.id, file=sys.stderr, flush=True)
        with contextlib.redirect_stdout(None):  # inference prints its arguments when it fails
            entries[case.id] = record(case, writer)
    if only:
        print(json.dumps(entries, indent=1, sort_keys=True))
        return
    meta = {"mxnet": mx.__version__, "numpy": np.__version__, "script": "make_operators.py", "engine": "native kernels"}
    writer.save("operators", meta, entries)
    print(f"{len(entries)} cases", file=sys.stderr)


if __name__ == "__main__":
    main()
