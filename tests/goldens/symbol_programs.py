"""Small programs about symbols: names, composition, attributes, inference, JSON text. No result of any run is here.

``make_symbols`` runs them on MXNet. How a program is run, and what it may use, is said in ``programs``.
"""

# ruff: noqa: E501  (the lines of a program are read as a program)

from __future__ import annotations

PROGRAMS: dict[str, str] = {}
LOWER_BOUNDS: set[str] = set()
"""Programs about partial shape inference: MXNet's answer is the least that must be known; more may be concluded."""


def program(name: str, source: str, *, lower_bound: bool = False) -> None:
    """Add a program."""
    if name in PROGRAMS:
        raise ValueError(f"two programs are called {name}")
    PROGRAMS[name] = source.strip() + "\n"
    if lower_bound:
        LOWER_BOUNDS.add(name)


# ---- names ----------------------------------------------------------------------------------------------------------

program(
    "names-counters",
    """
a = mx.sym.Variable('a')
result = [s.name for s in (a + 1, a + 2, a * 2, mx.sym.relu(a), a + a, a + 3, mx.sym.relu(a), -a, 1 - a, a ** 2, 2 ** a)]
""",
)
program(
    "names-explicit-does-not-count",
    """
a = mx.sym.Variable('a')
result = [mx.sym.relu(a, name='x').name, mx.sym.relu(a).name, mx.sym.relu(a, name='relu1').name, mx.sym.relu(a).name]
""",
)
program(
    "names-aliases",
    """
a = mx.sym.Variable('a')
result = [f(a).name for f in (mx.sym.flatten, mx.sym.Flatten, mx.sym.identity, mx.sym.stop_gradient, mx.sym.BlockGrad)]
result += [mx.sym.concat(a, a).name, mx.sym.Concat(a, a).name, mx.sym.elemwise_add(a, a).name, (a + a).name]
result += [mx.sym.reshape(a, shape=(1,)).name, mx.sym.Reshape(a, shape=(1,)).name, mx.sym.cast(a, dtype='int32').name]
result += [mx.sym.split(a, num_outputs=2).name, mx.sym.SliceChannel(a, num_outputs=2).name]
result += [mx.sym.swapaxes(a).name, mx.sym.flip(a, axis=0).name, mx.sym.Softmax(a).name, mx.sym.ElementWiseSum(a, a).name]
result += [mx.sym.max_axis(a).name, mx.sym.sum_axis(a).name, mx.sym.broadcast_plus(a, a).name, mx.sym.choose_element_0index(a, a).name]
""",
)
program(
    "names-aliases-operator",
    """
import json
a = mx.sym.Variable('a')
def op(s):
    return [n['op'] for n in json.loads(s.tojson())['nodes']][-1]
result = [op(f(a)) for f in (mx.sym.flatten, mx.sym.identity, mx.sym.stop_gradient, mx.sym.max_axis, mx.sym.Softmax)]
result += [op(mx.sym.concat(a, a)), op(mx.sym.reshape(a, shape=(1,))), op(mx.sym.cast(a, dtype='int32')), op(mx.sym.crop(a, begin=(0,), end=(1,)))]
result += [op(mx.sym.split(a, num_outputs=2)), op(mx.sym.ElementWiseSum(a, a)), op(mx.sym.broadcast_minus(a, a)), op(mx.sym.pad(a, mode='edge', pad_width=(0, 0)))]
""",
)
program(
    "names-manager",
    """
a = mx.sym.Variable('a')
names = [mx.sym.relu(a).name]
with mx.name.NameManager():
    names += [mx.sym.relu(a).name, mx.sym.relu(a).name]
names += [mx.sym.relu(a).name]
with mx.name.Prefix('p_'):
    names += [mx.sym.relu(a).name, mx.sym.relu(a, name='x').name, mx.sym.Variable('v').name]
    with mx.name.Prefix('q_'):
        names += [mx.sym.relu(a).name]
    names += [mx.sym.FullyConnected(a, num_hidden=2).list_arguments()]
names += [mx.sym.relu(a).name]
result = names
""",
)
program(
    "names-own-manager",
    """
class Mine(mx.name.NameManager):
    def get(self, name, hint):
        return 'mine_' + (name or hint)
a = mx.sym.Variable('a')
with Mine():
    result = [mx.sym.relu(a).name, mx.sym.relu(a, name='x').name, (a + 1).name]
""",
)
program(
    "names-outputs",
    """
a = mx.sym.Variable('a')
bn = mx.sym.BatchNorm(a, name='bn', output_mean_var=True)
result = {
    'variable': a.list_outputs(),
    'relu': mx.sym.relu(a, name='r').list_outputs(),
    'split': mx.sym.SliceChannel(a, num_outputs=2, name='s').list_outputs(),
    'split1': mx.sym.SliceChannel(a, num_outputs=1, name='s').list_outputs(),
    'bn': mx.sym.BatchNorm(a, name='bn').list_outputs(),
    'bn3': bn.list_outputs(),
    'ln3': mx.sym.LayerNorm(a, name='ln', output_mean_var=True).list_outputs(),
    'topk': mx.sym.topk(a, ret_typ='both', name='t').list_outputs(),
    'make_loss': mx.sym.make_loss(a, name='m').list_outputs(),
    'MakeLoss': mx.sym.MakeLoss(a, name='m').list_outputs(),
    'dropout': mx.sym.Dropout(a, name='d').list_outputs(),
    'rrelu': mx.sym.LeakyReLU(a, act_type='rrelu', name='l').list_outputs(),
}
""",
)
program(
    "names-automatic-inputs",
    """
a = mx.sym.Variable('a')
result = {
    'fc': mx.sym.FullyConnected(a, num_hidden=3, name='fc').list_arguments(),
    'fc no bias': mx.sym.FullyConnected(a, num_hidden=3, no_bias=True, name='fc').list_arguments(),
    'fc without data': mx.sym.FullyConnected(num_hidden=3, name='fc').list_arguments(),
    'fc weight given': mx.sym.FullyConnected(a, weight=mx.sym.Variable('w'), num_hidden=3, name='fc').list_arguments(),
    'fc bias given': mx.sym.FullyConnected(a, bias=mx.sym.Variable('b'), num_hidden=3, name='fc').list_arguments(),
    'conv': mx.sym.Convolution(a, kernel=(3, 3), num_filter=2, name='c').list_arguments(),
    'deconv': mx.sym.Deconvolution(a, kernel=(3, 3), num_filter=2, name='c').list_arguments(),
    'bn': [mx.sym.BatchNorm(a, name='bn').list_arguments(), mx.sym.BatchNorm(a, name='bn').list_auxiliary_states()],
    'ln': mx.sym.LayerNorm(a, name='ln').list_arguments(),
    'embedding': mx.sym.Embedding(a, input_dim=3, output_dim=2, name='e').list_arguments(),
    'softmax': mx.sym.SoftmaxOutput(a, name='s').list_arguments(),
    'linear': mx.sym.LinearRegressionOutput(a, name='s').list_arguments(),
    'prelu': mx.sym.LeakyReLU(a, act_type='prelu', name='l').list_arguments(),
    'leaky': mx.sym.LeakyReLU(a, act_type='leaky', name='l').list_arguments(),
    'softmax length': mx.sym.softmax(a, use_length=True, name='s').list_arguments(),
    'softmax plain': mx.sym.softmax(a, name='s').list_arguments(),
    'dot': mx.sym.dot(name='d').list_arguments(),
    'add': mx.sym.elemwise_add(a, name='d').list_arguments(),
    'where': mx.sym.where(a, name='w').list_arguments(),
    'take': mx.sym.take(a, name='w').list_arguments(),
    'relu': mx.sym.relu(name='r').list_arguments(),
    'automatic': mx.sym.FullyConnected(a, num_hidden=3).list_arguments(),
}
""",
)
program(
    "names-equal",
    """
a, b = mx.sym.Variable('x'), mx.sym.Variable('x')
c = a + b
result = [c.list_arguments(), (a + a).list_arguments(), c.list_inputs(), (mx.sym.relu(a, name='r') + mx.sym.relu(a, name='r')).get_internals().list_outputs()]
""",
)

# ---- composition ----------------------------------------------------------------------------------------------------

program(
    "compose-mlp",
    """
x = mx.sym.Variable('data')
x = mx.sym.FullyConnected(x, name='fc1', num_hidden=8)
x = mx.sym.Activation(x, name='relu1', act_type='relu')
x = mx.sym.FullyConnected(x, name='fc2', num_hidden=3)
net = mx.sym.SoftmaxOutput(x, name='softmax')
result = [net.name, net.list_arguments(), net.list_outputs(), net.list_auxiliary_states(), net.list_inputs(), net.get_internals().list_outputs(), len(net), repr(net)]
""",
)
program(
    "compose-order-of-arguments",
    """
a, b, c, d = (mx.sym.Variable(n) for n in 'abcd')
net = mx.sym.FullyConnected(c * (a + b), bias=d, num_hidden=2, name='fc') + mx.sym.relu(b)
result = [net.list_arguments(), net.get_internals().list_outputs()]
""",
)
program(
    "compose-keywords-and-positions",
    """
a, b = mx.sym.Variable('a'), mx.sym.Variable('b')
result = [
    mx.sym.dot(a, b).list_arguments(),
    mx.sym.dot(rhs=a, lhs=b).list_arguments(),
    mx.sym.dot(b, rhs=a).list_arguments(),
    mx.sym.elemwise_sub(rhs=a, lhs=b).list_arguments(),
    mx.sym.Concat(a, b, dim=0).list_arguments(),
    mx.sym.add_n(a, b, a).list_arguments(),
]
""",
)
program(
    "compose-errors",
    """
a, b = mx.sym.Variable('a'), mx.sym.Variable('b')
two = mx.sym.SliceChannel(a, num_outputs=2)
net = mx.sym.FullyConnected(a, num_hidden=2, name='fc')
result = {
    'too many inputs': raises(lambda: mx.sym.relu(a, b)),
    'unknown parameter': raises(lambda: mx.sym.FullyConnected(a, num_hidden=2, nr=3)),
    'missing parameter': raises(lambda: mx.sym.FullyConnected(a)),
    'bad value': raises(lambda: mx.sym.FullyConnected(a, num_hidden='many')),
    'bad enum': raises(lambda: mx.sym.Activation(a, act_type='swish')),
    'bad bool': raises(lambda: mx.sym.FullyConnected(a, num_hidden=2, no_bias='maybe')),
    'number as input': raises(lambda: mx.sym.relu(3)),
    'array as input': raises(lambda: mx.sym.relu(np.ones(3))),
    'two outputs as one input': raises(lambda: mx.sym.relu(two)),
    'two outputs in an operator': raises(lambda: two + a),
    'input twice': raises(lambda: mx.sym.relu(a, data=b)),
    'aux from an expression': raises(lambda: mx.sym.BatchNorm(a, moving_mean=a + 1)),
    'call by position': raises(lambda: net(b)),
    'call with an unknown name': raises(lambda: net(nothing=b)),
    'call with a number': raises(lambda: net(a=3)),
    'negative num_hidden': raises(lambda: mx.sym.FullyConnected(a, num_hidden=-1)),
    'variable without name': raises(lambda: mx.sym.Variable()),
    'variable with a number': raises(lambda: mx.sym.Variable(3)),
    'unknown operator': raises(lambda: mx.sym.NoSuchOperator(a)),
}
""",
)
program(
    "compose-call",
    """
a, b = mx.sym.Variable('a'), mx.sym.Variable('b')
net = mx.sym.FullyConnected(a, num_hidden=2, name='fc')
new = net(a=mx.sym.relu(b, name='r'))
renamed = net(a=b, name='other')
result = [new.list_arguments(), new.name, net.list_arguments(), renamed.name, renamed.list_arguments(), renamed.list_outputs(), net.name]
""",
)
program(
    "compose-call-weights",
    """
a = mx.sym.Variable('a')
net = mx.sym.FullyConnected(a, num_hidden=2, name='fc')
w = mx.sym.Variable('w')
new = net(fc_weight=w, fc_bias=mx.sym.Variable('b'))
twice = mx.sym.FullyConnected(net, num_hidden=2, name='fc2')(fc_weight=w, fc2_weight=w)
result = [new.list_arguments(), twice.list_arguments(), new.tojson()]
""",
)
program(
    "compose-call-chain",
    """
a, b = mx.sym.Variable('a'), mx.sym.Variable('b')
first = mx.sym.exp(a, name='e')
second = mx.sym.log(b, name='l')
result = [second(b=first).list_arguments(), second(b=first).get_internals().list_outputs(), first(a=second(b=first)).get_internals().list_outputs()]
""",
)
program(
    "compose-call-group",
    """
a, b = mx.sym.Variable('a'), mx.sym.Variable('b')
g = mx.sym.Group([mx.sym.exp(a, name='e'), mx.sym.log(b, name='l')])
new = g(a=b)
result = [new.list_arguments(), new.list_outputs()]
""",
)
program(
    "compose-shared",
    """
x, w = mx.sym.Variable('x'), mx.sym.Variable('w')
one = mx.sym.FullyConnected(x, weight=w, no_bias=True, num_hidden=4, name='one')
two = mx.sym.FullyConnected(one, weight=w, no_bias=True, num_hidden=4, name='two')
result = [two.list_arguments(), two.infer_shape(x=(2, 4)), two.tojson()]
""",
)
program(
    "compose-multi-output",
    """
x = mx.sym.Variable('x')
s = mx.sym.SliceChannel(x, num_outputs=3, name='s')
net = s[0] + s[2] * s['s_output1']
result = [net.list_arguments(), net.get_internals().list_outputs(), net.tojson(), len(s), [o.name for o in s], [o.list_outputs() for o in s]]
""",
)
program(
    "compose-aux",
    """
x = mx.sym.Variable('x')
a = mx.sym.BatchNorm(x, name='a')
mean = mx.sym.Variable('m')
b = mx.sym.BatchNorm(a, moving_mean=mean, name='b')
result = [b.list_arguments(), b.list_auxiliary_states(), b.list_inputs(), b.tojson()]
""",
)
program(
    "compose-aux-shared",
    """
x, m, v = (mx.sym.Variable(n) for n in ('x', 'm', 'v'))
a = mx.sym.BatchNorm(x, moving_mean=m, moving_var=v, name='a')
b = mx.sym.BatchNorm(a, moving_mean=m, moving_var=v, name='b')
c = b + m
result = [c.list_arguments(), c.list_auxiliary_states(), c.tojson()]
""",
)
program(
    "compose-dots",
    """
x = mx.sym.Variable('x')
result = [mx.sym.Activation(data=x, act_type='relu', name='a').tojson()]
""",
)

# ---- groups, indexing, internals ------------------------------------------------------------------------------------

program(
    "group",
    """
a, b = mx.sym.Variable('a'), mx.sym.Variable('b')
s = mx.sym.SliceChannel(a, num_outputs=2, name='s')
g = mx.sym.Group([mx.sym.exp(b, name='e'), s, a, s[1]])
result = [g.list_outputs(), g.list_arguments(), g.name, len(g), repr(g), repr(a), [x.name for x in g], g.tojson(), g['e_output'].name, g[1].list_outputs(), g[1:3].list_outputs()]
""",
)
program(
    "group-errors",
    """
a = mx.sym.Variable('a')
g = mx.sym.Group([mx.sym.exp(a, name='e'), mx.sym.log(a, name='l')])
result = {
    'empty': raises(lambda: mx.sym.Group([])),
    'not symbols': raises(lambda: mx.sym.Group([a, 3])),
    'index too large': raises(lambda: g[2]),
    'negative': raises(lambda: g[-1]),
    'unknown name': raises(lambda: g['nothing']),
    'float': raises(lambda: g[1.0]),
    'single, one': raises(lambda: a[1]),
    'single, zero': a[0].name,
    'as operand': raises(lambda: g + 1),
    'as input': raises(lambda: mx.sym.relu(g)),
}
""",
)
program(
    "group-nested",
    """
a, b = mx.sym.Variable('a'), mx.sym.Variable('b')
g = mx.sym.Group([mx.sym.Group([a, b]), mx.sym.exp(a, name='e')])
h = mx.sym.Group([a, a])
result = [g.list_outputs(), g.list_arguments(), h.list_outputs(), h.list_arguments(), mx.sym.Group([a]).name, len(h)]
""",
)
program(
    "group-duplicate-names",
    """
a = mx.sym.Variable('a')
g = mx.sym.Group([mx.sym.exp(a, name='e'), mx.sym.log(a, name='e')])
result = [g.list_outputs(), raises(lambda: g['e_output'])]
""",
)
program(
    "internals",
    """
x = mx.sym.Variable('data')
fc = mx.sym.FullyConnected(x, num_hidden=3, name='fc')
bn = mx.sym.BatchNorm(fc, name='bn')
net = mx.sym.Dropout(bn, name='d')
i = net.get_internals()
result = [i.list_outputs(), i['fc_output'].list_arguments(), i['fc_output'].name, i['data'].name, i[1].name, len(i), i.list_arguments(), i.list_auxiliary_states(), i.tojson(), i.name]
""",
)
program(
    "internals-after-slice",
    """
x = mx.sym.Variable('data')
s = mx.sym.SliceChannel(x, num_outputs=2, name='s')
net = mx.sym.exp(s[1], name='e')
i = net.get_internals()
result = [i.list_outputs(), i['s_output0'].list_outputs(), net.get_children().list_outputs(), s[1].get_children().list_outputs()]
""",
)
program(
    "children",
    """
x = mx.sym.Variable('data')
fc = mx.sym.FullyConnected(x, num_hidden=3, name='fc')
result = [fc.get_children().list_outputs(), x.get_children(), mx.sym.Group([fc, x]).get_children().list_outputs(), (fc + x).get_children().list_outputs(), fc.get_children().get_children() is None]
""",
)
program(
    "iteration",
    """
x = mx.sym.Variable('data')
s = mx.sym.SliceChannel(x, num_outputs=3, name='s')
a, b, c = s
result = [[o.name for o in s], a.list_outputs(), [o.list_outputs() for o in s[1:]], s[0:3:2].list_outputs(), [o.name for o in x], raises(lambda: s[::-1])]
""",
)

# ---- overloads ------------------------------------------------------------------------------------------------------

program(
    "overloads-symbols",
    """
import json
a, b = mx.sym.Variable('a'), mx.sym.Variable('b')
def facts(s):
    n = json.loads(s.tojson())['nodes'][-1]
    return [n['op'], n['name'], n.get('attrs', {}), s.list_arguments()]
result = {
    '+': facts(a + b), '-': facts(a - b), '*': facts(a * b), '/': facts(a / b), '%': facts(a % b), '**': facts(a ** b),
    '>': facts(a > b), '>=': facts(a >= b), '<': facts(a < b), '<=': facts(a <= b), '==': facts(a == b), '!=': facts(a != b),
    'neg': facts(-a), 'abs': facts(abs(a)),
}
""",
)
program(
    "overloads-numbers",
    """
import json
a = mx.sym.Variable('a')
def facts(s):
    n = json.loads(s.tojson())['nodes'][-1]
    return [n['op'], n['name'], n.get('attrs', {})]
result = {
    'a+': facts(a + 2), '+a': facts(2 + a), 'a-': facts(a - 2.5), '-a': facts(2.5 - a), 'a*': facts(a * 1e-8), '*a': facts(3 * a),
    'a/': facts(a / 3), '/a': facts(3 / a), 'a%': facts(a % 3), '%a': facts(3 % a), 'a**': facts(a ** 0.5), '**a': facts(2 ** a),
    'a>': facts(a > 1), '>a': facts(1 > a), 'a>=': facts(a >= 1), '>=a': facts(1 >= a), 'a<': facts(a < 1), '<a': facts(1 < a),
    'a<=': facts(a <= 1), '<=a': facts(1 <= a), 'a==': facts(a == 1), '==a': facts(1 == a), 'a!=': facts(a != 1), '!=a': facts(1 != a),
    'np.float32': facts(a + np.float32(2)), 'np.float64': facts(a + np.float64(0.1)), 'np.int64': facts(a + np.int64(2)), 'tiny': facts(a + 1e-30), 'inf': facts(a + float('inf')),
}
""",
)
program(
    "overloads-errors",
    """
a, b = mx.sym.Variable('a'), mx.sym.Variable('b')
def iadd():
    x = a
    x += b
def imul():
    x = a
    x *= 2
result = {
    'string': raises(lambda: a + 'x'), 'none': raises(lambda: a * None), 'list': raises(lambda: a + [1]),
    'floordiv': raises(lambda: a // 2), 'matmul': raises(lambda: a @ b), 'and': raises(lambda: a & b), 'or': raises(lambda: a | b), 'invert': raises(lambda: ~a),
    'pos': raises(lambda: +a), 'shift': raises(lambda: a << 1), 'bool': raises(lambda: bool(a)), 'not': raises(lambda: not a),
    'int': raises(lambda: int(a)), 'float': raises(lambda: float(a)), 'hash': raises(lambda: hash(a)), 'round': raises(lambda: round(a)),
    'iadd': raises(iadd), 'imul': raises(imul), 'True': raises(lambda: a + True), 'divmod': raises(lambda: divmod(a, 2)),
}
""",
)
program(
    "overloads-functions",
    """
import json
a, b = mx.sym.Variable('a'), mx.sym.Variable('b')
def facts(s):
    n = json.loads(s.tojson())['nodes'][-1]
    return [n['op'], n['name'], n.get('attrs', {}), s.list_arguments()]
result = {
    'pow': [facts(mx.sym.pow(a, b)), facts(mx.sym.pow(a, 2)), facts(mx.sym.pow(2, a)), mx.sym.pow(2, 3)],
    'power': [facts(mx.sym.power(a, b))],
    'maximum': [facts(mx.sym.maximum(a, b)), facts(mx.sym.maximum(a, 2)), facts(mx.sym.maximum(2, a)), mx.sym.maximum(2, 3)],
    'minimum': [facts(mx.sym.minimum(a, b)), facts(mx.sym.minimum(a, 2)), facts(mx.sym.minimum(2, a)), mx.sym.minimum(2, 3)],
    'hypot': [facts(mx.sym.hypot(a, b)), facts(mx.sym.hypot(a, 2)), facts(mx.sym.hypot(2, a)), mx.sym.hypot(3, 4)],
}
""",
)
program(
    "overloads-methods",
    """
import json
a, b = mx.sym.Variable('a'), mx.sym.Variable('b')
def facts(s):
    n = json.loads(s.tojson())['nodes'][-1]
    return [n['op'], n['name'], n.get('attrs', {})]
result = [facts(s) for s in (
    a.reshape((2, 3)), a.reshape(shape=(-1, 0)), a.reshape((2, 3), reverse=True), a.flatten(), a.transpose(), a.transpose(axes=(1, 0)), a.expand_dims(axis=1), a.squeeze(),
    a.astype('float16'), a.sum(), a.sum(axis=1, keepdims=True), a.mean(axis=(0, 1)), a.max(axis=0), a.min(), a.prod(), a.norm(), a.argmax(axis=1), a.argmin(axis=1),
    a.slice(begin=(0,), end=(1,)), a.slice_axis(axis=0, begin=0, end=1), a.split(num_outputs=2), a.swapaxes(0, 1), a.flip(axis=0), a.tile(reps=(2,)), a.repeat(repeats=2),
    a.take(b), a.one_hot(depth=3), a.pick(b), a.clip(0, 1), a.abs(), a.exp(), a.log(), a.sqrt(), a.square(), a.sign(), a.relu(), a.sigmoid(), a.softmax(), a.log_softmax(), a.round(), a.tanh(),
    a.broadcast_to((2, 3)), a.broadcast_axes(axis=0, size=2), a.pad(mode='edge', pad_width=(0, 0, 0, 0, 1, 1, 1, 1)), a.zeros_like(), a.ones_like(), a.sort(), a.argsort(), a.topk(), a.slice_like(b), a.broadcast_like(b), a.rsqrt(), a.reciprocal(), a.expm1(), a.log1p(), a.degrees(),
)]
""",
)
program(
    "overloads-not-on-symbols",
    """
a = mx.sym.Variable('a')
result = {name: raises(lambda: getattr(a, name)()) for name in ('asnumpy', 'asscalar', 'wait_to_read', 'copy', 'detach', 'backward')}
""",
)

# ---- attributes -----------------------------------------------------------------------------------------------------

program(
    "attr-variable",
    """
v = mx.sym.Variable('v', shape=(2, 3), lr_mult=0.5, wd_mult=2, dtype='float64', init=mx.init.Zero())
w = mx.sym.Variable('w', attr={'a': 'b', 'lr_mult': '3'}, dtype=np.float16)
u = mx.sym.Variable('u', __mine__='7', stype='default')
result = [v.list_attr(), v.attr_dict(), w.list_attr(), w.attr('a'), w.attr('lr_mult'), w.attr('__lr_mult__'), v.attr('missing'), u.list_attr(), v.tojson(), w.tojson()]
""",
)
program(
    "attr-variable-init",
    """
result = [
    mx.sym.Variable('a', init=mx.init.Constant(0.5)).attr('__init__'),
    mx.sym.Variable('a', init=mx.init.Uniform(0.1)).attr('__init__'),
    mx.sym.Variable('a', init=mx.init.Xavier()).attr('__init__'),
    mx.sym.Variable('a', init='zeros').attr('__init__'),
    mx.sym.Variable('a', init=mx.init.Normal(0.1)).attr('__init__'),
    mx.sym.Variable('a', init=mx.init.One()).attr('__init__'),
]
""",
)
program(
    "attr-variable-errors",
    """
result = {
    'unknown keyword': raises(lambda: mx.sym.Variable('v', colour='red')),
    'attr value not a string': raises(lambda: mx.sym.Variable('v', attr={'a': 3})),
    'scope value not a string': raises(lambda: mx.AttrScope(a=3)),
    'operator attr not a string': raises(lambda: mx.sym.relu(mx.sym.Variable('a'), attr={'a': 3})),
    'operator attr on an argument': raises(lambda: mx.sym.FullyConnected(mx.sym.Variable('a'), num_hidden=2, attr={'weight_lr_mult': '3'})),
}
""",
)
program(
    "attr-scope",
    """
with mx.AttrScope(ctx_group='one', __colour__='red'):
    a = mx.sym.Variable('a')
    fc = mx.sym.FullyConnected(a, num_hidden=2, name='fc')
    with mx.AttrScope(__colour__='blue', __size__='3'):
        b = mx.sym.relu(fc, name='r', attr={'__colour__': 'green'})
        c = mx.sym.exp(b, name='e')
d = mx.sym.log(c, name='l')
result = [a.list_attr(), b.attr('__colour__'), b.attr('ctx_group'), c.attr('__colour__'), fc.list_attr(), c.attr('__size__'), d.list_attr(), d.attr_dict(), d.tojson()]
""",
)
program(
    "attr-scope-plain-keys",
    """
with mx.AttrScope(colour='red'):
    a = mx.sym.Variable('a')
    relu = mx.sym.relu(a, name='r')
    plus = raises(lambda: a + 1)
    fc = raises(lambda: mx.sym.FullyConnected(a, num_hidden=2, name='fc'))
result = [a.list_attr(), relu.list_attr(), plus, fc, raises(lambda: mx.sym.FullyConnected(a, num_hidden=2, attr={'mood': 'happy'}))]
""",
)
program(
    "attr-scope-nested-order",
    """
with mx.AttrScope(x='1', y='2'):
    with mx.AttrScope(y='3', z='4'):
        a = mx.sym.Variable('a', attr={'z': '5'})
    b = mx.sym.Variable('b')
c = mx.sym.Variable('c')
result = [a.list_attr(), b.list_attr(), c.list_attr()]
""",
)
program(
    "attr-operator",
    """
a = mx.sym.Variable('a')
fc = mx.sym.FullyConnected(a, num_hidden=2, name='fc', attr={'__hidden__': 'x', 'lr_mult': '0.1'})
result = [fc.attr('num_hidden'), fc.attr('__hidden__'), fc.attr('lr_mult'), fc.attr('__lr_mult__'), fc.list_attr(), fc.attr_dict()]
""",
)
program(
    "attr-set",
    """
a = mx.sym.Variable('a')
b = mx.sym.relu(a, name='r')
b._set_attr(mood='happy', other='x')
a._set_attr(lr_mult='3')
result = [b.attr('mood'), b.list_attr(), a.list_attr(), a.attr('__lr_mult__'), b.attr_dict(), raises(lambda: b._set_attr(x=3))]
""",
)
program(
    "attr-dict-mlp",
    """
x = mx.sym.Variable('data', lr_mult=0.1)
x = mx.sym.Convolution(x, name='c', kernel=(3, 3), num_filter=4, pad=(1, 1))
x = mx.sym.BatchNorm(x, name='bn', fix_gamma=False)
x = mx.sym.Pooling(x, name='p', kernel=(2, 2), stride=(2, 2), pool_type='max')
net = mx.sym.FullyConnected(x, name='fc', num_hidden=10)
result = [net.attr_dict(), net.list_attr()]
""",
)
program(
    "attr-text",
    """
a = mx.sym.Variable('a')
result = [
    mx.sym.Convolution(a, kernel=[3, 3], num_filter=np.int64(2), stride=(1, 1), no_bias=True, name='c').list_attr(),
    mx.sym.Convolution(a, kernel='(3, 3)', num_filter='2', name='c').list_attr(),
    mx.sym.Dropout(a, p=0.30000000000000004, name='d').list_attr(),
    mx.sym.BatchNorm(a, eps=1e-5, momentum=np.float32(0.9), fix_gamma=0, name='b').list_attr(),
    mx.sym.sum(a, axis=None, keepdims=True, name='s').list_attr(),
    mx.sym.sum(a, axis=[0, 1], name='s').list_attr(),
    mx.sym.Cast(a, dtype=np.float16, name='c').list_attr(),
    mx.sym.Cast(a, dtype='int32', name='c').list_attr(),
    mx.sym.one_hot(a, depth=3, dtype=np.int64, on_value=2, name='o').list_attr(),
    mx.sym.slice(a, begin=(None, 1), end=(2, None), name='s').list_attr(),
    mx.sym.clip(a, 0, 6, name='c').list_attr(),
    mx.sym.clip(a, a_min=-1.5, a_max=1e10, name='c').list_attr(),
    mx.sym.transpose(a, axes=(1, 0), name='t').list_attr(),
    mx.sym.Concat(a, a, dim=0, name='c').list_attr(),
    mx.sym.add_n(a, a, name='c').list_attr(),
    mx.sym.stack(a, a, axis=1, name='c').list_attr(),
    mx.sym.SoftmaxOutput(a, grad_scale=1.0 / 3, use_ignore=True, name='c').list_attr(),
    mx.sym.softmax(a, axis=-1, temperature=2, name='c').list_attr(),
    mx.sym.Reshape(a, shape=(-1, 0), name='c').list_attr(),
    mx.sym.Pooling(a, global_pool=True, pool_type='avg', kernel=(1, 1), name='c').list_attr(),
]
""",
)
program(
    "attr-values-accepted",
    """
a = mx.sym.Variable('a')
fc = lambda v: mx.sym.FullyConnected(a, num_hidden=v)
nb = lambda v: mx.sym.FullyConnected(a, num_hidden=2, no_bias=v)
cv = lambda v: mx.sym.Convolution(a, kernel=v, num_filter=2)
dr = lambda v: mx.sym.Dropout(a, p=v)
sm = lambda v: mx.sym.sum(a, axis=v)
result = {
    'int': [raises(lambda: fc(v)) for v in ('3', ' 3 ', '+3', '3.0', '0x3', '3L', 3.0, 3.5, None, True, '')],
    'bool': [raises(lambda: nb(v)) for v in ('1', '0', 'true', 'FALSE', 'True', ' 1', 'yes', '2', 1, 0, None, 1.0)],
    'tuple': [raises(lambda: cv(v)) for v in ('(3,3)', '[3, 3]', '3', '(3)', '(3,)', '3,3', '(3.0,3)', '(3L, 3L)', '( 3 , 3 )', '(3,3,)', '', '()', (3, 3.0), (3, None))],
    'float': [raises(lambda: dr(v)) for v in ('0.5', '.5', '5e-1', '0.5f', ' 0.5', '0.5 ', 'nan', '1e-50', '0x1', None, True)],
    'shape or None': [raises(lambda: sm(v)) for v in ('None', None, 'none', '(0,)', '0', '-1', '[0]', '', '1.0')],
}
""",
)

# ---- shapes ---------------------------------------------------------------------------------------------------------

program(
    "shape-mlp",
    """
x = mx.sym.Variable('data')
x = mx.sym.FullyConnected(x, name='fc1', num_hidden=8)
x = mx.sym.Activation(x, name='relu1', act_type='relu')
net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, name='fc2', num_hidden=3), name='softmax')
result = [net.infer_shape(data=(4, 5)), net.infer_shape(data=(4, 5), softmax_label=(4,)), net.infer_shape(data=(4, 2, 3))]
""",
)
program(
    "shape-incomplete",
    """
x = mx.sym.Variable('data')
net = mx.sym.FullyConnected(x, name='fc1', num_hidden=8)
result = [net.infer_shape_partial()]
for given in (
    {'fc1_weight': (8, 5)},
    {'data': (0, 5)},
    {'data': (4, 0)},
    {'data': (4, 5)},
    {'data': (4, 0), 'fc1_weight': (8, 5)},
    {'data': (0, 5), 'fc1_weight': (0, 5)},
    {'data': (0, 2, 5)},
    {'data': (4, 0, 5)},
):
    try:
        result.append(net.infer_shape_partial(**given))
    except Exception:
        result.append('refused')
""",
    lower_bound=True,
)
program(
    "shape-incomplete-full",
    """
import warnings
x, y = mx.sym.Variable('x'), mx.sym.Variable('y')
with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    result = [(x + y).infer_shape(), mx.sym.dot(x, y).infer_shape(x=(2, 3)), (x + y).infer_shape(x=(2, 0))]
""",
    lower_bound=True,
)
program(
    "shape-errors",
    """
x, y = mx.sym.Variable('x'), mx.sym.Variable('y')
fc = mx.sym.FullyConnected(x, num_hidden=3, name='fc')
result = {
    'conflict': raises(lambda: (x + y).infer_shape(x=(2, 3), y=(3, 2))),
    'weight': raises(lambda: fc.infer_shape(x=(2, 3), fc_weight=(3, 4))),
    'both ways of giving': raises(lambda: fc.infer_shape((2, 3), x=(2, 3))),
    'not a tuple': raises(lambda: fc.infer_shape(x=3)),
    'partial conflict': raises(lambda: (x + y).infer_shape_partial(x=(2, 3), y=(3, 2))),
}
""",
)
program(
    "shape-unknown-name",
    """
x = mx.sym.Variable('x')
fc = mx.sym.FullyConnected(x, num_hidden=3, name='fc')
result = [raises(lambda: fc.infer_shape(x=(2, 3), label=(2,))), raises(lambda: fc.infer_shape_partial(x=(2, 3), label=(2,))), raises(lambda: fc.infer_type(label='float32'))]
""",
)
program(
    "shape-variable-attribute",
    """
x = mx.sym.Variable('x', shape=(2, 5))
w = mx.sym.Variable('w', shape=(0, 5))
net = mx.sym.FullyConnected(x, weight=w, num_hidden=3, name='fc')
result = [net.infer_shape(), net.infer_shape(x=(4, 5)), raises(lambda: net.infer_shape(x=(4, 6)))]
""",
)
program(
    "shape-elementwise-both-ways",
    """
x, y = mx.sym.Variable('x'), mx.sym.Variable('y')
result = [
    (x + y).infer_shape(x=(2, 3)),
    (x * y).infer_shape(y=(2, 3)),
    (x + y).infer_shape(x=(2, 0), y=(0, 3)),
    (mx.sym.exp(x) + y).infer_shape(y=(2, 3)),
    (mx.sym.Activation(x, act_type='relu') - y).infer_shape(y=(2, 3)),
    (x * 2 + 1 - y).infer_shape(y=(2, 3)),
    mx.sym.add_n(x, mx.sym.relu(y)).infer_shape(x=(3,)),
    (mx.sym.Dropout(x) + y).infer_shape(y=(2, 3)),
    (mx.sym.softmax(x) + y).infer_shape(y=(2, 3)),
    (mx.sym.BlockGrad(x) + y).infer_shape(y=(2, 3)),
    (mx.sym.clip(x, 0, 1) + y).infer_shape(y=(2, 3)),
    (mx.sym.Cast(x, dtype='float32') + y).infer_shape(y=(2, 3)),
    (mx.sym.LeakyReLU(x) + y).infer_shape(y=(2, 3)),
]
""",
    lower_bound=True,
)
program(
    "shape-backwards",
    """
x, y = mx.sym.Variable('x'), mx.sym.Variable('y', shape=(2, 3))
cases = {
    'transpose': mx.sym.transpose(x),
    'transpose axes': mx.sym.transpose(x, axes=(1, 0)),
    'Flatten': mx.sym.Flatten(x),
    'Reshape': mx.sym.Reshape(x, shape=(2, 3)),
    'expand_dims': mx.sym.Reshape(mx.sym.expand_dims(x, axis=0), shape=(-3, 0)),
    'FullyConnected': mx.sym.FullyConnected(x, num_hidden=3, name='fc'),
    'FullyConnected no flatten': mx.sym.FullyConnected(x, num_hidden=3, name='fc', flatten=False),
    'dot': mx.sym.dot(x, mx.sym.Variable('z')),
    'sum': mx.sym.sum(x, axis=0),
    'sum keepdims': mx.sym.sum(x, axis=0, keepdims=True),
    'Concat': mx.sym.Concat(x, mx.sym.Variable('z'), dim=1),
    'slice_axis': mx.sym.slice_axis(x, axis=0, begin=0, end=2),
    'broadcast_add': mx.sym.broadcast_add(x, mx.sym.Variable('z')),
    'BatchNorm': mx.sym.BatchNorm(x, name='bn'),
    'LayerNorm': mx.sym.LayerNorm(x, name='ln'),
    'stack': mx.sym.Reshape(mx.sym.stack(x, mx.sym.Variable('z')), shape=(-3, 0)),
    'SwapAxis': mx.sym.SwapAxis(x, dim1=0, dim2=1),
    'Embedding': mx.sym.Embedding(x, input_dim=4, output_dim=3, name='e'),
    'where': mx.sym.where(mx.sym.Variable('c'), x, mx.sym.Variable('z')),
    'SoftmaxOutput': mx.sym.SoftmaxOutput(x, name='s'),
    'LinearRegressionOutput': mx.sym.LinearRegressionOutput(x, name='s'),
    'zeros': mx.sym.zeros(shape=(0, 3)),
    'split': mx.sym.SliceChannel(x, num_outputs=2, axis=1)[0],
    'squeeze': mx.sym.squeeze(x, axis=0),
    'tile': mx.sym.tile(x, reps=(1, 1)),
    'pick': mx.sym.pick(x, mx.sym.Variable('z')),
    'take': mx.sym.take(x, mx.sym.Variable('z')),
    'one_hot': mx.sym.one_hot(x, depth=3),
}
result = {}
for name, symbol in cases.items():
    net = symbol + y
    try:
        result[name] = [net.list_arguments(), net.infer_shape_partial()]
    except Exception:
        result[name] = 'refused'
""",
    lower_bound=True,
)
program(
    "shape-begin-state",
    """
x = mx.sym.Variable('x')
h = mx.sym.zeros(shape=(0, 4), name='h')
i2h = mx.sym.FullyConnected(x, num_hidden=4, name='i2h')
h2h = mx.sym.FullyConnected(h, num_hidden=4, name='h2h')
net = mx.sym.Activation(i2h + h2h, act_type='tanh', name='t')
result = [net.infer_shape(x=(5, 3)), net.get_internals().infer_shape(x=(5, 3))]
""",
)
program(
    "shape-convnet",
    """
x = mx.sym.Variable('data')
x = mx.sym.Convolution(x, kernel=(5, 5), num_filter=6, name='c1')
x = mx.sym.Activation(x, act_type='tanh', name='t1')
x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type='max', name='p1')
x = mx.sym.Convolution(x, kernel=(3, 3), num_filter=8, num_group=2, pad=(1, 1), no_bias=True, name='c2')
x = mx.sym.BatchNorm(x, name='bn')
x = mx.sym.Flatten(x, name='f')
net = mx.sym.FullyConnected(x, num_hidden=10, name='fc')
result = [net.infer_shape(data=(2, 1, 28, 28)), net.get_internals().infer_shape(data=(2, 1, 28, 28))[1], net.infer_shape_partial(data=(0, 1, 28, 28)), net.list_arguments()]
""",
    lower_bound=True,
)
program(
    "shape-convolution-partial",
    """
x = mx.sym.Variable('x')
c = mx.sym.Convolution(x, kernel=(3, 3), num_filter=4, name='c')
p = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type='max')
result = []
for given in ((0, 3, 8, 8), (2, 0, 8, 8), (2, 3, 0, 8), (2, 3, 8, 0)):
    for net in (c, p):
        try:
            result.append(net.infer_shape_partial(x=given))
        except Exception:
            result.append('refused')
""",
    lower_bound=True,
)
program(
    "shape-convolution-backwards",
    """
x, y = mx.sym.Variable('x'), mx.sym.Variable('y')
net = mx.sym.Convolution(x, kernel=(3, 3), num_filter=4, pad=(1, 1), name='c') + y
result = [net.infer_shape_partial(y=(2, 4, 8, 8)), net.infer_shape_partial(x=(0, 3, 0, 0), y=(2, 4, 8, 8)), net.infer_shape_partial(c_weight=(4, 3, 3, 3))]
""",
    lower_bound=True,
)
program(
    "shape-loss-labels",
    """
x = mx.sym.Variable('x')
result = {}
for name, net in {
    'softmax': mx.sym.SoftmaxOutput(x, name='s'),
    'softmax multi': mx.sym.SoftmaxOutput(x, multi_output=True, name='s'),
    'softmax preserve': mx.sym.SoftmaxOutput(x, preserve_shape=True, name='s'),
    'linear': mx.sym.LinearRegressionOutput(x, name='s'),
    'logistic': mx.sym.LogisticRegressionOutput(x, name='s'),
    'mae': mx.sym.MAERegressionOutput(x, name='s'),
}.items():
    for shape in ((4, 1), (4, 5), (2, 3, 4), (2, 3, 4, 5)):
        try:
            result[name + ' ' + str(shape)] = net.infer_shape(x=shape)[0][1]
        except Exception:
            result[name + ' ' + str(shape)] = 'refused'
""",
)
program(
    "shape-two-nets",
    """
x = mx.sym.Variable('x')
net = mx.sym.FullyConnected(x, num_hidden=3, name='fc')
result = [net.infer_shape(x=(2, 5)), net.infer_shape(x=(7, 4)), net.infer_shape(x=(2, 5))]
""",
)
program(
    "shape-groups",
    """
x, y = mx.sym.Variable('x'), mx.sym.Variable('y')
g = mx.sym.Group([mx.sym.SliceChannel(x, num_outputs=2, name='s'), mx.sym.dot(x, y)])
result = [g.infer_shape(x=(2, 4), y=(4, 3))]
""",
)

# ---- types ----------------------------------------------------------------------------------------------------------

program(
    "type-mlp",
    """
x = mx.sym.Variable('data')
net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.BatchNorm(x, name='bn'), name='fc1', num_hidden=8), name='softmax')
result = [net.infer_type(data=t) for t in ('float32', 'float64', np.float64)] + [net.infer_type()]
""",
)
program(
    "type-half",
    """
x = mx.sym.Variable('data')
net = mx.sym.FullyConnected(mx.sym.BatchNorm(mx.sym.Convolution(x, kernel=(1, 1), num_filter=2, name='c'), name='bn'), name='fc', num_hidden=8)
result = [net.infer_type(data='float16')]
""",
)
program(
    "type-cast",
    """
x = mx.sym.Variable('x')
net = mx.sym.Cast(mx.sym.Cast(x, dtype='float16') * 2, dtype='int32')
result = [net.infer_type(x='float32'), net.get_internals().infer_type(x='float64'), net.infer_type()]
""",
)
program(
    "type-backwards",
    """
x, y = mx.sym.Variable('x'), mx.sym.Variable('y')
fc = mx.sym.FullyConnected(x, num_hidden=3, name='fc')
result = [(x + y).infer_type(y='float64'), (mx.sym.exp(x) + y).infer_type(y='float64'), fc.infer_type(fc_weight='float64'), (mx.sym.dot(x, y)).infer_type(y='float64'), (fc + y).infer_type(y='float64'), mx.sym.broadcast_add(x, y).infer_type(y='float16'), mx.sym.Concat(x, y).infer_type(y='int32')]
""",
)
program(
    "type-operators",
    """
x = mx.sym.Variable('x')
result = {
    'argmax': mx.sym.argmax(x, axis=0).infer_type(x='float64'),
    'argsort': mx.sym.argsort(x).infer_type(x='float64'),
    'topk': mx.sym.topk(x, ret_typ='both', dtype='int32').infer_type(x='float64'),
    'one_hot': mx.sym.one_hot(x, depth=2, dtype='int32').infer_type(x='float64'),
    'shape_array': mx.sym.shape_array(x).infer_type(x='float64'),
    'comparison': (x > 1).infer_type(x='int32'),
    'scalar': (x + 1).infer_type(x='int32'),
    'scalar fraction': (x + 1.5).infer_type(x='int32'),
    'mean': mx.sym.mean(x).infer_type(x='int32'),
    'zeros_like': mx.sym.zeros_like(x).infer_type(x='float16'),
    'softmax dtype': mx.sym.softmax(x, dtype='float64').infer_type(x='float16'),
    'Embedding': mx.sym.Embedding(x, input_dim=2, output_dim=3, name='e').infer_type(x='int32'),
    'Embedding half': mx.sym.Embedding(x, input_dim=2, output_dim=3, dtype='float16', name='e').infer_type(x='int32'),
    'zeros': mx.sym.zeros((2,), dtype='int32').infer_type(),
    'zeros default': mx.sym.zeros((2,)).infer_type(),
    'arange': mx.sym.arange(3, dtype='int64').infer_type(),
    'SoftmaxOutput': mx.sym.SoftmaxOutput(x, name='s').infer_type(x='float16'),
    'Dropout': mx.sym.Dropout(x).infer_type(x='float16'),
    'pick': raises(lambda: mx.sym.pick(x, mx.sym.Variable('i')).infer_type(x='float32')),
    'pick both': mx.sym.pick(x, mx.sym.Variable('i')).infer_type(x='float32', i='int32'),
    'take both': mx.sym.take(x, mx.sym.Variable('i')).infer_type(x='float64', i='int64'),
    'norm': mx.sym.norm(x, out_dtype='float64').infer_type(x='float32'),
}
""",
)
program(
    "type-errors",
    """
x, y = mx.sym.Variable('x'), mx.sym.Variable('y')
result = {
    'conflict': raises(lambda: (x + y).infer_type(x='float32', y='float64')),
    'not a type': raises(lambda: (x + y).infer_type(x='colour')),
    'concat': raises(lambda: mx.sym.Concat(x, y).infer_type(x='float32', y='int32')),
    'both ways': raises(lambda: (x + y).infer_type('float32', x='float32')),
}
""",
)
program(
    "type-variable-attribute",
    """
x = mx.sym.Variable('x', dtype='float64')
y = mx.sym.Variable('y')
result = [(x + y).infer_type(), mx.sym.FullyConnected(x, num_hidden=2, name='fc').infer_type(), raises(lambda: (x + y).infer_type(x='float32'))]
""",
)

# ---- JSON -----------------------------------------------------------------------------------------------------------

program("json-variable", "result = mx.sym.Variable('x').tojson()")
program(
    "json-no-inputs",
    "result = [mx.sym.zeros((2, 3)).tojson(), mx.sym.ones((2,), dtype='int32').tojson(), mx.sym.arange(3).tojson(), mx.sym.full((2,), 3).tojson(), mx.sym.eye(2).tojson(), mx.sym.linspace(0, 1, 5).tojson()]",
)
program(
    "json-creation-names",
    "result = [mx.sym.zeros((2, 3), name='z').tojson(), mx.sym.arange(1, 7, 2, repeat=2, name='r', dtype='float64').tojson(), mx.sym.random.uniform(0, 1, shape=(2,), name='u').tojson(), mx.sym.random.normal(0, 1, shape=(2,)).tojson(), mx.sym.random_uniform(low=0, high=1, shape=(2,)).tojson()]",
)
program(
    "json-unary-chain",
    """
x = mx.sym.Variable('x')
for _ in range(12):
    x = mx.sym.relu(x)
result = x.tojson()
""",
)
program(
    "json-ten-and-eleven-inputs",
    """
v = [mx.sym.Variable('v%d' % i) for i in range(11)]
result = [mx.sym.add_n(*v[:9], name='a').tojson(), mx.sym.add_n(*v[:10], name='a').tojson(), mx.sym.add_n(*v, name='a').tojson(), mx.sym.Group(v[:10]).tojson(), mx.sym.Group(v).tojson()]
""",
)
program(
    "json-mlp",
    """
x = mx.sym.Variable('data')
x = mx.sym.FullyConnected(x, name='fc1', num_hidden=8)
x = mx.sym.Activation(x, name='relu1', act_type='relu')
x = mx.sym.Dropout(x, p=0.25, name='drop')
x = mx.sym.FullyConnected(x, name='fc2', num_hidden=3, no_bias=True)
result = mx.sym.SoftmaxOutput(x, name='softmax', grad_scale=0.5, normalization='batch').tojson()
""",
)
program(
    "json-convnet",
    """
x = mx.sym.Variable('data')
x = mx.sym.Convolution(x, kernel=(5, 5), num_filter=6, stride=(1, 1), pad=(2, 2), dilate=(1, 1), num_group=1, no_bias=False, workspace=512, layout='NCHW', name='c1')
x = mx.sym.BatchNorm(x, eps=2e-5, momentum=0.9, fix_gamma=True, use_global_stats=False, name='bn')
x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type='avg', pooling_convention='full', count_include_pad=False, global_pool=False, name='p1')
x = mx.sym.LeakyReLU(x, act_type='prelu', name='pr')
x = mx.sym.Flatten(x, name='f')
result = mx.sym.LinearRegressionOutput(x, name='lro').tojson()
""",
)
program(
    "json-escapes",
    r"""
a = mx.sym.Variable('we "said" \\ so\n\ttab', attr={'note': 'line\nbreak "q" \\ \t end', 'umlaut': 'größe ✓'})
result = mx.sym.relu(a, name='naïve').tojson()
""",
)
program(
    "json-escapes-load",
    r"""
a = mx.sym.Variable('we "said" \\ so\n\ttab', attr={'note': 'line\nbreak "q" \\ \t end', 'umlaut': 'größe ✓'})
s = mx.sym.load_json(mx.sym.relu(a, name='naïve').tojson())
result = [s.list_arguments(), s.name, s.attr_dict(), s.tojson()]
""",
)
program(
    "json-one-and-two-attributes",
    """
x = mx.sym.Variable('x', shape=(2,))
result = [mx.sym.sum(x, axis=1, name='s').tojson(), mx.sym.sum(x, axis=1, keepdims=True, name='s').tojson(), mx.sym.Variable('y', shape=(2,), dtype='float32').tojson()]
""",
)
program(
    "json-slices-and-heads",
    """
x = mx.sym.Variable('x')
s = mx.sym.SliceChannel(x, num_outputs=3, name='s')
result = [s.tojson(), s[1].tojson(), mx.sym.Group([s[2], s[0], x]).tojson(), s.get_internals().tojson()]
""",
)
program(
    "json-diamond",
    """
x = mx.sym.Variable('x')
a = mx.sym.exp(x, name='a')
b, c = mx.sym.sin(a, name='b'), mx.sym.cos(a, name='c')
result = [(b * c + a).tojson(), mx.sym.Group([c, b]).tojson(), mx.sym.Group([b, b * c]).tojson()]
""",
)
program(
    "json-scalars",
    """
x = mx.sym.Variable('x')
result = ((((x + 1) * 2.5 - 1e-8) / 3) ** 2 % 7 > 0.5).tojson()
""",
)
program(
    "json-hidden-outputs",
    """
x = mx.sym.Variable('x')
x = mx.sym.Dropout(mx.sym.LayerNorm(mx.sym.BatchNorm(x, name='bn'), name='ln'), name='d')
x = mx.sym.LRN(mx.sym.L2Normalization(mx.sym.InstanceNorm(x, name='i'), name='l2'), nsize=3, name='lrn')
result = mx.sym.LeakyReLU(x, act_type='rrelu', name='rr').tojson()
""",
)
program(
    "json-round-trip",
    """
x = mx.sym.Variable('data', shape=(2, 3), lr_mult=0.5)
with mx.AttrScope(ctx_group='dev1'):
    net = mx.sym.SoftmaxOutput(mx.sym.BatchNorm(mx.sym.FullyConnected(x, num_hidden=4, name='fc'), name='bn'), name='softmax')
again = mx.sym.load_json(net.tojson())
result = [again.tojson() == net.tojson(), again.list_arguments(), again.list_auxiliary_states(), again.attr_dict() == net.attr_dict(), again.infer_shape(), again.name, again.list_outputs()]
""",
)
program(
    "json-load-legacy-names",
    """
text = '''{"nodes": [{"op": "null", "name": "a", "attrs": {"weight_lr_mult": "2", "lr_mult": "3"}, "inputs": []},
 {"op": "_Plus", "name": "p", "inputs": [[0, 0], [0, 0]]}, {"op": "Softmax", "name": "s", "attr": {"grad_scale": "2"}, "inputs": [[1, 0]]}],
 "arg_nodes": [0], "heads": [[2, 0]]}'''
s = mx.sym.load_json(text)
result = [s.list_arguments(), s.tojson(), s.attr_dict()]
""",
)
program(
    "json-load-version-0.8",
    """
text = '''{"nodes": [{"op": "null", "param": {}, "name": "data", "inputs": [], "backward_source_id": -1},
 {"op": "null", "param": {}, "name": "bn_gamma", "inputs": [], "backward_source_id": -1},
 {"op": "null", "param": {}, "name": "bn_beta", "inputs": [], "backward_source_id": -1},
 {"op": "BatchNorm", "param": {"eps": "0.001", "fix_gamma": "True", "momentum": "0.9", "use_global_stats": "False"}, "name": "bn", "inputs": [[0, 0], [1, 0], [2, 0]], "backward_source_id": -1},
 {"op": "Flatten", "param": {}, "name": "f", "inputs": [[3, 0]], "backward_source_id": -1}], "arg_nodes": [0, 1, 2], "heads": [[4, 0]]}'''
s = mx.sym.load_json(text)
result = [s.list_arguments(), s.list_auxiliary_states(), s.tojson(), s.infer_shape(data=(2, 3, 4, 4))]
""",
)
program(
    "json-load-errors",
    """
good = mx.sym.relu(mx.sym.Variable('x'), name='r').tojson()
result = {
    'empty': raises(lambda: mx.sym.load_json('')),
    'not json': raises(lambda: mx.sym.load_json('nonsense')),
    'list': raises(lambda: mx.sym.load_json('[]')),
    'cut': raises(lambda: mx.sym.load_json(good[:-30])),
    'unknown operator': raises(lambda: mx.sym.load_json(good.replace('relu', 'rulu'))),
    'input out of range': raises(lambda: mx.sym.load_json(good.replace('[[0, 0, 0]]', '[[7, 0, 0]]'))),
    'head out of range': raises(lambda: mx.sym.load_json(good.replace('"heads": [[1', '"heads": [[9'))),
    'missing heads': raises(lambda: mx.sym.load_json(good.replace('"heads"', '"tails"'))),
    'not a string': raises(lambda: mx.sym.load_json(3)),
}
""",
)
program(
    "json-file",
    """
import os, tempfile
x = mx.sym.Variable('x')
net = mx.sym.FullyConnected(x, num_hidden=2, name='fc')
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'net-symbol.json')
    net.save(path)
    with open(path) as file:
        text = file.read()
    again = mx.sym.load(path)
    missing = raises(lambda: mx.sym.load(os.path.join(folder, 'nothing.json')))
result = [text == net.tojson(), again.tojson() == text, missing]
""",
)

# ---- copies, pickles, equality --------------------------------------------------------------------------------------

program(
    "copies",
    """
import copy, pickle
x = mx.sym.Variable('x')
net = mx.sym.FullyConnected(x, num_hidden=2, name='fc')
one, two, three = copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))
one._set_attr(__mood__='good')
result = [s.tojson() == net.tojson() for s in (two, three)] + [net.attr('__mood__'), one.attr('__mood__'), two.name, three.list_arguments(), three(x=mx.sym.Variable('y')).list_arguments()]
""",
)
program(
    "copy-composition-does-not-change",
    """
import copy
x = mx.sym.Variable('x')
net = mx.sym.relu(x, name='r')
before = net.tojson()
new = net(x=mx.sym.exp(mx.sym.Variable('y'), name='e'))
copied = copy.copy(net)
result = [net.tojson() == before, copied.tojson() == before, new.list_arguments(), copied.name]
""",
)
program(
    "multi-output-in-expressions",
    """
x = mx.sym.Variable('x')
t = mx.sym.topk(x, k=2, ret_typ='both', name='t')
v = mx.sym.topk(x, k=2, ret_typ='value', name='v')
bn = mx.sym.BatchNorm(x, name='bn', output_mean_var=True)
result = [(t[0] + 1).list_arguments(), len(v), (v + 1).get_internals().list_outputs(), bn[1].list_outputs(), len(bn), raises(lambda: t + 1), raises(lambda: bn * 2)]
""",
)
