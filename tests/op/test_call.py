"""Reading calls: which argument is what, and what is said when one is wrong."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from symgraph.errors import ArgumentError
from symgraph.op import REQUIRED, DTypeName, Op, Shape, Tensor, Tensors, arg, args, param
from symgraph.op.call import Call, hidden_key, make_function, split_call
from symgraph.op.docs import document, signature
from symgraph.op.schema import define
from tests.snapshots import Snapshots


class Mark:
    """What counts as a tensor here."""


def dense() -> type[Op]:
    class Dense(Op):
        """Linear transformation."""

        data: Tensor = arg("Input.")
        weight: Tensor = arg("Weights.")
        bias: Tensor = arg("Bias.", unless="no_bias")
        num_hidden: int = param("Number of output features.", ge=1)
        no_bias: bool = param("Leave the bias out.", default=False)
        rate_scale: float = param("A factor.", default=0.95, live=True)
        kernel: Shape = param("A window.", default=())
        dtype: DTypeName = param("Element type.", default="float32")

        def compute(self, xp: Any, data: Any, weight: Any, bias: Any = None) -> Any:
            return data

    return define(Dense, "Dense", ())


def joined() -> type[Op]:
    class Joined(Op):
        """Join tensors."""

        data: Tensors = args("Inputs.", count="num_args")
        num_args: int = param("How many.", ge=1)
        dim: int = param("Axis.", default=1)

        def compute(self, xp: Any, *data: Any) -> Any:
            return data[0]

    return define(Joined, "Joined", ())


def update() -> type[Op]:
    class Update(Op):
        """A multi-tensor update, whose count has a default."""

        data: Tensors = args("Inputs.", count="num_weights")
        num_weights: int = param("How many.", default=1)

        def compute(self, xp: Any, *data: Any) -> Any:
            return data[0]

    return define(Update, "Update", ())


def state() -> type[Op]:
    class State(Op):
        """Renews a state."""

        weight: Tensor = arg("Weights.")
        n: Tensor = arg("Average.", mutates=True)
        lr: float = param("Learning rate.")

        def compute(self, xp: Any, weight: Any, n: Any) -> Any:
            return weight, n

    return define(State, "State", ())


Dense, Joined, Update, State = dense(), joined(), update(), state()
X, W, B = Mark(), Mark(), Mark()


def read(cls: type[Op], *positional: Any, **keywords: Any) -> Call:
    return split_call(cls, cls.op_name, positional, keywords, lambda value: isinstance(value, Mark))


def test_inputs_come_first_then_parameters() -> None:
    call = read(Dense, X, W, B, 3, False)
    assert call.tensors == {"data": X, "weight": W, "bias": B}
    assert call.params == {"num_hidden": 3, "no_bias": False}
    assert call.op == Dense(num_hidden=3)


def test_keywords_go_by_name_and_dots_stand_for_underscores() -> None:
    call = read(Dense, weight=W, **{"num.hidden": 3, "rate.scale": 0.5})
    assert call.tensors == {"weight": W}
    assert call.attrs == {"num_hidden": "3", "rate_scale": "0.5"}


def test_none_leaves_an_input_out() -> None:
    assert read(Dense, X, None, None, 3).tensors == {"data": X}


def test_only_given_parameters_become_attributes() -> None:
    assert read(Dense, X, num_hidden=3).attrs == {"num_hidden": "3"}
    assert read(Dense, X, num_hidden=3, no_bias=False).attrs == {"num_hidden": "3", "no_bias": "False"}


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("rate_scale", 1, "1"),
        ("rate_scale", 1e-8, "1e-08"),
        ("rate_scale", 0.1 + 0.2, "0.30000000000000004"),
        ("rate_scale", np.float32(2), "2.0"),
        ("rate_scale", np.float32(0.1), "0.1"),
        ("rate_scale", "1e-3", "1e-3"),
        ("kernel", (3, 3), "(3, 3)"),
        ("kernel", [3, 3], "[3, 3]"),
        ("kernel", (3,), "(3,)"),
        ("kernel", 3, "3"),
        ("kernel", (np.int64(3), 2), "(3, 2)"),
        ("dtype", np.float16, "float16"),
        ("dtype", "f8", "float64"),
        ("no_bias", 1, "1"),
        ("no_bias", np.bool_(True), "True"),
    ],
)
def test_attribute_text_is_the_argument_as_python_prints_it(key: str, value: Any, text: str) -> None:
    call = read(Dense, X, num_hidden=3, **{key: value})
    assert call.attrs[key] == text
    assert Dense.from_attrs(call.attrs) == call.op


def test_keywords_of_every_function() -> None:
    call = read(Dense, X, num_hidden=3, name="fc", attr={"a": "b"}, out=W, __layer__=2, lr_mult=0.5)
    assert (call.name, call.attr, call.out) == ("fc", {"a": "b"}, W)
    assert call.hidden == {"__layer__": "2", "__lr_mult__": "0.5"}


def test_hidden_keys_are_few() -> None:
    assert hidden_key("wd_mult") == "__wd_mult__"
    assert hidden_key("weight_lr_mult") == "weight_lr_mult"


def test_variadic_inputs_are_counted() -> None:
    call = read(Joined, X, W, dim=0)
    assert call.tensors == {"arg0": X, "arg1": W}
    assert call.attrs == {"dim": "0", "num_args": "2"}


def test_variadic_inputs_by_name() -> None:
    assert read(Joined, arg1=W, arg0=X).tensors == {"arg1": W, "arg0": X}


def test_a_count_may_be_larger_than_what_is_given() -> None:
    call = read(Joined, X, num_args=3)
    assert call.op.input_names() == ("arg0", "arg1", "arg2")
    assert call.tensors == {"arg0": X}


def test_a_count_with_a_default_is_not_filled_in() -> None:
    assert read(Update, X).attrs == {}
    assert read(Update, X, W, num_weights=2).attrs == {"num_weights": "2"}
    with pytest.raises(ArgumentError, match="takes 1 tensors"):
        read(Update, X, W)


@pytest.mark.parametrize(
    ("snapshot_name", "cls", "positional", "keywords"),
    [
        ("call_misspelt", Dense, (X,), {"num_hiden": 3}),
        ("call_many_faults", Dense, (X, 5), {"no_bias": "x", "colour": "red"}),
        ("call_required", Dense, (X,), {}),
        ("call_out_of_range", Dense, (X,), {"num_hidden": 0}),
        ("call_twice", Dense, (X,), {"data": X, "num_hidden": 3}),
        ("call_too_many", Dense, (X, W, B, 3, True, 0.5, 3, "float32", 9), {}),
        ("call_absent_input", Dense, (X, W, B, 3), {"no_bias": True}),
        ("call_tensor_for_parameter", Dense, (X, W, B, W), {}),
        ("call_list_for_tensors", Joined, ([X, W],), {}),
        ("call_parameter_by_position", Joined, (X, W, 0), {}),
        ("call_no_tensors", Joined, (), {}),
        ("call_unknown_tensor", Joined, (), {"arg0": X, "ar1": W}),
        ("call_bad_name", Dense, (X,), {"num_hidden": 3, "name": 7}),
    ],
)
def test_errors(
    snapshot: Snapshots, snapshot_name: str, cls: type[Op], positional: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    original = Mark.__repr__
    Mark.__repr__ = lambda self: "<tensor>"  # type: ignore[method-assign]
    try:
        with snapshot.raises(ArgumentError, snapshot_name):
            read(cls, *positional, **keywords)
    finally:
        Mark.__repr__ = original  # type: ignore[method-assign]


def test_true_is_no_number() -> None:
    with pytest.raises(ArgumentError, match="rate_scale must be float, got True"):
        read(Dense, X, num_hidden=3, rate_scale=True)


def test_signature_of_symbols_has_the_real_defaults() -> None:
    assert str(signature(Dense, "sym")) == (
        "(data=None, weight=None, bias=None, num_hidden=REQUIRED, no_bias=False, rate_scale=0.95, kernel=(), "
        "dtype='float32', *, name=None, attr=None)"
    )
    assert signature(Dense).parameters["num_hidden"].default is REQUIRED


def test_signature_of_arrays_requires_the_inputs() -> None:
    assert str(signature(Dense, "nd")).startswith("(data, weight, bias=None, num_hidden=REQUIRED, ")
    assert str(signature(State, "nd")) == "(weight, n, lr, *, out=None)"
    assert str(signature(Joined, "nd")) == "(*data, num_args=None, dim=1, out=None)"


def test_documentation_names_every_argument() -> None:
    text = document(Dense, "sym")
    assert text.startswith("Linear transformation.\n")
    for line in (
        "bias : Symbol, present only with some parameters",
        "num_hidden : int, required",
        "    Number of output features. Must be >= 1.",
        "rate_scale : float, optional, default=0.95",
        "    A factor. May change between steps of a bound graph.",
    ):
        assert line in text.splitlines()
    assert "n : NDArray, auxiliary state, renewed by the operator" in document(State, "nd")


def test_functions_look_like_functions() -> None:
    seen = []
    function = make_function(Dense, "dense", lambda *call: seen.append(call), "sym")
    function(X, num_hidden=3)
    assert seen == [(Dense, "dense", (X,), {"num_hidden": 3})]
    assert function.__name__ == "dense"
    assert inspect.signature(function) == signature(Dense, "sym")
    assert function.__doc__ == document(Dense, "sym")


def test_long_values_are_told_in_short() -> None:
    for text in ("(" * 10**5, "3" * 10**5):
        with pytest.raises(ArgumentError) as caught:
            Dense.from_attrs({"num_hidden": text})
        assert "num_hidden must be int" in str(caught.value)
        assert len(str(caught.value)) < 200
