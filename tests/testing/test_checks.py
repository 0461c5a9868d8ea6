"""Tests of the checks: what is right passes, and each deliberate fault is seen and named.

Faults that `tests.ops.test_wrong_operators` holds the checks of single operators to are not repeated here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as mx
from symgraph.backends.numpy import plan
from symgraph.errors import ArgumentError, UnknownOperatorError
from symgraph.op import Op, Sample, Tensor, arg, find, op, param, registry
from symgraph.op.schema import define
from symgraph.op.types import FloatType
from symgraph.program import passes
from symgraph.program.passes import Pass
from symgraph.testing import (
    Use,
    assert_same_plan,
    check_gradient,
    check_json,
    check_operator,
    check_optimized,
    uses,
)

x, w = mx.sym.Variable("x"), mx.sym.Variable("w")


class Scaled(Op):
    """The input times a number."""

    data: Tensor = arg("Input, of any shape.")
    factor: float = param("The number.", default=2.0)

    samples = (Sample([(2, 3)], {"factor": 0.1}),)

    def compute(self, xp: Any, data: Any) -> Any:
        return data * self.factor


def use_of(cls: type[Op]) -> Use:
    return uses([cls])[0]


# -- operators by name, with samples of one's own ---------------------------------------------------------------------


def test_an_operator_is_found_by_name() -> None:
    check_operator("rmsprop_update")
    with pytest.raises(UnknownOperatorError, match="rmsprop_update"):
        check_operator("rmsprop_updat")


def test_samples_of_one_s_own() -> None:
    check_operator("softmax", [Sample([(4, 5)], {"axis": 0}), Sample([(2, 1)])])
    # A kink at zero, on both sides of which the sample reaches.
    with pytest.raises(AssertionError, match="relu-0: the gradient says"):
        check_operator("relu", [Sample([(2000, 10)], low=-1e-5, high=1e-5)])


def test_an_operator_from_outside_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_OPERATORS", dict(registry._OPERATORS))
    monkeypatch.setattr(registry, "_NAMES", dict(registry._NAMES))

    @op("smooth_step")
    class SmoothStep(Op):
        """Polynomial step from 0 to 1: ``3 t^2 - 2 t^3``."""

        data: Tensor = arg("Input, any shape, between 0 and 1.")

        samples = (Sample([(3, 2)], low=0.0),)

        def compute(self, xp: Any, data: Any) -> Any:
            return data * data * (3 - 2 * data)

    check_operator(SmoothStep)
    check_operator("smooth_step")


# -- JSON -------------------------------------------------------------------------------------------------------------


class Hasty(FloatType):
    """Writes only two digits."""

    def text(self, value: Any) -> str:
        return f"{value:.2g}"


def test_a_parameter_that_json_changes_is_seen() -> None:
    cls = define(type("Scaled", (Scaled,), {**Scaled.__dict__}), "hasty", ())
    check_json(use_of(cls))
    cls.params = (cls.params[0]._replace(type=Hasty()), *cls.params[1:])
    finer = Use(cls, 0, Sample([(2, 3)], {"factor": 0.123}))
    with pytest.raises(AssertionError, match=r"hasty-0: .*=0.123\) comes back from JSON as .*=0.12\)"):
        check_json(finer)


def test_a_parameter_that_reads_itself_otherwise_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registered operator whose attributes are read differently from how they are written."""
    relu = find("clip")
    original = relu.from_attrs.__func__  # type: ignore[attr-defined]

    def shifted(cls: type[Op], attrs: dict[str, str]) -> Op:
        made: Op = original(cls, attrs)
        return made if "a_max" not in attrs else cls(a_min=made.a_min, a_max=made.a_max + 1)  # type: ignore[attr-defined]

    monkeypatch.setattr(relu, "from_attrs", classmethod(shifted))
    with pytest.raises(AssertionError, match="comes back from JSON as"):
        check_json(use_of(relu))


# -- plans ------------------------------------------------------------------------------------------------------------


def test_a_wrong_pass_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass that drops a factor: the optimised plan differs."""

    def forgetful(program: Any, evaluate: Any) -> Any:
        last = program.equations[-1]
        return program.replaced(program.equations, [last.inputs[0], *program.outputs[1:]])

    right = use_of(find("square"))
    check_optimized(right)
    monkeypatch.setattr(passes, "PIPELINE", [*passes.PIPELINE, Pass("forgetful", "Drop a step.", forgetful)])
    with pytest.raises(AssertionError, match="'output' differs between the optimised and the unoptimised plan"):
        check_optimized(right)


def test_a_wrong_plan_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan has another kernel than plain evaluation: both plans agree, and both are wrong."""
    monkeypatch.setattr(plan, "KERNELS", {**plan.KERNELS, "square": plan.KERNELS["negative"]})
    with pytest.raises(AssertionError, match="differs between the plan and its program evaluated plainly"):
        check_optimized(use_of(find("square")))


def test_random_operators_draw_the_same_numbers_in_both_plans() -> None:
    for use in uses([find("Dropout"), find("_random_uniform"), find("_random_normal")]):
        check_optimized(use)


# -- symbols ----------------------------------------------------------------------------------------------------------

AT = {"x": np.linspace(-1, 1, 6).reshape(2, 3), "w": np.linspace(1, 2, 12).reshape(4, 3)}


def net() -> Any:
    return mx.sym.tanh(mx.sym.FullyConnected(x, w, num_hidden=4, no_bias=True, name="fc"))


def test_a_right_gradient_passes() -> None:
    check_gradient(net(), AT)
    check_gradient(net(), [AT["x"], AT["w"]])
    check_gradient(net(), {n: mx.nd.array(v) for n, v in AT.items()}, wrt=["w"])
    check_gradient(net().gradient("x"), AT)


def test_inputs_of_whole_numbers_stay() -> None:
    taken = mx.sym.take(x, mx.sym.Variable("i"))
    check_gradient(taken, {"x": AT["x"], "i": np.array([0, 1, 0])})


def test_states_and_random_numbers_are_the_same_in_each_evaluation() -> None:
    normed = mx.sym.BatchNorm(x, name="bn", fix_gamma=False)
    dropped = mx.sym.Dropout(normed, p=0.5)
    states = {"bn_moving_mean": np.zeros(3), "bn_moving_var": np.ones(3)}
    at = {"x": AT["x"], "bn_gamma": np.ones(3), "bn_beta": np.zeros(3)}
    check_gradient(dropped, at, states)
    check_gradient(dropped, at, states, is_train=False)
    check_gradient(dropped, list(at.values()), list(states.values()))


def test_a_wrong_gradient_names_the_argument() -> None:
    blocked = mx.sym.BlockGrad(x) * w
    with pytest.raises(AssertionError, match=r"(?s)the gradient says .*\n  by x, it says 0.0 along") as caught:
        check_gradient(blocked, {"x": AT["x"], "w": AT["x"]})
    assert "by w" not in str(caught.value)
    check_gradient(blocked, {"x": AT["x"], "w": AT["x"]}, wrt=["w"])


def test_a_small_error_of_a_gradient_is_seen() -> None:
    def almost(factor: float) -> Any:  # the value of one function, the gradient of another
        return mx.sym.BlockGrad(mx.sym.exp(x) - factor * mx.sym.exp(x)) + factor * mx.sym.exp(x)

    check_gradient(almost(1.0), {"x": AT["x"]})
    with pytest.raises(AssertionError, match="central differences"):
        check_gradient(almost(1.00001), {"x": AT["x"]})


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: check_gradient(mx.sym.MakeLoss(x), {"x": AT["x"]}), "is of a loss"),
        (lambda: check_gradient(net(), AT, wrt=["v"]), "'v' is no argument"),
        (lambda: check_gradient(net(), [AT["x"]]), "location holds 1 arrays, but there are 2"),
    ],
)
def test_wrong_use_is_told(call: Callable[[], None], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        call()


# -- equal plans ------------------------------------------------------------------------------------------------------


def test_names_do_not_make_a_plan() -> None:
    one = mx.sym.tanh(x * 2, name="one")
    other = mx.sym.tanh(mx.sym.Variable("y") * 2, name="other")
    assert_same_plan(one.simple_bind(mx.cpu(), x=(2, 3)), other.simple_bind(mx.cpu(), y=(2, 3)))


def test_work_done_twice_makes_no_other_plan() -> None:
    assert_same_plan(mx.sym.exp(x) + mx.sym.exp(x), (lambda e: e + e)(mx.sym.exp(x)), training=False, x=(2, 3))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (mx.sym.tanh(x * 3), "line 2 of the first:  v1 = multiply"),
        (mx.sym.sin(x * 2), "line 3 of the first:  v2 = tanh"),
        (mx.sym.tanh(x), "line 2 of the second: v1 = tanh"),
        (mx.sym.Group([mx.sym.tanh(x * 2)] * 2), "line 4 of the first:  outputs v2\n"),
    ],
)
def test_other_plans_are_seen(other: Any, words: str) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_same_plan(mx.sym.tanh(x * 2), other, training=False, x=(2, 3))
    assert words in str(caught.value)


def test_other_shapes_and_types_are_seen() -> None:
    one = mx.sym.tanh(x).simple_bind(mx.cpu(), x=(2, 3))
    for other in (
        mx.sym.tanh(x).simple_bind(mx.cpu(), x=(3, 2)),
        mx.sym.tanh(x).simple_bind(mx.cpu(), x=(2, 3), type_dict={"x": "float64"}),
    ):
        with pytest.raises(AssertionError, match="line 1 of the first:  inputs v0: float32"):
            assert_same_plan(one, other)


def test_a_training_step_is_compared_with_its_gradients() -> None:
    def loss(scale: float) -> Any:
        return mx.sym.MakeLoss(mx.sym.square(x), grad_scale=scale)

    assert_same_plan(loss(1.0), loss(1.0), x=(3,))
    assert_same_plan(loss(1.0), loss(2.0), training=False, x=(3,))
    with pytest.raises(AssertionError, match="the plans differ"):
        assert_same_plan(loss(1.0), loss(2.0), x=(3,))
