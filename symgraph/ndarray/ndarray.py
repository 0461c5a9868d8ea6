"""NDArray: an array that MXNet programs work with, over a NumPy array.

Every method that computes runs a registered operator through `invoke`; what only looks at memory (basic indexing,
`reshape`) is a view where MXNet makes one, and writes through.

What does not belong here: what operators compute, and how; making arrays (`symgraph.ndarray.creation`).
"""

from __future__ import annotations

import math
import operator
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import symgraph.ops  # noqa: F401 - registers the operators
from symgraph.backends.numpy.kernels import copyto
from symgraph.context import Context, cpu, current_context
from symgraph.dtype import CODES, as_dtype
from symgraph.errors import ArgumentError, DTypeError, GradientError, ShapeError, UnsupportedError, brief
from symgraph.ndarray import indexing
from symgraph.ndarray.evaluate import Evaluator, evaluator
from symgraph.ndarray.random_state import next_state
from symgraph.ndarray.tape import MODE, Call, Leaf, Source, live
from symgraph.op import Op, find
from symgraph.op.families import typed_number

__all__ = [
    "BINARY",
    "INTEGERS",
    "Binary",
    "NDArray",
    "apply",
    "as_values",
    "binary",
    "convert",
    "invoke",
    "mark",
    "wrap",
]

Array = np.ndarray[Any, Any]
#: What counts as a whole number.
INTEGERS = (int, np.integer)
#: What counts as a number in arithmetic.
NUMBERS = (int, float, np.integer, np.floating, np.bool_)

_DTYPES = frozenset(CODES.values())
_CPU = cpu()


def _forward(name: str) -> Callable[[Any, Any], Any]:
    def method(self: NDArray, other: Any) -> Any:
        return BINARY[name](self, other)

    return method


def _mirrored(name: str) -> Callable[[Any, Any], Any]:
    def method(self: NDArray, other: Any) -> Any:
        return BINARY[name](other, self)

    return method


def _in_place(name: str) -> Callable[[Any, Any], Any]:
    def method(self: NDArray, other: Any) -> Any:
        return BINARY[name](self, other, self)

    return method


#: Whether NumPy knows DLPack 1.0, with its options: from NumPy 2.1 on.
_DLPACK_1 = np.lib.NumpyVersion(np.__version__) >= "2.1.0"


class NDArray:
    """A dense array of one element type.

    Programs make arrays by `symgraph.nd.array` and its like; the constructor puts the interface on memory that exists.

    Parameters
    ----------
    data
        The memory: C-contiguous, of an element type that MXNet has. It is not copied.
    ctx
        Where it lies; ``cpu(0)`` if left out.

    Raises
    ------
    ArgumentError
        If the memory is not laid out like that.
    """

    __slots__ = ("__weakref__", "_ctx", "_data", "_grad", "_source")

    # NumPy's operators and ufuncs leave NDArrays alone, instead of making arrays of objects of them.
    __array_ufunc__ = None

    _data: Array
    _ctx: Context
    _grad: NDArray | None
    _source: Source | None

    def __init__(self, data: Array, ctx: Context | None = None) -> None:
        if not isinstance(data, np.ndarray) or not data.flags.c_contiguous or data.dtype not in _DTYPES:
            raise ArgumentError(
                "NDArray() takes a C-contiguous NumPy array of an element type that MXNet has; use nd.array()"
            )
        self._data, self._ctx, self._grad, self._source = data, ctx or _CPU, None, None

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        lengths: tuple[int, ...] = self._data.shape
        return lengths

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._data.size

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim

    @property
    def dtype(self) -> Any:
        """Element type, as a NumPy scalar type such as ``numpy.float32``."""
        return self._data.dtype.type

    @property
    def context(self) -> Context:
        """Where it lies."""
        return self._ctx

    ctx = context

    @property
    def stype(self) -> str:
        """Storage type; always ``"default"``, which is dense."""
        return "default"

    @property
    def writable(self) -> bool:
        """Whether elements can be assigned."""
        return True

    @property
    def T(self) -> NDArray:  # noqa: N802 - MXNet's name
        """The array with its axes in reverse order, as a copy."""
        return apply(_TRANSPOSE, self)

    @property
    def grad(self) -> NDArray | None:
        """The gradient that `backward` writes; None before `attach_grad`."""
        return self._grad

    def __repr__(self) -> str:
        return f"\n{self._data!s}\n<NDArray {'x'.join(map(str, self._data.shape))} @{self._ctx}>"

    def __len__(self) -> int:
        if not self._data.ndim:
            raise TypeError("len() of an NDArray without axes")
        return len(self._data)

    # -- to Python and NumPy ------------------------------------------------------------------------------------------

    def asnumpy(self) -> Array:
        """Return a copy as a NumPy array."""
        return self._data.copy()

    def asscalar(self) -> Any:
        """Return the only element as a NumPy scalar.

        Raises
        ------
        ArgumentError
            If there is not exactly one element.
        """
        if self._data.size != 1:
            raise ArgumentError(f"asscalar() needs exactly one element, the array has shape {self._data.shape}")
        return self._data.reshape(-1)[0]

    def __bool__(self) -> bool:
        if self._data.size > 1:
            raise ArgumentError(f"the truth value of an NDArray of shape {self._data.shape} is ambiguous")
        return bool(self._data.any())

    def __float__(self) -> float:
        return float(self.asscalar())

    def __int__(self) -> int:
        return int(self.asscalar())

    def __index__(self) -> int:
        if self._data.dtype.kind not in "iu":
            raise TypeError(f"an NDArray of element type {self._data.dtype} is no index")
        return int(self._data.item())

    def __iter__(self) -> Iterator[NDArray]:
        return (self[k] for k in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return the elements for NumPy: without a copy, a view that must not be written to."""
        if copy or (dtype is not None and np.dtype(dtype) != self._data.dtype):
            if copy is False:
                raise ValueError(f"an NDArray of {self._data.dtype} becomes an array of {dtype} by copying only")
            return np.array(self._data, dtype)
        view = self._data.view()
        view.flags.writeable = False
        return view

    def __dlpack__(self, **options: Any) -> Any:
        """Return the array in the DLPack protocol, sharing memory; NumPy 2.0 makes it read-only for who takes it."""
        if not _DLPACK_1:
            options = {k: v for k, v in options.items() if k == "stream"}
        return self._data.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return DLPack's device: the CPU."""
        return self._data.__dlpack_device__()

    def to_dlpack_for_read(self) -> Any:
        """Return a capsule of DLPack (1.0 from NumPy 2.1 on) that shares the memory, and can be used once."""
        return self.__dlpack__(max_version=(1, 0))

    to_dlpack_for_write = to_dlpack_for_read

    def __reduce__(self) -> tuple[Any, ...]:
        # MXNet: a pickled array comes back on the default context, without its gradient.
        return NDArray, (self._data,)

    def __copy__(self) -> NDArray:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> NDArray:
        return self.copy()

    def wait_to_read(self) -> None:
        """Return when the array can be read, which is now: operators run when they are called."""

    # -- copies -------------------------------------------------------------------------------------------------------

    def copy(self) -> NDArray:
        """Return a copy in the same context."""
        return apply(_COPY, self) if self._tracked() else wrap(self._data.copy(), self._ctx)

    def copyto(self, other: NDArray | Context) -> NDArray:
        """Copy into another array, converting elements, or to a context.

        Parameters
        ----------
        other
            An array of the same shape, which is returned; or a context, in which a copy is made.

        Raises
        ------
        ShapeError
            If the shapes differ.
        UnsupportedError
            If the context holds no arrays.
        """
        if isinstance(other, Context):
            copied = self.copy()
            copied._ctx = other.require_memory()
            return copied
        if not isinstance(other, NDArray):
            raise ArgumentError(f"copyto() takes an NDArray or a Context, got {type(other).__name__}")
        if other._data.shape != self._data.shape:
            raise ShapeError(f"copyto() copies an array of shape {self.shape} to one of shape {other.shape}")
        if other is not self:
            other._assign(Ellipsis, self)
        return other

    def as_in_context(self, context: Context) -> NDArray:
        """Return the array itself if it lies in `context`, else a copy there."""
        return self if context == self._ctx else self.copyto(context)

    def astype(self, dtype: Any, copy: bool = True) -> NDArray:
        """Return the array converted to another element type.

        Parameters
        ----------
        dtype
            The element type.
        copy
            If false, the array itself is returned where it has that type already.
        """
        target = as_dtype(dtype)
        if target == self._data.dtype:
            return self.copy() if copy else self
        return apply(_CAST(dtype=target.name), self)

    def tostype(self, stype: str) -> NDArray:
        """Return a copy of another storage type; only ``"default"`` exists here."""
        if stype != "default":
            raise UnsupportedError(f"there are no arrays of storage type {stype!r}: symgraph's arrays are dense")
        return self.copy()

    def as_nd_ndarray(self) -> NDArray:
        """Return the array itself."""
        return self

    # -- shape --------------------------------------------------------------------------------------------------------

    def reshape(self, *shape: Any, **options: Any) -> NDArray:
        """Return the same elements in another shape, as a view that shares memory.

        Parameters
        ----------
        *shape
            A tuple, or one number for each axis. 0 keeps a length, -1 stands for what is left, -2 for all axes that
            are left, -3 for the product of two, -4 splits one in the two that follow; see the operator `Reshape`.
        **options
            ``shape`` by name; ``reverse=True`` reads the codes from the right.

        Raises
        ------
        ShapeError
            If the elements do not fit.
        """
        if options:
            if unknown := options.keys() - {"shape", "reverse"}:
                raise ArgumentError(f"reshape() has no argument {min(unknown)!r}; it has shape and reverse")
            if shape and "shape" in options:
                raise ArgumentError("reshape() got the shape twice")
        given: Any = options.get("shape", shape[0] if len(shape) == 1 else shape)
        codes = (given,) if isinstance(given, INTEGERS) else given
        if not codes and (not shape or self._data.size != 1):
            raise ArgumentError(f"reshape() needs a shape for an array of shape {self.shape}, got {given!r}")
        if not codes:
            return wrap(self._data.reshape(()), self._ctx)
        tracked = self._tracked()
        # Without special codes NumPy means the same, unless it refuses.
        plain = all(n.__class__ is int and n > 0 for n in codes) and math.prod(codes) == self._data.size
        if plain and not tracked:
            return wrap(self._data.reshape(codes), self._ctx)
        op = _RESHAPE(shape=codes, reverse=options.get("reverse", False))
        if tracked:
            return apply(op, self)
        return wrap(self._data.reshape(evaluator(op).specs([self._data])[0].shape), self._ctx)

    def broadcast_to(self, shape: Any) -> NDArray:
        """Return the elements repeated along axes of length 1, and along new leading axes.

        Raises
        ------
        ShapeError
            If an axis is longer than 1 and not as long as it should be.
        """
        target = (shape,) if isinstance(shape, INTEGERS) else tuple(shape)
        extra = len(target) - self._data.ndim
        source = self.reshape((1,) * extra + self._data.shape) if extra > 0 and self._data.ndim else self
        return apply(find("broadcast_to")(shape=target), source)

    def split_v2(self, indices_or_sections: Any, axis: int = 0, squeeze_axis: bool = False) -> Any:
        """Split the array along an axis; see `symgraph.nd.split_v2`."""
        from symgraph.ndarray.creation import split_v2

        return split_v2(self, indices_or_sections, axis, squeeze_axis)

    # -- indexing -----------------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> NDArray:
        data = self._data
        if key.__class__ is slice and key == _ALL:
            return self
        index = indexing.read(key, data.shape)
        if self._tracked():
            return self._getitem_recorded(index)
        found = data[index.key]
        if index.basic and found.flags.c_contiguous:
            return wrap(found, self._ctx)
        return wrap(np.array(found, order="C"), self._ctx)

    def _getitem_recorded(self, index: indexing.Index) -> NDArray:
        """Return elements by operators, so that gradients find their way back."""
        if index.basic:
            part = indexing.as_slice(index, self._data.shape)
            taken = self
            if part is not None:
                begin, end, step = part
                taken = apply(find("slice")(begin=begin, end=end, step=step), self)
            shape = self._data[index.key].shape
            return taken if taken._data.shape == shape else apply(_RESHAPE(shape=shape), taken)
        where = np.arange(self._data.size).reshape(self._data.shape)[index.key]
        flat = apply(_RESHAPE(shape=(-1,)), self)
        return apply(find("take")(axis=0), flat, wrap(np.ascontiguousarray(where), self._ctx))

    def __setitem__(self, key: Any, value: Any) -> None:
        self._assign(key, value)

    def _assign(self, key: Any, value: Any) -> None:
        """Store a number or an array, converted to the array's element type, in a part of the array."""
        index = indexing.read(key, self._data.shape)
        if MODE.recording:
            _require_untracked(self)
            if isinstance(value, NDArray) and live(value._source) is not None:
                part = indexing.as_slice(index, self._data.shape) if index.basic else ()
                if part is not None or value._data.shape != self._data.shape:
                    raise GradientError(
                        "a recorded value can be stored in a whole array only: autograd cannot see parts",
                        facts={"array": self.shape, "value": value.shape},
                    )
                invoke(_COPY, [value.astype(self._data.dtype, copy=False)], self)
                return
        new = value._data if isinstance(value, NDArray) else as_values(value)
        if new.dtype != self._data.dtype:
            new = convert(new, self._data.dtype)
        try:
            self._data[index.key] = new
        except ValueError:
            target = self._data[index.key].shape
            raise ShapeError(f"values of shape {new.shape} do not fit a part of shape {target}") from None

    # -- gradients ----------------------------------------------------------------------------------------------------

    def _tracked(self) -> bool:
        """Return whether what is done with the array is to be recorded."""
        return MODE.recording and live(self._source) is not None

    def attach_grad(self, grad_req: str = "write", stype: str | None = None) -> None:
        """Mark the array, so that `backward` computes its gradient into `grad`.

        Parameters
        ----------
        grad_req
            ``"write"``: each `backward` replaces the gradient. ``"add"``: it adds to it. ``"null"``: none is computed.
        stype
            Storage type of the gradient; only the dense one exists.

        Raises
        ------
        GradientError
            If the element type is not a floating point one.
        """
        if stype not in (None, "default"):
            raise UnsupportedError(f"there are no gradients of storage type {stype!r}: symgraph's arrays are dense")
        mark(self, wrap(np.zeros_like(self._data), self._ctx), grad_req)

    def detach(self) -> NDArray:
        """Return an array that shares the memory, but through which no gradient flows."""
        return wrap(self._data, self._ctx)

    def backward(self, out_grad: NDArray | None = None, retain_graph: bool = False, train_mode: bool = True) -> None:
        """Compute the gradients of all marked arrays that this one was computed from; see `autograd.backward`."""
        from symgraph.ndarray.gradient import backward

        backward([self], [out_grad], retain_graph=retain_graph)

    # -- arithmetic ---------------------------------------------------------------------------------------------------

    __hash__ = object.__hash__

    def __neg__(self) -> NDArray:
        return apply(_NEGATIVE, self)

    def __abs__(self) -> NDArray:
        return apply(_ABS, self)

    __add__, __radd__, __iadd__ = _forward("add"), _mirrored("add"), _in_place("add")
    __sub__, __rsub__, __isub__ = _forward("subtract"), _mirrored("subtract"), _in_place("subtract")
    __mul__, __rmul__, __imul__ = _forward("multiply"), _mirrored("multiply"), _in_place("multiply")
    __truediv__, __rtruediv__, __itruediv__ = _forward("divide"), _mirrored("divide"), _in_place("divide")
    __mod__, __rmod__, __imod__ = _forward("modulo"), _mirrored("modulo"), _in_place("modulo")
    __pow__, __rpow__ = _forward("power"), _mirrored("power")
    __gt__, __ge__ = _forward("greater"), _forward("greater_equal")
    __lt__, __le__ = _forward("lesser"), _forward("lesser_equal")

    # Python would take NotImplemented for an answer: objects are equal if they are the same.
    def __eq__(self, other: object) -> NDArray:  # type: ignore[override]
        made: NDArray = binary("equal", self, other)
        return made

    def __ne__(self, other: object) -> NDArray:  # type: ignore[override]
        made: NDArray = binary("not_equal", self, other)
        return made


_ALL = slice(None)


def wrap(data: Array, ctx: Context) -> NDArray:
    """Return an NDArray over memory that is known to be laid out well."""
    made = NDArray.__new__(NDArray)
    made._data, made._ctx, made._grad, made._source = data, ctx, None, None
    return made


def as_values(value: Any) -> Array:
    """Return a Python or NumPy value as an array.

    Raises
    ------
    ArgumentError
        If it is neither a number nor an array of numbers.
    """
    if isinstance(value, (bool, int, float, np.generic, np.ndarray, list, tuple, range)):
        try:
            array = np.asarray(value)
        except ValueError:
            raise ArgumentError(f"the rows of {brief(value)} are not equally long") from None
        if array.dtype.kind in "biuf":
            return array
        if array.dtype.kind == "O" and isinstance(value, int):
            raise ArgumentError(f"{value} is out of the range of all element types")
    raise ArgumentError(f"needs numbers or an array of numbers, got {brief(value)}")


def convert(array: Array, dtype: np.dtype[Any]) -> Array:
    """Return a C-contiguous copy, converted as C converts: cut off towards zero, wrapped around, without a warning."""
    with np.errstate(all="ignore"):
        return array.astype(dtype, order="C")


def mark(array: NDArray, grad: NDArray, request: str) -> None:
    """Make an array a leaf of the tape; see `NDArray.attach_grad` and `autograd.mark_variables`."""
    if request not in ("write", "add", "null"):
        raise ArgumentError(f"grad_req must be 'write', 'add' or 'null', got {request!r}")
    if array._data.dtype.kind != "f" and request != "null":
        raise GradientError(f"only floating point arrays have gradients, this one is of {array._data.dtype}")
    if grad._data.shape != array._data.shape or grad._data.dtype != array._data.dtype:
        raise GradientError(
            "the gradient of an array has its shape and element type",
            facts={
                "array": f"{array._data.dtype}{array.shape}",
                "gradient": f"{grad._data.dtype}{grad.shape}",
            },
        )
    array._grad = grad
    array._source = None if request == "null" else (Leaf(grad, request), 0)


def _require_untracked(array: NDArray) -> None:
    if live(array._source) is not None:
        raise GradientError(
            "an array that autograd has recorded must not be written to while recording",
            facts={"instead": "make a new array, or write outside of autograd.record()"},
        )


# -- running operators ------------------------------------------------------------------------------------------------


def invoke(
    op: Op,
    inputs: Sequence[NDArray],
    out: NDArray | Sequence[NDArray] | None = None,
    *,
    ctx: Context | None = None,
    using: Evaluator | None = None,
    wanted: tuple[int, ...] | None = None,
) -> Any:
    """Run an operator on arrays.

    Parameters
    ----------
    op
        The operator.
    inputs
        All its inputs, in order. Those that it mutates get their new values once everything has been computed.
    out
        Receives the visible outputs: one array, or a sequence. Returned as it is.
    ctx
        Context of the results; that of the first input if left out.
    using
        The operator's evaluator, if the caller has it.
    wanted
        Indices of the outputs to compute; then a list of them is returned.

    Returns
    -------
    NDArray or list of NDArray
        The visible output, or the list of them if there are several.

    Raises
    ------
    ShapeError, DTypeError
        If the inputs do not fit the operator, or the outputs `out`.
    GradientError
        If `out` or a mutated input is on the tape.
    """
    run = using or evaluator(op)
    arrays = [x._data for x in inputs]
    training = MODE.training
    if run.random:
        arrays.append(next_state())
    results = run.routine(arrays, training, wanted)(arrays, run.hypers(op))
    if ctx is None:
        ctx = inputs[0]._ctx if inputs else current_context().require_memory()
    call = None
    if MODE.recording:
        sources = [live(x._source) for x in inputs]
        if any(sources):
            # Gradients are taken at the old values of states that are about to be renewed.
            read = [x.copy() if k in run.renewed else x for k, x in enumerate(arrays)] if run.renewed else arrays
            call = Call(op, sources, read, results[: run.num_outputs], training)
    if out is None and not run.renewed:
        if wanted is None and run.num_visible == 1:
            made = wrap(results[0], ctx)
            if call is not None:
                made._source = call, 0
            return made
        several = [wrap(x, ctx) for x in (results if wanted is not None else results[: run.num_visible])]
        if call is not None:
            for k, x in enumerate(several):
                x._source = call, k
        return several
    return _store(run, inputs, results, out, ctx, call)


def apply(op: Op, *inputs: NDArray) -> NDArray:
    """Run an operator with one visible output; see `invoke`."""
    made: NDArray = invoke(op, inputs)
    return made


def _store(
    run: Evaluator,
    inputs: Sequence[NDArray],
    results: list[Array],
    out: NDArray | Sequence[NDArray] | None,
    ctx: Context,
    call: Call | None,
) -> Any:
    """Write results to `out` and to mutated inputs: all of them or, if one does not fit, none."""
    targets = [inputs[k] for k in run.renewed]
    values = results[run.num_outputs :]
    made: Any = out
    if out is None:
        outputs = [wrap(x, ctx) for x in results[: run.num_visible]]
        made = outputs[0] if run.num_visible == 1 else outputs
    else:
        outputs = _check_out(run, inputs, results, out, recorded=call is not None)
        targets, values = [*outputs, *targets], [*results[: len(outputs)], *values]
    # In one row in C: nothing can come between two of the copies.
    deque(map(copyto, [x._data for x in targets], values), maxlen=0)
    if call is not None:
        for k, x in enumerate(outputs):
            x._source = call, k
            call.outputs[k] = x._data
    return made


def _check_out(
    run: Evaluator, inputs: Sequence[NDArray], results: list[Array], out: Any, *, recorded: bool
) -> list[NDArray]:
    """Return the arrays that are to receive the outputs, if the outputs fit them."""
    where = f"{run.op.op_name}()"
    if not isinstance(out, (NDArray, list, tuple)):
        raise ArgumentError(f"out must be NDArray or a list of them, got {type(out).__name__}", where=where)
    outputs = [out] if isinstance(out, NDArray) else list(out)
    if len(outputs) not in (run.num_visible, run.num_outputs):
        raise ArgumentError(f"there are {run.num_visible} outputs, but out has {len(outputs)}", where=where)
    for k, (x, value) in enumerate(zip(outputs, results, strict=False)):
        which = f"out[{k}]" if len(outputs) > 1 else "out"
        if not isinstance(x, NDArray):
            raise ArgumentError(f"{which} must be NDArray, got {type(x).__name__}", where=where)
        if x._data.shape != value.shape:
            raise ShapeError(f"{which} has shape {x.shape}, but the result has {value.shape}", where=where)
        if x._data.dtype != value.dtype:
            raise DTypeError(f"{which} has element type {x._data.dtype}, but the result {value.dtype}", where=where)
        if MODE.recording:
            _require_untracked(x)
        if recorded and any(x is y for y in inputs):
            raise GradientError(
                f"{which} is an input, and autograd records: it must not be written to",
                where=where,
                facts={"instead": "leave out= away, and use the result"},
            )
    return outputs


_TRANSPOSE = find("transpose")()
_COPY = find("_copy")()
_CAST = find("Cast")
_RESHAPE = find("Reshape")
_NEGATIVE = find("negative")()
_ABS = find("abs")()


# -- operators of two operands ----------------------------------------------------------------------------------------


class Binary:
    """A function of two operands, of which one may be a number.

    A number enters as an array without axes, of the other operand's element type: so a number that is different each
    time, such as a learning rate, costs no more than one that stays.

    Parameters
    ----------
    name
        Name of the operator; its operands broadcast.
    numbers
        The function of two numbers.
    """

    __slots__ = ("numbers", "op", "using")

    def __init__(self, name: str, numbers: Callable[[Any, Any], Any]) -> None:
        self.op = find(name)()
        self.using = evaluator(self.op)
        self.numbers = numbers

    def __call__(self, x: Any, y: Any, out: NDArray | None = None) -> Any:
        """Apply the function; returns NotImplemented if an operand is neither an array nor a number."""
        if isinstance(y, NDArray):
            if isinstance(x, NDArray):
                return invoke(self.op, (x, y), out, using=self.using)
            if isinstance(x, NUMBERS):
                return invoke(self.op, (_number(x, y), y), out, ctx=y._ctx, using=self.using)
        elif isinstance(y, NUMBERS):
            if isinstance(x, NDArray):
                return invoke(self.op, (x, _number(y, x)), out, using=self.using)
            if isinstance(x, NUMBERS):
                return self.numbers(x, y)
        return NotImplemented


#: Numbers up to this size are finite in every floating point type.
_SMALL = 65504.0


def _number(value: Any, like: NDArray) -> NDArray:
    """Return a number as an array without axes, of an array's element type: converted as C does."""
    dtype = like._data.dtype
    if value.__class__ in (float, int) and dtype.kind == "f" and -_SMALL <= value <= _SMALL:
        return wrap(np.array(value, dtype), like._ctx)
    return wrap(np.asarray(typed_number(value, dtype)), like._ctx)


def _truth(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], int]:
    return lambda x, y: 1 if test(x, y) else 0


#: The functions of two operands by the name that they have in ``nd``.
BINARY = {
    "add": Binary("broadcast_add", operator.add),
    "subtract": Binary("broadcast_sub", operator.sub),
    "multiply": Binary("broadcast_mul", operator.mul),
    "divide": Binary("broadcast_div", operator.truediv),
    "modulo": Binary("broadcast_mod", operator.mod),
    "power": Binary("broadcast_power", operator.pow),
    "maximum": Binary("broadcast_maximum", max),
    "minimum": Binary("broadcast_minimum", min),
    "equal": Binary("broadcast_equal", _truth(operator.eq)),
    "not_equal": Binary("broadcast_not_equal", _truth(operator.ne)),
    "greater": Binary("broadcast_greater", _truth(operator.gt)),
    "greater_equal": Binary("broadcast_greater_equal", _truth(operator.ge)),
    "lesser": Binary("broadcast_lesser", _truth(operator.lt)),
    "lesser_equal": Binary("broadcast_lesser_equal", _truth(operator.le)),
    "logical_and": Binary("broadcast_logical_and", _truth(lambda x, y: x and y)),
    "logical_or": Binary("broadcast_logical_or", _truth(lambda x, y: x or y)),
    "logical_xor": Binary("broadcast_logical_xor", _truth(lambda x, y: bool(x) != bool(y))),
}


def binary(name: str, x: Any, y: Any) -> Any:
    """Apply a function of two operands.

    Raises
    ------
    ArgumentError
        If an operand is neither an NDArray nor a number.
    """
    found = BINARY[name](x, y)
    if found is NotImplemented:
        wrong = y if isinstance(x, (NDArray, *NUMBERS)) else x
        raise ArgumentError(f"nd.{name}() takes NDArrays and numbers, got {type(wrong).__name__}")
    return found
