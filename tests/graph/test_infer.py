"""Shapes and dtypes flow both ways, conflicts name everything, and effort is linear."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from symgraph.errors import ArgumentError, DTypeError, GraphFormatError, ShapeError, UnknownOperatorError
from symgraph.graph.infer import _conclude, declared_shape, infer, infer_dtypes, infer_shapes, merge_shapes
from symgraph.graph.node import Entry, Node, Unknown
from symgraph.graph.view import View
from symgraph.op import Op, Tensor, arg, param
from symgraph.op.schema import define
from tests.counting import assert_linear
from tests.graph.build import apply, chain, variable
from tests.snapshots import Snapshots

F2, F4, F8, I4 = (np.dtype(code) for code in ("f2", "f4", "f8", "i4"))


def make(cls: type[Op], name: str) -> type[Op]:
    return define(cls, name, ())


def dense() -> type[Op]:
    class Dense(Op):
        """Linear transformation."""

        data: Tensor = arg("Input.")
        weight: Tensor = arg("Weights.")
        num_hidden: int = param("Number of output features.", ge=1)

        def shapes(self, data: Any, weight: Any) -> dict[str, Any]:
            found: dict[str, Any] = {}
            if data is not None:
                found["weight"] = (self.num_hidden, data[1])
            if weight is not None:
                found["data"] = (None, weight[1])
            return found

        def compute(self, xp: Any, data: Any, weight: Any) -> Any:
            return xp.matmul(data, xp.permute_dims(weight, (1, 0)))

    return make(Dense, "Dense")


def opaque() -> type[Op]:
    class Opaque(Op):
        """Says nothing about shapes; works on matrices only."""

        data: Tensor = arg("Input.")

        def compute(self, xp: Any, data: Any) -> Any:
            if data.ndim != 2:
                raise ShapeError(f"data must be a matrix, not of shape {data.shape}")
            return data + 1

    return make(Opaque, "Opaque")


def filler() -> type[Op]:
    class Filler(Op):
        """Zeros whose number of rows may be left open."""

        rows: int = param("Rows, or 0.", default=0)

        def shapes(self) -> dict[str, Any]:
            return {"output": (self.rows or None, 3)}

        def dtypes(self) -> dict[str, Any]:
            return {"output": F4}

        def settle(self, output: Any) -> Op:
            return Filler(rows=output[0])

        def compute(self, xp: Any) -> Any:
            return xp.zeros((self.rows, 3), "float32")

    return make(Filler, "Filler")


def caster() -> type[Op]:
    class Caster(Op):
        """Whole numbers in, half precision out."""

        data: Tensor = arg("Input.")

        def dtypes(self) -> dict[str, Any]:
            return {"data": I4, "output": F2}

        def compute(self, xp: Any, data: Any) -> Any:
            return xp.astype(data, "float16")

    return make(Caster, "Caster")


Dense, Opaque, Filler, Caster = dense(), opaque(), filler(), caster()


def node(op: Op, name: str, *inputs: Entry) -> Entry:
    return Entry(Node(op, name, inputs, {}, "net.py:7"))


def shapes_of(entry: Entry, given: dict[str, Any], **options: Any) -> dict[str, Any]:
    found = infer_shapes([entry], given, **options)
    return {n.name: found.shapes[found.view.offsets[k]] for k, n in enumerate(found.view.nodes)}


def dtypes_of(entry: Entry, given: dict[str, Any], **options: Any) -> dict[str, Any]:
    found = infer_dtypes([entry], given, **options)
    return {n.name: found.dtypes[found.view.offsets[k]] for k, n in enumerate(found.view.nodes)}


# -- shapes -----------------------------------------------------------------------------------------------------------


def test_a_weight_follows_from_the_data() -> None:
    fc = node(Dense(num_hidden=3), "fc", variable("x"), variable("w"))
    assert shapes_of(fc, {"x": (2, 5)}) == {"x": (2, 5), "w": (3, 5), "fc": (2, 3)}


def test_data_follow_from_the_weight_as_far_as_they_can() -> None:
    fc = node(Dense(num_hidden=3), "fc", variable("x"), variable("w"))
    assert shapes_of(fc, {"w": (3, 5)}, partial=True) == {"x": (None, 5), "w": (3, 5), "fc": None}
    assert shapes_of(fc, {"w": (3, 5), "x": (2, None)}) == {"x": (2, 5), "w": (3, 5), "fc": (2, 3)}


def test_shapes_flow_back_through_a_chain() -> None:
    total = apply("elemwise_add", "sum", chain(5, variable("x")), variable("y"))
    assert set(shapes_of(total, {"y": (2, 3)}).values()) == {(2, 3)}


def test_shapes_flow_back_and_forward_again() -> None:
    # x is known only from y, by way of the sum; then w follows from x.
    x, y = variable("x"), variable("y")
    fc = node(Dense(num_hidden=4), "fc", x, variable("w"))
    net = node(Opaque(), "out", fc)
    joint = View([net, apply("elemwise_add", "sum", x, y)])
    found = infer_shapes(joint, {"y": (2, 3)})
    assert found.shapes[joint.number(net)] == (2, 4)


def test_an_entry_read_twice() -> None:
    x = variable("x")
    assert shapes_of(apply("elemwise_add", "sum", x, x), {"x": (2,)}) == {"x": (2,), "sum": (2,)}


def test_what_is_given_counts_more_than_what_is_declared() -> None:
    x = variable("x", __shape__="(2, 3)")
    assert shapes_of(chain(1, x), {}) == {"x": (2, 3), "n0": (2, 3)}
    assert shapes_of(chain(1, x), {"x": (4,)}) == {"x": (4,), "n0": (4,)}


@pytest.mark.parametrize(
    ("text", "shape"),
    [("(2, 3)", (2, 3)), ("[0, 3]", (None, 3)), ("(-1,)", (None,)), ("(1L, 2L)", (1, 2)), ("()", None), ("None", None)],
)
def test_declared_shapes(text: str, shape: Any) -> None:
    assert declared_shape(variable("x", __shape__=text).node) == shape


def test_equal_names_are_separate_variables() -> None:
    total = apply("elemwise_add", "sum", variable("x"), variable("x"))
    found = infer_shapes([total], {"x": (2,)})
    assert found.shapes == [(2,), (2,), (2,)]


def test_open_parameters_are_settled() -> None:
    zeros = node(Filler(), "h0")
    total = apply("elemwise_add", "sum", zeros, variable("x"))
    found = infer([total], {"x": (5, 3)})
    assert found.op(0) == Filler(rows=5)
    assert found.shapes[0] == (5, 3)


def test_results_do_not_touch_the_graph() -> None:
    entry = chain(2, variable("x"))
    first, second = infer([entry], {"x": (2,)}), infer([entry], {"x": (3,)})
    assert first.shapes == [(2,)] * 3
    assert second.shapes == [(3,)] * 3


def test_merging() -> None:
    assert merge_shapes(None, (2, None)) == (2, None)
    assert merge_shapes((2, None), (None, 3)) == (2, 3)
    with pytest.raises(ValueError, match="axes"):
        merge_shapes((2,), (2, 3))
    with pytest.raises(ValueError, match="lengths"):
        merge_shapes((2,), (3,))


# -- dtypes -----------------------------------------------------------------------------------------------------------


def test_inputs_and_outputs_share_a_dtype() -> None:
    fc = node(Dense(num_hidden=3), "fc", variable("x"), variable("w"))
    assert set(dtypes_of(fc, {"w": F2}).values()) == {F2}


def test_float64_spreads_like_any_other() -> None:
    # NumPy holds dtype("float64") equal to None.
    total = apply("elemwise_add", "sum", chain(3, variable("x")), variable("y"))
    assert set(dtypes_of(total, {"y": F8}).values()) == {F8}
    assert set(dtypes_of(total, {"x": F8}).values()) == {F8}


def test_what_nothing_tells_is_float32() -> None:
    total = apply("elemwise_add", "sum", variable("x"), variable("y"))
    assert set(dtypes_of(total, {}).values()) == {F4}
    assert set(dtypes_of(total, {}, partial=True).values()) == {None}


def test_a_rule_counts_before_the_default() -> None:
    cast = node(Caster(), "cast", variable("x"))
    total = apply("elemwise_add", "sum", variable("y"), cast)
    assert dtypes_of(total, {}) == {"y": F2, "x": I4, "cast": F2, "sum": F2}


def test_declared_dtypes() -> None:
    assert dtypes_of(chain(1, variable("x", __dtype__="1")), {}) == {"x": F8, "n0": F8}
    assert dtypes_of(chain(1, variable("x", __dtype__="-1")), {}) == {"x": F4, "n0": F4}


# -- errors -----------------------------------------------------------------------------------------------------------


def test_conflict_of_an_input(snapshot: Snapshots) -> None:
    fc = node(Dense(num_hidden=3), "fc", variable("data"), variable("fc_weight"))
    with snapshot.raises(ShapeError, "infer_conflict_input"):
        infer([fc], {"data": (2, 3), "fc_weight": (4, 5)})


def test_conflict_of_an_inner_input(snapshot: Snapshots) -> None:
    fc = node(Dense(num_hidden=3), "fc", variable("data"), variable("fc_weight"))
    total = apply("elemwise_add", "sum", fc, variable("y"))
    with snapshot.raises(ShapeError, "infer_conflict_inner"):
        infer([total], {"data": (2, 3), "y": (2, 4)})


def test_conflict_of_an_output(snapshot: Snapshots) -> None:
    # The first sum tells what `inner` must give before the second one tells what it reads.
    x = variable("x")
    inner = node(Opaque(), "inner", x)
    first, second = apply("elemwise_add", "a", inner, variable("y")), apply("elemwise_add", "b", x, variable("z"))
    with snapshot.raises(ShapeError, "infer_conflict_output"):
        infer([first, second], {"y": (2, 3), "z": (5, 3)})


def test_complaint_of_an_operator(snapshot: Snapshots) -> None:
    with snapshot.raises(ShapeError, "infer_operator_complains"):
        infer([node(Opaque(), "flat", variable("x"))], {"x": (2, 3, 4)})


def test_conflict_of_dtypes(snapshot: Snapshots) -> None:
    fc = node(Dense(num_hidden=3), "fc", variable("data"), variable("fc_weight"))
    with snapshot.raises(DTypeError, "infer_conflict_dtype"):
        infer_dtypes([fc], {"data": F8, "fc_weight": F2})


def test_undecided_shapes_tell_the_smallest_set_that_decides_them(snapshot: Snapshots) -> None:
    fc1 = node(Dense(num_hidden=8), "fc1", variable("data"), variable("fc1_weight"))
    fc2 = node(Dense(num_hidden=3), "fc2", node(Opaque(), "act", fc1), variable("fc2_weight"))
    net = apply("elemwise_add", "sum", fc2, variable("other", __shape__="(0, 3)"))
    with snapshot.raises(ShapeError, "infer_undecided"):
        infer([net])


def test_smallest_set_leaves_out_what_a_later_variable_decides() -> None:
    # The weight stands first, but only the data decide both.
    fc = Entry(Node(Dense(num_hidden=3), "fc", (variable("x"), variable("w")), {}))
    with pytest.raises(ShapeError) as caught:
        infer([apply("elemwise_add", "sum", Entry(fc.node.inputs[1].node), Entry(fc.node.inputs[1].node)), fc])
    assert caught.value.facts["enough to know"] == "x"


def test_undecided_although_all_variables_are_known(snapshot: Snapshots) -> None:
    with snapshot.raises(ShapeError, "infer_undecided_operator"):
        infer([node(Filler(), "h0")])


def test_unknown_operators_are_all_listed(snapshot: Snapshots) -> None:
    x = variable("x")
    first = Entry(Node(Unknown("elemwise_ad"), "a", (x,)))
    second = Entry(Node(Unknown("MyLayer"), "b", (first,)))
    with snapshot.raises(UnknownOperatorError, "infer_unknown_operators"):
        infer([Entry(Node(Unknown("MyLayer"), "c", (second,)))])


def test_unknown_variable(snapshot: Snapshots) -> None:
    with snapshot.raises(ArgumentError, "infer_unknown_variable"):
        infer([chain(1, variable("data"))], {"dta": (2,)})


@pytest.mark.parametrize(("key", "text"), [("__shape__", "(2, x)"), ("__dtype__", "12"), ("__dtype__", "float32")])
def test_bad_declarations(key: str, text: str) -> None:
    with pytest.raises(GraphFormatError, match="variable 'x' has __"):
        infer([chain(1, variable("x", **{key: text}))], {"x": (2,)} if key == "__dtype__" else {})


def test_wrong_number_of_inputs() -> None:
    with pytest.raises(GraphFormatError, match=r"has 1 inputs, but needs 2"):
        infer([Entry(Node(Dense(num_hidden=3), "fc", (variable("x"),)))], {"x": (2, 3)})


# -- size -------------------------------------------------------------------------------------------------------------


def infer_backwards(length: int) -> None:
    """Infer a chain whose shape is known at its last node only."""
    view = View([apply("elemwise_add", "sum", chain(length, variable("x")), variable("y"))])
    assert infer(view, {"y": (2, 3)}).shapes[0] == (2, 3)


def test_a_long_chain_backwards_takes_linear_effort() -> None:
    infer_backwards(50_000)
    assert_linear(infer_backwards, 500)


def test_variables_are_told_in_their_order() -> None:
    names = [*"qwertyuiop"]
    with pytest.raises(ArgumentError) as caught:
        infer([apply("add_n", "all", *map(variable, names), num_args=10)], {"x": (2,)})
    assert caught.value.facts["variables"] == ", ".join(names)


def test_what_a_rule_concludes_of_many_inputs_is_looked_up() -> None:
    compared = 0

    class Name(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

    names = [Name(f"arg{k}") for k in range(100)]
    rule = {n: n for n in names}
    assert _conclude(lambda op, **known: known, dense()(num_hidden=1), names, names) == rule
    assert compared < 10 * len(names)
