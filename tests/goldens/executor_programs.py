"""Small programs about executors: binding, gradients, auxiliary states, training. No result of any run is here.

``make_executor`` runs them on MXNet. How a program is run, and what it may use, is said in ``programs``. What MXNet does
wrongly (README.md lists it) is not asked.
"""

# ruff: noqa: E501  (the lines of a program are read as a program)

from __future__ import annotations

PROGRAMS: dict[str, str] = {}

PAIR = """
a, b = mx.sym.Variable('a'), mx.sym.Variable('b')
def pair(symbol, req, fill=7.0, steps=1, heads=True, train=True):
    args = {'a': mx.nd.array([1.0, 2.0]), 'b': mx.nd.array([3.0, 4.0])}
    args = {name: args[name] for name in symbol.list_arguments()}
    grads = {name: mx.nd.full((2,), fill) for name in args}
    ex = symbol.bind(mx.cpu(), args, args_grad=grads, grad_req=req)
    for _ in range(steps):
        ex.forward(is_train=train)
        ex.backward([mx.nd.ones(o.shape) for o in ex.outputs] if heads else None)
    return {name: grad for name, grad in grads.items()}
"""
"""Two arguments of two elements, gradients that start at 7."""

MLP = """
rng = np.random.RandomState(3)
x = mx.sym.Variable('data')
x = mx.sym.FullyConnected(x, num_hidden=6, name='fc1')
x = mx.sym.Activation(x, act_type='tanh', name='t1')
x = mx.sym.FullyConnected(x, num_hidden=3, name='fc2')
net = mx.sym.SoftmaxOutput(x, name='softmax')
shapes = dict(zip(net.list_arguments(), net.infer_shape(data=(4, 5))[0]))
params = {k: rng.uniform(-0.5, 0.5, s).astype('float32') for k, s in sorted(shapes.items()) if k not in ('data', 'softmax_label')}
data = rng.uniform(-1, 1, (4, 5)).astype('float32')
label = np.array([0, 2, 1, 2], 'float32')
"""
"""A perceptron with one hidden layer, its parameters and one batch."""


def program(name: str, source: str, before: str = "") -> None:
    """Add a program; ``before`` is put in front of its text."""
    if name in PROGRAMS:
        raise ValueError(f"two programs are called {name}")
    PROGRAMS[name] = before.lstrip() + source.strip() + "\n"


# ---- grad_req -----------------------------------------------------------------------------------------------------

program(
    "grad_req-text",
    """
result = {req: pair(a * b, req, steps=2) for req in ('write', 'add', 'null')}
""",
    PAIR,
)
program(
    "grad_req-list-and-dict",
    """
result = {
    'list': pair(a * b, ['add', 'null']),
    'list, two steps': pair(a * b, ['add', 'write'], steps=2),
    'short list': pair(a * b, ['write'], steps=2),
    'dict': pair(a * b, {'a': 'write', 'b': 'add'}, steps=2),
    'dict with one': pair(a * b, {'a': 'add'}, steps=2),
    'dict with a stranger': pair(a * b, {'zz': 'write'}),
}
""",
    PAIR,
)
program(
    "grad_req-errors",
    """
result = {
    'unknown': raises(lambda: pair(a * b, 'inplace')),
    'capitals': raises(lambda: pair(a * b, 'WRITE')),
    'unknown in list': raises(lambda: pair(a * b, ['write', 'nothing'])),
}
""",
    PAIR,
)
program(
    "grad_req-shared-variable",
    """
result = {
    'write': pair(a * a, 'write'), 'add': pair(a * a, 'add', steps=2),
    'write, three uses': pair(a * a - a * b, 'write'), 'add, three uses': pair(a * a - a * b, 'add', steps=2),
    'variable as output': pair(mx.sym.Group([a, a * b]), 'write'), 'variable as output, add': pair(mx.sym.Group([a, a * b]), 'add', steps=2),
    'only a variable': pair(mx.sym.Group([a, b]), 'write'),
}
""",
    PAIR,
)
program(
    "grad_req-blocked",
    """
blocks = {
    'BlockGrad': mx.sym.BlockGrad(a), 'zeros_like': mx.sym.zeros_like(a), 'ones_like': mx.sym.ones_like(a), 'sign': mx.sym.sign(a), 'round': mx.sym.round(a),
    'comparison': a > 1, 'equal': mx.sym.broadcast_equal(a, a), 'logical': mx.sym.logical_not(a),
}
result = {name: [pair(s * b, 'write'), pair(s * b, 'add', steps=2)] for name, s in blocks.items()}
result['argmax'] = [pair(mx.sym.broadcast_mul(mx.sym.argmax(a, axis=0), b), req) for req in ('write', 'add')]
result['partly'] = [pair(mx.sym.BlockGrad(a) * a + b * a, req) for req in ('write', 'add')]
""",
    PAIR,
)
program(
    "grad_req-add-operators",
    """
result = {name: pair(s, 'add', steps=2) for name, s in {
    'sub': a - b, 'mul': a * b, 'div': a / b, 'broadcast_add': mx.sym.broadcast_add(a, b), 'add_n': mx.sym.add_n(a, b, a),
    'concat': mx.sym.Concat(a, b, dim=0), 'stack': mx.sym.stack(a, b), 'where': mx.sym.where(a > 1, a, b), 'maximum': mx.sym.maximum(a, b), 'power': a ** b,
    'dot': mx.sym.dot(a, b), 'sum': mx.sym.sum(a * b), 'reshape': mx.sym.Reshape(a, shape=(1, 2)) * mx.sym.expand_dims(b, axis=0), 'exp': mx.sym.exp(a) * b,
}.items()}
""",
    PAIR,
)
program(
    "grad_req-duplicate-names",
    """
x, y = mx.sym.Variable('x'), mx.sym.Variable('x')
net = x * 2 - y * 3
one, two, g1, g2 = mx.nd.array([1.0]), mx.nd.array([5.0]), mx.nd.zeros((1,)), mx.nd.zeros((1,))
ex = net.bind(mx.cpu(), [one, two], args_grad=[g1, g2])
ex.forward(is_train=True)
ex.backward(mx.nd.ones((1,)))
result = [net.list_arguments(), ex.outputs[0], g1, g2]
""",
)

# ---- backward -----------------------------------------------------------------------------------------------------

program(
    "backward-heads",
    """
def run(*heads, symbol=a * b, train=True, forward=True, **kw):
    args = {'a': mx.nd.array([1.0, 2.0]), 'b': mx.nd.array([3.0, 4.0])}
    grads = {name: mx.nd.zeros((2,)) for name in args}
    ex = symbol.bind(mx.cpu(), args, args_grad=grads)
    if forward:
        ex.forward(is_train=train)
    ex.backward(*heads, **kw)
    return [grads['a'], grads['b']]
ones, twos = mx.nd.ones((2,)), mx.nd.array([2.0, 3.0])
result = {
    'array': run(twos), 'list': run([twos]), 'keyword': run(out_grads=[twos]), 'too many': run([twos, ones]),
    'none': raises(lambda: run()), 'wrong shape': raises(lambda: run(mx.nd.ones((3,)))), 'numpy': raises(lambda: run(np.ones(2))),
    'none, sum': raises(lambda: run(symbol=mx.sym.sum(a * b))),
    'loss': run(symbol=mx.sym.MakeLoss(a * b)), 'loss, scaled': run(symbol=mx.sym.MakeLoss(a * b, grad_scale=0.5)), 'make_loss': run(symbol=mx.sym.make_loss(a * b)),
    'loss with heads': run(twos, symbol=mx.sym.MakeLoss(a * b)),
    'loss and ordinary': raises(lambda: run(symbol=mx.sym.Group([mx.sym.MakeLoss(a), a * b]))),
    'loss and blocked': run(symbol=mx.sym.Group([mx.sym.MakeLoss(a * b), mx.sym.BlockGrad(a)])),
    'two heads': run([ones, twos], symbol=mx.sym.Group([a * b, a - b])),
    'too few': raises(lambda: run([ones], symbol=mx.sym.Group([a * b, a - b]))),
    'by output name': run({'p_output': twos}, symbol=mx.sym.elemwise_mul(a, b, name='p')),
    'after inference': run(twos, train=False),
}
""",
    PAIR,
)
program(
    "backward-twice",
    """
args = {'a': mx.nd.array([1.0, 2.0]), 'b': mx.nd.array([3.0, 4.0])}
grads = {name: mx.nd.zeros((2,)) for name in args}
ex = (a * b).bind(mx.cpu(), args, args_grad=grads, grad_req='write')
ex.forward(is_train=True)
ex.backward(mx.nd.ones((2,)))
first = [grads['a'].asnumpy(), grads['b'].asnumpy()]
ex.backward(mx.nd.array([10.0, 100.0]))
result = [first, grads['a'], grads['b']]
""",
    PAIR,
)
program(
    "backward-without-gradients",
    """
args = {'a': mx.nd.array([1.0, 2.0]), 'b': mx.nd.array([3.0, 4.0])}
ex = (a * b).bind(mx.cpu(), args)
out = ex.forward(is_train=True)[0].asnumpy()
ex.backward(mx.nd.ones((2,)))
result = [out]
""",
    PAIR,
)
program(
    "backward-multi-output",
    """
x = mx.sym.Variable('x')
s = mx.sym.SliceChannel(x, num_outputs=3, axis=1, name='s')
value = mx.nd.array(np.arange(12).reshape(2, 6))
def run(symbol, heads):
    g = mx.nd.zeros((2, 6))
    ex = symbol.bind(mx.cpu(), {'x': value}, args_grad={'x': g})
    ex.forward(is_train=True)
    ex.backward(heads)
    return [[o.asnumpy() for o in ex.outputs], g.asnumpy()]
h = [mx.nd.full((2, 2), v) for v in (1.0, 2.0, 3.0)]
result = [run(s, h), run(s[1], h[:1]), run(s[0] * s[2], h[1:2]), run(mx.sym.Group([s[2], s[0], s[2]]), h)]
""",
)
program(
    "backward-unused-argument",
    """
x, y = mx.sym.Variable('x'), mx.sym.Variable('y')
s = mx.sym.slice_like(x, y)
gx, gy = mx.nd.full((2, 3), 7.0), mx.nd.full((1, 2), 7.0)
ex = s.bind(mx.cpu(), {'x': mx.nd.ones((2, 3)), 'y': mx.nd.ones((1, 2))}, args_grad={'x': gx, 'y': gy})
ex.forward(is_train=True)
ex.backward(mx.nd.ones((1, 2)))
result = [gx, gy]
""",
)

# ---- binding ------------------------------------------------------------------------------------------------------

program(
    "simple_bind",
    """
ex = net.simple_bind(mx.cpu(), data=(4, 5))
result = {
    'arguments': list(ex.arg_dict), 'shapes': {k: v.shape for k, v in ex.arg_dict.items()}, 'zeros': [float(np.abs(v.asnumpy()).sum()) for v in ex.arg_arrays],
    'gradients': {k: None if v is None else v.shape for k, v in ex.grad_dict.items()}, 'gradient zeros': [float(np.abs(v.asnumpy()).sum()) for v in ex.grad_arrays],
    'aux': list(ex.aux_dict), 'outputs': list(ex.output_dict), 'output shapes': [o.shape for o in ex.outputs], 'dtypes': [v.dtype for v in ex.arg_arrays],
    'forward of zeros': ex.forward()[0],
}
""",
    MLP,
)
program(
    "simple_bind-grad_req",
    """
def grads(req):
    ex = net.simple_bind(mx.cpu(), grad_req=req, data=(4, 5))
    return {k: None if v is None else v.shape for k, v in ex.grad_dict.items()}
result = [grads('null'), grads('add'), grads({'fc1_weight': 'write'}), grads(['null', 'write', 'null', 'write', 'null', 'null'])]
""",
    MLP,
)
program(
    "simple_bind-types",
    """
ex = net.simple_bind(mx.cpu(), type_dict={'data': 'float64'}, data=(4, 5))
result = [{k: v.dtype for k, v in ex.arg_dict.items()}, {k: v.dtype for k, v in ex.grad_dict.items()}, [o.dtype for o in ex.forward()]]
""",
    MLP,
)
program(
    "simple_bind-errors",
    """
result = {
    'no shapes': raises(lambda: net.simple_bind(mx.cpu())),
    'conflict': raises(lambda: net.simple_bind(mx.cpu(), data=(4, 5), fc1_weight=(6, 4))),
}
""",
    MLP,
)
program(
    "simple_bind-aux",
    """
x = mx.sym.Variable('data')
bn = mx.sym.BatchNorm(x, name='bn', fix_gamma=False)
ex = bn.simple_bind(mx.cpu(), data=(2, 3))
result = [list(ex.arg_dict), list(ex.aux_dict), {k: v for k, v in ex.aux_dict.items()}, [a.shape for a in ex.aux_arrays], list(ex.grad_dict)]
""",
)
program(
    "bind-ways",
    """
one, two = mx.nd.array([1.0, 2.0]), mx.nd.array([3.0, 4.0])
s = a - b
result = {
    'list': s.bind(mx.cpu(), [one, two]).forward()[0],
    'dict': s.bind(mx.cpu(), {'b': one, 'a': two}).forward()[0],
    'dict with a stranger': s.bind(mx.cpu(), {'b': one, 'a': two, 'c': one}).forward()[0],
    'missing': raises(lambda: s.bind(mx.cpu(), {'a': one})),
    'short list': raises(lambda: s.bind(mx.cpu(), [one])),
    'long list': raises(lambda: s.bind(mx.cpu(), [one, two, one])),
    'numpy': raises(lambda: s.bind(mx.cpu(), [np.ones(2), np.ones(2)])),
    'shape conflict': raises(lambda: s.bind(mx.cpu(), [one, mx.nd.ones((3,))]).forward()[0].asnumpy()),
    'dtype conflict': raises(lambda: s.bind(mx.cpu(), [one, mx.nd.ones((2,), dtype='float64')]).forward()[0].asnumpy()),
    'grad list': [None if g is None else g.shape for g in s.bind(mx.cpu(), [one, two], args_grad=[mx.nd.zeros((2,)), None], grad_req=['write', 'null']).grad_arrays],
    'grad dict': [None if g is None else g.shape for g in s.bind(mx.cpu(), [one, two], args_grad={'b': mx.nd.zeros((2,))}).grad_arrays],
}
""",
    PAIR,
)
program(
    "bind-shares-arrays",
    """
one, two = mx.nd.array([1.0, 2.0]), mx.nd.array([3.0, 4.0])
ex = (a - b).bind(mx.cpu(), {'a': one, 'b': two})
first = ex.forward()[0].asnumpy()
one[:] = 10
second = ex.forward()[0].asnumpy()
ex.arg_dict['b'][:] = 1
third = ex.forward()[0].asnumpy()
result = [first, second, third, two, ex.arg_arrays[0]]
""",
    PAIR,
)
program(
    "bind-aux",
    """
x = mx.sym.Variable('x')
bn = mx.sym.BatchNorm(x, name='bn', fix_gamma=False, eps=1e-5)
args = {'x': mx.nd.array([[1.0, 2.0], [3.0, 6.0]]), 'bn_gamma': mx.nd.array([1.0, 2.0]), 'bn_beta': mx.nd.array([0.5, -0.5])}
aux = {'bn_moving_mean': mx.nd.array([1.0, 1.0]), 'bn_moving_var': mx.nd.array([4.0, 1.0])}
result = {
    'dict': bn.bind(mx.cpu(), args, aux_states=aux).forward()[0],
    'list': bn.bind(mx.cpu(), args, aux_states=[aux['bn_moving_mean'], aux['bn_moving_var']]).forward()[0],
    'missing': raises(lambda: bn.bind(mx.cpu(), args)),
    'half': raises(lambda: bn.bind(mx.cpu(), args, aux_states={'bn_moving_mean': aux['bn_moving_mean']})),
}
""",
)
program(
    "forward-ways",
    """
ex = net.simple_bind(mx.cpu(), data=(4, 5))
ex.copy_params_from({k: mx.nd.array(v) for k, v in params.items()})
one = ex.forward(is_train=False, data=mx.nd.array(data))[0].asnumpy()
two = ex.forward(data=data)[0].asnumpy()
three = ex.forward()[0].asnumpy()
four = ex.forward(data=data.astype('float64') * 2, softmax_label=label)[0].asnumpy()
result = {
    'array': one, 'numpy': np.array_equal(one, two), 'again': np.array_equal(one, three), 'float64': four, 'label': ex.arg_dict['softmax_label'],
    'unknown': raises(lambda: ex.forward(nothing=data)), 'wrong shape': raises(lambda: ex.forward(data=data[:2])), 'list': raises(lambda: ex.forward(data=data.tolist())),
}
""",
    MLP,
)
program(
    "outputs-are-renewed",
    """
one = mx.nd.array([1.0, 2.0])
ex = (a * 2).bind(mx.cpu(), {'a': one})
out = ex.forward()[0]
before = out.asnumpy()
one[:] = 5
ex.forward()
result = [before, out, ex.outputs[0], list(ex.output_dict), len(ex.outputs)]
""",
    PAIR,
)
program(
    "outputs-of-a-variable",
    """
one = mx.nd.array([1.0, 2.0])
g = mx.sym.Group([a, a * 2, a])
ex = g.bind(mx.cpu(), {'a': one})
result = [[o.asnumpy() for o in ex.forward()], g.list_outputs(), len(ex.outputs)]
""",
    PAIR,
)
program(
    "copy_params_from",
    """
ex = net.simple_bind(mx.cpu(), data=(4, 5))
some = {k: mx.nd.array(v) for k, v in params.items()}
ex.copy_params_from(some)
kept = ex.arg_dict['fc1_weight'].asnumpy()
some['fc1_weight'][:] = 0
result = {
    'copied': kept, 'not shared': np.array_equal(ex.arg_dict['fc1_weight'].asnumpy(), kept),
    'stranger': raises(lambda: ex.copy_params_from({'nothing': mx.nd.ones((2,))})),
    'stranger allowed': raises(lambda: ex.copy_params_from({'nothing': mx.nd.ones((2,))}, allow_extra_params=True)),
    'aux stranger': raises(lambda: ex.copy_params_from({}, {'nothing': mx.nd.ones((2,))})),
    'wrong shape': raises(lambda: ex.copy_params_from({'fc1_bias': mx.nd.ones((3,))})),
    'other dtype': raises(lambda: ex.copy_params_from({'fc1_bias': mx.nd.ones((6,), dtype='float64')})),
}
result['after other dtype'] = [ex.arg_dict['fc1_bias'].dtype, ex.arg_dict['fc1_bias']]
""",
    MLP,
)
program(
    "reshape",
    """
ex = net.simple_bind(mx.cpu(), data=(4, 5))
ex.copy_params_from({k: mx.nd.array(v) for k, v in params.items()})
small = ex.reshape(data=(2, 5), softmax_label=(2,))
small.arg_dict['fc2_bias'][:] = 1
out = small.forward(data=data[:2])[0].asnumpy()
result = {
    'output': out, 'shapes': {k: v.shape for k, v in small.arg_dict.items()}, 'gradients': {k: v.shape for k, v in small.grad_dict.items()},
    'parameters shared': ex.arg_dict['fc2_bias'], 'label left out': raises(lambda: ex.reshape(data=(2, 5))),
    'larger': raises(lambda: ex.reshape(data=(8, 5), softmax_label=(8,))),
    'larger allowed': {k: v.shape for k, v in ex.reshape(allow_up_sizing=True, data=(8, 5), softmax_label=(8,)).arg_dict.items()},
    'other parameters': raises(lambda: ex.reshape(data=(4, 3))),
    'other parameters allowed': {k: v.shape for k, v in ex.reshape(partial_shaping=True, data=(4, 3)).arg_dict.items()},
}
""",
    MLP,
)
program(
    "monitor",
    """
names = []
ex = net.simple_bind(mx.cpu(), data=(4, 5))
ex.copy_params_from({k: mx.nd.array(v) for k, v in params.items()})
ex.set_monitor_callback(lambda name, array: names.append(name.decode() if isinstance(name, bytes) else name))
ex.forward(is_train=True, data=data, softmax_label=label)
result = names
""",
    MLP,
)
program(
    "monitor-backward",
    """
names = []
ex = net.simple_bind(mx.cpu(), data=(4, 5))
ex.forward(is_train=True, data=data, softmax_label=label)
ex.set_monitor_callback(lambda name, array: names.append(name.decode() if isinstance(name, bytes) else name))
ex.backward()
result = names
""",
    MLP,
)
program(
    "monitor-all",
    """
names = []
x = mx.sym.Variable('x')
s = mx.sym.SliceChannel(mx.sym.BatchNorm(x, name='bn'), num_outputs=2, name='s')
sym = mx.sym.elemwise_add(s[0], s[1], name='sum')
ex = sym.simple_bind(mx.cpu(), x=(2, 4))
ex.set_monitor_callback(lambda name, array: names.append(name.decode() if isinstance(name, bytes) else name), monitor_all=True)
ex.forward()
every = list(names)
names.clear()
ex.set_monitor_callback(lambda name, array: names.append(name.decode() if isinstance(name, bytes) else name))
ex.forward()
result = [every, names]
""",
)
program(
    "eval",
    """
s = mx.sym.SliceChannel(a, num_outputs=2, axis=0, name='s')
out = s.eval(ctx=mx.cpu(), a=mx.nd.array([1.0, 2.0]))
result = [[o.asnumpy() for o in out], (a + b).eval(a=mx.nd.ones((2,)), b=mx.nd.full((2,), 3.0))[0], mx.sym.zeros((2, 3)).eval()[0], (mx.sym.ones((2,)) * 3).eval()[0], raises(lambda: (a + b).eval(a=mx.nd.ones((2,))))]
""",
    PAIR,
)

# ---- numbers ------------------------------------------------------------------------------------------------------

program(
    "mlp-forward-backward",
    """
ex = net.simple_bind(mx.cpu(), data=(4, 5))
ex.copy_params_from({k: mx.nd.array(v) for k, v in params.items()})
out = ex.forward(is_train=True, data=data, softmax_label=label)[0].asnumpy()
ex.backward()
result = {'output': out, 'gradients': {k: v for k, v in ex.grad_dict.items() if k != 'softmax_label'}, 'parameters': params, 'data': data}
""",
    MLP,
)
program(
    "mlp-three-sgd-steps",
    """
ex = net.simple_bind(mx.cpu(), data=(4, 5), grad_req={k: 'write' for k in params})
ex.copy_params_from({k: mx.nd.array(v) for k, v in params.items()})
outputs = []
for _ in range(3):
    outputs.append(ex.forward(is_train=True, data=data, softmax_label=label)[0].asnumpy())
    ex.backward()
    for k in sorted(params):
        mx.nd.sgd_update(ex.arg_dict[k], ex.grad_dict[k], lr=0.5, wd=0.01, rescale_grad=0.25, out=ex.arg_dict[k])
result = {'outputs': outputs, 'parameters': {k: ex.arg_dict[k] for k in params}}
""",
    MLP,
)
program(
    "mlp-three-momentum-steps",
    """
ex = net.simple_bind(mx.cpu(), data=(4, 5), grad_req={k: 'write' for k in params})
ex.copy_params_from({k: mx.nd.array(v) for k, v in params.items()})
momentum = {k: mx.nd.zeros(v.shape) for k, v in params.items()}
for _ in range(3):
    ex.forward(is_train=True, data=data, softmax_label=label)
    ex.backward()
    for k in sorted(params):
        mx.nd.sgd_mom_update(ex.arg_dict[k], ex.grad_dict[k], momentum[k], lr=0.2, momentum=0.9, rescale_grad=0.25, out=ex.arg_dict[k])
result = {'parameters': {k: ex.arg_dict[k] for k in params}, 'momentum': momentum}
""",
    MLP,
)
program(
    "mlp-three-rmsprop-steps",
    """
ex = net.simple_bind(mx.cpu(), data=(4, 5), grad_req={k: 'write' for k in params})
ex.copy_params_from({k: mx.nd.array(v) for k, v in params.items()})
n = {k: mx.nd.zeros(v.shape) for k, v in params.items()}
for _ in range(3):
    ex.forward(is_train=True, data=data, softmax_label=label)
    ex.backward()
    for k in sorted(params):
        mx.nd.rmsprop_update(ex.arg_dict[k], ex.grad_dict[k], n[k], lr=0.01, gamma1=0.9, epsilon=1e-6, rescale_grad=0.25, out=ex.arg_dict[k])
result = {'parameters': {k: ex.arg_dict[k] for k in params}, 'n': n}
""",
    MLP,
)
program(
    "mlp-three-adam-steps",
    """
ex = net.simple_bind(mx.cpu(), data=(4, 5), grad_req={k: 'write' for k in params})
ex.copy_params_from({k: mx.nd.array(v) for k, v in params.items()})
mean, var = ({k: mx.nd.zeros(v.shape) for k, v in params.items()} for _ in range(2))
for _ in range(3):
    ex.forward(is_train=True, data=data, softmax_label=label)
    ex.backward()
    for k in sorted(params):
        mx.nd.adam_update(ex.arg_dict[k], ex.grad_dict[k], mean[k], var[k], lr=0.01, rescale_grad=0.25, out=ex.arg_dict[k])
result = {'parameters': {k: ex.arg_dict[k] for k in params}, 'mean': mean, 'var': var}
""",
    MLP,
)
program(
    "mlp-accumulate",
    """
loss = mx.sym.MakeLoss(mx.sym.square(mx.sym.FullyConnected(mx.sym.Activation(mx.sym.FullyConnected(mx.sym.Variable('data'), num_hidden=6, name='fc1'), act_type='tanh'), num_hidden=3, name='fc2')))
ex = loss.simple_bind(mx.cpu(), data=(2, 5), grad_req={k: 'add' for k in params})
ex.copy_params_from({k: mx.nd.array(v) for k, v in params.items()})
for start in (0, 2):
    ex.forward(is_train=True, data=data[start:start + 2])
    ex.backward()
result = {k: v for k, v in ex.grad_dict.items() if v is not None}
""",
    MLP,
)
program(
    "linear-regression",
    """
rng = np.random.RandomState(1)
x, y = rng.normal(size=(10, 5)).astype('float32'), rng.normal(size=(10, 1)).astype('float32')
net = mx.sym.LinearRegressionOutput(mx.sym.FullyConnected(mx.sym.Variable('data'), num_hidden=1, name='fc'), mx.sym.Variable('label'), name='lro')
ex = net.simple_bind(mx.cpu(), data=(10, 5), label=(10, 1))
steps = []
for _ in range(4):
    ex.forward(is_train=True, data=x, label=y)
    ex.backward()
    steps.append([ex.outputs[0].asnumpy(), ex.grad_dict['fc_weight'].asnumpy(), ex.grad_dict['fc_bias'].asnumpy(), ex.grad_dict['data'].asnumpy()])
    for k in ('fc_weight', 'fc_bias'):
        mx.nd.sgd_update(ex.arg_dict[k], ex.grad_dict[k], lr=0.1, rescale_grad=0.1, out=ex.arg_dict[k])
result = steps
""",
)
program(
    "batchnorm-three-steps",
    """
rng = np.random.RandomState(5)
x = mx.sym.Variable('data')
x = mx.sym.Convolution(x, kernel=(3, 3), num_filter=3, pad=(1, 1), no_bias=True, name='c')
x = mx.sym.BatchNorm(x, fix_gamma=False, eps=2e-5, momentum=0.8, name='bn')
x = mx.sym.Activation(x, act_type='tanh', name='t')
net = mx.sym.LinearRegressionOutput(mx.sym.FullyConnected(x, num_hidden=2, name='fc'), mx.sym.Variable('label'), name='lro')
ex = net.simple_bind(mx.cpu(), data=(3, 2, 4, 4), label=(3, 2))
for name in ('c_weight', 'fc_weight', 'fc_bias', 'bn_gamma', 'bn_beta'):
    ex.arg_dict[name][:] = rng.uniform(-0.5, 0.5, ex.arg_dict[name].shape)
ex.aux_dict['bn_moving_var'][:] = 1
steps = []
for _ in range(3):
    ex.forward(is_train=True, data=rng.uniform(-1, 1, (3, 2, 4, 4)), label=rng.uniform(-1, 1, (3, 2)))
    ex.backward()
    steps.append([ex.outputs[0].asnumpy(), ex.aux_dict['bn_moving_mean'].asnumpy(), ex.aux_dict['bn_moving_var'].asnumpy(), {k: v.asnumpy() for k, v in ex.grad_dict.items() if k != 'label'}])
    for k in ('c_weight', 'bn_gamma', 'bn_beta', 'fc_weight', 'fc_bias'):
        mx.nd.sgd_update(ex.arg_dict[k], ex.grad_dict[k], lr=0.1, out=ex.arg_dict[k])
test = ex.forward(is_train=False, data=rng.uniform(-1, 1, (3, 2, 4, 4)))[0]
result = {'steps': steps, 'inference': test, 'mean': ex.aux_dict['bn_moving_mean']}
""",
)
program(
    "lenet",
    """
rng = np.random.RandomState(11)
x = mx.sym.Variable('data')
x = mx.sym.Convolution(x, kernel=(5, 5), num_filter=4, name='c1')
x = mx.sym.Activation(x, act_type='tanh', name='t1')
x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type='max', name='p1')
x = mx.sym.Convolution(x, kernel=(5, 5), num_filter=6, name='c2')
x = mx.sym.Activation(x, act_type='tanh', name='t2')
x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type='max', name='p2')
x = mx.sym.Flatten(x, name='f')
x = mx.sym.FullyConnected(x, num_hidden=12, name='fc1')
x = mx.sym.Activation(x, act_type='tanh', name='t3')
x = mx.sym.FullyConnected(x, num_hidden=10, name='fc2')
net = mx.sym.SoftmaxOutput(x, name='softmax')
ex = net.simple_bind(mx.cpu(), data=(2, 1, 28, 28))
for name in sorted(ex.arg_dict):
    if name not in ('data', 'softmax_label'):
        ex.arg_dict[name][:] = rng.uniform(-0.2, 0.2, ex.arg_dict[name].shape)
out = ex.forward(is_train=True, data=rng.uniform(-1, 1, (2, 1, 28, 28)), softmax_label=np.array([3, 7]))[0].asnumpy()
ex.backward()
result = {'output': out, 'gradients': {k: v for k, v in ex.grad_dict.items() if k != 'softmax_label'}, 'inference': ex.forward(is_train=False)[0]}
""",
)
program(
    "unrolled-rnn",
    """
rng = np.random.RandomState(2)
wi, wh, bias = mx.sym.Variable('wi'), mx.sym.Variable('wh'), mx.sym.Variable('bias')
inputs = mx.sym.SliceChannel(mx.sym.Variable('x'), num_outputs=3, axis=1, squeeze_axis=True, name='steps')
h = mx.sym.zeros(shape=(0, 4), name='begin')
for t in range(3):
    h = mx.sym.Activation(mx.sym.FullyConnected(inputs[t], weight=wi, bias=bias, num_hidden=4, name='i%d' % t) + mx.sym.FullyConnected(h, weight=wh, no_bias=True, num_hidden=4, name='h%d' % t), act_type='tanh', name='t%d' % t)
ex = h.simple_bind(mx.cpu(), x=(2, 3, 5))
for name in sorted(ex.arg_dict):
    ex.arg_dict[name][:] = rng.uniform(-0.7, 0.7, ex.arg_dict[name].shape)
out = ex.forward(is_train=True)[0].asnumpy()
ex.backward(mx.nd.array(rng.uniform(-1, 1, out.shape)))
result = {'output': out, 'gradients': ex.grad_dict, 'arguments': h.list_arguments()}
""",
)
program(
    "embedding-and-pick",
    """
rng = np.random.RandomState(4)
e = mx.sym.Embedding(mx.sym.Variable('words'), input_dim=7, output_dim=3, name='e')
m = mx.sym.mean(e, axis=1)
net = mx.sym.MakeLoss(-mx.sym.pick(mx.sym.log_softmax(mx.sym.FullyConnected(m, num_hidden=4, name='fc')), mx.sym.Variable('label')), name='loss')
req = {'e_weight': 'write', 'fc_weight': 'write', 'fc_bias': 'write'}
ex = net.simple_bind(mx.cpu(), words=(3, 5), grad_req=req)
for name in sorted(req):
    ex.arg_dict[name][:] = rng.uniform(-0.7, 0.7, ex.arg_dict[name].shape)
out = ex.forward(is_train=True, words=rng.randint(0, 7, (3, 5)), label=np.array([0, 3, 1]))[0].asnumpy()
ex.backward()
result = {'output': out, 'gradients': {k: ex.grad_dict[k] for k in req}, 'shapes': net.infer_shape(words=(3, 5))}
""",
)
program(
    "residual-block",
    """
rng = np.random.RandomState(9)
x = mx.sym.Variable('data')
y = mx.sym.Convolution(x, kernel=(3, 3), num_filter=3, pad=(1, 1), no_bias=True, name='c1')
y = mx.sym.Activation(mx.sym.BatchNorm(y, fix_gamma=False, name='b1'), act_type='relu')
y = mx.sym.Convolution(y, kernel=(3, 3), num_filter=3, pad=(1, 1), no_bias=True, name='c2')
y = mx.sym.BatchNorm(y, fix_gamma=True, name='b2')
z = mx.sym.Activation(x + y, act_type='relu')
net = mx.sym.Flatten(mx.sym.Pooling(z, global_pool=True, kernel=(1, 1), pool_type='avg'))
ex = net.simple_bind(mx.cpu(), data=(2, 3, 5, 5))
for name in sorted(ex.arg_dict):
    ex.arg_dict[name][:] = rng.uniform(-0.6, 0.6, ex.arg_dict[name].shape)
ex.arg_dict['b2_gamma'][:] = 1
for name in ex.aux_dict:
    ex.aux_dict[name][:] = 1 if name.endswith('var') else 0.1
out = ex.forward(is_train=True)[0].asnumpy()
ex.backward(mx.nd.array(rng.uniform(-1, 1, out.shape)))
result = {'output': out, 'gradients': {k: v.asnumpy() for k, v in ex.grad_dict.items()}, 'aux': {k: v.asnumpy() for k, v in ex.aux_dict.items()}, 'inference': ex.forward(is_train=False)[0]}
""",
)
program(
    "float64-net",
    """
ex = net.simple_bind(mx.cpu(), type_dict={'data': 'float64'}, data=(4, 5))
for k, v in params.items():
    ex.arg_dict[k][:] = v.astype('float64')
out = ex.forward(is_train=True, data=data, softmax_label=label)[0].asnumpy()
ex.backward()
result = {'output': out, 'gradients': {k: v for k, v in ex.grad_dict.items() if k != 'softmax_label'}}
""",
    MLP,
)
program(
    "dropout-inference",
    """
ex = mx.sym.Dropout(a * 2, p=0.5).bind(mx.cpu(), {'a': mx.nd.array([1.0, 2.0])})
result = [ex.forward(is_train=False)[0]]
""",
    PAIR,
)
program(
    "dropout-training-facts",
    """
ex = mx.sym.Dropout(a, p=0.25).bind(mx.cpu(), {'a': mx.nd.ones((2000,))}, args_grad={'a': mx.nd.zeros((2000,))})
out = ex.forward(is_train=True)[0].asnumpy()
ex.backward(mx.nd.full((2000,), 3.0))
grad = ex.grad_dict['a'].asnumpy()
result = [sorted({round(float(v), 5) for v in out}), bool(abs((out > 0).mean() - 0.75) < 0.05), bool(np.allclose(grad, out * 3))]
""",
    PAIR,
)
program(
    "two-nets-share-parameters",
    """
w = mx.nd.array([[1.0, 2.0], [3.0, 4.0]])
x = mx.sym.Variable('x')
fc = mx.sym.FullyConnected(x, num_hidden=2, no_bias=True, name='fc')
one = fc.bind(mx.cpu(), {'x': mx.nd.ones((1, 2)), 'fc_weight': w})
two = mx.sym.exp(fc * 0.1).bind(mx.cpu(), {'x': mx.nd.ones((3, 2)), 'fc_weight': w})
first = [one.forward()[0].asnumpy(), two.forward()[0].asnumpy()]
w[:] = 1
result = [first, one.forward()[0], two.forward()[0]]
""",
)
program(
    "training-flag",
    """
x = mx.sym.Variable('x')
bn = mx.sym.BatchNorm(x, name='bn', momentum=0.5)
ex = bn.simple_bind(mx.cpu(), x=(2, 1))
ex.arg_dict['bn_gamma'][:] = 1
ex.aux_dict['bn_moving_var'][:] = 1
value = np.array([[1.0], [3.0]], 'float32')
test = ex.forward(is_train=False, x=value)[0].asnumpy()
after_test = ex.aux_dict['bn_moving_mean'].asnumpy()
train = ex.forward(is_train=True, x=value)[0].asnumpy()
ex.backward(mx.nd.ones((2, 1)))
result = [test, after_test, train, ex.aux_dict['bn_moving_mean'].asnumpy(), ex.aux_dict['bn_moving_var'].asnumpy(), ex.forward(is_train=False)[0]]
""",
)
