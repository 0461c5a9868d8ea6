"""What the planned kernels of the NumPy engine have in common: scratch places, staging, binding.

A kernel plan is made from shapes and one dtype. It says how much scratch it wants, and is bound to arrays, which
prepares every view and every NumPy call; running it makes the calls and nothing else.

What does not belong here: the kernels themselves (`convolution`, `pooling`).
"""

from __future__ import annotations

import functools
import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from symgraph.backends.numpy.threads import Parallel, parallel, ranges
from symgraph.errors import BindError

__all__ = [
    "Array",
    "Call",
    "Carve",
    "Chain",
    "Kept",
    "KernelPlan",
    "LanedPlan",
    "Planewise",
    "Scratch",
    "Staged",
    "StagedPlan",
    "Step",
    "aligned",
    "arithmetic",
    "chain",
    "inside",
    "lanes_of",
    "refresh",
]

Array = npt.NDArray[Any]
#: One prepared call: a function and its positional arguments.
Step = tuple[Callable[..., object], tuple[Any, ...]]
#: Prepared calls behind one name.
Call = Callable[[], object]
#: Gives the scratch array reserved under a name.
Carve = Callable[[str], Array]
#: Returns the steps of a cell; see `lanes_of`.
CellSteps = Callable[[Any, Carve], list[Step]]

#: Bytes to which scratch arrays are aligned: a cache line, and the widest vector register.
ALIGNMENT = 64


def aligned(nbytes: int) -> Array:
    """Return uninitialised bytes that begin at a cache line."""
    raw = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + nbytes]


class Chain:
    """A callable that makes all calls of `steps` in order; others may take their place, if they do the same."""

    __slots__ = ("steps",)

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)

    def __call__(self) -> None:
        """Make the calls."""
        for function, args in self.steps:
            function(*args)


def chain(steps: Sequence[Step]) -> Call:
    """Return a callable that makes all calls of `steps` in order."""
    if len(steps) != 1:
        return Chain(steps)
    ((function, args),) = steps
    return functools.partial(function, *args) if args else function


class Planewise:
    """A call that does the same with each plane of some arrays; planes do not depend on each other.

    NumPy makes each step for many planes at once, because a call of it is dear. Whoever can make a step for little may
    do all of them for a few planes while those are in cache, then for the next few, and put that in place of `run`.

    Parameters
    ----------
    plain
        Does it by NumPy, for all planes.
    arrays
        Arrays over all planes, whose number their first `axes` axes give.
    make
        ``make(lane, *pieces)`` returns NumPy's steps for some of the planes. These are calls of NumPy's functions with
        views of the pieces, views of scratch memory that is the lane's own, and numbers; `make` makes no new arrays.
    axes
        One or two.
    lanes
        How many threads it is worth.
    most
        For how many planes a lane's scratch memory is enough.

    Attributes
    ----------
    run
        What a call of this calls.
    """

    __slots__ = ("arrays", "axes", "lanes", "make", "most", "plain", "run")

    def __init__(
        self,
        plain: Call,
        arrays: Sequence[Array],
        make: Callable[..., list[Step]],
        *,
        axes: int = 1,
        lanes: int = 1,
        most: int = sys.maxsize,
    ) -> None:
        self.plain, self.arrays, self.make = plain, tuple(arrays), make
        self.axes, self.lanes, self.most = axes, lanes, most
        self.run = plain

    def __call__(self) -> None:
        """Do it."""
        self.run()


class Staged:
    """A call that can be made in another way, which rounds otherwise and is of use only compiled.

    Parameters
    ----------
    plain
        Does it by NumPy.
    stages
        Returns the other way's steps: for each stage, for each of its lanes. The lanes of a stage are independent; a
        stage begins when the one before has ended.

    Attributes
    ----------
    run
        What a call of this calls.
    """

    __slots__ = ("plain", "run", "stages")

    def __init__(self, plain: Call, stages: Callable[[], list[list[list[Step]]]]) -> None:
        self.plain, self.stages = plain, stages
        self.run = plain

    def __call__(self) -> None:
        """Do it."""
        self.run()


class Kept:
    """A call that needs `prepare` to have been called since an operand that is declared constant has changed."""

    __slots__ = ("call", "prepare")

    def __init__(self, call: Call, prepare: Call) -> None:
        self.call, self.prepare = call, prepare

    def __call__(self) -> None:
        """Make the call."""
        self.call()


def refresh(call: object) -> None:
    """Prepare a call, and the calls that it is made of, anew."""
    if isinstance(call, Kept):
        call.prepare()
    elif isinstance(call, Chain):
        for function, _ in call.steps:
            refresh(function)


def inside(call: object) -> Iterator[Planewise | Staged | Chain]:
    """Yield what a prepared call is made of: what it does plane by plane, and all chains, a chain before its steps.

    Of what can be done in another way, what does it by NumPy is left out; so is what only prepares.
    """
    if isinstance(call, functools.partial):
        yield from inside(call.func)
    elif isinstance(call, Kept):
        yield from inside(call.call)
    elif isinstance(call, Planewise | Staged):
        yield call
    elif isinstance(call, Parallel):
        for task in call.tasks:
            yield from inside(task)
    elif isinstance(call, Chain):
        yield call
        for function, _ in call.steps:
            yield from inside(function)


class Scratch:
    """Places in a flat workspace: reserved by name while planning, carved out as arrays while binding."""

    def __init__(self) -> None:
        self.nbytes = 0
        self._places: dict[str, tuple[int, tuple[int, ...], np.dtype[Any]]] = {}

    def reserve(self, name: str, shape: Sequence[int], dtype: npt.DTypeLike) -> None:
        """Set room aside for an array of that shape and dtype."""
        dtype = np.dtype(dtype)
        self._places[name] = (self.nbytes, tuple(shape), dtype)
        self.nbytes += -(-math.prod(shape) * dtype.itemsize // ALIGNMENT) * ALIGNMENT

    def carve(self, name: str, workspace: Array) -> Array:
        """Return the array reserved as `name`, as a view of `workspace`, a flat array of bytes."""
        offset, shape, dtype = self._places[name]
        nbytes = math.prod(shape) * dtype.itemsize
        return workspace[offset : offset + nbytes].view(dtype).reshape(shape)


def arithmetic(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Return the element type in which a kernel computes: float32 for float16, else `dtype`."""
    return np.dtype(np.float32) if np.dtype(dtype) == np.float16 else np.dtype(dtype)


class KernelPlan(ABC):
    """A kernel for operands of known shapes and one dtype.

    Parameters
    ----------
    operands
        Shapes of the operands, in the order in which `bind` takes them.
    result
        Shape of the result.
    dtype
        Element type of all of them.

    Attributes
    ----------
    compute
        Element type of the arithmetic; see `arithmetic`.
    scratch
        The places of the scratch arrays; a subclass reserves its own after this class's.
    """

    #: Element type in which `workspace` is counted.
    workspace_dtype = np.dtype(np.uint8)

    def __init__(self, operands: Sequence[Sequence[int]], result: Sequence[int], dtype: npt.DTypeLike) -> None:
        self.shapes = (*map(tuple, operands), tuple(result))
        self.dtype = np.dtype(dtype)
        self.compute = arithmetic(dtype)
        self.scratch = Scratch()
        if self.compute != self.dtype:
            for position, shape in enumerate(self.shapes):
                self.scratch.reserve(f"staged {position}", shape, self.compute)

    @property
    def workspace(self) -> int:
        """Bytes of scratch memory that `bind` must be given; 0 if none is needed."""
        return self.scratch.nbytes

    @abstractmethod
    def steps(self, operands: Sequence[Array], out: Array, carve: Carve) -> list[Step]:
        """Return the calls that compute `out` from `operands`, all of dtype `compute` and accepted by `usable`."""

    def usable(self, position: int, x: Array) -> bool:
        """Tell whether the calls can use `x`, the operand (or last, the result) at `position`, as it lies in memory."""
        return bool(x.flags.c_contiguous)

    def bind(self, *arrays: Array | None) -> Call:
        """Prepare all calls for fixed arrays: the operands, the result, then the workspace.

        The workspace is a contiguous array of any dtype with at least `workspace` bytes, best aligned to `ALIGNMENT`;
        None will do if no bytes are needed. Its contents mean nothing before and after a call. The result must not
        overlap an operand. An array whose memory layout the kernel cannot use is copied in every call, through an
        array made here.

        Returns
        -------
        A callable without arguments that computes the result from what the operands hold when it is called. It is to
        be called by one thread at a time.

        Raises
        ------
        BindError
            If an array has another shape or dtype than planned, or the workspace is too small.
        """
        *given, scratch = arrays
        if len(given) != len(self.shapes):
            raise BindError(f"{len(given)} arrays given, expected {len(self.shapes)} and a workspace")
        workspace = np.empty(0, np.uint8) if scratch is None else scratch
        if workspace.nbytes < self.workspace or not workspace.flags.c_contiguous:
            raise BindError(f"the workspace must be a contiguous array of at least {self.workspace} bytes")
        carve = functools.partial(self.scratch.carve, workspace=workspace.reshape(-1).view(np.uint8))
        before: list[Step] = []
        after: list[Step] = []
        ready: list[Array] = []
        for position, (x, shape) in enumerate(zip(given, self.shapes, strict=True)):
            if x is None or x.shape != shape or x.dtype != self.dtype:
                what = "None" if x is None else f"{x.dtype}{list(x.shape)}"
                raise BindError(f"array {position} is {what}, planned was {self.dtype}{list(shape)}")
            if self.compute != self.dtype:
                y = carve(f"staged {position}")
            elif self.usable(position, x):
                ready.append(x)
                continue
            else:
                y = np.empty(shape, self.compute)
            ready.append(y)
            if position == len(given) - 1:
                after.append((np.copyto, (x, y, "same_kind")))
            else:
                before.append((np.copyto, (y, x)))
        steps = self.steps(ready[:-1], ready[-1], carve)
        for function, _ in steps:
            if before and isinstance(function, Kept):
                function.prepare = chain([*before, (function.prepare, ())])
        return chain([*before, *steps, *after])

    def run(self, *arrays: Array | None) -> None:
        """Bind and call once; see `bind`."""
        self.bind(*arrays)()


class LanedPlan(KernelPlan):
    """A kernel whose work is cut into cells, which several threads do, each with scratch memory of its own.

    Attributes
    ----------
    lanes
        For how many threads there is scratch memory; a subclass sets it before it reserves any.
    """

    lanes = 1

    def reserve(self, name: str, elements: int) -> None:
        """Set scratch of dtype `compute` aside for each lane."""
        for lane in range(self.lanes):
            self.scratch.reserve(f"{name} {lane}", (elements,), self.compute)

    def by_lanes(self, cells: Sequence[Any], cell_steps: CellSteps, carve: Carve) -> list[Step]:
        """Return the steps of all `cells` as tasks of as many threads as there are lanes; see `lanes_of`."""
        lanes = lanes_of(cells, self.lanes, cell_steps, carve)
        return lanes[0] if len(lanes) == 1 else [(parallel([chain(steps) for steps in lanes]), ())]


def lanes_of(cells: Sequence[Any], lanes: int, cell_steps: CellSteps, carve: Carve) -> list[list[Step]]:
    """Return the steps of all `cells`, which are independent, as those of at most so many lanes.

    ``cell_steps(cell, own)`` returns those of a cell; `own` gives scratch that was reserved for its lane.
    """
    made: list[list[Step]] = []
    for lane, (begin, end) in enumerate(ranges(len(cells), lanes)):

        def own(name: str, lane: int = lane) -> Array:
            return carve(f"{name} {lane}")

        made.append([step for cell in cells[begin:end] for step in cell_steps(cell, own)])
    return made


class StagedPlan(KernelPlan):
    """A kernel that has another way: see `Staged`.

    Parameters
    ----------
    dtype
        Element type of all arrays.
    plain
        NumPy's way, planned for the same shapes and dtype `compute`.
    constant
        Whether an operand changes only before a call of `refresh`. What `preparation` makes of it is then kept.

    Attributes
    ----------
    own
        Scratch of the other way, in the place of NumPy's; a subclass reserves it, then calls `reserved`.
    prepared
        Places of what `preparation` makes: `own`, or memory of their own if it is kept.
    """

    def __init__(self, dtype: npt.DTypeLike, plain: KernelPlan, constant: bool = False) -> None:
        *operands, result = plain.shapes
        super().__init__(operands, result, dtype)
        assert plain.dtype == self.compute
        self.plain, self.constant = plain, constant
        self.own = Scratch()
        self.prepared = Scratch() if constant else self.own

    def reserved(self) -> None:
        """Set scratch aside for whichever way."""
        self.scratch.reserve("either", (max(self.plain.workspace, self.own.nbytes),), np.uint8)

    def usable(self, position: int, x: Array) -> bool:
        """Tell whether NumPy's way can use `x`; the other one must be able to as well."""
        return self.plain.usable(position, x)

    def steps(self, operands: Sequence[Array], out: Array, carve: Carve) -> list[Step]:
        """Return one call: NumPy's way, and what may take its place."""
        workspace = carve("either")
        plain = self.plain.bind(*operands, out, workspace[: self.plain.workspace])
        own = functools.partial(self.own.carve, workspace=workspace)
        if not self.constant:
            stages = functools.partial(self._all_stages, operands, out, own)
            return [(Staged(plain, stages), ())]
        kept = functools.partial(self.prepared.carve, workspace=aligned(self.prepared.nbytes))
        staged = Staged(plain, functools.partial(self.stages, operands, out, own, kept))
        lanes = [chain(steps) for steps in self.preparation(operands, own, kept)]
        return [(Kept(staged, parallel(lanes)) if lanes else staged, ())]

    def _all_stages(self, operands: Sequence[Array], out: Array, own: Carve) -> list[list[list[Step]]]:
        return [self.preparation(operands, own, own), *self.stages(operands, out, own, own)]

    def preparation(self, operands: Sequence[Array], own: Carve, prepared: Carve) -> list[list[Step]]:
        """Return the steps, for each lane, of the stage that depends on the operand alone that may be constant."""
        return []

    @abstractmethod
    def stages(self, operands: Sequence[Array], out: Array, own: Carve, prepared: Carve) -> list[list[list[Step]]]:
        """Return the steps of each lane of each other stage; `own` and `prepared` give scratch by name."""
