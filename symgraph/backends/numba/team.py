"""A team of threads for lists of short tasks that are machine code through and through.

`threads.Parallel` hands tasks to workers in Python, which takes some 25 us: as long as many a compiled loop. Here the
threads are in machine code all the time, and a task is a row of calls of compiled functions. What is agreed:

* All lies in one block of memory, the team's, which is never freed. Its words change by atomic operations.
* A caller first becomes the *owner* of the team. Who finds it owned does all his tasks himself.
* The owner writes down where its job is, and opens the *gate*: one word, which holds the job's number and the free
  seats. A helper comes in by taking a seat from exactly the word it has read. So it comes in while the gate is open or
  not at all, and before it is in it reads nothing of the job.
* Everybody who is in takes *tickets*, the numbers of the tasks, until none is left. A helper then says that it is
  *done*, and touches the job no more.
* The owner, when no ticket is left, closes the gate by taking the free seats away. Those seats that are missing have
  been taken by helpers; it waits until so many are done. Then nobody else knows of the job, and its memory may go.
* A helper that is done spins: for some 100 us it looks at the gate, and lets other threads have its core every now and
  then. After that it *parks*: it says so, looks at the gate once more, and sleeps on a lock of its own. An owner opens
  the gate, then looks who is parked; so one of the two sees the other. To wake somebody the owner takes the helper's
  word back and releases the lock: once for each time that it is waited for. This takes several microseconds, so it is
  done when there has been work for as long as that. But an owner needs nobody: if helpers come late, the tasks are
  done.
* Linux may wake a helper on the owner's own core, in virtual machines above all, where a core that sleeps may not be
  there; and it takes milliseconds to move it. So an owner writes down its core. A helper that finds itself there
  gives up that core and takes it back at once: it has been moved then. What it was forbidden stays so.

No helper holds Python's interpreter lock or returns to Python: no call waits for another thread's Python, and when the
process ends helpers are only stopped. A job is one call of machine code, so Ctrl-C cannot cut it in two.

What does not belong here: what is computed, and how it is divided.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.backends.numba.compiler import Compiled, Function
from symgraph.backends.numpy import threads
from symgraph.backends.numpy.kernel_plan import chain

__all__ = ["Job", "Native", "spread"]

#: How often a helper lets others have its core before it parks, and how often it looks at the gate in between. That is
#: some 100 us of its own time: while others have the core, it waits at no cost.
_ROUNDS = 100
_LOOKS = 32
#: Elements of jobs, since helpers were woken last, from which on it is worth to wake them. To be woken takes about as
#: long as the work on so many; the next jobs then find them awake.
_WAKE_ELEMENTS = 1 << 20
#: Helpers of one job at most. The free seats must fit into the low 16 bits of the gate.
_MOST_HELPERS = 255

# Words of the team's memory, in 64 bits each. What different threads write lies in different cache lines.
_LINE = 16
_GATE, _TICKET, _DONE, _OWNER, _JOB = (k * _LINE for k in range(5))
_CREDIT, _CORE, _YIELD, _ACQUIRE, _RELEASE, _GET_CORE, _GET_CORES, _SET_CORES = (_JOB + k for k in range(1, 9))
#: Of each helper whether it is parked, then the address of its lock.
_HELPERS = 5 * _LINE

#: How a processor is told that its thread spins; others are told nothing.
_PAUSE = {
    "x86_64": "llvm.x86.sse2.pause()",
    "aarch64": "llvm.aarch64.isb(i32 15)",
    "arm64": "llvm.aarch64.isb(i32 15)",
}

#: ``loop(team, null, k)`` serves as helper `k` and does not return. ``loop(team, job, n)`` does a job with `n` helpers
#: at most. A job: the number of its tasks, that of their elements, where the row of each task begins, where the last
#: one ends. A row: of each call the function and its arguments.
_SOURCE = """
DECLARED

define internal i64 @rest(ptr %team, i64 %looks) nounwind {
  PAUSE
  %more = add i64 %looks, 1
  %enough = icmp eq i64 %more, LOOKS
  br i1 %enough, label %yield, label %stay
yield:
  %place = getelementptr i64, ptr %team, i64 YIELD
  %function = load ptr, ptr %place
  %ignored = call i32 %function()
  ret i64 0
stay:
  ret i64 %more
}

define internal i64 @core(ptr %team) nounwind {
  %place = getelementptr i64, ptr %team, i64 GET_CORE
  %function = load ptr, ptr %place
  %is_known = icmp ne ptr %function, null
  br i1 %is_known, label %ask, label %unknown
ask:
  %answer = call i32 %function()
  %core = sext i32 %answer to i64
  ret i64 %core
unknown:
  ret i64 -1
}

define internal void @part(ptr %team) nounwind {
  %cores = alloca [16 x i64]
  %get_place = getelementptr i64, ptr %team, i64 GET_CORES
  %set_place = getelementptr i64, ptr %team, i64 SET_CORES
  %owners_place = getelementptr i64, ptr %team, i64 CORE
  %owners = load atomic i64, ptr %owners_place monotonic, align 8
  %own = call i64 @core(ptr %team)
  %is_same = icmp eq i64 %own, %owners
  %is_known = icmp ult i64 %own, 1024
  %must = and i1 %is_same, %is_known
  br i1 %must, label %get, label %end
get:
  %get_cores = load ptr, ptr %get_place
  %failed = call i32 %get_cores(i32 0, i64 128, ptr %cores)
  %has = icmp eq i32 %failed, 0
  br i1 %has, label %set, label %end
set:
  %set_cores = load ptr, ptr %set_place
  %index = lshr i64 %own, 6
  %shift = and i64 %own, 63
  %bit = shl i64 1, %shift
  %word = getelementptr i64, ptr %cores, i64 %index
  %all = load i64, ptr %word
  %others = xor i64 %all, %bit
  store i64 %others, ptr %word
  %moved = call i32 %set_cores(i32 0, i64 128, ptr %cores)
  store i64 %all, ptr %word
  %restored = call i32 %set_cores(i32 0, i64 128, ptr %cores)
  br label %end
end:
  ret void
}

define internal void @work(ptr %ticket, ptr %job) nounwind {
  %count = load i64, ptr %job
  %places = getelementptr i64, ptr %job, i64 2
  br label %take
take:
  %task = atomicrmw add ptr %ticket, i64 1 monotonic
  %is_left = icmp ult i64 %task, %count
  br i1 %is_left, label %begin, label %end
begin:
  %place = getelementptr ptr, ptr %places, i64 %task
  %place_after = getelementptr ptr, ptr %place, i64 1
  %first = load ptr, ptr %place
  %last = load ptr, ptr %place_after
  br label %each
each:
  %row = phi ptr [ %first, %begin ], [ %next, %each ]
  %place_a = getelementptr ptr, ptr %row, i64 1
  %place_b = getelementptr ptr, ptr %row, i64 2
  %place_c = getelementptr ptr, ptr %row, i64 3
  %function = load ptr, ptr %row
  %a = load ptr, ptr %place_a
  %b = load ptr, ptr %place_b
  %c = load ptr, ptr %place_c
  call void %function(ptr %a, ptr %b, ptr %c)
  %next = getelementptr ptr, ptr %row, i64 4
  %ends = icmp eq ptr %next, %last
  br i1 %ends, label %take, label %each
end:
  ret void
}

define internal void @serve(ptr %team, i64 %k) noinline nounwind {
start:
  %gate = getelementptr i64, ptr %team, i64 GATE
  %ticket = getelementptr i64, ptr %team, i64 TICKET
  %done = getelementptr i64, ptr %team, i64 DONE
  %job_place = getelementptr i64, ptr %team, i64 JOB
  %offset = mul i64 %k, LINE
  %helpers = getelementptr i64, ptr %team, i64 HELPERS
  %parked = getelementptr i64, ptr %helpers, i64 %offset
  %lock_place = getelementptr ptr, ptr %parked, i64 1
  %lock = load ptr, ptr %lock_place
  %acquire_place = getelementptr i64, ptr %team, i64 ACQUIRE
  %acquire = load ptr, ptr %acquire_place
  br label %park
park:
  %last = phi i64 [ 0, %start ], [ %seen, %rested ]
  store atomic i64 1, ptr %parked seq_cst, align 8
  %late_word = load atomic i64, ptr %gate seq_cst, align 8
  %late_seats = and i64 %late_word, 65535
  %is_late = icmp ne i64 %late_seats, 0
  br i1 %is_late, label %stay, label %sleep
stay:
  %late_pair = cmpxchg ptr %parked, i64 1, i64 0 acquire monotonic
  %stays = extractvalue { i64, i1 } %late_pair, 1
  br i1 %stays, label %up, label %sleep
sleep:
  %ignored = call i32 %acquire(ptr %lock, i32 1)
  br label %up
up:
  call void @part(ptr %team)
  br label %look
look:
  %seen = phi i64 [ %last, %up ], [ %seen, %wait ], [ %seen, %rested ], [ %number, %inside ]
  %looks = phi i64 [ 0, %up ], [ %looks_more, %wait ], [ 0, %rested ], [ 0, %inside ]
  %rounds = phi i64 [ 0, %up ], [ %rounds, %wait ], [ %rounds_more, %rested ], [ 0, %inside ]
  %word = load atomic i64, ptr %gate monotonic, align 8
  %seats = and i64 %word, 65535
  %number = lshr i64 %word, 16
  %is_open = icmp ne i64 %seats, 0
  %is_new = icmp ne i64 %number, %seen
  %worth = and i1 %is_open, %is_new
  br i1 %worth, label %knock, label %wait
knock:
  %one_less = sub i64 %word, 1
  %pair = cmpxchg ptr %gate, i64 %word, i64 %one_less acquire monotonic
  %came_in = extractvalue { i64, i1 } %pair, 1
  br i1 %came_in, label %inside, label %wait
inside:
  %job = load ptr, ptr %job_place
  call void @work(ptr %ticket, ptr %job)
  %count = atomicrmw add ptr %done, i64 1 release
  br label %look
wait:
  %looks_more = call i64 @rest(ptr %team, i64 %looks)
  %yielded = icmp eq i64 %looks_more, 0
  br i1 %yielded, label %rested, label %look
rested:
  call void @part(ptr %team)
  %rounds_more = add i64 %rounds, 1
  %tired = icmp eq i64 %rounds_more, ROUNDS
  br i1 %tired, label %park, label %look
}

define internal void @lead(ptr %team, ptr %job, i64 %helpers) noinline nounwind {
  %own = alloca i64
  %gate = getelementptr i64, ptr %team, i64 GATE
  %ticket = getelementptr i64, ptr %team, i64 TICKET
  %done = getelementptr i64, ptr %team, i64 DONE
  %owner = getelementptr i64, ptr %team, i64 OWNER
  %job_place = getelementptr i64, ptr %team, i64 JOB
  %release_place = getelementptr i64, ptr %team, i64 RELEASE
  %first = getelementptr i64, ptr %team, i64 HELPERS
  %credit_place = getelementptr i64, ptr %team, i64 CREDIT
  %weight_place = getelementptr i64, ptr %job, i64 1
  %is_single = icmp eq i64 %helpers, 0
  br i1 %is_single, label %alone, label %ask
ask:
  %pair = cmpxchg ptr %owner, i64 0, i64 1 acquire monotonic
  %is_owner = extractvalue { i64, i1 } %pair, 1
  br i1 %is_owner, label %open, label %alone
alone:
  store i64 0, ptr %own
  call void @work(ptr %own, ptr %job)
  ret void
open:
  store atomic i64 0, ptr %ticket monotonic, align 8
  store atomic i64 0, ptr %done monotonic, align 8
  store ptr %job, ptr %job_place
  %core_place = getelementptr i64, ptr %team, i64 CORE
  %core = call i64 @core(ptr %team)
  store atomic i64 %core, ptr %core_place monotonic, align 8
  %before = load atomic i64, ptr %gate monotonic, align 8
  %next_number = add i64 %before, 65536
  %opened = or i64 %next_number, %helpers
  store atomic i64 %opened, ptr %gate seq_cst, align 8
  %weight = load i64, ptr %weight_place
  %credit = load i64, ptr %credit_place
  %credit_now = add i64 %credit, %weight
  %is_worth = icmp uge i64 %credit_now, WORTH
  %credit_left = select i1 %is_worth, i64 0, i64 %credit_now
  store i64 %credit_left, ptr %credit_place
  br i1 %is_worth, label %each, label %lead
each:
  %k = phi i64 [ 0, %open ], [ %k_next, %woken ]
  %offset = mul i64 %k, LINE
  %parked = getelementptr i64, ptr %first, i64 %offset
  %state = load atomic i64, ptr %parked seq_cst, align 8
  %is_parked = icmp eq i64 %state, 1
  br i1 %is_parked, label %claim, label %woken
claim:
  %claimed = cmpxchg ptr %parked, i64 1, i64 0 acquire monotonic
  %is_claimed = extractvalue { i64, i1 } %claimed, 1
  br i1 %is_claimed, label %release, label %woken
release:
  %function = load ptr, ptr %release_place
  %lock_place = getelementptr ptr, ptr %parked, i64 1
  %lock = load ptr, ptr %lock_place
  call void %function(ptr %lock)
  br label %woken
woken:
  %k_next = add i64 %k, 1
  %all = icmp eq i64 %k_next, %helpers
  br i1 %all, label %lead, label %each
lead:
  call void @work(ptr %ticket, ptr %job)
  %closed = atomicrmw and ptr %gate, i64 -65536 acq_rel
  %free = and i64 %closed, 65535
  %joined = sub i64 %helpers, %free
  %nobody = icmp eq i64 %joined, 0
  %missed = and i1 %nobody, %is_worth
  br i1 %missed, label %let, label %look
let:
  %yield_place = getelementptr i64, ptr %team, i64 YIELD
  %yield = load ptr, ptr %yield_place
  %ignored = call i32 %yield()
  br label %look
look:
  %looks = phi i64 [ 0, %lead ], [ 0, %let ], [ %looks_more, %wait ]
  %count = load atomic i64, ptr %done acquire, align 8
  %all_done = icmp eq i64 %count, %joined
  br i1 %all_done, label %leave, label %wait
wait:
  %looks_more = call i64 @rest(ptr %team, i64 %looks)
  br label %look
leave:
  store atomic i64 0, ptr %owner release, align 8
  ret void
}

define void @loop(ptr %team, ptr %job, ptr %count) nounwind {
  %number = ptrtoint ptr %count to i64
  %serves = icmp eq ptr %job, null
  br i1 %serves, label %serve, label %lead
serve:
  call void @serve(ptr %team, i64 %number)
  ret void
lead:
  call void @lead(ptr %team, ptr %job, i64 %number)
  ret void
}
"""


def _source(triple: str = "") -> str:
    """Return the module for a machine, this one by default."""
    from llvmlite import binding

    pause = _PAUSE.get((triple or binding.get_process_triple()).partition("-")[0])
    words = {
        "DECLARED": f"declare void @{pause.replace(' 15', '')}" if pause else "",
        "PAUSE": f"call void @{pause}" if pause else "",
        "GATE": _GATE,
        "TICKET": _TICKET,
        "DONE": _DONE,
        "OWNER": _OWNER,
        "JOB": _JOB,
        "YIELD": _YIELD,
        "CREDIT": _CREDIT,
        "GET_CORES": _GET_CORES,
        "GET_CORE": _GET_CORE,
        "SET_CORES": _SET_CORES,
        "CORE": _CORE,
        "ACQUIRE": _ACQUIRE,
        "RELEASE": _RELEASE,
        "HELPERS": _HELPERS,
        "LINE": _LINE,
        "LOOKS": _LOOKS,
        "ROUNDS": _ROUNDS,
        "WORTH": _WAKE_ELEMENTS,
    }
    text = _SOURCE
    for word, value in words.items():
        text = text.replace(word, str(value))
    return text


# Python's own locks: they are there on every system, and need no interpreter lock.
_allocate = ctypes.PYFUNCTYPE(ctypes.c_void_p)(("PyThread_allocate_lock", ctypes.pythonapi))
_acquire = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)(("PyThread_acquire_lock", ctypes.pythonapi))
_release = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(("PyThread_release_lock", ctypes.pythonapi))


class _Team:
    """The memory that all share, and the threads of the helpers."""

    def __init__(self, function: Function) -> None:
        self.function = function
        memory = np.zeros(_HELPERS + _LINE * _MOST_HELPERS + _LINE, np.int64)
        # Helpers look at it until the very end of the process, when Python has given up all its objects.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))
        start = -memory.ctypes.data // 8 % _LINE
        self._memory = memory[start:]
        self.address: int = self._memory.ctypes.data
        self.helpers = 0
        self._lock = threading.Lock()
        system = ctypes.CDLL(None)
        self._memory[_YIELD] = _address(system.sched_yield)
        if sys.platform == "linux" and hasattr(system, "sched_getcpu"):
            self._memory[_GET_CORE] = _address(system.sched_getcpu)
            self._memory[_GET_CORES] = _address(system.sched_getaffinity)
            self._memory[_SET_CORES] = _address(system.sched_setaffinity)
        self._memory[_ACQUIRE] = _address(_acquire)
        self._memory[_RELEASE] = _address(_release)

    def grow(self, helpers: int) -> None:
        """Have at least so many helpers."""
        with self._lock:
            while self.helpers < helpers:
                number, self.helpers = self.helpers, self.helpers + 1
                lock = _allocate()
                _acquire(lock, 1)  # it is released to wake the helper up
                self._memory[_HELPERS + _LINE * number + 1] = lock
                name, arguments = f"symgraph-team-{number + 1}", (self.address, None, number)
                # A system that gives no thread is no fault: the callers do the tasks.
                with contextlib.suppress(RuntimeError):
                    threading.Thread(target=self.function, args=arguments, name=name, daemon=True).start()


_code = Compiled(_source)
_team: _Team | None = None
_lock = threading.Lock()


def _the_team() -> _Team:
    global _team
    with _lock:
        if _team is None:
            assert _code.function is not None
            _team = _Team(_code.function)
        return _team


def _forget() -> None:
    """After a fork the child has no helpers: start again with none."""
    global _team, _lock
    _team, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _address(function: Any) -> int:
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address
    return address


class Native:
    """A call of a compiled function.

    Parameters
    ----------
    function
        The function.
    arguments
        Its arguments: addresses.
    kept
        What must live as long as this, such as the memory at these addresses.
    """

    __slots__ = ("_kept", "arguments", "function")

    def __init__(self, function: Function, arguments: tuple[int, int, int], kept: object) -> None:
        self.function, self.arguments, self._kept = function, arguments, kept

    def __call__(self) -> None:
        """Make the call."""
        self.function(*self.arguments)


class Job:
    """Tasks for the team; see `spread`."""

    __slots__ = ("_count", "_kept", "_memory", "_place")

    def __init__(self, tasks: Sequence[Sequence[Native]], elements: int) -> None:
        rows = [(_address(call.function), *call.arguments) for task in tasks for call in task]
        ends = list(itertools.accumulate((len(task) for task in tasks), initial=0))
        head = 2 + len(ends)
        self._memory = np.empty(head + 4 * len(rows), np.int64)
        self._place: int = self._memory.ctypes.data
        self._memory[:2] = len(tasks), elements
        self._memory[2:head] = [self._place + 8 * (head + 4 * end) for end in ends]
        self._memory[head:] = np.array(rows, np.int64).reshape(-1)
        self._count, self._kept = len(tasks), tasks

    def __call__(self) -> None:
        """Do all tasks."""
        helpers = 0 if threads.is_worker() else min(self._count, threads.worker_count(), _MOST_HELPERS) - 1
        team = _team or _the_team()
        if team.helpers < helpers:
            team.grow(helpers)
        team.function(team.address, self._place, helpers)


#: A POSIX system with 64-bit addresses. Elsewhere workers do the tasks.
_FOUND = hasattr(os, "sched_yield") and ctypes.sizeof(ctypes.c_void_p) == 8


def spread(tasks: Sequence[Sequence[Native]], elements: int) -> Callable[[], object]:
    """Return a call that does all tasks, on all cores, and returns when the last is done.

    Parameters
    ----------
    tasks
        The calls of each task. Tasks are independent of each other.
    elements
        How many elements they read and write in all, nearly.
    """
    tasks = [task for task in tasks if task]
    if len(tasks) == 1 and len(tasks[0]) == 1:
        return tasks[0][0]
    if _FOUND:
        _code.make()
    if _code.function is None:
        return threads.parallel([chain([(call, ()) for call in task]) for task in tasks])
    return Job(tasks, elements)
