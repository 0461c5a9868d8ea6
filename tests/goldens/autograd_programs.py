"""Small programs about autograd: recording, marking, gradients, refusals. No result of any run is here.

``make_autograd`` runs them on MXNet. How a program is run, and what it may use, is said in ``programs``.
"""

# ruff: noqa: E501  (the lines of a program are read as a program)

from __future__ import annotations

PROGRAMS: dict[str, str] = {}

BEFORE = """
ag, nd = mx.autograd, mx.nd
def marked(values, **kwargs):
    x = nd.array(values)
    x.attach_grad(**kwargs)
    return x
def gradient(compute, values=[1.0, 2.0], head=None):
    x = marked(values)
    with ag.record():
        y = compute(x)
    y.backward(head)
    return x.grad
"""
"""What the programs share: a marked array, and the gradient of a function by its argument."""


def program(name: str, source: str) -> None:
    """Add a program."""
    if name in PROGRAMS:
        raise ValueError(f"two programs are called {name}")
    PROGRAMS[name] = BEFORE.lstrip() + source.strip() + "\n"


program(
    "modes",
    """
r = [ag.is_recording(), ag.is_training()]
with ag.record():
    r += [ag.is_recording(), ag.is_training()]
with ag.record(train_mode=False):
    r += [ag.is_recording(), ag.is_training()]
with ag.train_mode():
    r += [ag.is_recording(), ag.is_training()]
with ag.record():
    with ag.predict_mode():
        r += [ag.is_recording(), ag.is_training()]
    with ag.pause():
        r += [ag.is_recording(), ag.is_training()]
    with ag.pause(train_mode=True):
        r += [ag.is_recording(), ag.is_training()]
    r += [ag.is_recording(), ag.is_training()]
result = [r, ag.set_recording(True), ag.set_recording(False), ag.set_training(True), ag.set_training(False)]
""",
)
program(
    "arithmetic",
    """
w = nd.array([[3.0], [4.0]])
result = [gradient(f) for f in (lambda x: x * x, lambda x: x + x, lambda x: 3 - x, lambda x: 1 / x, lambda x: x ** 3, lambda x: 2 ** x, lambda x: x / 4 % 3, lambda x: -x, lambda x: abs(x - 1.5), lambda x: x * w, lambda x: w / x, lambda x: (x * x).sum(), lambda x: x.mean() * x)]
""",
)
program(
    "functions",
    """
result = [gradient(f) for f in (nd.exp, nd.log, nd.sqrt, nd.tanh, nd.sigmoid, nd.relu, nd.square, lambda x: nd.maximum(x, 1.5) * nd.add(x, 2), lambda x: nd.concat(x, x * 2, dim=0), lambda x: nd.softmax(x) * nd.array([1, 3]), lambda x: nd.dot(x, x), lambda x: nd.where(nd.array([1, 0]), x, x * x), lambda x: nd.zeros_like(x), lambda x: nd.BlockGrad(x) * x, lambda x: x > 1, lambda x: nd.clip(x, 0, 1.5))]
""",
)
program(
    "head-gradients",
    """
x = marked([1.0, 2.0])
with ag.record():
    y = x * x
    z = y * 3
ag.backward([y, z], [nd.array([1.0, 1.0]), None], retain_graph=True)
first = x.grad.copy()
ag.backward([y, z], retain_graph=True)
second = x.grad.copy()
z.backward(nd.array([10.0, 1.0]))
result = [first, second, x.grad, raises(lambda: gradient(lambda x: x * x, head=3))]
""",
)
program(
    "views-and-indices",
    """
m = [[1.0, 2.0], [3.0, 4.0]]
result = [gradient(f, m) for f in (lambda x: x[1], lambda x: x[:, 1], lambda x: x[1, 0], lambda x: x[nd.array([1, 1])], lambda x: x[[0, 1], [1, 1]], lambda x: x[:], lambda x: x[0:1] * x[1:2], lambda x: x[None, 1, ::-1] * x, lambda x: x.T * x, lambda x: x.reshape((4,)) * nd.arange(4), lambda x: x.reshape((-1, 1))[2], lambda x: x.flatten() * x, lambda x: x.expand_dims(0) * x, lambda x: x.copy() * x, lambda x: nd.array(x) * x, lambda x: x.as_in_context(mx.cpu(1)) * 2, lambda x: x.astype('float64') * 2, lambda x: x.slice_axis(axis=0, begin=0, end=1))]
result.append(gradient(lambda x: x[None, ::-1], m, nd.array([[[1, 2], [3, 4]]])))
x = marked(m)
with ag.record():
    total = 0
    for row in x[0].reshape((2, 1)):
        total = total + row * row
total.backward()
result.append(x.grad)
""",
)
program(
    "requests",
    """
x = marked([1.0, 2.0], grad_req='add')
with ag.record():
    y = x * x
y.backward(retain_graph=True)
y.backward()
w = marked([1.0, 2.0])
kept = w.grad
for factor in (2, 3):
    with ag.record():
        z = w * factor
    z.backward()
n = marked([1.0, 2.0], grad_req='null')
with ag.record():
    v = n * n
other = marked([5.0])
other.grad[:] = 7
with ag.record():
    u = w * w
u.backward()
result = [x.grad, w.grad, kept, raises(v.backward), raises(lambda: nd.ones((2,)).attach_grad('foo')), other.grad]
""",
)
program(
    "marking",
    """
x, g = nd.array([1.0, 2.0]), nd.zeros((2,))
ag.mark_variables(x, g)
with ag.record():
    y = x * 2
y.backward()
a, h = nd.array([1.0, 2.0]), nd.ones((2,))
ag.mark_variables([a], [h], ['add'])
with ag.record():
    y = a * 2
y.backward()
result = [g, h, x.grad, nd.ones((1,)).grad]
b = marked([1.0, 2.0])
with ag.record():
    c = b * 2
    c.attach_grad()
    d = c * 3
d.backward()
e = marked([1.0, 2.0])
with ag.record():
    f = e + 1
e.attach_grad()
f.backward()
result += [b.grad, c.grad, e.grad, c.detach().grad]
s = marked([1.0, 2.0])
s.backward()
result.append(s.grad)
""",
)
program(
    "constants",
    """
x = marked([1.0, 2.0])
with ag.record():
    with ag.pause():
        w = x * 2
    y = w * x + x.detach() * x
y.backward()
v = marked([1.0, 2.0])
outside = v[0:1]
with ag.record():
    z = outside * 2
result = [x.grad, raises(z.backward)]
""",
)
program(
    "grad",
    """
x, z = marked([1.0, 2.0]), marked([1.0])
with ag.record():
    y = x * x * x
first = ag.grad(y, x, retain_graph=True)
second = ag.grad(y, [x], head_grads=[nd.array([2.0, 3.0])], retain_graph=True)
third = ag.grad([y], x, head_grads=nd.array([2.0, 3.0]), retain_graph=True)
result = [first, second, third, x.grad, raises(lambda: ag.grad(y, [])), raises(lambda: ag.grad(y, z)), raises(lambda: ag.grad([], [x]))]
""",
)
program(
    "released",
    """
def twice():
    x = marked([1.0, 2.0])
    with ag.record():
        y = x * x
    y.backward()
    y.backward()
def above():
    x = marked([1.0, 2.0])
    with ag.record():
        y = x * x
        z = y * y
    y.backward()
    z.backward()
def later():
    x = marked([1.0, 2.0])
    with ag.record():
        y = x * x
    y.backward()
    with ag.record():
        z = y * 3
    z.backward()
def both():
    x, w = marked([1.0, 2.0]), marked([3.0, 4.0])
    with ag.record():
        y = x * x
    y.backward()
    with ag.record():
        z = y * w
    z.backward()
    return [x.grad, w.grad]
def kept():
    x = marked([1.0, 2.0])
    with ag.record():
        y = x * x
        z = y * y
    y.backward(retain_graph=True)
    first = x.grad.copy()
    z.backward()
    return [first, x.grad]
result = [raises(twice), raises(above), raises(later), both(), kept()]
""",
)
program(
    "not-recorded",
    """
x = marked([1.0, 2.0])
y = x * x
u = nd.array([1.0])
with ag.record():
    v = u * u
result = [raises(y.backward), raises(v.backward), raises(lambda: ag.backward([])), raises(lambda: ag.backward(3))]
""",
)
program(
    "writing-while-recording",
    """
def attempt(change):
    x, y = marked([1.0, 2.0]), nd.zeros((2,))
    with ag.record():
        z = change(x, y)
    z.backward()
    return x.grad
def add_to_leaf(x, y):
    x += 1
    return x
def add_to_result(x, y):
    z = x * x
    z += 1
    return z
def add_to_constant(x, y):
    y += x
    return y
def set_in_result(x, y):
    z = x * x
    z[0] = 5
    return z
def set_part(x, y):
    y[0] = x[1]
    return y
def set_leaf(x, y):
    x[0] = 5
    return x
def set_whole(x, y):
    y[:] = x * 2
    return y
def set_whole_twice(x, y):
    y[:] = x
    y[:] = x * 3
    return y
def out(x, y):
    nd.relu(x, out=y)
    return y * 2
def out_leaf(x, y):
    nd.relu(x, out=x)
    return x
def copied(x, y):
    x.copyto(y)
    return y * 2
def constant_part(x, y):
    y[0] = 5
    return y * x
result = {f.__name__: raises(lambda: attempt(f)) for f in (add_to_leaf, add_to_result, add_to_constant, set_in_result, set_part, set_leaf, set_whole_twice, out_leaf)}
result.update({f.__name__: attempt(f) for f in (set_whole, out, copied, constant_part)})
""",
)
program(
    "changed-after-recording",
    """
x = marked([1.0, 2.0])
with ag.record():
    y = x * x
x[:] = 10
y.backward()
z = marked([1.0, 2.0])
with ag.record():
    w = z * z
z += 10
w.backward()
result = [x.grad, z.grad]
""",
)
program(
    "several-outputs",
    """
x = marked(np.arange(6).reshape(2, 3))
with ag.record():
    a, b, c = nd.split(x, 3, 1)
    y = a * 2 + c * c
y.backward()
result = x.grad
""",
)
program(
    "losses-and-layers",
    """
x = marked([[1.0, 2.0], [3.0, 0.5]])
with ag.record():
    y = nd.SoftmaxOutput(x, nd.array([1, 0]))
y.backward()
first = [y, x.grad.copy()]
d, g, b = marked([[1.0, 5.0], [3.0, 2.0]]), marked([1.0, 2.0]), marked([0.0, 1.0])
m, v = nd.zeros((2,)), nd.ones((2,))
with ag.record():
    n = nd.BatchNorm(d, g, b, m, v, fix_gamma=False)
n.backward(nd.array([[1.0, 0.0], [2.0, 5.0]]))
w, c = marked(np.arange(6).reshape(2, 3) / 6), marked([0.1, 0.2])
with ag.record():
    f = nd.LinearRegressionOutput(nd.FullyConnected(nd.ones((2, 3)), w, c, num_hidden=2), nd.ones((2, 2)))
f.backward()
result = [first, n, d.grad, g.grad, b.grad, m, v, w.grad, c.grad]
""",
)
program(
    "dropout",
    """
x = nd.ones((1000,))
x.attach_grad()
with ag.record():
    y = nd.Dropout(x, p=0.5)
y.backward()
with ag.record(train_mode=False):
    z = nd.Dropout(x, p=0.5)
result = [bool((x.grad == y).asnumpy().all()), sorted(set(y.asnumpy().tolist())), bool((z == x).asnumpy().all())]
""",
)
program(
    "no-gradient",
    """
x = marked([1.0, 2.0])
with ag.record():
    y = nd.sgd_update(x, x, lr=0.1)
m = marked([[1.0, 2.0]])
with ag.record():
    a = (m * 2).argmax(axis=1)
a.backward()
result = [raises(y.backward), m.grad]
""",
)
