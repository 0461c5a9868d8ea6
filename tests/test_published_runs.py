"""Published and recorded runs of RMSProp, reproduced by symbols."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import symgraph as mx


def descend(loss: mx.sym.Symbol, start: dict[str, float], steps: int, **hyper: float) -> list[list[float]]:
    """Train by one symbol; returns the arguments' values after each step."""
    step = mx.sym.training_step(loss, "rmsprop_update", inputs=[], **hyper)
    executor = step.simple_bind(mx.cpu(), **dict.fromkeys(start, (1,)))
    for name, value in start.items():
        executor.arg_dict[name][:] = value
    path = []
    for _ in range(steps):
        executor.forward(is_train=True)
        path.append([float(executor.arg_dict[n].asnumpy()[0]) for n in start])
    return path


def test_the_quadratic_of_dive_into_deep_learning() -> None:
    """`f = 0.1 x1^2 + 2 x2^2` from (-5, -2): the end point that the book (section RMSProp) prints."""
    x1, x2 = mx.sym.Variable("x1"), mx.sym.Variable("x2")
    loss = mx.sym.make_loss(0.1 * mx.sym.square(x1) + 2.0 * mx.sym.square(x2))
    end = descend(loss, {"x1": -5.0, "x2": -2.0}, 20, lr=0.4, gamma1=0.9, epsilon=1e-6)[-1]
    np.testing.assert_allclose(end, [-0.010599, 0.000000], atol=5e-7)


def test_epsilon_outside_the_root_composed_from_symbols() -> None:
    """`x^2 + 10 y^2` from (5, 5), the update being written in elementary symbols with epsilon added to the root."""
    lr, gamma, epsilon = 0.1, 0.99, 1e-8
    outputs = []
    for name, slope in (("x", 2.0), ("y", 20.0)):
        w, n = mx.sym.Variable(name), mx.sym.Variable(f"n_{name}")
        g = w * slope
        mean = gamma * n + (1 - gamma) * mx.sym.square(g)
        outputs += [w - lr * g / (mx.sym.sqrt(mean) + epsilon), mean]
    step = mx.sym.Group(outputs)
    values = {n: mx.nd.array([5.0], dtype="float64") for n in ("x", "y")}
    values |= {n: mx.nd.zeros((1,), dtype="float64") for n in ("n_x", "n_y")}
    executor = step.bind(mx.cpu(), values, grad_req="null")
    path = []
    for _ in range(10):
        new = [o.copy() for o in executor.forward()]
        for name, value in zip(("x", "n_x", "y", "n_y"), new, strict=True):
            values[name][:] = value
        path.append(float(values["x"].asnumpy()[0]))
    published = [4.0000, 3.3734, 2.9043, 2.5283, 2.2157, 1.9503, 1.7217, 1.5230, 1.3489, 1.1959]
    np.testing.assert_allclose(path, published, atol=5e-5)


def test_twenty_steps_of_keras(shared: Path) -> None:
    """A classifier 784-64-10 as Keras 3 trained it: every loss within 1e-6, the weights at the end, too."""
    record = np.load(shared / "oracle" / "keras_rmsprop.npz")
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=64, name="fc1")
    net = mx.sym.Activation(net, act_type="relu")
    net = mx.sym.FullyConnected(net, num_hidden=10, name="fc2")
    picked = mx.sym.pick(mx.sym.log_softmax(net), mx.sym.Variable("label"), axis=1)
    loss = mx.sym.make_loss(mx.sym.mean(-picked), name="loss")
    step = mx.sym.training_step(loss, "rmsprop_update", lr=0.001, gamma1=0.9, epsilon=1e-7)
    executor = step.simple_bind(mx.cpu(), data=(32, 784), label=(32,))
    names = {"fc1_weight": "w1", "fc1_bias": "b1", "fc2_weight": "w2", "fc2_bias": "b2"}
    for name, key in names.items():
        executor.arg_dict[name][:] = record[key].T
    losses = []
    for x, y in zip(record["x"], record["y"], strict=True):
        executor.forward(is_train=True, data=x, label=y.astype(np.float32))
        losses.append(float(executor.outputs[0].asnumpy().reshape(-1)[0]))
    np.testing.assert_allclose(losses, record["loss"], rtol=0, atol=1e-6)
    for name, key in names.items():
        # Twenty steps of at most 3.2 * lr each: rounding of one step, 1e-7, may have grown by a few.
        np.testing.assert_allclose(executor.arg_dict[name].asnumpy().T, record[f"final_{key}"], rtol=0, atol=5e-6)
