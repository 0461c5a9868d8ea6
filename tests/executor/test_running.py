"""Running executors: feeding, head gradients, failures and Ctrl-C, monitors, reshaping, parameters, randomness."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgraph as mx
from symgraph import executor as room
from symgraph.backends.numpy import kernels
from symgraph.backends.numpy import plan as engine
from symgraph.errors import ArgumentError, BindError, GradientError, ShapeError, SymgraphError
from symgraph.executor import Executor, Options
from symgraph.program import PRIMITIVES
from symgraph.program.passes import PIPELINE
from tests.alarm import interrupted
from tests.program.generate import same_bits

X, Y, W, G = map(mx.sym.Variable, "xywg")
F32 = np.float32


def ones(*shape: int) -> mx.nd.NDArray:
    return mx.nd.ones(shape)


def perceptron() -> mx.sym.Symbol:
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=16, name="fc1")
    x = mx.sym.BatchNorm(mx.sym.Activation(x, act_type="relu", name="relu"), name="bn", fix_gamma=False)
    x = mx.sym.FullyConnected(x, num_hidden=3, name="fc2")
    return mx.sym.SoftmaxOutput(x, name="softmax")


def filled(executor: Executor, seed: int = 0) -> Executor:
    """Give every array of an executor random numbers, positive where a variance is kept."""
    rng = np.random.default_rng(seed)
    for name, x in sorted({**executor.arg_dict, **executor.aux_dict}.items()):
        if name.endswith("label"):
            x[:] = rng.integers(0, 3, x.shape)
        else:
            x[:] = rng.uniform(0.1, 1, x.shape) * (1 if name.endswith(("var", "_n")) else rng.choice([-1, 1], x.shape))
    return executor


def training(update: str = "rmsprop_update", batch: int = 8, options: Options | None = None, **hyper: Any) -> Executor:
    step = mx.sym.training_step(perceptron(), update, lr=0.05, **hyper)
    return filled(step.simple_bind(mx.cpu(), data=(batch, 5), options=options))


def state_of(executor: Executor) -> dict[str, np.ndarray[Any, Any]]:
    return {n: x.asnumpy().copy() for n, x in {**executor.arg_dict, **executor.aux_dict}.items()}


def assert_equal(x: dict[str, Any], y: dict[str, Any]) -> None:
    assert x.keys() == y.keys()
    for name in x:
        assert same_bits(x[name], y[name]), name


# -- feeding ----------------------------------------------------------------------------------------------------------


def test_outputs_are_the_same_arrays_in_each_run() -> None:
    executor = (X * 2).simple_bind(mx.cpu(), x=(2,))
    first = executor.forward(x=ones(2))
    assert executor.forward(x=np.full(2, 3, F32)) == first == executor.outputs
    assert first[0].asnumpy().tolist() == [6, 6]
    assert executor.output_dict == {executor.symbol.list_outputs()[0]: first[0]}


@pytest.mark.parametrize("value", [[1, 2], (1.0, 2.0), np.array([1, 2], np.int8), np.array([1, 2], np.float64)])
def test_arguments_are_fed_with_anything_that_is_an_array(value: Any) -> None:
    executor = (X * 2).simple_bind(mx.cpu(), x=(2,))
    bound = executor.arg_dict["x"]._data
    assert executor.forward(x=value)[0].asnumpy().tolist() == [2, 4]
    assert executor.arg_dict["x"]._data is bound


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["float32", "float16", "int32"])
def test_numbers_that_do_not_fit_are_no_reason_for_a_warning(dtype: str) -> None:
    executor = mx.sym.identity(X).simple_bind(mx.cpu(), x=(2,), type_dict={"x": dtype})
    with np.errstate(all="raise"):
        executor.forward(x=np.array([1e300, np.nan]))
        executor.copy_params_from({"x": np.array([1e300, np.nan])})
        if dtype != "int32":
            executor.forward(is_train=True)
            executor.backward(mx.nd.array(np.array([1e300, 1]), dtype="float64"))


def test_unknown_names_and_wrong_values_are_refused() -> None:
    executor = (X * Y).simple_bind(mx.cpu(), x=(2,), y=(2,))
    with pytest.raises(ArgumentError, match="got 'xx', which is no argument of the graph; did you mean 'x'"):
        executor.forward(xx=ones(2))
    with pytest.raises(ShapeError, match=r"got 'x' with shape \(3,\), but it is bound with \(2,\)"):
        executor.forward(x=ones(3))
    with pytest.raises(ArgumentError, match="got 'x' of element type <U1, which is no type of numbers"):
        executor.forward(x=np.array(["a", "b"]))


@pytest.mark.parametrize(
    "wrong", [{"y": np.ones(3, "f")}, {"y": ["a", "b"]}, {"z": np.ones(2, "f")}, {"fixed": np.ones(2, "f")}]
)
def test_arguments_are_fed_all_or_none(wrong: dict[str, Any]) -> None:
    arrays = {name: mx.nd.zeros(2) for name in ("x", "y", "fixed")}
    arrays["fixed"]._data.flags.writeable = False
    executor = mx.sym.add_n(*map(mx.sym.Variable, arrays)).bind(mx.cpu(), arrays)
    for right in (np.ones(2, "f"), ones(2), [1, 1]):
        with pytest.raises((ArgumentError, ShapeError), match=r"forward\(\) got '(y|z|fixed)'"):
            executor.forward(x=right, **wrong)
        assert not any(x.asnumpy().any() for x in arrays.values())


# -- gradients --------------------------------------------------------------------------------------------------------


def squares(**options: Any) -> Executor:
    executor = mx.sym.Group([X * X, X * Y]).simple_bind(mx.cpu(), x=(2,), y=(2,), **options)
    executor.arg_dict["x"][:] = np.array([2, 3])
    executor.arg_dict["y"][:] = np.array([5, 7])
    return executor


@pytest.mark.parametrize("form", ["list", "tuple", "names"])
def test_head_gradients_are_given_by_order_or_name(form: str) -> None:
    executor = squares()
    heads: Any = [mx.nd.array([1, 10]), mx.nd.array([100, 1000])]
    names = executor.symbol.list_outputs()
    heads = {"list": heads, "tuple": tuple(heads), "names": dict(zip(names, heads, strict=True))}[form]
    executor.forward(is_train=True)
    executor.backward(heads)
    assert executor.grad_dict["x"].asnumpy().tolist() == [4 + 500, 60 + 7000]
    assert executor.grad_dict["y"].asnumpy().tolist() == [200, 3000]


def test_a_head_gradient_passes_through_a_sum_as_it_is() -> None:
    # The gradient is the head gradient's own array: it counts when `backward` is called, not when `forward` was.
    executor = (X + Y).simple_bind(mx.cpu(), x=(2,), y=(2,))
    for head in ([1, 2], [3, 4]):
        executor.forward(is_train=True)
        executor.backward(mx.nd.array(head))
        assert [g.asnumpy().tolist() for g in executor.grad_arrays] == [head, head]


def test_forward_leaves_gradients_as_they_are() -> None:
    for request in ("write", "add"):
        executor = mx.sym.MakeLoss(mx.sym.exp(X)).simple_bind(mx.cpu(), x=(2,), grad_req=request)
        executor.grad_dict["x"][:] = 7
        executor.forward(is_train=True)
        executor.forward(is_train=True)
        executor.forward()
        assert executor.grad_dict["x"].asnumpy().tolist() == [7, 7]
        executor.backward()
        assert executor.grad_dict["x"].asnumpy().tolist() == ([1, 1] if request == "write" else [8, 8])


def test_missing_head_gradients_are_named() -> None:
    executor = squares()
    executor.forward(is_train=True)
    first, second = executor.symbol.list_outputs()
    with pytest.raises(GradientError, match=f"needs the gradient of '{first}', '{second}': only outputs of losses"):
        executor.backward()
    with pytest.raises(GradientError, match=f"needs the gradient of '{second}'"):
        executor.backward(ones(2))
    with pytest.raises(GradientError, match="got a gradient of 'other', which is no output"):
        executor.backward({"other": ones(2)})
    with pytest.raises(ShapeError, match=rf"got a gradient of shape \(3,\) for '{first}', which has \(2,\)"):
        executor.backward([ones(3), ones(2)])
    with pytest.raises(ArgumentError, match=f"got ndarray as gradient of '{first}'; it takes NDArray"):
        executor.backward([np.ones(2), ones(2)])
    executor.backward([ones(2), ones(2)])
    assert executor.grad_dict["y"].asnumpy().tolist() == [2, 3]


def test_losses_need_no_head_gradients() -> None:
    executor = filled(perceptron().simple_bind(mx.cpu(), data=(4, 5)))
    executor.forward(is_train=True)
    executor.backward()
    assert all(g.asnumpy().any() for n, g in executor.grad_dict.items() if n != "softmax_label")


def test_a_head_gradient_that_need_not_be_given_is_one() -> None:
    executor = mx.sym.Group([X, mx.sym.make_loss(X * Y)]).simple_bind(mx.cpu(), x=(2,), y=(2,))
    executor.forward(is_train=True, x=[3, 4], y=[5, 6])
    found = []
    for heads in (None, [mx.nd.array([10, 100])], None):
        executor.backward(heads)
        found.append(executor.grad_dict["x"].asnumpy().tolist())
    assert found == [[1 + 5, 1 + 6], [10 + 5, 100 + 6], [1 + 5, 1 + 6]]


def test_gradients_are_added_replaced_or_left_alone() -> None:
    executor = squares(grad_req={"x": "add", "y": "null"})
    executor.grad_dict["x"][:] = 1
    for _ in range(2):
        executor.forward(is_train=True)
        executor.backward([ones(2), ones(2)])
    assert executor.grad_dict["x"].asnumpy().tolist() == [1 + 2 * (4 + 5), 1 + 2 * (6 + 7)]
    assert executor.grad_dict["y"] is None


# -- failures and Ctrl-C ----------------------------------------------------------------------------------------------


class BrokenError(Exception):
    """Raised by a kernel that a test has broken."""


@pytest.mark.parametrize("error", [BrokenError(), MemoryError(), KeyboardInterrupt()])
def test_a_step_that_fails_changes_nothing_and_the_next_one_works(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Fail in the first call that is more than element-wise, in the second, and so on, until a step succeeds."""
    called = 0
    failing = -1

    def checked(kernel: Any) -> Any:
        def make(*operands: Any, **params: Any) -> list[Any]:
            calls = kernel(*operands, **params)

            def run() -> None:
                nonlocal called
                called += 1
                if called == failing:
                    raise error
                for function, *arguments in calls:
                    function(*arguments)

            return [(run,)]

        return make

    for name, primitive in PRIMITIVES.items():
        if primitive.kind != "map":
            monkeypatch.setitem(kernels.KERNELS, name, checked(kernels.KERNELS[name]))
    executor, other = training(), training()
    before = state_of(executor)
    for number in range(1, 100):
        called, failing = 0, number
        try:
            executor.forward(is_train=True)
        except type(error):
            assert_equal(state_of(executor), before)
        else:
            break
    assert 5 < number < 99
    failing = -1
    other.forward(is_train=True)
    assert_equal(state_of(executor), state_of(other))


@pytest.mark.parametrize(("indices", "wrong"), [([[0, 1], [-3, 3]], 3), ([[2, -4], [0, 9]], -4)])
def test_an_index_outside_is_named_and_nothing_is_renewed(indices: list[list[int]], wrong: int) -> None:
    weight, step = mx.sym.Variable("weight"), mx.sym.Variable("step")
    chosen = mx.sym.take(weight, mx.sym.Variable("indices", dtype="int64"), mode="raise")
    update = mx.sym.sgd_update(weight, step, lr=1.0, attr={"__renews__": "weight"})
    executor = mx.sym.Group([chosen, update]).simple_bind(mx.cpu(), weight=(3, 2), indices=(2, 2))
    executor.arg_dict["step"][:] = 1
    with pytest.raises(
        IndexError, match=rf"^take\(\): index {wrong} does not point into axis 0, which has length 3$"
    ) as e:
        executor.forward(is_train=True, indices=np.array(indices))
    assert isinstance(e.value, SymgraphError)
    assert not executor.arg_dict["weight"].asnumpy().any()


def test_a_plan_that_no_memory_can_hold_is_made_when_there_is_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = filled(perceptron().simple_bind(mx.cpu(), data=(4, 5)))
    expected = executor.forward(is_train=True)[0].asnumpy().copy()
    before = state_of(executor)

    def full(*args: Any) -> Any:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(engine, "_blank", full)
        patch.setattr(engine, "aligned", full)
        patch.setattr(room, "aligned", full)
        with pytest.raises(MemoryError):
            executor.reshape(allow_up_sizing=True, partial_shaping=True, data=(400, 5))
        patch.setattr(engine, "array_at", full)
        with pytest.raises(MemoryError):
            executor.forward()
    assert_equal(state_of(executor), before)
    executor.backward()
    assert executor.forward()[0].shape == expected.shape
    larger = executor.reshape(allow_up_sizing=True, partial_shaping=True, data=(400, 5))
    assert larger.forward()[0].shape == (400, 3)


def test_after_a_forward_that_failed_backward_computes_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = False

    def sines(operands: Any, out: Any, workspace: Any) -> list[Any]:
        def run() -> None:
            if failing:
                raise BrokenError
            np.sin(*operands, out=out)

        return [(run,)]

    monkeypatch.setitem(kernels.KERNELS, "sin", sines)
    executor = mx.sym.sin(X * Y).simple_bind(mx.cpu(), x=(1,), y=(1,))
    executor.forward(is_train=True, x=[2], y=[3])
    failing = True
    with pytest.raises(BrokenError):
        executor.forward(is_train=True, x=[5], y=[7])
    failing = False
    executor.backward(ones(1))
    np.testing.assert_allclose(executor.grad_dict["x"].asnumpy(), 7 * np.cos(35), rtol=1e-5)


@pytest.mark.parametrize("update", ["sgd_mom_update", "rmsprop_update", "adam_update", "signum_update"])
def test_ctrl_c_leaves_a_whole_step_or_none(update: str) -> None:
    executor = training(update)
    arrays = [x._data for n, x in executor.arg_dict.items() if n not in ("data", "softmax_label")]
    arrays += [x._data for x in executor.aux_dict.values()]

    def run() -> None:
        executor.forward(is_train=True)

    seen = interrupted(arrays, run, 250)
    assert seen["part"] == 0, seen
    assert seen["cut"] > 0, seen


# -- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", [*(p.name for p in PIPELINE if p.exact), "fuse", "memory", "all"])
def test_training_is_the_same_without_each_optimization(off: str) -> None:
    options = Options.none() if off == "all" else Options(off=frozenset([off]))
    plain, changed = training(), training(options=options)
    for _ in range(5):
        plain.forward(is_train=True)
        changed.forward(is_train=True)
    assert_equal(state_of(plain), state_of(changed))
    assert same_bits(plain.outputs[0].asnumpy(), changed.outputs[0].asnumpy())


def test_updates_computed_as_one_equal_updates_computed_apart() -> None:
    together, apart = training(), training()
    assert len(together.bound(True).lowered.hypers) < 8
    # One learning rate set by itself, to the value that it has: the updates are made apart.
    apart.set_hyper("fc2_weight_update", lr=0.050000001)
    assert len(apart.bound(True).lowered.hypers) > 8
    apart.set_hyper("fc2_weight_update", lr=together.bound(True).lowered.hypers[0].value)
    for _ in range(3):
        together.forward(is_train=True)
        apart.forward(is_train=True)
    assert_equal(state_of(together), state_of(apart))


# -- monitors ---------------------------------------------------------------------------------------------------------


def test_a_monitor_sees_every_output_and_changes_nothing() -> None:
    watched, alone = training(), training()
    seen: list[tuple[str, Any]] = []
    watched.set_monitor_callback(lambda name, array: seen.append((name, array.asnumpy())))
    watched.forward(is_train=True)
    alone.forward(is_train=True)
    assert_equal(state_of(watched), state_of(alone))
    names = [name for name, _ in seen]
    for expected in ("fc1_output", "relu_output", "bn_output", "fc2_output", "softmax_output"):
        assert expected in names
    assert same_bits(dict(seen)["softmax_output"], watched.outputs[0].asnumpy())
    relu = dict(seen)["relu_output"]
    assert same_bits(relu, np.maximum(dict(seen)["fc1_output"], 0)), "none has been overwritten by a later result"
    watched.set_monitor_callback(None)
    seen.clear()
    watched.forward(is_train=True)
    assert seen == []


def test_a_monitor_of_everything_sees_the_variables_too() -> None:
    executor = mx.sym.FullyConnected(X, num_hidden=2, name="fc").simple_bind(mx.cpu(), x=(3, 4))
    seen: list[str] = []
    executor.set_monitor_callback(lambda name, array: seen.append(name), monitor_all=True)
    executor.forward()
    assert {"x", "fc_weight", "fc_bias", "fc_output"} <= set(seen)


def test_what_a_monitor_is_given_is_its_own() -> None:
    executor = mx.sym.sqrt(mx.sym.exp(X, name="e"), name="s").simple_bind(mx.cpu(), x=(2,))

    def spoil(name: str, array: mx.nd.NDArray) -> None:
        array[:] = -1

    executor.set_monitor_callback(spoil)
    assert executor.forward()[0].asnumpy().tolist() == [1, 1]


# -- reshape ----------------------------------------------------------------------------------------------------------


def test_a_reshaped_executor_shares_what_keeps_its_shape() -> None:
    executor = filled(perceptron().simple_bind(mx.cpu(), data=(4, 5), softmax_label=(4,)))
    smaller = executor.reshape(data=(2, 5), softmax_label=(2,))
    assert smaller.arg_dict["fc1_weight"] is executor.arg_dict["fc1_weight"]
    assert smaller.grad_dict["fc1_weight"] is executor.grad_dict["fc1_weight"]
    assert smaller.aux_dict["bn_moving_mean"] is executor.aux_dict["bn_moving_mean"]
    assert smaller.arg_dict["data"].shape == (2, 5)
    data = executor.arg_dict["data"].asnumpy()
    expected = executor.forward()[0].asnumpy()[:2]
    np.testing.assert_allclose(smaller.forward(data=data[:2])[0].asnumpy(), expected, rtol=1e-6)


def test_arrays_do_not_grow_or_change_unless_that_is_meant() -> None:
    executor = perceptron().simple_bind(mx.cpu(), data=(4, 5), softmax_label=(4,))
    with pytest.raises(BindError, match=r"makes 'data' larger, from \(4, 5\) to \(8, 5\); pass allow_up_sizing"):
        executor.reshape(data=(8, 5), softmax_label=(8,))
    assert executor.reshape(allow_up_sizing=True, data=(8, 5), softmax_label=(8,)).outputs[0].shape == (8, 3)
    with pytest.raises(BindError, match=r"changes 'softmax_label' from .* name it, or pass partial_shaping=True"):
        executor.reshape(data=(2, 5))
    assert executor.reshape(partial_shaping=True, data=(2, 5)).arg_dict["softmax_label"].shape == (2,)
    with pytest.raises(BindError, match="changes 'fc1_weight'"):
        executor.reshape(data=(4, 3))
    with pytest.raises(ArgumentError, match="no variable 'dat'"):
        executor.reshape(dat=(4, 5))


# -- parameters -------------------------------------------------------------------------------------------------------


def test_parameters_are_copied_all_or_none() -> None:
    executor = filled(perceptron().simple_bind(mx.cpu(), data=(4, 5)))
    before = state_of(executor)
    good = {"fc1_weight": np.zeros((16, 5)), "fc2_bias": [1, 2, 3]}
    bad = {**good, "fc2_weight": ones(3, 15), "fc1_bais": ones(16), "fc1_bias": np.array(["x"] * 16)}
    with pytest.raises(BindError, match="the parameters do not fit the graph") as caught:
        executor.copy_params_from(bad, {"bn_moving_mean": ones(15), "fc1_weight": ones(16, 5)})
    text = str(caught.value)
    for words in (
        "fc2_weight: has shape (3, 15), the graph needs (3, 16)",
        "fc1_bais: is no argument of the graph",
        "fc1_bias: has element type <U1, which is no type of numbers",
        "bn_moving_mean: has shape (15,), the graph needs (16,)",
        "fc1_weight: is no state of the graph",
    ):
        assert words in text
    assert_equal(state_of(executor), before)
    executor.copy_params_from({**good, "other": ones(2)}, {"bn_moving_mean": ones(16)}, allow_extra_params=True)
    assert executor.arg_dict["fc2_bias"].asnumpy().tolist() == [1, 2, 3]
    assert not executor.arg_dict["fc1_weight"].asnumpy().any()
    assert executor.aux_dict["bn_moving_mean"].asnumpy().tolist() == [1] * 16


def test_nothing_is_copied_if_one_array_is_read_only() -> None:
    executor = (X * Y).simple_bind(mx.cpu(), x=(2,), y=(2,))
    executor.arg_dict["y"]._data.flags.writeable = False
    with pytest.raises(BindError, match="y: is bound to an array that is read-only"):
        executor.copy_params_from({"x": ones(2), "y": ones(2)})
    assert not executor.arg_dict["x"].asnumpy().any()


def test_hyper_parameters_change_without_a_new_plan() -> None:
    executor = training("sgd_update")
    plan = executor.bound(True).plan
    before = state_of(executor)
    executor.set_hyper(lr=0.0)
    executor.forward(is_train=True)
    after = state_of(executor)
    assert all(same_bits(before[n], after[n]) for n in before if n.startswith("fc"))
    executor.set_hyper(lr=0.1)
    executor.forward(is_train=True)
    assert (state_of(executor)["fc2_weight"] != after["fc2_weight"]).any()
    assert executor.bound(True).plan is plan


def test_hyper_parameters_of_one_node_and_all_or_none() -> None:
    executor = training("sgd_update")
    executor.set_hyper("fc2_weight_update", lr=0.0)
    before = state_of(executor)
    executor.forward(is_train=True)
    after = state_of(executor)
    assert same_bits(before["fc2_weight"], after["fc2_weight"])
    assert not same_bits(before["fc1_weight"], after["fc1_weight"])
    with pytest.raises(ArgumentError, match="no node has a live parameter 'lrr'; did you mean 'lr'"):
        executor.set_hyper(lr=0.0, lrr=1.0)
    with pytest.raises(ArgumentError, match="got lr='fast', which is no number"):
        executor.set_hyper(wd=100.0, lr="fast")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="node 'fc1' does not have a live parameter 'lr'"):
        executor.set_hyper("fc1", lr=0.0)
    executor.set_hyper("fc2_weight_update", lr=0.0)
    executor.forward(is_train=True)
    changed = state_of(executor)
    assert not same_bits(after["fc1_weight"], changed["fc1_weight"]), "the learning rate is as it was"
    assert np.abs(changed["fc1_weight"] - after["fc1_weight"]).max() < 0.5, "and so is the decay"


# -- randomness -------------------------------------------------------------------------------------------------------


def test_random_numbers_follow_from_the_seed() -> None:
    net = mx.sym.Dropout(X, p=0.5)

    def masks(seed: int) -> list[Any]:
        mx.random.seed(seed)
        executor = net.simple_bind(mx.cpu(), x=(10, 10))
        return [executor.forward(is_train=True, x=ones(10, 10))[0].asnumpy().copy() for _ in range(3)]

    first, again, other = masks(1), masks(1), masks(2)
    assert all(same_bits(x, y) for x, y in zip(first, again, strict=True))
    assert not same_bits(first[0], other[0])
    assert not same_bits(first[0], first[1]), "each step draws its own"
    assert set(np.unique(first[0])) == {0, 2}


def test_each_random_node_draws_its_own() -> None:
    mx.random.seed(3)
    pair = mx.sym.Group([mx.sym.Dropout(X, p=0.5), mx.sym.Dropout(X, p=0.5)])
    a, b = pair.simple_bind(mx.cpu(), x=(100,)).forward(is_train=True, x=ones(100))
    assert not same_bits(a.asnumpy(), b.asnumpy())


@pytest.mark.parametrize("off", ["cse", "fuse", "memory"])
def test_random_numbers_do_not_depend_on_the_plan(off: str) -> None:
    net = mx.sym.Dropout(mx.sym.exp(X), p=0.3) * mx.sym.random_normal(shape=(50,))
    found = []
    for options in (None, Options(off=frozenset([off]))):
        mx.random.seed(5)
        executor = net.simple_bind(mx.cpu(), x=(50,), options=options)
        found.append([executor.forward(is_train=train, x=ones(50))[0].asnumpy().copy() for train in (True, False)])
    for x, y in zip(*found, strict=True):
        assert same_bits(x, y)


def test_the_gradient_of_dropout_uses_the_mask_of_its_forward() -> None:
    executor = mx.sym.Dropout(X, p=0.5).simple_bind(mx.cpu(), x=(200,))
    (y,) = executor.forward(is_train=True, x=ones(200))
    executor.backward(ones(200))
    assert same_bits(executor.grad_dict["x"].asnumpy(), y.asnumpy())
