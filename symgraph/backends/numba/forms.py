"""What a fused group computes, as a value, and the loop that computes it, in LLVM's language.

A compiled loop does for one element after the other what NumPy's calls do for one block after the other: the same
operations in the same order on the same types, each rounded by itself. Nothing is reassociated, and a product and a sum
are not contracted to one operation, because no instruction carries a flag that allows it. So results have NumPy's
bits. Primitives whose value depends on a library's series (``exp``, ``sin``, ``power``) or whose conversion C leaves
open (float to integer) are not compiled; neither is float16, nor are reductions.

What does not belong here: compiling, memory, threads.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.program.values import Equation

__all__ = ["Form", "Unsupported", "describe", "loop", "refusal"]

Array = np.ndarray[Any, Any]

#: LLVM's types of elements in memory. Truth values are bytes there, and single bits in registers.
_TYPES = {
    "float32": "float",
    "float64": "double",
    "uint8": "i8",
    "int8": "i8",
    "int32": "i32",
    "int64": "i64",
    "bool": "i8",
}
#: Operands of one loop at most: each needs an address in a register or on the stack.
_MOST_ARRAYS = 48


class Unsupported(Exception):  # noqa: N818 - it is an answer, not an error
    """Why a group is left to NumPy, as a phrase for ``explain()``."""


@dataclass(frozen=True)
class Form:
    """What groups that share one compiled loop have in common.

    Attributes
    ----------
    rank
        Number of nested loops.
    arrays
        For each array its dtype and a letter for each axis: ``c`` next to each other (innermost only), ``s`` by a
        stride, ``0`` the same element again and again.
    equations
        For each equation the primitive, its operands, the dtype of its result, and the number of the array that
        receives it, or -1. An operand is the number of an array, or ``-1 - k`` for the result of equation `k`.
    """

    rank: int
    arrays: tuple[tuple[str, str], ...]
    equations: tuple[tuple[str, tuple[int, ...], str, int], ...]


def describe(
    equations: Sequence[Equation], arrays: Mapping[int, Array], shape: Sequence[int]
) -> tuple[Form, list[int]]:
    """Return the form of a loop, and which arrays it runs on, as keys of `arrays`.

    Parameters
    ----------
    equations
        What it computes; none is refused (`refusal`).
    arrays
        By ``id`` of each value that is read from memory or written there its array; it broadcasts to `shape`. What is
        not among them only the loop knows.
    shape
        The common shape, no axis empty.

    Raises
    ------
    Unsupported
        If the arrays must be left to NumPy, saying why.
    """
    slots: dict[tuple[Any, ...], int] = {}
    keys: list[int] = []
    found: list[Array] = []

    def slot(value_id: int) -> int:
        # Values in the same place are one array: an update in place reads and writes one.
        x = np.broadcast_to(arrays[value_id], shape)
        key = (x.__array_interface__["data"][0], x.strides, x.dtype.str)
        if key not in slots:
            slots[key] = len(found)
            found.append(x)
            keys.append(value_id)
        return slots[key]

    results: dict[int, int] = {}
    lines, written = [], set()
    for k, equation in enumerate(equations):
        out = equation.outputs[0]
        operands = tuple(results[id(v)] if id(v) in results else slot(id(v)) for v in equation.inputs)
        target = slot(id(out)) if id(out) in arrays else -1
        if target >= 0:
            written.add(target)
        results[id(out)] = -1 - k
        lines.append((equation.primitive.name, operands, out.dtype.name, target))
    if len(found) > _MOST_ARRAYS:
        raise Unsupported(f"it has {len(found)} arrays, more than {_MOST_ARRAYS}")
    for k in written:
        x = found[k]
        if any(s == 0 and n > 1 for s, n in zip(x.strides, shape, strict=True)):
            raise Unsupported("a result overlaps itself")
        for j, y in enumerate(found):
            same = x.__array_interface__["data"][0] == y.__array_interface__["data"][0] and x.strides == y.strides
            if j != k and np.may_share_memory(x, y) and not (same and x.itemsize == y.itemsize):
                raise Unsupported("arrays overlap")
    if not all(x.flags.aligned for x in found):
        raise Unsupported("an array is not aligned")
    patterns = []
    for x in found:
        letters = ["0" if s == 0 else "s" for s in x.strides]
        if x.strides[-1] == x.itemsize:
            letters[-1] = "c"
        patterns.append((x.dtype.name, "".join(letters)))
    return Form(len(shape), tuple(patterns), tuple(lines)), keys


def refusal(equation: Equation) -> str | None:
    """Return why an equation is left to NumPy, whose bits a loop might miss, as a phrase; None if it is not."""
    name, dtypes = equation.primitive.name, [v.dtype for v in (*equation.inputs, *equation.outputs)]
    strange = [d for d in dtypes if d.name not in _TYPES or not d.isnative]
    if strange:
        return f"{strange[0]} is left to NumPy"
    if name == "astype":
        if dtypes[0].kind == "f" and dtypes[1].kind in "iu":
            return f"astype from {dtypes[0]} to {dtypes[1]} is left to NumPy"
    elif name not in _OPERATIONS and name != "where":
        return f"{name} is left to NumPy"
    elif name in ("maximum", "minimum") and dtypes[0].kind == "f" and not _second_of_equals():
        return f"{name} treats signed zeros otherwise on this machine"
    return None


@functools.cache
def _second_of_equals() -> bool:
    """Return whether NumPy's maximum and minimum of two zeros is the second, as the instruction of x86 has it."""
    for dtype in (np.float32, np.float64):
        for first in (0.0, -0.0):
            x, y = np.full(67, first, dtype), np.full(67, -first, dtype)
            for function in (np.maximum, np.minimum):
                if (np.signbit(function(x, y)) != np.signbit(y)).any():
                    return False
    return True


# -- operations -------------------------------------------------------------------------------------------------------


class _Code:
    """Lines of a function under way."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.intrinsics: set[str] = set()
        self._count = 0

    def put(self, line: str) -> None:
        self.lines.append(f"  {line}")

    def let(self, instruction: str) -> str:
        """Append an instruction and return its result's name."""
        self._count += 1
        self.put(f"%v{self._count} = {instruction}")
        return f"%v{self._count}"

    def call(self, name: str, dtype: str, operands: Sequence[str], more: str = "") -> str:
        """Call one of LLVM's own functions on a dtype."""
        t = _register(dtype)
        full = f"llvm.{name}.{'f' if dtype.startswith('float') else 'i'}{np.dtype(dtype).itemsize * 8}"
        declared = ", ".join([t] * len(operands) + (["i1"] if more else []))
        self.intrinsics.add(f"declare {t} @{full}({declared})")
        passed = ", ".join([f"{t} {x}" for x in operands] + ([more] if more else []))
        return self.let(f"call {t} @{full}({passed})")


def _register(dtype: str) -> str:
    return "i1" if dtype == "bool" else _TYPES[dtype]


def _is_float(dtype: str) -> bool:
    return dtype.startswith("float")


def _zero(dtype: str) -> str:
    return "0.0" if _is_float(dtype) else "false" if dtype == "bool" else "0"


def _one(dtype: str) -> str:
    return "1.0" if _is_float(dtype) else "1"


def _signed(dtype: str) -> bool:
    return dtype.startswith("int")


#: ``(code, dtype of the operands, operands) -> result``
_Operation = Callable[[_Code, str, Sequence[str]], str]


def _binary(for_float: str | None, for_int: str, for_bool: str | None = None) -> _Operation:
    def emit(code: _Code, dtype: str, x: Sequence[str]) -> str:
        name = for_float if _is_float(dtype) else for_bool if dtype == "bool" and for_bool else for_int
        return code.let(f"{name} {_register(dtype)} {x[0]}, {x[1]}")

    return emit


def _rounding(name: str) -> _Operation:
    def emit(code: _Code, dtype: str, x: Sequence[str]) -> str:
        return code.call(name, dtype, x)

    return emit


def _compare(code: _Code, dtype: str, relation: str, x: str, y: str) -> str:
    """Compare; `relation` is eq, ne, lt, le, gt or ge. With a NaN only `ne` holds."""
    if _is_float(dtype):
        return code.let(f"fcmp {'une' if relation == 'ne' else 'o' + relation} {_register(dtype)} {x}, {y}")
    sign = "" if relation in ("eq", "ne") else "s" if _signed(dtype) else "u"
    return code.let(f"icmp {sign}{relation} {_register(dtype)} {x}, {y}")


def _comparison(relation: str) -> _Operation:
    return lambda code, dtype, x: _compare(code, dtype, relation, x[0], x[1])


def _truth(code: _Code, dtype: str, x: str) -> str:
    return x if dtype == "bool" else _compare(code, dtype, "ne", x, _zero(dtype))


def _logical(instruction: str) -> _Operation:
    def emit(code: _Code, dtype: str, x: Sequence[str]) -> str:
        return code.let(f"{instruction} i1 {_truth(code, dtype, x[0])}, {_truth(code, dtype, x[1])}")

    return emit


def _select(code: _Code, dtype: str, condition: str, x: str, y: str) -> str:
    t = _register(dtype)
    return code.let(f"select i1 {condition}, {t} {x}, {t} {y}")


def _extreme(relation: str) -> _Operation:
    def emit(code: _Code, dtype: str, x: Sequence[str]) -> str:
        # Of equals (signed zeros) the second; a NaN wins.
        chosen = _select(code, dtype, _compare(code, dtype, relation, x[0], x[1]), x[0], x[1])
        if not _is_float(dtype):
            return chosen
        nan = code.let(f"fcmp uno {_register(dtype)} {x[0]}, {x[0]}")
        return _select(code, dtype, nan, x[0], chosen)

    return emit


def _abs(code: _Code, dtype: str, x: Sequence[str]) -> str:
    if _is_float(dtype):
        return code.call("fabs", dtype, x)
    return code.call("abs", dtype, x, "i1 false") if _signed(dtype) else x[0]


def _negative(code: _Code, dtype: str, x: Sequence[str]) -> str:
    t = _register(dtype)
    return code.let(f"fneg {t} {x[0]}" if _is_float(dtype) else f"sub {t} 0, {x[0]}")


def _square(code: _Code, dtype: str, x: Sequence[str]) -> str:
    return code.let(f"{'fmul' if _is_float(dtype) else 'mul'} {_register(dtype)} {x[0]}, {x[0]}")


def _sign(code: _Code, dtype: str, x: Sequence[str]) -> str:
    zero, minus = _zero(dtype), "-1.0" if _is_float(dtype) else "-1"
    # NumPy: 1, -1, plain zero for both zeros, and a NaN stays itself.
    rest = _select(code, dtype, _compare(code, dtype, "eq", x[0], zero), zero, x[0])
    if _is_float(dtype) or _signed(dtype):
        rest = _select(code, dtype, _compare(code, dtype, "lt", x[0], zero), minus, rest)
    return _select(code, dtype, _compare(code, dtype, "gt", x[0], zero), _one(dtype), rest)


def _float_test(for_float: Callable[[_Code, str, str], str], otherwise: str) -> _Operation:
    return lambda code, dtype, x: for_float(code, dtype, x[0]) if _is_float(dtype) else otherwise


def _is_nan(code: _Code, dtype: str, x: str) -> str:
    return code.let(f"fcmp uno {_register(dtype)} {x}, {x}")


def _is_infinite(relation: str) -> Callable[[_Code, str, str], str]:
    def emit(code: _Code, dtype: str, x: str) -> str:
        infinity = "0x7FF0000000000000"  # LLVM writes float's in double's digits, too
        return code.let(f"fcmp {relation} {_register(dtype)} {code.call('fabs', dtype, [x])}, {infinity}")

    return emit


_OPERATIONS: dict[str, _Operation] = {
    "abs": _abs,
    "negative": _negative,
    "sign": _sign,
    "square": _square,
    "sqrt": _rounding("sqrt"),
    "floor": _rounding("floor"),
    "ceil": _rounding("ceil"),
    "trunc": _rounding("trunc"),
    "rint": _rounding("rint"),
    "reciprocal": lambda code, dtype, x: code.let(f"fdiv {_register(dtype)} 1.0, {x[0]}"),
    "add": _binary("fadd", "add", "or"),
    "subtract": _binary("fsub", "sub"),
    "multiply": _binary("fmul", "mul", "and"),
    "divide": lambda code, dtype, x: code.let(f"fdiv {_register(dtype)} {x[0]}, {x[1]}"),
    "maximum": _extreme("gt"),
    "minimum": _extreme("lt"),
    "equal": _comparison("eq"),
    "not_equal": _comparison("ne"),
    "less": _comparison("lt"),
    "less_equal": _comparison("le"),
    "greater": _comparison("gt"),
    "greater_equal": _comparison("ge"),
    "logical_and": _logical("and"),
    "logical_or": _logical("or"),
    "logical_xor": _logical("xor"),
    "logical_not": lambda code, dtype, x: code.let(f"xor i1 {_truth(code, dtype, x[0])}, true"),
    "isnan": _float_test(_is_nan, "false"),
    "isinf": _float_test(_is_infinite("oeq"), "false"),
    "isfinite": _float_test(_is_infinite("olt"), "true"),
}


def _convert(code: _Code, old: str, new: str, x: str) -> str:
    """Convert as C does; `_check` has refused what C leaves open."""
    before, after = _register(old), _register(new)
    if old == new:
        return x
    if new == "bool":
        return _truth(code, old, x)
    if _is_float(new):
        if _is_float(old):
            return code.let(f"{'fptrunc' if new == 'float32' else 'fpext'} {before} {x} to {after}")
        return code.let(f"{'sitofp' if _signed(old) else 'uitofp'} {before} {x} to {after}")
    wider = np.dtype(new).itemsize - np.dtype(old).itemsize if old != "bool" else 1
    if wider == 0:
        return x  # int8 and uint8: the same bits
    if wider < 0:
        return code.let(f"trunc {before} {x} to {after}")
    return code.let(f"{'sext' if _signed(old) else 'zext'} {before} {x} to {after}")


# -- the loop ---------------------------------------------------------------------------------------------------------


def loop(form: Form) -> str:
    """Return the module of a form in LLVM's language.

    It has one function, ``void loop(ptr addresses, ptr strides, ptr lengths)``: the address of each array's first
    element, the strides in bytes of each array one after the other, and the length of each axis, at least 1.
    """
    code, rank, inner = _Code(), form.rank, form.rank - 1
    pointers, strides = [], {}
    code.put("; addresses, strides, lengths")
    for k in range(len(form.arrays)):
        place = code.let(f"getelementptr ptr, ptr %addresses, i64 {k}")
        pointers.append(code.let(f"load ptr, ptr {place}"))
        for axis in range(rank):
            place = code.let(f"getelementptr i64, ptr %strides, i64 {k * rank + axis}")
            strides[k, axis] = code.let(f"load i64, ptr {place}")
    lengths = []
    for axis in range(rank):
        place = code.let(f"getelementptr i64, ptr %lengths, i64 {axis}")
        lengths.append(code.let(f"load i64, ptr {place}"))

    written = {target for *_, target in form.equations if target >= 0}
    read = {x for _, operands, _, _ in form.equations for x in operands if x >= 0}
    loaded: dict[int, str] = {}

    def load(k: int, address: str, mark: str = "") -> None:
        dtype = form.arrays[k][0]
        x = code.let(f"load {_TYPES[dtype]}, ptr {address}, align {np.dtype(dtype).itemsize}{mark}")
        loaded[k] = code.let(f"icmp ne i8 {x}, 0") if dtype == "bool" else x

    # What is the same for all elements, or along the inner axis, is read before the loop.
    for k in sorted(read - written):
        if set(form.arrays[k][1]) == {"0"}:
            load(k, pointers[k])
    before = "entry"
    for axis in range(inner):
        code.put(f"br label %axis{axis}")
        code.lines.append(f"axis{axis}:")
        code.put(f"%i{axis} = phi i64 [ 0, %{before} ], [ %next{axis}, %latch{axis} ]")
        moved = []
        for k, pointer in enumerate(pointers):
            code.put(f"%p{axis}_{k} = phi ptr [ {pointer}, %{before} ], [ %q{axis}_{k}, %latch{axis} ]")
            moved.append(f"%p{axis}_{k}")
        pointers, before = moved, f"axis{axis}"
    for k in sorted(read - written):
        if k not in loaded and form.arrays[k][1][-1] == "0":
            load(k, pointers[k])
    code.put("br label %inner")
    code.lines.append("inner:")
    code.put(f"%i = phi i64 [ 0, %{before} ], [ %next, %inner ]")

    def address(k: int) -> str:
        dtype, letters = form.arrays[k]
        if letters[-1] == "c":
            return code.let(f"getelementptr inbounds {_TYPES[dtype]}, ptr {pointers[k]}, i64 %i")
        return code.let(
            f"getelementptr inbounds i8, ptr {pointers[k]}, i64 {code.let(f'mul i64 %i, {strides[k, inner]}')}"
        )

    places = {k: address(k) for k in sorted(read | written) if k not in loaded}
    for k in sorted(read):
        if k not in loaded:
            load(k, places[k], ", !llvm.access.group !0")
    results: list[tuple[str, str]] = []

    def operand(x: int) -> tuple[str, str]:
        return (loaded[x], form.arrays[x][0]) if x >= 0 else results[-1 - x]

    stores = []
    for name, numbers, dtype, target in form.equations:
        given = [operand(x) for x in numbers]
        registers = [x for x, _ in given]
        if name == "astype":
            result = _convert(code, given[0][1], dtype, registers[0])
        elif name == "where":
            result = _select(code, dtype, _truth(code, given[0][1], registers[0]), registers[1], registers[2])
        else:
            result = _OPERATIONS[name](code, given[0][1], registers)
        results.append((result, dtype))
        if target >= 0:
            stores.append((result, dtype, target))
    for result, dtype, k in stores:
        if dtype == "bool":
            result = code.let(f"zext i1 {result} to i8")
        size = np.dtype(dtype).itemsize
        code.put(f"store {_TYPES[dtype]} {result}, ptr {places[k]}, align {size}, !llvm.access.group !0")
    code.put("%next = add nuw nsw i64 %i, 1")
    code.put(f"%done = icmp eq i64 %next, {lengths[inner]}")
    after = f"latch{inner - 1}" if inner else "end"
    code.put(f"br i1 %done, label %{after}, label %inner, !llvm.loop !1")
    for axis in range(inner - 1, -1, -1):
        code.lines.append(f"latch{axis}:")
        for k in range(len(form.arrays)):
            code.put(f"%q{axis}_{k} = getelementptr i8, ptr %p{axis}_{k}, i64 {strides[k, axis]}")
        code.put(f"%next{axis} = add nuw nsw i64 %i{axis}, 1")
        code.put(f"%done{axis} = icmp eq i64 %next{axis}, {lengths[axis]}")
        code.put(f"br i1 %done{axis}, label %{f'latch{axis - 1}' if axis else 'end'}, label %axis{axis}")
    # No element depends on another (`describe` refuses arrays that overlap otherwise), which lets LLVM use vectors.
    return "\n".join(
        [
            *sorted(code.intrinsics),
            "define void @loop(ptr %addresses, ptr %strides, ptr %lengths) nounwind {",
            "entry:",
            *code.lines,
            "end:",
            "  ret void",
            "}",
            "!0 = distinct !{}",
            "!1 = distinct !{!1, !2}",
            '!2 = !{!"llvm.loop.parallel_accesses", !0}',
            "",
        ]
    )
