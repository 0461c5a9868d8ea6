"""Executors by small programs: what they refuse, what runs between `forward` and `backward`, what a reshape keeps."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph as mx
from symgraph.errors import ArgumentError, BindError, GradientError


def ones(*shape: int) -> mx.nd.NDArray:
    return mx.nd.ones(shape)


def test_an_output_that_no_asked_gradient_depends_on() -> None:
    x, z = mx.sym.Variable("x"), mx.sym.Variable("z")
    executor = mx.sym.Group([x * 2, z * 3]).simple_bind(mx.cpu(), x=(2,), z=(2,), grad_req={"x": "write"})
    executor.forward(is_train=True)
    executor.backward([ones(2), ones(2)])
    assert executor.grad_dict["x"].asnumpy().tolist() == [2, 2]
    assert executor.grad_dict["z"] is None


@pytest.mark.parametrize("request_", ["write", "add"])
@pytest.mark.parametrize("other", ["x", "z"])
def test_a_gradient_in_the_memory_of_an_argument_is_refused(request_: str, other: str) -> None:
    arrays = {"x": ones(4), "z": ones(4)}
    product = mx.sym.Variable("x") * mx.sym.Variable("z")
    with pytest.raises(BindError, match=f"gradient of 'x' is written, but is one array with '{other}'; give each"):
        product.bind(mx.cpu(), arrays, {"x": arrays[other]}, grad_req=request_)
    whole = ones(6)
    arrays = {"x": ones(4), "z": ones(4), other: whole[:4]}
    with pytest.raises(BindError, match=f"gradient of 'x' is written, but shares memory with '{other}'"):
        product.bind(mx.cpu(), arrays, {"x": whole[2:]}, grad_req=request_)
    product.bind(mx.cpu(), arrays, {"x": whole[2:]}, grad_req="null")


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32"])
def test_a_gradient_of_another_element_type_is_refused(dtype: str) -> None:
    twice = mx.sym.Variable("x") * 2
    with pytest.raises(BindError, match=rf"args_grad\['x'\] has element type {dtype}, but the argument has float32"):
        twice.bind(mx.cpu(), {"x": ones(4, 3)}, {"x": mx.nd.zeros((4, 3), dtype=dtype)})


def test_more_requests_than_arguments_are_refused() -> None:
    with pytest.raises(ArgumentError, match="grad_req holds 2 requests, but there are 1 arguments"):
        (mx.sym.Variable("x") * 2).simple_bind(mx.cpu(), x=(2,), grad_req=["write", "null"])


def test_two_arguments_may_add_to_one_gradient() -> None:
    x, z, total = mx.nd.array([2, 3]), mx.nd.array([5, 7]), mx.nd.zeros((2,))
    product = mx.sym.Variable("x") * mx.sym.Variable("z")
    executor = product.bind(mx.cpu(), {"x": x, "z": z}, {"x": total, "z": total}, grad_req="add")
    executor.forward(is_train=True)
    executor.backward(ones(2))
    assert total.asnumpy().tolist() == [7, 10]


def test_variables_of_one_name() -> None:
    twice = mx.sym.broadcast_add(mx.sym.Variable("x"), mx.sym.Variable("x"))
    with pytest.raises(BindError, match="several variables are named 'x'; make the variable once"):
        twice.bind(mx.cpu(), [ones(2, 3), ones(1, 3)])
    with pytest.raises(BindError, match="several variables are named 'x'"):
        twice.simple_bind(mx.cpu(), x=(2, 3))
    executor = twice.bind(mx.cpu(), [ones(1), ones(1)])
    with pytest.raises(ArgumentError, match="'x', but several arrays have this name"):
        executor.forward(x=np.ones(1))
    one = twice.bind(mx.cpu(), {"x": ones(1)})
    assert one.forward(x=np.full(1, 3.0))[0].asscalar() == 6


def test_a_reshaped_executor_keeps_hyper_parameters() -> None:
    data, w = mx.sym.Variable("data"), mx.sym.Variable("w")
    loss = mx.sym.MakeLoss(mx.sym.sum(mx.sym.broadcast_mul(data, w)))
    step = mx.sym.training_step(loss, "sgd_update", lr=1.0)
    executor = step.simple_bind(mx.cpu(), data=(2, 3), w=(1, 3))
    executor.set_hyper(lr=0.25)
    wider = executor.reshape(data=(4, 3), w=(1, 3), allow_up_sizing=True)
    wider.forward(is_train=True, data=np.ones((4, 3)))
    assert wider.arg_dict["w"].asnumpy().tolist() == [[-1, -1, -1]]


@pytest.mark.parametrize("shape", [(4, 3), (300, 500)])
def test_measuring_a_plan_between_forward_and_backward(shape: tuple[int, int]) -> None:
    x = mx.sym.Variable("x")
    y = mx.sym.exp(mx.sym.Dropout(mx.sym.tanh(mx.sym.exp(x)), p=0.5))
    executor = y.simple_bind(mx.cpu(), x=shape)
    executor.arg_dict["x"][:] = np.linspace(-1, 1, shape[0] * shape[1]).reshape(shape)
    mx.random.seed(3)
    executor.forward(is_train=True)
    executor.backward(ones(*shape))
    expected = executor.grad_dict["x"].asnumpy()
    mx.random.seed(3)
    executor.forward(is_train=True)
    executor.explain(analyze=True)
    executor.backward(ones(*shape))
    np.testing.assert_array_equal(executor.grad_dict["x"].asnumpy(), expected)


def test_backward_after_inference_is_of_the_same_random_numbers() -> None:
    noisy = mx.sym.Variable("x") * mx.sym.random_normal(shape=(3,))
    executor = noisy.simple_bind(mx.cpu(), x=(3,))
    drawn = executor.forward(x=np.ones(3))[0].asnumpy()
    executor.backward(ones(3))
    np.testing.assert_array_equal(executor.outputs[0].asnumpy(), drawn)
    np.testing.assert_array_equal(executor.grad_dict["x"].asnumpy(), drawn)


def test_a_second_backward_after_a_renewal() -> None:
    w, x = mx.sym.Variable("w"), mx.sym.Variable("x")
    update = mx.sym.sgd_update(w, mx.sym.Variable("g"), lr=1.0, attr={"__renews__": "w"})
    arrays = {"w": mx.nd.array([1]), "g": mx.nd.array([1]), "x": mx.nd.array([1])}
    grad = mx.nd.zeros((1,))
    both = mx.sym.Group([mx.sym.exp(w) * x, update])
    executor = both.bind(mx.cpu(), arrays, {"x": grad}, grad_req="write")
    executor.forward(is_train=True)
    executor.backward([ones(1), ones(1)])
    assert grad.asscalar() == np.exp(np.float32(1))
    with pytest.raises(GradientError, match="call forward\\(\\) again"):
        executor.backward([ones(1), ones(1)])


def test_a_second_backward_through_batch_normalisation() -> None:
    y = mx.sym.BatchNorm(mx.sym.Variable("x"), fix_gamma=False)
    executor = y.simple_bind(mx.cpu(), x=(4, 2))
    executor.forward(is_train=True, x=np.arange(8).reshape(4, 2) ** 2)
    head = mx.nd.array(np.arange(8).reshape(4, 2))
    executor.backward(head)
    first = executor.grad_dict["x"].asnumpy()
    executor.backward(head)
    np.testing.assert_array_equal(executor.grad_dict["x"].asnumpy(), first)


def test_hyper_parameters_set_between_forward_and_backward() -> None:
    w, v, x = (mx.sym.Variable(n) for n in "wvx")
    updates = [mx.sym.sgd_update(p, p, lr=0.5, name=f"{p.name}_up", attr={"__renews__": p.name}) for p in (w, v)]
    both = mx.sym.Group([mx.sym.Dropout(x, p=0.5), *updates])
    executor = both.simple_bind(mx.cpu(), w=(2,), v=(2,), x=(64,), grad_req={"x": "write"})
    executor.forward(is_train=True, x=np.ones(64))
    executor.set_hyper("w_up", lr=0.25)  # the two updates were one, and are no longer
    executor.backward([ones(64), ones(2), ones(2)])
    np.testing.assert_array_equal(executor.grad_dict["x"].asnumpy(), executor.outputs[0].asnumpy())


def _updates(gradients: list[str]) -> mx.sym.Symbol:
    """Return updates of as many weights by those gradients."""
    count = len(gradients)
    of = {n: mx.sym.Variable(n) for n in (*gradients, *(f"{role}{k}" for role in "wn" for k in range(count)))}
    nodes = [
        mx.sym.rmsprop_update(of[f"w{k}"], of[g], of[f"n{k}"], lr=0.1, attr={"__renews__": f"w{k}"})
        for k, g in enumerate(gradients)
    ]
    return mx.sym.Group(nodes)


def _joins(executor: mx.executor.Executor) -> int:
    steps = executor.bound(True).plan.layout.steps
    return sum(e.primitive.name == "concat" for step in steps for e in step.equations)


@pytest.mark.parametrize(
    ("gradients", "joins"),
    [
        (["g0", "g1", "g2"], 0),  # side by side, like the weights
        (["g0", "g0", "g0"], 1),  # one array has no place in three
        (["g0", "w0", "g2"], 1),  # a weight has its place
    ],
)
def test_updates_as_one_by_given_gradients(gradients: list[str], joins: int) -> None:
    symbol = _updates(gradients)
    shapes = {f"w{k}": (k + 2, 3) if len(set(gradients)) == 3 and joins == 0 else (4, 3) for k in range(3)}
    shapes |= {g: shapes[f"w{k}"] for k, g in enumerate(gradients)}
    arguments = {n: s for n, s in shapes.items() if n in symbol.list_arguments()}
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", **arguments)
    assert _joins(executor) == joins
    rng = np.random.default_rng(3)
    values = {
        n: rng.uniform(0.5, 1, x.shape).astype(np.float32)
        for n, x in {**executor.arg_dict, **executor.aux_dict}.items()
    }
    executor.copy_params_from({n: values[n] for n in executor.arg_dict}, {n: values[n] for n in executor.aux_dict})
    # Apart from each other, on arrays of their own.
    arrays = {n: mx.nd.array(x) for n, x in values.items()}
    alone = symbol.bind(
        mx.cpu(),
        {n: arrays[n] for n in symbol.list_arguments()},
        grad_req="null",
        aux_states={n: arrays[n] for n in symbol.list_auxiliary_states()},
    )
    for _ in range(3):
        executor.forward(is_train=True)
        alone.forward(is_train=True)
    for n, x in {**executor.arg_dict, **executor.aux_dict}.items():
        np.testing.assert_array_equal(x.asnumpy(), arrays[n].asnumpy(), err_msg=n)


def test_gradients_given_apart_are_joined() -> None:
    made = _updates(["g0", "g1"]).simple_bind(mx.cpu(), grad_req="null", w0=(2,), g0=(2,), w1=(3,), g1=(3,))
    apart = {**made.arg_dict, "g0": ones(2), "g1": ones(3)}
    executor = made.symbol.bind(mx.cpu(), apart, grad_req="null", aux_states=made.aux_dict)
    assert _joins(executor) == 1
    executor.forward(is_train=True)
    np.testing.assert_array_less(executor.arg_dict["w1"].asnumpy(), 0)
