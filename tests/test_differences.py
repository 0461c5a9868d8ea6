"""Each place where MXNet 1.9.1 is deliberately not followed, and the table of them in ``docs/differences.md``.

What MXNet does is said in the table, and was found by running it. Differences of single operators, of symbols and of
NDArrays that recorded programs show are held beside the recordings; the table names them all.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symgraph as mx
from symgraph import errors
from tests.snapshots import ROOT

TABLE = ROOT / "docs" / "differences.md"
a, b = mx.sym.Variable("a"), mx.sym.Variable("b")


def bind(symbol: Any, arrays: dict[str, Any], start: float = 0.0, **options: Any) -> Any:
    """Bind to arrays given as lists, with gradients that begin at `start`."""
    held = {n: mx.nd.array(x) for n, x in arrays.items()}
    gradients = {n: mx.nd.full(x.shape, start) for n, x in held.items()}
    return symbol.bind(mx.cpu(), held, args_grad=gradients, **options)


def gradients(symbol: Any, arrays: dict[str, Any], heads: Any = None, **options: Any) -> dict[str, Any]:
    """Return all gradients after one training step."""
    executor = bind(symbol, arrays, **options)
    executor.forward(is_train=True)
    executor.backward(heads)
    return {n: x.asnumpy().tolist() for n, x in executor.grad_dict.items()}


# -- what MXNet cannot do ---------------------------------------------------------------------------------------------


def test_updates_compose() -> None:
    step = mx.sym.rmsprop_update(a, b, mx.sym.Variable("n"), lr=0.1, name="step")
    assert step.list_arguments() == ["a", "b"]
    assert step.list_auxiliary_states() == ["n"]


def test_gradients_are_symbols() -> None:
    slope = (a * a).gradient("a")
    assert slope.eval(a=mx.nd.array([3]))[0].asscalar() == 6
    assert slope.gradient("a").eval(a=mx.nd.array([3]))[0].asscalar() == 2


def test_updates_renew_arguments() -> None:
    step = mx.sym.sgd_update(a, b, lr=1.0, attr={"__renews__": "a"})
    held = {"a": mx.nd.array([1]), "b": mx.nd.array([0.25])}
    executor = step.bind(mx.cpu(), held)
    executor.forward()
    assert held["a"].asscalar() == 1  # inference renews nothing
    executor.forward(is_train=True)
    assert held["a"].asscalar() == 0.75


def test_graphs_that_renew_arguments_have_no_gradients_unless_asked() -> None:
    update = mx.sym.sgd_update(a, b, lr=1.0, attr={"__renews__": "a"})
    assert update.simple_bind(mx.cpu(), a=(1,)).grad_arrays == [None, None]
    assert all(dx is not None for dx in mx.sym.relu(a).simple_bind(mx.cpu(), a=(1,)).grad_arrays)


def test_inference_by_position() -> None:
    assert (a + b).infer_shape((2, 3))[0] == [(2, 3), (2, 3)]
    assert (a + b).infer_type("float64")[1] == [np.float64]


def test_slices_of_outputs_run_backwards() -> None:
    parts = mx.sym.SliceChannel(a, num_outputs=3, name="s")
    assert parts[::-1].list_outputs() == ["s_output2", "s_output1", "s_output0"]


def test_arguments_may_have_dots() -> None:
    found = mx.nd.sgd_update(mx.nd.array([1]), mx.nd.array([2]), lr=0.5, **{"rescale.grad": 0.5})
    assert found.asscalar() == 0.5


# -- symbols and inference --------------------------------------------------------------------------------------------


def test_signatures_show_defaults() -> None:
    parameters = inspect.signature(mx.sym.rmsprop_update).parameters
    assert {n: parameters[n].default for n in ("gamma1", "epsilon", "clip_weights")} == {
        "gamma1": 0.95,
        "epsilon": 1e-8,
        "clip_weights": -1,
    }


def test_undecided_shapes_raise() -> None:
    with pytest.raises(errors.ShapeError, match="cannot be decided"):
        (a + b).infer_shape()


def test_undecided_types_are_float32() -> None:
    assert mx.sym.relu(a).infer_type() == ([np.float32], [np.float32], [])
    assert mx.sym.relu(a).infer_type_partial() == ([None], [None], [])


def test_shapes_flow_backwards() -> None:
    assert (mx.sym.softmax(a) + b).infer_shape_partial(b=(2, 3))[0] == [(2, 3), (2, 3)]
    net = mx.sym.FullyConnected(a, num_hidden=3, name="fc")
    assert net.infer_shape_partial(a=(2, 0), fc_weight=(3, 5))[0][0] == (2, 5)
    assert (mx.sym.dot(a, b) - mx.sym.Variable("y")).infer_shape_partial(a=(4, 5), y=(4, 1))[0][1] == (5, 1)


def test_partial_inference_never_refuses_what_may_still_fit() -> None:
    assert mx.sym.FullyConnected(a, num_hidden=3, name="fc").infer_shape_partial(a=(4, 0))[1] == [(4, 3)]
    assert mx.sym.Pooling(a, kernel=(2, 2)).infer_shape_partial(a=(1, 3, 0, 8))[1] == [(1, 3, 0, 7)]


def test_an_unknown_length_is_not_zero() -> None:
    assert mx.sym.Concat(a, b, dim=1).infer_shape_partial(a=(2, 3))[1] == [(2, 0)]


def test_wrong_shapes_are_refused_by_inference() -> None:
    with pytest.raises(errors.ShapeError, match="does not fit"):
        mx.sym.Reshape(a, shape=(4,)).infer_shape(a=(2, 3))


@pytest.mark.parametrize(
    ("symbol", "shapes"),
    [
        (mx.sym.BatchNorm(a, name="bn"), {"a": (2, 3), "bn_gamma": (5,)}),
        (mx.sym.transpose(a, axes=(0, 0)), {"a": (2, 3)}),
    ],
)
def test_what_would_read_foreign_memory_is_refused(symbol: Any, shapes: Any) -> None:
    with pytest.raises(errors.ShapeError):
        symbol.infer_shape(**shapes)


# -- executors --------------------------------------------------------------------------------------------------------


def test_batch_norm_gathers_statistics_in_the_forward_pass() -> None:
    net = mx.sym.BatchNorm(a, name="bn", momentum=0.5, fix_gamma=True)
    executor = net.simple_bind(mx.cpu(), a=(4, 1))
    executor.arg_dict["a"][:] = [[1], [2], [3], [4]]
    executor.arg_dict["bn_gamma"][:] = 7
    executor.forward()
    assert executor.aux_dict["bn_moving_mean"].asscalar() == 0
    executor.forward(is_train=True)
    assert executor.aux_dict["bn_moving_mean"].asscalar() == 1.25
    executor.backward(mx.nd.ones((4, 1)))
    assert executor.aux_dict["bn_moving_mean"].asscalar() == 1.25
    assert executor.arg_dict["bn_gamma"].asscalar() == 7  # not overwritten with 1


def test_add_adds_to_the_own_gradient_alone() -> None:
    assert gradients(a * 2 + b, {"a": [1], "b": [1]}, mx.nd.ones((1,)), start=7, grad_req="add") == {"a": [9], "b": [8]}


def test_add_adds_for_losses() -> None:
    found = gradients(mx.sym.SoftmaxOutput(a, b), {"a": [[0, 0]], "b": [1]}, start=7, grad_req="add")
    assert found == {"a": [[7.5, 6.5]], "b": [7]}
    regression = mx.sym.LinearRegressionOutput(a, b, grad_scale=0.5)
    assert gradients(regression, {"a": [[3]], "b": [[1]]}, start=7, grad_req="add") == {"a": [[8]], "b": [[7]]}


def test_a_label_has_the_gradient_zero() -> None:
    assert gradients(mx.sym.SoftmaxOutput(a, b), {"a": [[0, 0]], "b": [1]}, start=7)["b"] == [0]


def test_indices_have_the_gradient_zero() -> None:
    table = mx.sym.Embedding(a, b, input_dim=3, output_dim=1)
    assert gradients(table, {"a": [1], "b": [[1], [2], [3]]}, mx.nd.ones((1, 1)), start=7)["a"] == [0]


def test_sort_has_a_gradient() -> None:
    assert gradients(mx.sym.sort(a), {"a": [3, 1, 2]}, mx.nd.array([10, 20, 30])) == {"a": [30, 10, 20]}


def test_softmax_output_multiplies_by_the_head_gradient() -> None:
    loss = mx.sym.SoftmaxOutput(a, b, out_grad=True)
    found = gradients(loss, {"a": [[0, 0]], "b": [1]}, mx.nd.array([[10, 20]]))
    assert found["a"] == [[5, -10]]
    with pytest.raises(errors.GradientError, match="out_grads"):
        gradients(loss, {"a": [[0, 0]], "b": [1]})


def test_each_mention_of_an_output_counts() -> None:
    group = mx.sym.Group([mx.sym.square(a)] * 2)
    assert gradients(group, {"a": [1]}, [mx.nd.array([1]), mx.nd.array([10])]) == {"a": [22]}


def test_a_product_has_a_gradient_at_zero() -> None:
    assert gradients(mx.sym.prod(a), {"a": [0, 2, 3]}, mx.nd.ones((1,))) == {"a": [6, 0, 0]}


def test_labels_may_be_missing_in_inference() -> None:
    net = mx.sym.SoftmaxOutput(a, name="s")
    assert net.bind(mx.cpu(), {"a": mx.nd.ones((2, 4))}).forward()[0].asnumpy().tolist() == [[0.25] * 4] * 2
    with pytest.raises(errors.BindError, match="missing"):
        (a + b).bind(mx.cpu(), {"a": mx.nd.ones((2,))})


def test_forward_takes_lists() -> None:
    assert bind(mx.sym.relu(a), {"a": [1]}).forward(a=[2])[0].asscalar() == 2


def test_parameters_may_be_numpy_arrays() -> None:
    executor = bind(mx.sym.relu(a), {"a": [1]})
    executor.copy_params_from({"a": np.array([3.0])})
    assert executor.forward()[0].asscalar() == 3


def test_monitors_get_text() -> None:
    names: list[Any] = []
    executor = bind(mx.sym.relu(a, name="r"), {"a": [1]})
    executor.set_monitor_callback(lambda name, array: names.append(name))
    executor.forward(is_train=True)
    executor.backward(mx.nd.ones((1,)))
    assert names == ["r_output"]  # and nothing of the gradients


def test_only_the_cpu_computes() -> None:
    assert mx.gpu(0).device_type == "gpu"
    with pytest.raises(errors.BindError, match="for gpu"):
        a.bind(mx.gpu(0), {"a": mx.nd.ones((1,))})


def test_random_numbers_do_not_depend_on_what_else_is_computed() -> None:
    """The position in the graph decides the bits, so a second drawing beside it changes nothing."""
    drop = mx.sym.Dropout(a, p=0.5, name="drop")

    def first(symbol: Any) -> list[float]:
        mx.random.seed(5)
        executor = symbol.bind(mx.cpu(), {"a": mx.nd.ones((64,))})
        executor.forward(is_train=True)
        kept: list[float] = executor.forward(is_train=True)[0].asnumpy().tolist()
        return kept

    alone = first(drop)
    assert alone == first(mx.sym.Group([drop, mx.sym.Dropout(a * 2, p=0.5, name="other")]))
    assert 0 < sum(alone) < 128


# -- operators --------------------------------------------------------------------------------------------------------


def test_zero_turns_clipping_off() -> None:
    weight, grad = mx.nd.array([1, 2]), mx.nd.array([0.5, 0.5])
    assert mx.nd.sgd_update(weight, grad, lr=1.0, clip_gradient=0).asnumpy().tolist() == [0.5, 1.5]
    n = mx.nd.zeros((2,))
    found = mx.nd.rmsprop_update(weight, grad, n, lr=0.1, clip_weights=0).asnumpy()
    n = mx.nd.zeros((2,))
    np.testing.assert_array_equal(found, mx.nd.rmsprop_update(weight, grad, n, lr=0.1).asnumpy())


def test_a_sum_is_rounded_as_numpy_rounds_it() -> None:
    x = np.array([2.0**24, *[1.0] * 64], np.float32)
    assert mx.nd.sum(mx.nd.array(x)).asscalar() == x.sum() != 2.0**24 + 64


@pytest.mark.parametrize("dtype", ["int32", "float16"])
def test_products_take_all_numbers(dtype: str) -> None:
    x = mx.nd.ones((2, 2), dtype=dtype)
    for y in (mx.nd.dot(x, x), mx.nd.FullyConnected(x, x, num_hidden=2, no_bias=True)):
        assert y.asnumpy().tolist() == [[2, 2], [2, 2]]
        assert y.dtype == np.dtype(dtype)


def test_a_norm_has_the_type_asked_for() -> None:
    found = mx.nd.norm(mx.nd.array([3, 4]), out_dtype="float64")
    assert found.asscalar() == 5
    assert found.dtype == np.float64


def test_channels_last() -> None:
    x, w = np.random.default_rng(0).normal(size=(2, 1, 5, 5, 3)).astype(np.float32)[:, 0], np.ones((2, 3, 3, 3), "f")
    last = mx.nd.Convolution(mx.nd.array(x), mx.nd.array(w), kernel=(3, 3), num_filter=2, no_bias=True, layout="NHWC")
    first = mx.nd.Convolution(
        mx.nd.array(x.transpose(0, 3, 1, 2)),
        mx.nd.array(w.transpose(0, 3, 1, 2)),
        kernel=(3, 3),
        num_filter=2,
        no_bias=True,
    )
    np.testing.assert_allclose(last.asnumpy(), first.asnumpy().transpose(0, 2, 3, 1), rtol=1e-5)


# -- NDArrays ---------------------------------------------------------------------------------------------------------


def test_arrays_become_numbers() -> None:
    x = mx.nd.array([[1.5]])
    assert float(x) == 1.5
    assert int(x) == 1
    assert x.asscalar() == 1.5
    assert np.ndim(x.asscalar()) == 0


def test_numpy_reads_arrays() -> None:
    x = mx.nd.array([1, 2])
    seen = np.asarray(x)
    assert seen.tolist() == [1, 2]
    assert np.shares_memory(seen, np.asarray(x))
    assert not seen.flags.writeable


def test_operators_without_parameters_refuse_unknown_ones() -> None:
    with pytest.raises(errors.ArgumentError, match="colour"):
        mx.nd.relu(mx.nd.array([1]), colour="red")


def test_errors_come_from_the_call() -> None:
    """Not from the first read of a result, possibly elsewhere."""
    with pytest.raises(errors.OutOfRangeError):
        mx.nd.take(mx.nd.array([1, 2]), mx.nd.array([5]), mode="raise")


# -- files ------------------------------------------------------------------------------------------------------------


def test_files_with_unknown_operators_open() -> None:
    text = mx.sym.relu(a, name="w").tojson().replace('"relu"', '"Wonder"')
    net = mx.sym.load_json(text)
    assert net.list_arguments() == ["a"]
    with pytest.raises(errors.SymgraphError, match="Wonder"):
        net.bind(mx.cpu(), {"a": mx.nd.ones((1,))})


def test_names_in_files_are_printable() -> None:
    with pytest.raises(errors.GraphFormatError, match="control character"):
        mx.sym.Variable("one\ntwo").tojson()


def test_missing_files_are_os_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        mx.sym.load(tmp_path / "none-symbol.json")
    with pytest.raises(FileNotFoundError):
        mx.nd.load(str(tmp_path / "none.params"))


# -- errors -----------------------------------------------------------------------------------------------------------


def test_all_bad_arguments_are_told_at_once() -> None:
    with pytest.raises(errors.ArgumentError) as caught:
        mx.sym.Convolution(a, kernle=(3, 3), num_filter=-1)
    assert "'kernel'" in str(caught.value)
    assert "num_filter" in str(caught.value)


def test_errors_name_the_line_that_made_the_node() -> None:
    net = mx.sym.FullyConnected(a, num_hidden=3, name="fc")
    with pytest.raises(errors.ShapeError, match=r"created at \S*test_differences.py:\d+"):
        net.infer_shape(a=(2, 4), fc_weight=(5, 5))


@pytest.mark.parametrize(
    ("call", "kinds"),
    [
        (lambda: bind(a * b, {"a": [1], "b": [1]}, grad_req=["write", "nothing"]), (TypeError, ValueError)),
        (lambda: mx.nd.array([1], dtype="uint16"), (TypeError,)),
        (lambda: mx.nd.square(mx.nd.array([1]), out=np.zeros(1)), (TypeError, ValueError)),
        (lambda: bool(a), (ValueError,)),
        (lambda: mx.sym.nothing(a), (AttributeError,)),
    ],
)
def test_errors_are_of_one_family(call: Callable[[], Any], kinds: tuple[type[Exception], ...]) -> None:
    with pytest.raises(mx.MXNetError) as caught:
        call()
    assert all(isinstance(caught.value, kind) for kind in kinds)


# -- the table --------------------------------------------------------------------------------------------------------


def rows() -> Iterator[list[str]]:
    """Yield the cells of each row of the tables in the document."""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("|") and not line.startswith(("|---", "| MXNet 1.9.1 ")):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@cache
def functions(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def missing_tests(cell: str) -> list[str]:
    """Return what a cell names that is no test: ``test_x`` of this file, or ``path::test_x``."""
    names = [name for name in re.findall(r"`([^`]+)`", cell) if "test_" in name]
    found = []
    for name in names:
        path, _, function = name.rpartition("::")
        file = ROOT / path if path else Path(__file__)
        if not file.is_file() or function not in functions(file):
            found.append(name)
    return found if names else [f"no test is named: {cell!r}"]


def test_each_row_names_its_test() -> None:
    found = list(rows())
    assert len(found) > 40
    assert [row for row in found if len(row) != 4 or not all(row)] == []
    assert [problem for row in found for problem in missing_tests(row[3])] == []


def test_each_test_here_is_named_in_the_table() -> None:
    text = TABLE.read_text(encoding="utf-8")
    own = {"test_each_row_names_its_test", "test_each_test_here_is_named_in_the_table"}
    own |= {"test_recorded_differences_are_in_the_table", "test_a_row_without_a_test_is_seen"}
    assert [name for name in sorted(functions(Path(__file__))) if name.startswith("test_") and name not in own and
            f"`{name}`" not in text] == []  # fmt: skip


#: Where tests list what differs from recordings of MXNet: the file, and the names of its tables.
LISTS = {
    "tests/ops/test_schema.py": ("OTHER_INPUTS", "OTHER_PARAMETERS", "OTHER_TYPE"),
    "tests/ops/test_values.py": ("DIFFERENT", "ACCEPTED", "REFUSED"),
    "tests/symbol/test_symbol_goldens.py": ("MEANT", "RAISES"),
    "tests/executor/test_executor_goldens.py": ("MEANT",),
    "tests/ndarray/test_goldens.py": ("MEANT",),
}


def recorded(file: Path, tables: tuple[str, ...]) -> Iterator[str]:
    """Yield the case that each entry of the tables is about; the texts are read, nothing is run."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Dict):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if not any(isinstance(t, ast.Name) and t.id in tables for t in targets):
            continue
        for key in node.value.keys:
            while isinstance(key, ast.Tuple):
                key = key.elts[0]
            if isinstance(key, ast.Constant):
                yield str(key.value)


@pytest.mark.parametrize("file", LISTS)
def test_recorded_differences_are_in_the_table(file: str) -> None:
    """Each entry of the tests' own lists stands in a row that names the test, as the recorded case's name."""
    told = " ".join(row[3] for row in rows() if f"{file}::" in row[3])
    cases = list(recorded(ROOT / file, LISTS[file]))
    assert cases
    assert [case for case in cases if f"`{case}`" not in told] == []


def test_a_row_without_a_test_is_seen() -> None:
    assert missing_tests("`test_updates_compose`") == []
    assert missing_tests("`tests/test_differences.py::test_updates_compose`, `topk-1`") == []
    assert missing_tests("`test_nothing_of_the_sort`") == ["test_nothing_of_the_sort"]
    assert missing_tests("`tests/none.py::test_updates_compose`") == ["tests/none.py::test_updates_compose"]
    assert missing_tests("by eye") == ["no test is named: 'by eye'"]
