"""Small programs about NDArrays: creation, indexing, assignment, arithmetic, files. No result of any run is here.

``make_ndarray`` runs them on MXNet. How a program is run, and what it may use, is said in ``programs``.
"""

# ruff: noqa: E501  (the lines of a program are read as a program)

from __future__ import annotations

PROGRAMS: dict[str, str] = {}


def program(name: str, source: str) -> None:
    """Add a program."""
    if name in PROGRAMS:
        raise ValueError(f"two programs are called {name}")
    PROGRAMS[name] = source.strip() + "\n"


program(
    "array-creation",
    """
def facts(a):
    return [a.shape, a.dtype, a.asnumpy()]
result = {
    'list': facts(mx.nd.array([1, 2, 3])), 'nested': facts(mx.nd.array([[1.5, 2], [3, 4]])), 'dtype': facts(mx.nd.array([1, 2], dtype='int32')),
    'numpy float64': facts(mx.nd.array(np.ones(2))), 'numpy int64': facts(mx.nd.array(np.arange(3))), 'numpy int8': facts(mx.nd.array(np.arange(3, dtype='int8'))), 'numpy half': facts(mx.nd.array(np.ones(2, 'float16'))),
    'numpy bool': facts(mx.nd.array(np.array([True, False]))), 'numpy float64 said': facts(mx.nd.array(np.ones(2), dtype='float64')), 'ndarray': facts(mx.nd.array(mx.nd.ones((2,), dtype='int32'))),
    'number': facts(mx.nd.array(5)), 'numpy scalar': facts(mx.nd.array(np.float32(2))), 'tuple': facts(mx.nd.array((1, 2))), 'empty': raises(lambda: mx.nd.array([])),
}
""",
)
program(
    "array-creation-functions",
    """
def facts(a):
    return [a.shape, a.dtype, a.asnumpy()]
result = {
    'zeros': facts(mx.nd.zeros((2, 3))), 'zeros int': facts(mx.nd.zeros(2)), 'zeros dtype': facts(mx.nd.zeros((2,), dtype='int32')), 'ones': facts(mx.nd.ones((2,), dtype=np.float64)),
    'full': facts(mx.nd.full((2, 2), 3.5)), 'full int': facts(mx.nd.full((2,), 3.7, dtype='int32')), 'arange': facts(mx.nd.arange(4)), 'arange step': facts(mx.nd.arange(1, 7, 2)), 'arange repeat': facts(mx.nd.arange(0, 2, repeat=3)),
    'arange dtype': facts(mx.nd.arange(3, dtype='int64')), 'eye': facts(mx.nd.eye(2)), 'eye k': facts(mx.nd.eye(2, 3, 1)), 'linspace': facts(mx.nd.linspace(0, 1, 5)), 'linspace open': facts(mx.nd.linspace(0, 1, 5, endpoint=False)),
    'empty': [mx.nd.empty((2, 3)).shape, mx.nd.empty((2,), dtype='int8').dtype], 'zeros_like': facts(mx.nd.zeros_like(mx.nd.ones((2,), dtype='int32'))), 'ones_like': facts(mx.nd.ones_like(mx.nd.zeros((2,)))),
}
""",
)
program(
    "array-attributes",
    """
a = mx.nd.array(np.arange(6).reshape(2, 3))
result = [a.shape, a.size, a.ndim, a.dtype, str(a.context), a.stype, len(a), a.T, a.grad, repr(a.context), mx.nd.zeros((3,)).ndim]
""",
)
program(
    "array-repr",
    """
result = [repr(mx.nd.array([1, 2])), repr(mx.nd.zeros((2, 2), dtype='int32')), str(mx.nd.array([0.5])), repr(mx.nd.ones((1,)))]
""",
)
program(
    "array-scalars",
    """
one = mx.nd.array([2.5])
result = [one.asscalar(), bool(one), bool(mx.nd.array([0])), raises(lambda: mx.nd.ones((2,)).asscalar()), raises(lambda: bool(mx.nd.ones((2,))))]
""",
)
program(
    "index-read",
    """
a = mx.nd.array(np.arange(24).reshape(2, 3, 4))
result = {
    'int': a[1], 'negative': a[-1], 'two': a[1, 2], 'three': a[1, 2, 3], 'slice': a[0:1], 'slices': a[:, 1:3], 'step': a[:, :, ::2], 'reverse': a[:, ::-1], 'mixed': a[1, :, 2], 'ellipsis': a[..., 1],
    'none': a[None].shape, 'none inside': a[:, None, 1].shape, 'negative slice': a[:, -2:], 'empty tuple': a[()], 'whole': a[:], 'beyond': a[:, 1:99], 'empty': raises(lambda: a[2:2].asnumpy()),
    'too large': raises(lambda: a[2]), 'too many': raises(lambda: a[0, 0, 0, 0]), 'float': raises(lambda: a[1.0]), 'string': raises(lambda: a['x']),
}
""",
)
program(
    "index-read-advanced",
    """
a = mx.nd.array(np.arange(12).reshape(3, 4))
result = {
    'list': a[[0, 2]], 'array': a[mx.nd.array([0, 2])], 'int array': a[mx.nd.array([2, 0], dtype='int32')], 'numpy': a[np.array([1, 1])], 'pairs': a[[0, 2], [1, 3]], 'rows and slice': a[[0, 2], 1:3], 'slice and list': a[:, [3, 0]],
    'int and list': a[1, [0, 2]], 'nested list': a[[[0, 1], [2, 0]]].shape, 'negative': a[[-1, 0]], 'outside': raises(lambda: a[[3]].asnumpy()),
}
""",
)
program(
    "index-write",
    """
def change(key, value):
    a = mx.nd.array(np.arange(12).reshape(3, 4))
    a[key] = value
    return a
s = slice
result = {
    'all number': change(s(None), 7), 'row number': change(1, 7), 'element': change((1, 2), 7), 'column': change((s(None), 1), 7), 'row list': change(1, [1, 2, 3, 4]), 'row array': change(1, mx.nd.array([1, 2, 3, 4])), 'row numpy': change(1, np.array([1, 2, 3, 4])),
    'all array': change(s(None), mx.nd.ones((3, 4))), 'broadcast row': change(s(None), mx.nd.array([1, 2, 3, 4])), 'broadcast column': change(s(None), np.array([[1], [2], [3]])), 'step': change(s(None, None, 2), 0), 'slices': change((s(0, 2), s(1, 3)), 5),
    'reverse': change(s(None, None, -1), np.arange(12).reshape(3, 4)), 'list': change([0, 2], 9), 'list rows': change([0, 2], np.ones((2, 4))), 'pairs': change(([0, 2], [1, 3]), [5, 6]), 'float into int': raises(lambda: change((0, 0), 1.5)),
    'wrong shape': raises(lambda: change(1, [1, 2])), 'too large': raises(lambda: change(5, 1)), 'ellipsis': change((Ellipsis, 0), 3), 'nan': change((0, 0), float('nan')),
}
""",
)
program(
    "index-write-dtypes",
    """
def change(dtype, value):
    a = mx.nd.zeros((3,), dtype=dtype)
    a[1:] = value
    return a
result = [change('int32', 2.9), change('uint8', 200), change('float16', 0.1), change('float64', 0.1), change('int32', mx.nd.array([1.5, 2.5])), change('float32', np.array([1, 2], 'int64'))]
""",
)
program(
    "views",
    """
a = mx.nd.array(np.arange(12).reshape(3, 4))
row, rows, column, flat, wide, whole = a[1], a[0:2], a[:, 1], a.reshape((12,)), a.reshape((2, -1)), a[:]
a[1, 1] = 100
first = [x.asnumpy() for x in (row, rows, column, flat, wide, whole)]
row[:] = -1
rows[0] = -2
flat[11] = -3
column[:] = -4
result = [first, a]
""",
)
program(
    "copies",
    """
a = mx.nd.array([1, 2, 3])
b, c, d, e = a.copy(), a.astype('float32'), a.astype('float32', copy=False), a.asnumpy()
f = a.copyto(mx.nd.zeros((3,)))
g = a.as_in_context(mx.cpu())
a[:] = 0
e[0] = 50
result = [b, c, d, e, f, g, a, raises(lambda: a.copyto(mx.nd.zeros((2,)))), a.copyto(mx.cpu()) is a, a.as_in_context(mx.cpu()) is a]
""",
)
program(
    "arithmetic-arrays",
    """
a, b = mx.nd.array([[1, 2], [3, 4]]), mx.nd.array([[5, 6]])
result = {
    '+': a + b, '-': a - b, '*': a * b, '/': a / b, '%': a % 3, '**': a ** b, 'neg': -a, 'abs': abs(-a), '>': a > b, '>=': a >= 3, '<': a < b, '==': a == 3, '!=': a != a, 'rsub': 1 - a, 'rdiv': 6 / a, 'rpow': 2 ** a, 'rmod': 7 % a, 'gt dtype': (a > 2).dtype,
    'int': [(a.astype('int32') + 1).dtype, (a.astype('int32') / 2).asnumpy(), (a.astype('int32') * 2.5).dtype, (a.astype('int32') * 2.5).asnumpy(), (a.astype('int32') + 2.7).asnumpy()],
    'mixed': raises(lambda: (a + b.astype('float64')).asnumpy()), 'shape': raises(lambda: a + mx.nd.ones((3,))), 'none': raises(lambda: a + None), 'list': raises(lambda: a + [1, 2]), 'numpy': raises(lambda: a + np.ones((2, 2), 'float32')),
    'floordiv': raises(lambda: a // 2), 'matmul': raises(lambda: a @ a), 'eq none': raises(lambda: a == None), 'hash': hash(a) == hash(a),
}
""",
)
program(
    "arithmetic-in-place",
    """
a = mx.nd.array([1, 2, 3])
same = a
a += 1
a *= mx.nd.array([2, 2, 2])
a -= 1
a /= 2
a %= 2
b = mx.nd.array([1, 2], dtype='int32')
b += 1.7
b *= 2
result = [a, same is a, b, b.dtype]
""",
)
program(
    "truth-and-comparison",
    """
a = mx.nd.array([1, 0, 2])
result = [a == 1, a != 0, mx.nd.equal(a, mx.nd.array([1, 1, 2])), mx.nd.logical_and(a, 1), mx.nd.logical_not(a), mx.nd.maximum(a, 1), mx.nd.minimum(1, a), mx.nd.maximum(2, 3), mx.nd.greater(a, 0), mx.nd.lesser_equal(a, mx.nd.ones((3,))), mx.nd.modulo(a, 2), mx.nd.true_divide(a, 2), mx.nd.power(a, 2), mx.nd.subtract(1, a)]
""",
)
program(
    "reshape-method",
    """
a = mx.nd.array(np.arange(24).reshape(2, 3, 4))
result = [a.reshape(6, 4).shape, a.reshape((6, 4)).shape, a.reshape(-1).shape, a.reshape((0, -1)).shape, a.reshape((-2, 1)).shape, a.reshape((-3, 4)).shape, a.reshape((-4, 1, 2, -2)).shape, a.reshape((-1, 0), reverse=True).shape, a.reshape(shape=(4, 6)).shape, raises(lambda: a.reshape((5, 5))), raises(lambda: a.reshape((-1, -1))), a.flatten().shape, a.expand_dims(1).shape, a.T.shape, a.transpose((0, 2, 1)).shape, a.transpose().shape, a.swapaxes(0, 1).shape, a.reshape_like(mx.nd.zeros((4, 6))).shape]
""",
)
program(
    "methods",
    """
a = mx.nd.array([[1.5, -2.5], [0.5, 4.0]])
result = [a.sum(), a.sum(axis=0), a.mean(axis=1, keepdims=True), a.max(), a.min(axis=1), a.prod(), a.norm(), a.argmax(axis=1), a.argmin(axis=0), a.abs(), a.sign(), a.square(), a.exp(), a.round(), a.floor(), a.ceil(), a.clip(0, 1), a.softmax(), a.log_softmax(axis=0), a.relu(), a.sigmoid(), a.tanh(), a.sort(), a.argsort(), a.topk(k=1), a.tile((2, 1)), a.repeat(2), a.flip(axis=1), a.slice((0, 0), (1, 2)), a.slice_axis(axis=1, begin=0, end=1), a.take(mx.nd.array([1])), a.pick(mx.nd.array([0, 1])), a.one_hot(depth=2).shape, a.broadcast_to((2, 2)), a.astype('int32'), a.zeros_like(), a.nansum(), a.expand_dims(0).squeeze().shape, a.split(2, axis=1)[1]]
""",
)
program(
    "out-argument",
    """
a, out = mx.nd.array([1, 2, 3]), mx.nd.zeros((3,))
back = mx.nd.square(a, out=out)
mx.nd.elemwise_add(a, a, out=a)
wrong = mx.nd.zeros((2,))
result = [out, back is out, a, raises(lambda: mx.nd.square(a, out=wrong)), raises(lambda: mx.nd.square(a, out=np.zeros(3)))]
""",
)
program(
    "functions-several-outputs",
    """
a = mx.nd.array(np.arange(6).reshape(2, 3))
parts = mx.nd.SliceChannel(a, num_outputs=3, axis=1)
both = mx.nd.topk(a, k=2, ret_typ='both')
one = mx.nd.split(a, num_outputs=1)
result = [type(parts).__name__, [p.shape for p in parts], [b for b in both], type(one).__name__, mx.nd.concat(*parts, dim=0), mx.nd.stack(*parts).shape, mx.nd.add_n(*parts), mx.nd.concatenate([a, a], axis=1).shape, mx.nd.stack(a, a, axis=-1).shape]
""",
)
program(
    "functions-errors",
    """
a = mx.nd.ones((2, 3))
result = {
    'missing input': raises(lambda: mx.nd.dot(a)), 'missing parameter': raises(lambda: mx.nd.one_hot(a)), 'unknown parameter': raises(lambda: mx.nd.relu(a, colour='red')), 'bad value': raises(lambda: mx.nd.sum(a, axis='x')), 'bad axis': raises(lambda: mx.nd.sum(a, axis=5).asnumpy()),
    'numpy input': raises(lambda: mx.nd.relu(np.ones(3))), 'number input': raises(lambda: mx.nd.relu(3)), 'symbol input': raises(lambda: mx.nd.relu(mx.sym.Variable('x'))), 'shape': raises(lambda: mx.nd.dot(a, a).asnumpy()), 'no such function': raises(lambda: mx.nd.nothing(a)),
}
""",
)
program(
    "functions-aux",
    """
x = mx.nd.array([[1.0, 2.0], [3.0, 6.0]])
mean, var = mx.nd.zeros((2,)), mx.nd.ones((2,))
gamma, beta = mx.nd.array([1.0, 2.0]), mx.nd.array([0.0, 1.0])
out = mx.nd.BatchNorm(x, gamma, beta, mean, var, fix_gamma=False, eps=1e-5)
result = [out, mean, var]
""",
)
program(
    "optimizer-updates",
    """
w, g, n = mx.nd.array([1.0, 2.0]), mx.nd.array([0.5, -0.5]), mx.nd.zeros((2,))
back = mx.nd.rmsprop_update(w, g, n, lr=0.1, gamma1=0.9, epsilon=1e-6, out=w)
free = mx.nd.sgd_update(w, g, lr=0.1)
result = [w, n, back is w, free, w]
""",
)
program(
    "files-dict",
    """
import os, tempfile
arrays = {'arg:w': mx.nd.array([[1.5, 2], [3, 4]]), 'aux:m': mx.nd.array([1, 2], dtype='int64'), 'half': mx.nd.ones((1,), dtype='float16')}
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'x.params')
    mx.nd.save(path, arrays)
    with open(path, 'rb') as file:
        text = file.read()
    back = mx.nd.load(path)
    buffer = mx.nd.load_frombuffer(text)
result = [list(back), {k: [v, v.dtype] for k, v in back.items()}, text.hex(), list(buffer)]
""",
)
program(
    "files-list",
    """
import os, tempfile
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'x.nd')
    mx.nd.save(path, [mx.nd.array([1, 2]), mx.nd.zeros((1, 2), dtype='uint8')])
    two = mx.nd.load(path)
    with open(path, 'rb') as file:
        text = file.read()
    mx.nd.save(path, mx.nd.array([7]))
    one = mx.nd.load(path)
    errors = [raises(lambda: mx.nd.save(path, 3)), raises(lambda: mx.nd.save(path, [1, 2])), raises(lambda: mx.nd.save(path, {1: mx.nd.ones((1,))})), raises(lambda: mx.nd.load(os.path.join(folder, 'nothing')))]
result = [type(two).__name__, two, text.hex(), type(one).__name__, one, errors]
""",
)
program(
    "pickle",
    """
import copy, pickle
a = mx.nd.array([[1, 2], [3, 4]], dtype='int32')
b, c = pickle.loads(pickle.dumps(a)), copy.deepcopy(a)
a[:] = 0
result = [b, b.dtype, c]
""",
)
program(
    "iteration",
    """
a = mx.nd.array(np.arange(6).reshape(2, 3))
result = [[row for row in a], [x.asscalar() for x in a[0]], [x.shape for x in a[0]], len(a)]
""",
)
program(
    "dtypes",
    """
result = [mx.nd.zeros((1,), dtype=d).dtype for d in ('float32', 'float64', 'float16', 'uint8', 'int8', 'int32', 'int64', np.float32, np.dtype('int8'), float, int, None)]
result += [raises(lambda: mx.nd.zeros((1,), dtype='complex64')), raises(lambda: mx.nd.zeros((1,), dtype='colour')), raises(lambda: mx.nd.array([1], dtype='uint16'))]
""",
)
program(
    "moving",
    """
a = mx.nd.arange(6).reshape((2, 3))
result = [mx.nd.moveaxis(a, 0, 1).shape, mx.nd.transpose(a).shape, mx.nd.onehot_encode(mx.nd.array([0, 2]), mx.nd.zeros((2, 3)))]
""",
)
program(
    "wait-and-context",
    """
a = mx.nd.ones((2,), ctx=mx.cpu(0))
a.wait_to_read()
mx.nd.waitall()
result = [str(a.context), a.context == mx.cpu(), a.context.device_type, a.context.device_id, str(mx.cpu(3)), mx.cpu() == mx.cpu(0), mx.cpu(1) == mx.cpu(0), str(mx.current_context())]
""",
)
program(
    "random-shapes",
    """
mx.random.seed(3)
u, n = mx.nd.random.uniform(-1, 2, shape=(500,)), mx.nd.random.normal(1, 0.5, shape=(500,))
mx.random.seed(3)
again = mx.nd.random.uniform(-1, 2, shape=(500,))
x = u.asnumpy()
result = [u.shape, u.dtype, bool(x.min() >= -1 and x.max() < 2), bool(abs(x.mean() - 0.5) < 0.15), bool(abs(n.asnumpy().mean() - 1) < 0.1), np.array_equal(x, again.asnumpy()), mx.nd.random_uniform(shape=(2, 3)).shape, mx.nd.random.uniform().shape, mx.nd.random.uniform(shape=2).shape, mx.nd.random_normal(shape=(2,), dtype='float64').dtype]
""",
)
program(
    "views-where-contiguous",
    """
def written(shape, key):
    a = mx.nd.zeros(shape)
    b = a[key]
    b[:] = 1
    return a
s = slice
result = {
    'row': written((3, 4), 1), 'rows': written((3, 4), s(0, 2)), 'part of a row': written((3, 4), (1, s(1, 3))), 'element': written((3, 4), (1, 2)), 'part of rows': written((3, 4), (s(0, 2), s(1, 3))), 'one row, part': written((3, 4), (s(1, 2), s(1, 3))),
    'every second row': written((3, 4), s(None, None, 2)), 'reversed': written((3, 4), s(None, None, -1)), 'column': written((3, 4), (s(None), 1)), 'all columns': written((3, 4), (s(None), s(0, 4))), 'new axis': written((3, 4), None), 'new axis and row': written((3, 4), (None, 1)),
    'ellipsis': written((3, 4), Ellipsis), 'one row reversed': written((1, 4), s(None, None, -1)), 'one row, every second': written((1, 4), (s(None), s(None, None, 2))), 'one column reversed': written((3, 1), (s(None), s(None, None, -1))), 'one column, every second': written((3, 1), s(None, None, 2)),
    'one left of a step': written((3, 4), (2, s(3, 4, 2))), 'two backwards': written((3, 4), s(2, 0, -1)), 'list': written((3, 4), [1]), 'array': written((3, 4), mx.nd.array([1])),
}
""",
)
program(
    "views-of-methods",
    """
def written(view):
    a = mx.nd.zeros((2, 3))
    b = view(a)
    b[:] = 1
    return a
result = {
    'reshape': written(lambda a: a.reshape((3, 2))), 'reshape -1': written(lambda a: a.reshape(-1)), 'T': written(lambda a: a.T), 'flatten': written(lambda a: a.flatten()), 'expand_dims': written(lambda a: a.expand_dims(0)), 'detach': written(lambda a: a.detach()),
    'copy': written(lambda a: a.copy()), 'as_in_context': written(lambda a: a.as_in_context(mx.cpu())), 'other context': written(lambda a: a.as_in_context(mx.cpu(1))), 'identity': written(lambda a: mx.nd.identity(a)), 'nd.reshape': written(lambda a: mx.nd.reshape(a, (3, 2))), 'row of row': written(lambda a: a[1][2]),
    'array': written(lambda a: mx.nd.array(a)), 'astype': written(lambda a: a.astype('float32')), 'astype, no copy': written(lambda a: a.astype('float32', copy=False)),
}
""",
)
program(
    "views-follow",
    """
a = mx.nd.zeros((2, 3))
row, flat = a[1], a.reshape((6,))
a += 1
first = [row.asnumpy(), flat.asnumpy()]
mx.nd.relu(mx.nd.array([[1, 2, 3], [4, 5, 6]]), out=a)
second = [row.asnumpy(), flat.asnumpy()]
row += 10
a[:, 1] += 100
a[0] *= 2
result = [first, second, a]
""",
)
program(
    "index-read-mixed",
    """
a = mx.nd.array(np.arange(24).reshape(2, 3, 4))
n = mx.nd.array
result = {
    'lists apart': a[[0, 1], :, [0, 1]], 'lists and None': a[[0, 1], None, [0, 1]], 'None and list': a[None, [0, 1]].shape, 'ellipsis and list': a[..., [0, 1]], 'int, list, slice': a[0, [0, 1], 1:3], 'slice, list, step': a[1:, [0, 1], ::2],
    'lists around ellipsis': a[[0, 1], ..., [0, 1]], 'broadcast': a[[[0], [1]], [0, 1]].shape, 'two arrays': a[:, n([0, 1]), n([0, 1])], 'arrays apart': a[n([0, 1]), :, n([0, 1])], 'two axes of indices': a[:, :, n([[0, 1], [1, 0]])].shape, 'float64': a[n([0, 1], dtype='float64'), 1:2],
    'cut off': a[n([0.7, 1.2])], 'list of floats': a[[1.5]].shape, 'numpy integer': a[np.int64(1)].shape, 'numpy bounds': a[np.int64(0):np.int64(1)].shape, 'range': a[:, range(2)].shape, 'true': a[True].shape, 'tuple': a[(0, 1)].shape, 'list and int': a[[0, 1], 1].shape,
    'backwards': a[:, ::-2, ::3], 'inside': a[-2:, 1:-1], 'outside list': raises(lambda: a[[0, 5]].asnumpy()), 'unequal lists': raises(lambda: a[[0, 1], [0, 1, 2]].asnumpy()), 'two ellipses': raises(lambda: a[..., ...]), 'step 0': raises(lambda: a[::0]), 'text in list': raises(lambda: a[['x']]), 'float bound': raises(lambda: a[0.5:2]),
}
""",
)
program(
    "index-write-mixed",
    """
def change(key, value, dtype='float32'):
    a = mx.nd.array(np.arange(12).reshape(3, 4), dtype=dtype)
    a[key] = value
    return a
s, n = slice, mx.nd.array
result = {
    'array index': change(n([0, 2]), 7), 'array index and array': change(n([0, 2]), n([[1, 2, 3, 4], [5, 6, 7, 8]])), 'leading one': change([0, 2], n([[[7, 7, 7, 7]]])), 'twice the same': change([0, 0], n([[1, 1, 1, 1], [2, 2, 2, 2]])), 'steps': change((s(None, None, 2), s(None, None, -1)), n([1, 2, 3, 4])),
    'element by array': change((1, 2), n([3.5])), 'element by scalar array': change((1, 2), n(3.5)), 'element by list': change((1, 2), [3.5]), 'element by numpy': change((1, 2), np.float64(3.5)), 'nothing': change(s(2, 2), 1), 'empty tuple': change((), 0), 'none': change(None, 0), 'true': change(1, True), 'tuple': change((0, s(0, 2)), (8, 9)), 'range': change((0, s(0, 2)), range(2)),
    'too many': raises(lambda: change((1, 2), n([1, 2]))), 'wrong rank': raises(lambda: change((s(None), s(1, 2)), n([7, 8, 9]))), 'text': raises(lambda: change(0, 'x')), 'text as key': raises(lambda: change('x', 1)), 'float as key': raises(lambda: change(1.5, 1)), 'dict': raises(lambda: change(0, {})),
    'cut off': change(0, n([2.7, -2.7, 1, 1]), 'int32'), 'wraps': change(0, 300, 'uint8'), 'wraps below': change(0, -1, 'uint8'), 'wraps array': change(0, n([300, -300, 0, 0]), 'int8'), 'overflow': change(0, 1e6, 'float16'),
}
a = n(np.arange(12).reshape(3, 4))
a[1:3] = a[0:2]
result['overlap'] = a
""",
)
program(
    "arithmetic-dtypes",
    """
def facts(x):
    return [x.dtype, x.asnumpy()]
n = mx.nd.array
i = n([5, -7], dtype='int32')
result = [facts(x) for x in (i + 1.5, i / 2, i / n([2, 2], dtype='int32'), i % 3, i * 1.5, i ** 2, 1 - i, 12 / i, i == 5, i > 4.5, -i, n([5, 7], dtype='uint8') > 5, n([5, 7], dtype='float16') > 5, n([5, 7], dtype='float64') != 5, -n([5, 249], dtype='uint8'), n([5, -7]) % 3, 3 % n([5, -7]))]
f = n([5, 7])
result += [facts(x) for x in (f * np.float32(2), np.float32(2) * f, f * np.float64(2), np.int64(2) * f, f * True, f * np.bool_(True), f + n([[1], [2]]), f + n([1]))]
result += [raises(lambda: f + n([1, 2], dtype='int32')), raises(lambda: f + n([1, 2, 3])), raises(lambda: f + 'x'), raises(lambda: f == 'x'), raises(lambda: np.array([1, 2]) + f), raises(lambda: f * np.array(2)), raises(lambda: ~f), raises(lambda: f & 1), raises(lambda: divmod(f, 2)), raises(lambda: round(f))]
result += [5 in f, 6 in f, {f: 1}[f], bool(n([])), bool(n([0])), [x.shape for x in f]]
""",
)
program(
    "arithmetic-in-place-shapes",
    """
n = mx.nd.array
a, b = n([[5, 7], [1, 2]]), n([5, 7])
a += n([1, 2])
def widen():
    global b
    b += n([[1], [2]])
c = d = n([2, 3])
c **= 2
result = [a, raises(widen), b, c, d, c is d]
""",
)
program(
    "functions-of-two",
    """
n, nd = mx.nd.array, mx.nd
a, b = n([1, 5]), n([[2], [7]])
result = [nd.maximum(a, b), nd.maximum(3, a), nd.minimum(a, 3), nd.add(a, 2), nd.subtract(1, a), nd.divide(1, a), nd.modulo(7, a), nd.power(2, a), nd.power(a, 2), nd.equal(a, 1), nd.not_equal(1, a), nd.greater(3, a), nd.greater_equal(a, 1), nd.lesser(3, a), nd.lesser_equal(5, a), nd.logical_and(a, n([0, 1])), nd.logical_or(0, n([1, 0], dtype='int32')), nd.logical_xor(1, n([1, 0])), nd.true_divide(a, n([4]))]
result += [nd.add(1, 2), nd.maximum(2, 3), nd.equal(1, 1), nd.greater(1, 2), nd.power(2, 3), nd.divide(1, 4), nd.modulo(7, 4), raises(lambda: nd.maximum('a', 3)), raises(lambda: nd.add(a, None))]
""",
)
program(
    "creation-arguments",
    """
nd = mx.nd
def facts(a):
    return [a.shape, a.dtype, a.asnumpy(), str(a.context)]
result = {
    'array ctx dtype': facts(nd.array([1, 2], mx.cpu(1), 'int32')), 'zeros ctx dtype': facts(nd.zeros((2,), mx.cpu(1), 'int32')), 'zeros list': facts(nd.zeros([2, 3])), 'zeros keyword': facts(nd.zeros(shape=(2,))), 'ones bool': facts(nd.ones((2,), dtype='bool')), 'full array': facts(nd.full((2, 2), nd.array([1, 2]))),
    'full dtype': facts(nd.full((2,), 3, mx.cpu(0), 'float64')), 'arange tenth': facts(nd.arange(0, 1, 0.1)), 'arange half': facts(nd.arange(2, 5, 0.5)), 'arange down': facts(nd.arange(5, 2, -1)), 'arange ctx': facts(nd.arange(1, 3, repeat=2, ctx=mx.cpu(1))), 'linspace one': facts(nd.linspace(0, 1, 1)), 'linspace thirds': facts(nd.linspace(0, 1, 4)),
    'linspace int': facts(nd.linspace(0, 1, 3, dtype='int32')), 'linspace all': facts(nd.linspace(0, 1, 3, False, mx.cpu(2), 'float64')), 'eye dtype': facts(nd.eye(3, dtype='int32')), 'eye below': facts(nd.eye(3, k=-1)), 'range': facts(nd.array(range(3))), 'bool': facts(nd.array([1, 0], dtype=bool)), 'half overflow': facts(nd.array([1e6], dtype='float16')), 'cut off': facts(nd.array([2.7, -2.7], dtype='int32')),
    'empty list': facts(nd.array([])), 'empty rows': facts(nd.array([[]])), 'text': raises(lambda: nd.array('abc')), 'ragged': raises(lambda: nd.array([[1, 2], [3]])), 'dict': raises(lambda: nd.array({1: 2})), 'arange nothing': raises(lambda: nd.arange(5, 2)), 'negative length': raises(lambda: nd.zeros((2, -1))),
}
""",
)
program(
    "contexts-of-results",
    """
nd = mx.nd
a, b = nd.ones((2,), ctx=mx.cpu(1)), nd.ones((2,))
r = [nd.relu(a), a + 1, a + b, b + a, nd.zeros_like(a), a[0], a.reshape((2, 1)), a.copy(), a.astype('int32'), a.copyto(mx.cpu(2)), a.as_in_context(mx.cpu(3)), a.detach(), a.T]
with mx.Context('cpu', 3):
    r += [nd.zeros((2,)), nd.array([1]), nd.random.uniform(shape=(2,)), nd.arange(2), nd.relu(a), nd.full((1,), 1)]
r += [nd.zeros((2,)), nd.random.uniform(shape=(2,), ctx=mx.cpu(4)), nd._internal._zeros(shape=(2,), ctx=mx.cpu(1))]
result = [str(x.context) for x in r]
""",
)
program(
    "functions-calls",
    """
nd = mx.nd
a, w = nd.ones((2, 3)), nd.array(np.arange(12).reshape(4, 3))
result = [nd.FullyConnected(a, w, None, 4, True), nd.FullyConnected(a, weight=w, num_hidden=4, no_bias=True), nd.FullyConnected(weight=w, data=a, num_hidden='4', no_bias='True'), nd.sum(w, 1), nd.sum(w, axis=[0, 1]), nd.sum(w, axis=np.int64(1)), nd.cast(w, 'int32').dtype, nd.cast(w, dtype=np.int64).dtype, nd.concat(a, a, dim=0, num_args=2).shape, nd.relu(a, name='x').shape, nd._internal._plus_scalar(a, 2), nd.op.relu(a).shape, nd.split(w, 3, 1)[2].shape]
result += [raises(lambda: nd.FullyConnected(a, w, num_hidden=4)), raises(lambda: nd.FullyConnected(a, w, num_hidden=5, no_bias=True)), raises(lambda: nd.FullyConnected(a, w, no_bias=True)), raises(lambda: nd.concat([a, a], dim=0)), raises(lambda: nd.concat(a, a, 0)), raises(lambda: nd.stack([a, a])), raises(lambda: nd.Cast(a, dtype='int16'))]
""",
)
program(
    "out-lists",
    """
nd = mx.nd
a = nd.array(np.arange(8).reshape(2, 4))
o, p = nd.zeros((2, 2)), nd.zeros((2, 2))
r = nd.split(a, num_outputs=2, axis=1, out=[o, p])
q = [nd.zeros((2, 4))]
back = nd.relu(a, out=q)
row = nd.array([[-1, 1]])
nd.relu(row[0], out=row[0])
result = [o, p, r[0] is o, back is q, q, row, raises(lambda: nd.split(a, num_outputs=2, axis=1, out=o)), raises(lambda: nd.relu(a, out=[a, a])), raises(lambda: nd.relu(a, out=nd.zeros((2, 4), dtype='int32')))]
""",
)
program(
    "out-of-updates",
    """
nd = mx.nd
w, g, m = nd.ones((2,)), nd.ones((2,)), nd.ones((2,))
free = nd.sgd_mom_update(w, g, m, lr=0.5, momentum=0.9)
first = [free, w.asnumpy(), m.asnumpy()]
nd.sgd_mom_update(w, g, m, lr=0.5, momentum=0.9, out=w)
v, h = [nd.ones((2,)), nd.ones((3,))], [nd.ones((2,)), nd.ones((3,))]
nd.multi_sgd_update(v[0], h[0], v[1], h[1], lrs=(0.5, 0.1), wds=(0, 0), num_weights=2, out=v)
result = [first, w, m, v]
""",
)
program(
    "copyto",
    """
nd = mx.nd
a, i = nd.array([5.7, -7.7]), nd.zeros((2,), dtype='int32')
result = [a.copyto(i) is i, i, str(a.copyto(mx.cpu(1)).context), raises(lambda: a.copyto(nd.zeros((3,)))), raises(lambda: a.copyto(nd.zeros((1, 2)))), raises(lambda: a.copyto('x')), a.astype('int32'), a.astype(np.dtype('uint8')), a.astype(None).dtype, a.astype(int).dtype, nd.array([0, -7.7]).astype('bool'), raises(lambda: a.astype('foo'))]
""",
)
program(
    "split-and-move",
    """
nd = mx.nd
a = nd.array(np.arange(8).reshape(2, 4))
result = [nd.split_v2(a, 2, axis=1), nd.split_v2(a, (1, 3), axis=1), a.split_v2(2, axis=0, squeeze_axis=True), raises(lambda: nd.split_v2(a, 3, axis=1)), nd.moveaxis(nd.ones((2, 3, 4)), 0, 2).shape, nd.moveaxis(nd.ones((2, 3, 4)), [0, 1], [-1, -2]).shape, raises(lambda: nd.moveaxis(nd.ones((2, 3, 4)), 0, 5)), raises(lambda: nd.moveaxis(nd.ones((2, 3, 4)), [0], [1, 2])), nd.concatenate([a]) is a, nd.concatenate([a], always_copy=False) is a, raises(lambda: nd.concatenate([a, nd.ones((3, 3))])), raises(lambda: nd.concatenate([]))]
""",
)
program(
    "broadcast-method",
    """
a = mx.nd.array([[1], [2]])
result = [a.broadcast_to((2, 3)), mx.nd.array([1, 2]).broadcast_to((3, 2)), raises(lambda: a.broadcast_to((3, 3))), a.broadcast_like(mx.nd.ones((2, 2))), a.broadcast_axes(axis=1, size=2)]
""",
)
program(
    "sharing-with-numpy",
    """
n = np.ones(3, 'float32')
a = mx.nd.array(n, dtype='float32')
n[0] = 5
m = np.ones(3, 'float32')
b = mx.nd.from_numpy(m)
b[0] = 5
k = np.ones(3, 'float32')
c = mx.nd.from_numpy(k, zero_copy=False)
c[0] = 5
d = mx.nd.array([1, 2])
e = mx.nd.from_dlpack(d.to_dlpack_for_read())
e[0] = 9
result = [a, m, m.flags.writeable, k, k.flags.writeable, d, raises(lambda: mx.nd.from_numpy(np.ones((2, 3)).T)), raises(lambda: mx.nd.from_numpy(np.ones(2, 'int16')))]
""",
)
program(
    "scalars-without-axes",
    """
a = mx.nd.array(3.5)
result = [a.shape, a.ndim, a.size, a.asscalar(), repr(a), a[()], a.T, bool(a), mx.nd.ones((1,)).reshape(()).shape, raises(lambda: len(a)), raises(lambda: a[0])]
""",
)
