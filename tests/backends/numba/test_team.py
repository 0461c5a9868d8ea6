"""The team: each task is done once, whoever takes part, and nobody waits for ever or touches what is gone."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as mx
from symgraph.backends.numba import compiler, team
from symgraph.backends.numba.team import Native, spread
from symgraph.backends.numpy import threads
from symgraph.executor import Options
from tests.alarm import Alarm

pytestmark = pytest.mark.skipif(not team._FOUND, reason="the system has no team")

#: ``append(cell, digit, times)``: the cell, in tens, gets one digit more, after so many times of doing nothing.
APPEND = """
define void @loop(ptr %cell, ptr %digit, ptr %times) {
start:
  %nothing = alloca i64
  %most = ptrtoint ptr %times to i64
  br label %again
again:
  %done = phi i64 [ 0, %start ], [ %more, %again ]
  store volatile i64 %done, ptr %nothing
  %more = add i64 %done, 1
  %enough = icmp uge i64 %more, %most
  br i1 %enough, label %end, label %again
end:
  %old = load i64, ptr %cell
  %tens = mul i64 %old, 10
  %number = ptrtoint ptr %digit to i64
  %new = add i64 %tens, %number
  store i64 %new, ptr %cell
  ret void
}
"""
#: ``meet(cells, yield)``: one more is here, ``cells[0]``; wait for ``cells[1]`` of them. Who has waited ``cells[2]``
#: times in vain counts in ``cells[3]``.
MEET = """
define void @loop(ptr %cells, ptr %yield, ptr %unused) {
start:
  %second = getelementptr i64, ptr %cells, i64 1
  %third = getelementptr i64, ptr %cells, i64 2
  %fourth = getelementptr i64, ptr %cells, i64 3
  %wanted = load i64, ptr %second
  %most = load i64, ptr %third
  %here = atomicrmw add ptr %cells, i64 1 seq_cst
  br label %look
look:
  %times = phi i64 [ 0, %start ], [ %more, %wait ]
  %now = load atomic i64, ptr %cells seq_cst, align 8
  %all = icmp sge i64 %now, %wanted
  br i1 %all, label %end, label %wait
wait:
  %ignored = call i32 %yield()
  %more = add i64 %times, 1
  %enough = icmp sge i64 %more, %most
  br i1 %enough, label %fail, label %look
fail:
  %failed = atomicrmw add ptr %fourth, i64 1 seq_cst
  br label %end
end:
  ret void
}
"""
YIELD: int = ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value or 0
#: Yields: for ever, as far as a test can tell; and a moment.
LONG, SHORT = 10_000_000, 2000
#: Elements for which helpers are woken.
LARGE = team._WAKE_ELEMENTS


@pytest.fixture(autouse=True)
def four() -> Iterator[None]:
    """Four workers, whatever the machine has."""
    before = threads.worker_count()
    threads.set_worker_count(4)
    yield
    threads.set_worker_count(before)


@pytest.fixture(scope="module")
def append() -> Any:
    return compiler._compile(APPEND)


@pytest.fixture(scope="module")
def meet() -> Any:
    return compiler._compile(MEET)


class Cells:
    """A job of some tasks, each of which appends digits to a cell of its own."""

    def __init__(
        self, append: Any, count: int, digits: tuple[int, ...] = (1, 2, 3), wake: bool = True, times: int = 0
    ) -> None:
        self.cells = np.zeros((count, 8), np.int64)
        self.expected = int("".join(map(str, digits)))
        rows = [[Native(append, (cell.ctypes.data, d, times), cell) for d in digits] for cell in self.cells]
        self._call = spread(rows, LARGE if wake else 0)

    def run(self) -> None:
        self.cells[:] = 0
        self._call()
        assert self.cells[:, 0].tolist() == [self.expected] * len(self.cells)


def meeting(meet: Any, count: int, patience: int = LONG, elements: int = LARGE) -> bool:
    """Return whether `count` tasks were under way at once."""
    cells = np.array([0, count, patience, 0], np.int64)
    spread([[Native(meet, (cells.ctypes.data, YIELD, 0), cells)] for _ in range(count)], elements)()
    assert cells[0] == count, "each came once"
    return bool(cells[3] == 0)


def park() -> None:
    """Wait until all helpers are parked."""
    assert team._team is not None
    end = time.monotonic() + 60
    while True:
        flags = team._team._memory[team._HELPERS :: team._LINE][: team._team.helpers]
        if flags.all():
            return
        assert time.monotonic() < end, flags
        time.sleep(0.001)


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [1, 2, 3, 8, 50])
@pytest.mark.parametrize("wake", [False, True])
def test_each_task_is_done_once_a_call(append: Any, workers: int, count: int, wake: bool) -> None:
    threads.set_worker_count(workers)
    job = Cells(append, count, wake=wake)
    for _ in range(100):
        job.run()


def test_a_task_without_calls_is_none(append: Any) -> None:
    cell = np.zeros(1, np.int64)
    native = Native(append, (cell.ctypes.data, 5, 0), cell)
    spread([[], [native], [], [native, native]], 0)()
    assert cell[0] in (555, 55, 5)  # both tasks write one cell, perhaps at once
    cell[:] = 0
    spread([[], [native]], 0)()
    assert cell[0] == 5


def test_tasks_are_done_at_the_same_time(meet: Any) -> None:
    assert meeting(meet, 4)
    park()
    assert meeting(meet, 4), "they were woken up again"


def test_with_one_worker_the_caller_is_alone(meet: Any) -> None:
    threads.set_worker_count(1)
    assert not meeting(meet, 2, SHORT)
    threads.set_worker_count(3)
    assert meeting(meet, 3)
    assert not meeting(meet, 4, SHORT), "a fourth took part"


def test_a_job_that_is_not_worth_it_wakes_nobody(meet: Any) -> None:
    assert meeting(meet, 4)
    park()
    assert not meeting(meet, 2, SHORT, elements=0)


def test_many_jobs_together_are_worth_it(meet: Any) -> None:
    assert meeting(meet, 4)
    park()
    met = [meeting(meet, 2, SHORT, elements=LARGE // 4) for _ in range(3)]
    assert met == [False] * 3
    assert meeting(meet, 2, elements=LARGE // 4)


def test_helpers_that_spin_take_part_unasked(meet: Any) -> None:
    # They spin for some 0.1 ms after a job; on a machine with other work, they may not get to it each time.
    assert any(meeting(meet, 2) and meeting(meet, 2, SHORT, elements=0) for _ in range(1000))


def test_no_helper_misses_the_call_while_it_parks(meet: Any) -> None:
    assert meeting(meet, 2)
    for trial in range(300):
        end = time.perf_counter() + (70 + trial % 60) * 1e-6  # about when it parks
        while time.perf_counter() < end:
            pass
        assert meeting(meet, 2)


def test_many_short_jobs(append: Any) -> None:
    jobs = [Cells(append, 8 * count, (count, 1), count % 2 == 0, 30 * count) for count in range(2, 8)]
    helped = 0
    for trial in range(10_000):
        jobs[trial * 7 % 6].run()
        assert team._team is not None
        helped += int(team._team._memory[team._DONE])
        if trial % 1000 == 0:
            park()
        if trial % 500 == 0:
            # Memory of a job that is done is someone else's.
            jobs[trial // 500 % 6] = Cells(append, 2 + trial // 500 % 6, (trial % 9 + 1, 4))
    assert helped, "a test of one thread"


def test_several_callers_at_once(append: Any) -> None:
    errors: list[BaseException] = []

    def caller(number: int) -> None:
        try:
            job = Cells(append, 16 + number, (number + 1, number + 2), times=50)
            for _ in range(2000):
                job.run()
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            errors.append(error)

    callers = [threading.Thread(target=caller, args=(k,)) for k in range(4)]
    for c in callers:
        c.start()
    for c in callers:
        c.join()
    assert errors == []


def test_nobody_waits_for_another_caller(meet: Any) -> None:
    # A job that lasts until the other one is done.
    cells = np.array([0, 4, LONG, 0], np.int64)
    native = Native(meet, (cells.ctypes.data, YIELD, 0), cells)
    first = threading.Thread(target=spread([[native], [native]], LARGE))
    first.start()
    while cells[0] < 2:
        time.sleep(0.001)
    cells_then = np.array([0, 1, LONG, 0], np.int64)
    alone = Native(meet, (cells_then.ctypes.data, YIELD, 0), cells_then)
    spread([[alone], [alone]], LARGE)()
    assert cells_then.tolist() == [2, 1, LONG, 0]
    cells[0] += 2
    first.join()
    assert cells[3] == 0


def test_a_worker_does_all_itself(meet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert meeting(meet, 2)
    monkeypatch.setattr(threads._local, "busy", True, raising=False)
    assert not meeting(meet, 2, SHORT)


def helpers() -> list[int]:
    """Return the system's numbers of the helpers."""
    found = [t.native_id for t in threading.enumerate() if t.name.startswith("symgraph-team-")]
    return [number for number in found if number is not None]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system does not say who may use which core")
def test_helpers_keep_to_the_cores_that_they_may_use(append: Any, meet: Any) -> None:
    assert meeting(meet, 4)
    everything = os.sched_getaffinity(0)
    job = Cells(append, 50, times=1000)
    try:
        for allowed in [*({core} for core in everything), everything]:
            park()  # one that is moving takes back what it had
            for number in (0, *helpers()):
                os.sched_setaffinity(number, allowed)
            for _ in range(300):
                job.run()
            park()
            assert meeting(meet, 4)
            assert [os.sched_getaffinity(number) for number in helpers()] == [allowed] * len(helpers())
    finally:
        for number in (0, *helpers()):
            os.sched_setaffinity(number, everything)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_helpers_of_its_own(append: Any, meet: Any) -> None:
    assert meeting(meet, 4)
    job = Cells(append, 5)
    child = os.fork()
    if child == 0:
        try:
            job.run()
            if meeting(meet, 4):
                os._exit(0)
        finally:
            os._exit(1)
    job.run()
    assert os.waitpid(child, 0)[1] == 0
    assert meeting(meet, 4)


EXIT = """
import sys, threading
import numpy as np
from symgraph.backends.numba import compiler
from symgraph.backends.numba.team import Native, spread
from symgraph.backends.numpy import threads
threads.set_worker_count(4)
append = compiler._compile({append!r})
def job():
    cells = np.zeros((8, 8), np.int64)
    return spread([[Native(append, (c.ctypes.data, 1, 0), c)] for c in cells], 1 << 18)
def forever():
    run = job()
    while True:
        run()
run = job()
for _ in range(100):
    run()
if sys.argv[1] == "busy":
    for _ in range(3):
        threading.Thread(target=forever, daemon=True).start()
for _ in range(100):
    run()
print("done")
"""


@pytest.mark.parametrize("what", ["idle", "busy"])
def test_a_process_ends_while_helpers_spin(what: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for _ in range(5):
        command = [sys.executable, "-X", "faulthandler", "-c", EXIT.format(append=APPEND), what]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


def test_an_interrupt_does_not_cut_an_update() -> None:
    size = 1 << 20
    weight, gradient = mx.sym.Variable("weight"), mx.sym.Variable("gradient")
    update = mx.sym.sgd_update(weight, gradient, lr=-1.0, wd=0.0, attr={"__renews__": "weight"})
    options = Options(jit="now")
    executor = update.simple_bind(mx.cpu(), grad_req="null", options=options, weight=(size,), gradient=(size,))
    executor.arg_dict["gradient"][:] = 1
    weights, done = executor.arg_dict["weight"].asnumpy, 0
    plan = executor.bound(True).plan
    (group,) = plan.groups.values()
    assert not group.whole, "the first call binds, in Python"
    rng = np.random.default_rng(0)
    cuts = 0
    with Alarm() as alarm:
        for _ in range(200):
            cuts += alarm.during(plan.run_first, rng.uniform(1e-6, 1e-3))
            values = np.unique(weights())
            assert len(values) == 1, "cut in two"
            assert values[0] - done in (0, 1)
            done = values[0]
    assert group.whole
    assert 0 < cuts < 200


@pytest.mark.parametrize("triple", ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "arm64-apple-darwin"])
def test_it_is_code_for_other_machines(triple: str) -> None:
    from llvmlite import binding

    try:
        binding.initialize_all_targets()
        binding.initialize_all_asmprinters()
        machine = binding.Target.from_triple(triple).create_target_machine(opt=3)
    except RuntimeError:
        pytest.skip("LLVM does not know the machine")
    text = machine.emit_assembly(binding.parse_assembly(team._source(triple)))
    assert ("pause" if "x86" in triple else "isb") in text


def test_an_unknown_machine_is_told_nothing_special() -> None:
    from llvmlite import binding

    source = team._source("riscv64-unknown-linux-gnu")
    assert "pause" not in source
    binding.parse_assembly(source).verify()


def test_without_the_team_workers_do_it(append: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "_code", compiler.Compiled(lambda: "this is no module"))
    job = Cells(append, 5)
    assert isinstance(job._call, threads.Parallel)
    job.run()
