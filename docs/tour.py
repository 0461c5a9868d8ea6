"""symgraph in miniature: read it from top to bottom, or run it.

Every section prints what it shows. The assertions hold the few facts that matter; the tests run this file.
"""

import tempfile
from pathlib import Path

import numpy as np

import symgraph as mx
from symgraph.op import Op, Sample, Tensor, arg, op, param
from symgraph.testing import check_operator


def section(title: str) -> None:
    print(f"\n== {title}")


# ---------------------------------------------------------------------------------------------------------------------
section("1. An expression is a graph")

# A variable stands for an array that comes later. Arithmetic on it makes nodes; nothing is computed yet.
x = mx.sym.Variable("x")
y = (x * 2 + 1) ** 2
print(y, "reads", y.list_arguments(), "and gives", y.list_outputs())

# To compute, give arrays. `eval` does it once.
print("at x = 0, 1, 2:", y.eval(x=mx.nd.array([0, 1, 2]))[0].asnumpy())

# ---------------------------------------------------------------------------------------------------------------------
section("2. Layers make their own parameters")

# Inputs that are left out become variables, named after the layer.
data = mx.sym.Variable("data")
hidden = mx.sym.FullyConnected(data, num_hidden=16, name="fc1")
hidden = mx.sym.Activation(hidden, act_type="tanh", name="act1")
net = mx.sym.FullyConnected(hidden, num_hidden=3, name="fc2")
print(net.list_arguments())
assert net.list_arguments() == ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias"]

# A symbol is also a function: a call puts another symbol in the place of a variable.
doubled = net(data=mx.sym.Variable("images") * 2)
print("composed anew, it reads", doubled.list_arguments()[0])

# ---------------------------------------------------------------------------------------------------------------------
section("3. Shapes follow from shapes")

# The shape of the data decides all the others.
arg_shapes, out_shapes, _ = net.infer_shape(data=(8, 4))
for name, shape in zip(net.list_arguments(), arg_shapes, strict=True):
    print(f"  {name:12}{shape}")
assert out_shapes == [(8, 3)]

# It works backwards, too: this weight tells how many features the data has.
partial, _, _ = net.infer_shape_partial(fc1_weight=(16, 4), data=(8, 0))
print("from the weight: data is", partial[0])
assert partial[0] == (8, 4)

# ---------------------------------------------------------------------------------------------------------------------
section("4. An executor runs the graph, forward and backward")

# `simple_bind` makes arrays for all arguments. `bind` takes yours.
executor = net.simple_bind(mx.cpu(), data=(8, 4))
rng = np.random.default_rng(0)
for array in executor.arg_dict.values():
    array[:] = rng.normal(0, 0.5, array.shape)

outputs = executor.forward(is_train=True)
executor.backward(mx.nd.ones((8, 3)))
print("output", outputs[0].shape, "and the gradient of the first bias", executor.grad_dict["fc1_bias"].shape)

# The derivative of a sum of outputs by the last bias is the number of rows.
assert executor.grad_dict["fc2_bias"].asnumpy().tolist() == [8, 8, 8]

# ---------------------------------------------------------------------------------------------------------------------
section("5. The whole training step is one symbol")

# Add a loss; `training_step` adds the gradients and an update for each parameter. All are nodes of one graph.
loss = mx.sym.SoftmaxOutput(net, name="softmax", normalization="batch")
step = mx.sym.training_step(loss, "rmsprop_update", lr=0.01, gamma1=0.9)
print("outputs:", step.list_outputs())
print("states: ", step.list_auxiliary_states())

# Three classes that a network can learn to tell apart.
centres = np.array([[2, 0, 0, 1], [0, 2, 0, -1], [0, 0, 2, 0]], np.float32)
labels = rng.integers(0, 3, 400)
points = (centres[labels] + rng.normal(0, 0.7, (400, 4))).astype(np.float32)

# Each call of `forward` computes the loss and the gradients, and renews parameters and states in place.
trainer = step.simple_bind(mx.cpu(), data=(20, 4), softmax_label=(20,))
for name, array in trainer.arg_dict.items():
    if name.endswith("weight"):
        array[:] = rng.normal(0, 0.3, array.shape)


def train(trainer, epochs: int) -> float:
    right = 0
    for _ in range(epochs):
        right = 0
        for k in range(0, 400, 20):
            probability = trainer.forward(is_train=True, data=points[k : k + 20], softmax_label=labels[k : k + 20])[0]
            right += int((probability.asnumpy().argmax(axis=1) == labels[k : k + 20]).sum())
    return right / 400


first, last = train(trainer, 1), train(trainer, 9)
print(f"right in the first epoch: {first:.0%}, in the tenth: {last:.0%}")
assert last > 0.9 > first

# ---------------------------------------------------------------------------------------------------------------------
section("6. The learning rate may change between steps")

# It is a number in the bound plan, so nothing is compiled anew.
trainer.set_hyper(lr=0.001)
before = trainer.arg_dict["fc2_weight"].asnumpy()
train(trainer, 1)
print(
    "with a tenth of the rate, the weights moved by at most",
    np.abs(trainer.arg_dict["fc2_weight"].asnumpy() - before).max(),
)

# ---------------------------------------------------------------------------------------------------------------------
section("7. You can read what was compiled")

# `explain` prints the plan as the NumPy calls that it is, with the memory of each. Here is a small one.
small = mx.sym.training_step(
    mx.sym.LinearRegressionOutput(mx.sym.dot(data, mx.sym.Variable("w")), name="loss"), "sgd_update", lr=0.1
)
print(small.simple_bind(mx.cpu(), data=(10, 5), w=(5, 1), loss_label=(10, 1)).explain())

# ---------------------------------------------------------------------------------------------------------------------
section("8. Save, load, go on")

with tempfile.TemporaryDirectory() as folder:
    graph, params = Path(folder, "net-symbol.json"), Path(folder, "net.params")

    # The graph goes to JSON, in the format of MXNet 1.9.1; updates are in it, so the file holds all of the training.
    step.save(graph)
    arrays = {f"arg:{n}": a for n, a in trainer.arg_dict.items() if n not in ("data", "softmax_label")}
    arrays |= {f"aux:{n}": a for n, a in trainer.aux_dict.items()}
    mx.nd.save(str(params), arrays)

    # Another process would do this. The two files are all it needs.
    resumed = mx.sym.load(graph).simple_bind(mx.cpu(), data=(20, 4), softmax_label=(20,))
    found = mx.nd.load(str(params))
    resumed.copy_params_from(
        {n.removeprefix("arg:"): a for n, a in found.items() if n.startswith("arg:")},
        {n.removeprefix("aux:"): a for n, a in found.items() if n.startswith("aux:")},
    )

# What is not in the files is the changed learning rate: a graph keeps the rate that it was made with.
resumed.set_hyper(lr=0.001)
train(trainer, 1)
train(resumed, 1)
same = all(np.array_equal(a.asnumpy(), resumed.arg_dict[n].asnumpy()) for n, a in trainer.arg_dict.items())
print("one more epoch here and there gives the same weights, bit for bit:", same)
assert same

# ---------------------------------------------------------------------------------------------------------------------
section("9. A gradient is a symbol, so it has a gradient")

cube = mx.sym.sum(x * x * x)
slope = cube.gradient("x")
curvature = mx.sym.sum(slope).gradient("x")
values = mx.nd.array([1, 2, 3])
print("3 x^2 =", slope.eval(x=values)[0].asnumpy(), "  6 x =", curvature.eval(x=values)[0].asnumpy())
assert curvature.eval(x=values)[0].asnumpy().tolist() == [6, 12, 18]

# It saves as JSON like any other.
assert mx.sym.load_json(curvature.tojson()).eval(x=values)[0].asnumpy().tolist() == [6, 12, 18]

# ---------------------------------------------------------------------------------------------------------------------
section("10. An operator of your own")


# One class says what it takes, what it means and what it computes. The gradient is derived.
@op("softclip")
class SoftClip(Op):
    """Limit smoothly to ``[-bound, bound]``: ``bound * tanh(data / bound)``."""

    data: Tensor = arg("Input, any shape.")
    bound: float = param("Where the result levels off.", default=1.0, gt=0)

    samples = (Sample([(2, 3)]), Sample([(4,)], {"bound": 0.5}))

    def compute(self, xp, data):
        return xp.tanh(data / self.bound) * self.bound


# It composes, infers, differentiates, saves and runs like those that come with the package.
limited = mx.sym.softclip(x, bound=2.0, name="limited")
print(limited.eval(x=mx.nd.array([-9, 0, 1]))[0].asnumpy(), "attributes:", limited.attr_dict())

# This holds it to its definition: shapes, first and second derivative, JSON, optimisation, documentation.
check_operator(SoftClip)
print("softclip passes the checks")

# ---------------------------------------------------------------------------------------------------------------------
section("11. Errors say what is wrong, and where")


def show(action) -> None:
    try:
        action()
    except mx.MXNetError as error:
        print(f"{type(error).__name__}: {error}\n")
    else:
        raise AssertionError("there should have been an error")


show(lambda: mx.sym.FullyConnected(data, num_hiden=3))
show(lambda: net.infer_shape(data=(8, 4), fc2_weight=(3, 5)))
show(lambda: net.infer_shape())
show(lambda: net.bind(mx.cpu(), {"data": mx.nd.ones((8, 4))}))
show(lambda: trainer.set_hyper(learning_rate=0.1))
