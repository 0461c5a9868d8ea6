"""Random programs, and how they are compared: shared by the tests of passes, schedule, memory plan and engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from symgraph.program import Program, Recorded, Recorder, Spec, Value
from symgraph.program.primitives import broadcast_shapes

Array = np.ndarray[Any, Any]
Draw = Any

#: Numbers at which arithmetic has corners.
SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.0, float("inf"), float("-inf"), float("nan"), 1e-40, 6e4)
UNARY = "negative abs sign square floor rint exp tanh sqrt log1p sin reciprocal".split()
BINARY = "add subtract multiply divide maximum minimum hypot power".split()
COMPARE = "equal less greater_equal logical_and".split()


@dataclass
class Case:
    """A program, data for it, and how it is bound."""

    program: Program
    arrays: list[Array]
    hypers: list[float] = field(default_factory=list)
    stores: list[tuple[int, int]] = field(default_factory=list)
    first: list[int] | None = None
    accumulate: list[int] = field(default_factory=list)

    def __repr__(self) -> str:
        return (
            f"Case(stores={self.stores}, first={self.first}, accumulate={self.accumulate}, hypers={self.hypers}\n"
            f"{self.program}\n{self.arrays})"
        )


def same_bits(x: Any, y: Any) -> bool:
    """Return whether two arrays agree in every bit; NaNs are equal, for IEEE 754 leaves their sign and payload open."""
    x, y = np.asarray(x), np.asarray(y)
    if x.shape != y.shape or x.dtype != y.dtype:
        return False
    if x.dtype.kind == "f":
        nan = np.isnan(np.ascontiguousarray(x))
        if not np.array_equal(nan, np.isnan(np.ascontiguousarray(y))):
            return False
        x, y = np.where(nan, x.dtype.type(0), x), np.where(nan, y.dtype.type(0), y)
    return x.tobytes() == y.tobytes()


def data(shape: Sequence[int], dtype: Any, seed: int, special: float = 0.3) -> Array:
    """Return random numbers of a dtype, a share of them special."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    shape = tuple(shape)
    if dtype.kind == "b":
        return np.asarray(rng.random(shape) < 0.5)
    if dtype.kind in "iu":
        return rng.integers(0 if dtype.kind == "u" else -4, 5, shape).astype(dtype)
    with np.errstate(all="ignore"):
        x = np.asarray(rng.normal(size=shape) * 2).astype(dtype)
        odd = rng.choice(np.array(SPECIAL), shape).astype(dtype)
    return np.where(rng.random(shape) < special, odd, x)


class _Builder:
    """Records random equations; every random choice is drawn, so that a failure shrinks."""

    def __init__(self, draw: Draw, large: bool) -> None:
        self.draw, self.xp = draw, Recorder()
        sizes = st.sampled_from((2, 3, 1, 4, 5, 7, 0) if not large else (5, 8, 1, 16, 33, 0))
        self.base = tuple(draw(st.lists(sizes, min_size=0, max_size=3)))
        self.dtype = draw(st.sampled_from(("float32", "float64", "float16")))
        self.pool: list[Recorded] = []

    def some_shape(self) -> tuple[int, ...]:
        base = self.base
        form = self.draw(st.integers(0, 4))
        if form <= 1:
            return base
        if form == 2:
            return tuple(1 if self.draw(st.booleans()) else n for n in base)
        if form == 3:
            return base[::-1]
        return base[1:]

    def add_input(self) -> None:
        dtype = self.draw(st.sampled_from((self.dtype, self.dtype, self.dtype, "int32", "bool")))
        self.pool.append(self.xp.input(Spec(self.some_shape(), np.dtype(dtype)), f"x{len(self.xp.program.inputs)}"))

    def pick(self, kinds: str = "fib") -> Recorded | None:
        fitting = [x for x in self.pool if x.dtype.kind in kinds]
        if not fitting:
            return None
        # Recent values more often, so that chains grow; the simplest choice is the newest.
        return fitting[len(fitting) - 1 - self.draw(st.integers(0, len(fitting) - 1))]

    def partner(self, x: Recorded) -> Recorded:
        """Return a value that broadcasts with `x` and has its dtype; sometimes a number, or `x` itself."""
        if self.draw(st.integers(0, 4)) == 4 and x.dtype.kind in "fi":
            number = self.draw(st.sampled_from((1.0, 0.0, -1.0, 2.0, -0.0, 0.5)))
            return self.xp.constant(np.asarray(number, x.dtype))
        fitting = [y for y in self.pool if y.dtype == x.dtype and _broadcast(x.shape, y.shape) is not None]
        return fitting[len(fitting) - 1 - self.draw(st.integers(0, len(fitting) - 1))]

    def step(self) -> Recorded | None:
        kind = self.draw(st.sampled_from(_STEPS))
        return kind(self)

    # -- kinds of steps -----------------------------------------------------------------------------------------------

    def unary(self) -> Recorded | None:
        x = self.pick("f")
        return None if x is None else getattr(self.xp, self.draw(st.sampled_from(UNARY)))(x)

    def binary(self) -> Recorded | None:
        x = self.pick("f")
        return None if x is None else getattr(self.xp, self.draw(st.sampled_from(BINARY)))(x, self.partner(x))

    def whole_numbers(self) -> Recorded | None:
        x = self.pick("i")
        name = self.draw(st.sampled_from(("add", "subtract", "multiply", "maximum")))
        return None if x is None else getattr(self.xp, name)(x, self.partner(x))

    def compare(self) -> Recorded | None:
        x = self.pick("fi")
        return None if x is None else getattr(self.xp, self.draw(st.sampled_from(COMPARE)))(x, self.partner(x))

    def where(self) -> Recorded | None:
        x, c = self.pick("f"), self.pick("b")
        if x is None:
            return None
        y = self.partner(x)
        if c is None or _broadcast(c.shape, broadcast_shapes(x.shape, y.shape)) is None:
            c = self.xp.greater(y, x)
        return self.xp.where(c, x, y)

    def astype(self) -> Recorded | None:
        x = self.pick("fib")
        assert x is not None
        kinds = ("float32", "float64", "float16") if x.dtype.kind == "f" else (self.dtype, "int32", "int64", "float32")
        return self.xp.astype(x, self.draw(st.sampled_from(kinds)))

    def reduce(self) -> Recorded | None:
        x = self.pick("f")
        if x is None or x.ndim == 0:
            return None
        axes = self.draw(st.sets(st.integers(0, x.ndim - 1), min_size=1))
        name = self.draw(st.sampled_from(("sum", "max", "prod", "min")))
        if name in ("max", "min") and any(x.shape[a] == 0 for a in axes):
            name = "sum"
        return getattr(self.xp, name)(x, sorted(axes), self.draw(st.booleans()))

    def arg_extreme(self) -> Recorded | None:
        x = self.pick("f")
        if x is None or x.ndim == 0 or 0 in x.shape:
            return None
        return self.xp.argmax(x, self.draw(st.integers(0, x.ndim - 1)))

    def running(self) -> Recorded | None:
        x = self.pick("f")
        if x is None or x.ndim == 0:
            return None
        return self.xp.cumsum(x, self.draw(st.integers(0, x.ndim - 1)), self.draw(st.booleans()))

    def reshape(self) -> Recorded | None:
        x = self.pick()
        assert x is not None
        forms = [(x.size,), (1, *x.shape), (*x.shape, 1), x.shape[::-1]]
        if x.ndim >= 2:
            forms += [(x.shape[0] * x.shape[1], *x.shape[2:]), (*x.shape[:-2], x.shape[-2] * x.shape[-1])]
        if x.ndim == 1 and x.size % 2 == 0:
            forms += [(2, x.size // 2), (x.size // 2, 2)]
        return self.xp.reshape(x, self.draw(st.sampled_from(forms)))

    def permute(self) -> Recorded | None:
        x = self.pick()
        assert x is not None
        return self.xp.permute_dims(x, self.draw(st.permutations(range(x.ndim))))

    def broadcast(self) -> Recorded | None:
        x = self.pick()
        assert x is not None
        shape = tuple(self.draw(st.sampled_from((n, 3))) if n == 1 else n for n in x.shape)
        return self.xp.broadcast_to(x, (*self.draw(st.sampled_from(((), (2,)))), *shape))

    def slice(self) -> Recorded | None:
        x = self.pick()
        assert x is not None
        parts = []
        for n in x.shape:
            step = self.draw(st.sampled_from((1, 1, 2, -1, -2)))
            start = self.draw(st.sampled_from((None, 0, 1, n - 1)))
            stop = self.draw(st.sampled_from((None, n - 1, n)))
            parts.append((start, stop, step) if self.draw(st.booleans()) else (None, None, 1))
        return self.xp.slice(x, parts)

    def stop(self) -> Recorded | None:
        x = self.pick("f")
        return None if x is None else self.xp.stop_gradient(x)

    def concat(self) -> Recorded | None:
        x = self.pick("f")
        if x is None or x.ndim == 0:
            return None
        axis = self.draw(st.integers(0, x.ndim - 1))
        pieces = [x]
        for _ in range(self.draw(st.integers(1, 2))):
            fitting = [
                y
                for y in self.pool
                if y.dtype == x.dtype
                and y.ndim == x.ndim
                and all(k == axis or m == n for k, (m, n) in enumerate(zip(x.shape, y.shape, strict=True)))
            ]
            pieces.append(fitting[len(fitting) - 1 - self.draw(st.integers(0, len(fitting) - 1))])
        return self.xp.concat(pieces, axis)

    def pad(self) -> Recorded | None:
        x = self.pick("f")
        if x is None:
            return None
        return self.xp.pad(x, [self.draw(st.sampled_from(((0, 0), (1, 0), (0, 2)))) for _ in x.shape], 1.5)

    def embed(self) -> Recorded | None:
        x = self.pick("f")
        return None if x is None else self.xp.embed(x, [2 * n + 1 for n in x.shape], [(0, 2 * n, 2) for n in x.shape])

    def take(self) -> Recorded | None:
        x = self.pick("f")
        if x is None or x.ndim == 0 or 0 in x.shape:
            return None
        indices = self.xp.constant(np.asarray(self.draw(st.sampled_from((0, [1, 0, 5], [[-1], [2]])))))
        return self.xp.take(x, indices, self.draw(st.integers(0, x.ndim - 1)), "wrap")

    def sort(self) -> Recorded | None:
        x = self.pick("f")
        if x is None or x.ndim == 0:
            return None
        return self.xp.sort(x, self.draw(st.integers(0, x.ndim - 1)))

    def matmul(self) -> Recorded | None:
        fitting = [x for x in self.pool if x.dtype.kind == "f" and x.ndim >= 2]
        if not fitting:
            return None
        x = fitting[len(fitting) - 1 - self.draw(st.integers(0, len(fitting) - 1))]
        others = [
            y
            for y in fitting
            if y.dtype == x.dtype and y.shape[-2] == x.shape[-1] and _broadcast(x.shape[:-2], y.shape[:-2]) is not None
        ]
        y = others[-1] if others and self.draw(st.booleans()) else self.xp.swapaxes(x, -1, -2)
        return self.xp.matmul(x, y)

    def hyper(self) -> Recorded | None:
        x = self.pick("f")
        if x is None:
            return None
        rate = self.xp.hyper(("node", f"h{len(self.xp.program.hypers)}"))
        return x * self.xp.astype(rate * 2.0, x.dtype)

    def update(self) -> Recorded | None:
        """Return something of an input's own spec: what a store needs."""
        fitting = [x for x in self.pool if x.value.kind == "input" and x.dtype.kind == "f"]
        if not fitting:
            return None
        old = fitting[self.draw(st.integers(0, len(fitting) - 1))]
        others = [y for y in self.pool if y.dtype == old.dtype and _broadcast(y.shape, old.shape) == old.shape]
        change = others[len(others) - 1 - self.draw(st.integers(0, len(others) - 1))]
        return self.xp.where(old > 0, change, old) if self.draw(st.booleans()) else old - change


_STEPS = [
    _Builder.unary,
    _Builder.binary,
    _Builder.update,
    _Builder.reshape,
    _Builder.permute,
    _Builder.slice,
    _Builder.reduce,
    _Builder.concat,
    _Builder.where,
    _Builder.compare,
    _Builder.matmul,
    _Builder.broadcast,
    _Builder.astype,
    _Builder.hyper,
    _Builder.stop,
    _Builder.pad,
    _Builder.embed,
    _Builder.take,
    _Builder.running,
    _Builder.arg_extreme,
    _Builder.whole_numbers,
    _Builder.sort,
]


def _broadcast(x: tuple[int, ...], y: tuple[int, ...]) -> tuple[int, ...] | None:
    try:
        return np.broadcast_shapes(x, y)
    except ValueError:
        return None


@st.composite
def cases(draw: Draw, large: bool = False, stores: bool = True, steps: int = 12) -> Case:
    """Draw a program with data, outputs, stores and halves."""
    builder = _Builder(draw, large)
    for _ in range(draw(st.integers(1, 3))):
        builder.add_input()
    for _ in range(draw(st.integers(1, steps))):
        with np.errstate(all="ignore"):
            made = builder.step()
        if made is not None and made.size <= 20000:
            builder.pool.append(made)
    program, pool = builder.xp.program, builder.pool
    count = len(pool)
    chosen = draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=4))
    outputs: list[Value] = [pool[count - 1 - k].value for k in chosen]
    if draw(st.integers(0, 9)) == 9:
        outputs.append(builder.xp.constant(np.arange(3.0)).value)
    pairs: list[tuple[int, int]] = []
    visible = len(outputs)
    if stores:
        for j, old in enumerate(program.inputs):
            new = [x.value for x in pool if x.value.spec == old.spec and x.value is not old]
            if new and draw(st.integers(0, 2)):
                pairs.append((len(outputs), j))
                outputs.append(new[len(new) - 1 - draw(st.integers(0, len(new) - 1))])
    program.outputs = outputs
    first = None
    if draw(st.booleans()):
        first = [k for k in range(visible) if draw(st.booleans())] + list(range(visible, len(outputs)))
    accumulate = [k for k in range(visible) if outputs[k].dtype.kind == "f" and draw(st.integers(0, 4)) == 4]
    seed = draw(st.integers(0, 1000))
    arrays = [data(v.shape, v.dtype, seed + k) for k, v in enumerate(program.inputs)]
    hypers = [draw(st.sampled_from((0.5, 1.0, 0.0, 3.0))) for _ in program.hypers]
    return Case(program, arrays, hypers, pairs, first, accumulate)
