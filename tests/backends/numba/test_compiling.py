"""When loops are compiled, where they are kept, and what is said about it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

import symgraph as mx
from symgraph.backends.numba import cache, compiler, team, tiered
from symgraph.errors import ArgumentError
from symgraph.executor import Executor, Options

SIZE = 1 << 17
PROGRAM = """
import os, sys
import numpy as np
import symgraph as mx
from symgraph.executor import Options
x = mx.sym.Variable("x")
net = mx.sym.sqrt(mx.sym.abs(x * 3 + 1))
executor = net.bind(mx.cpu(), {"x": mx.nd.array(np.arange(1 << 17))}, options=Options(jit="now"))
assert "compiled" in executor.explain(), executor.explain()
print(repr(float(executor.forward()[0].asnumpy().sum())))
"""


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Nothing is compiled yet, and the cache is an empty folder."""
    compiler.wait()
    team._code.make()
    monkeypatch.setenv("SYMGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(compiler, "_table", {})
    yield tmp_path / "cache" / "jit"
    compiler.wait()


def bound(jit: str = "background", net: Any = None) -> Executor:
    x = mx.sym.Variable("x")
    net = mx.sym.sqrt(mx.sym.abs(x * 3 + 1)) if net is None else net(x)
    values = mx.nd.array(np.random.default_rng(0).normal(size=SIZE))
    return net.bind(mx.cpu(), {"x": values}, options=Options(jit=jit))


def states(executor: Executor) -> list[str]:
    return [g.state for g in executor.bound(True).plan.groups.values()]


def result(executor: Executor) -> bytes:
    return executor.forward(is_train=True)[0].asnumpy().tobytes()


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    make = compiler._machine_code

    def count(binding: Any, machine: Any, source: str) -> bytes:
        made.append(source)
        return make(binding, machine, source)

    monkeypatch.setattr(compiler, "_machine_code", count)
    return made


def test_the_first_runs_are_numpys_and_then_the_loop_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    go, make = threading.Event(), compiler._compile

    def slow(source: str) -> Any:
        assert go.wait(60)
        return make(source)

    monkeypatch.setattr(compiler, "_compile", slow)
    executor = bound()
    first = result(executor)
    assert states(executor) == ["NumPy until compiled"]
    assert "in blocks, on" in executor.explain(training=True)
    assert "NumPy until compiled:" in executor.explain(training=True)
    go.set()
    compiler.wait()
    assert states(executor) == ["compiled"]
    assert result(executor) == first == result(bound("off"))
    assert "compiled, on" in executor.explain(training=True)


def test_at_once() -> None:
    executor = bound("now")
    assert states(executor) == ["compiled"]
    assert result(executor) == result(bound("off"))


def test_off() -> None:
    executor = bound("off")
    assert states(executor) == ["NumPy"]
    assert "compil" not in executor.explain(training=True)


def test_another_mode_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"jit is 'of'; did you mean 'off'\?"):
        Options(jit="of")
    assert Options.none().jit == "off"


def test_the_environment_sets_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYMGRAPH_JIT", raising=False)
    assert Options().jit == "background"
    monkeypatch.setenv("SYMGRAPH_JIT", "now")
    assert Options().jit == "now"
    monkeypatch.setenv("SYMGRAPH_JIT", "later")
    with pytest.raises(ArgumentError, match="jit is 'later'"):
        Options()


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiered, "available", lambda: False)
    executor = bound()
    assert states(executor) == ["NumPy: the jit extra is not installed"]
    assert "NumPy: the jit extra is not installed:" in executor.explain(training=True)
    assert result(executor) == result(bound("off"))


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (lambda x: mx.sym.exp(x * 2), "exp is left to NumPy"),
        (lambda x: mx.sym.Cast(x * 2, dtype="float16"), "float16 is left to NumPy"),
        (lambda x: mx.sym.Cast(x * 2, dtype="int32"), "astype from float32 to int32 is left to NumPy"),
        (lambda x: mx.sym.tanh(mx.sym.exp(x * 2) + 1), "exp is left to NumPy, tanh is left to NumPy"),
    ],
)
def test_what_is_left_to_numpy(net: Any, reason: str) -> None:
    executor = bound("now", net)
    assert states(executor) == [f"compiled; {reason}"]
    assert reason in executor.explain(training=True)
    assert result(executor) == result(bound("off", net))


def test_a_group_without_anything_to_compile() -> None:
    executor = bound("now", lambda x: mx.sym.exp(mx.sym.tanh(x)))
    assert states(executor) == ["NumPy: tanh is left to NumPy, exp is left to NumPy"]


def test_equal_forms_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = counted(monkeypatch)
    first, second = bound("now"), bound("now", lambda x: mx.sym.sqrt(mx.sym.abs(x * 7 + 2)))
    bound("now", lambda x: mx.sym.sqrt(mx.sym.abs(x * 7 - 2)))
    assert len(made) == 2
    assert result(first) != result(second)


def test_a_loop_is_read_from_the_cache(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = counted(monkeypatch)
    expected = result(bound("now"))
    assert len(list(fresh.iterdir())) == len(made) == 1
    compiler._table.clear()
    again = bound("now")
    assert states(again) == ["compiled"]
    assert result(again) == expected
    assert len(made) == 1


@pytest.mark.parametrize("damage", ["empty", "short", "flipped", "text", "other key", "folder"])
def test_a_damaged_file_is_compiled_anew(fresh: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    expected = result(bound("now"))
    (file,) = fresh.iterdir()
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[-100] ^= 1
    other = cache._head("0" * 64, whole[-100:]) + whole[-100:]
    content = {"empty": b"", "short": whole[:-1], "flipped": bytes(flipped), "text": b"x" * 500, "other key": other}
    file.unlink()
    if damage == "folder":
        file.mkdir()
    else:
        file.write_bytes(content[damage])
    compiler._table.clear()
    made = counted(monkeypatch)
    again = bound("now")
    assert states(again) == ["compiled"]
    assert result(again) == expected
    assert len(made) == 1
    if damage != "folder":
        assert file.read_bytes() == whole
    assert not list(fresh.glob(".*"))


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs owners of files")
def test_a_file_of_another_user_is_not_run(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bound("now")
    compiler._table.clear()
    made = counted(monkeypatch)
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    assert states(bound("now")) == ["compiled"]
    assert len(made) == 1


@pytest.mark.parametrize("place", ["a file stands there", "nothing is kept"])
def test_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    monkeypatch.setenv("SYMGRAPH_CACHE", str(blocked) if place == "a file stands there" else "")
    assert states(bound("now")) == ["compiled"]


def test_the_cache_does_not_grow_for_ever(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_MOST_FILES", 6)
    for k in range(20):
        cache.save(f"{k:064}", b"x")
    assert len(list(fresh.iterdir())) <= 6
    assert cache.load(f"{19:064}") == b"x"


def test_two_processes_at_once(fresh: Path) -> None:
    environment = {**os.environ, "SYMGRAPH_CACHE": str(fresh.parent), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    answers = [process.communicate(timeout=120) for process in running]
    assert [p.returncode for p in running] == [0, 0, 0], answers
    assert len({out for out, _ in answers}) == 1
    files = list(fresh.iterdir())
    assert len(files) == 2  # the loop, and the code of the team
    assert all(cache.load(file.stem) is not None for file in files)


def test_a_compiler_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: str) -> Any:
        raise RuntimeError("no such processor")

    monkeypatch.setattr(compiler, "_compile", fail)
    executor = bound("now")
    assert states(executor) == ["NumPy: compiling failed: no such processor"]
    assert result(executor) == result(bound("off"))


def test_importing_and_ending_while_compiling() -> None:
    program = PROGRAM.replace('options=Options(jit="now")', "").replace('assert "compiled" in executor.explain()', "0")
    program = "import sys, symgraph; assert not {'numba', 'llvmlite'} & set(sys.modules)\n" + program
    environment = {**os.environ, "SYMGRAPH_CACHE": "", "SYMGRAPH_JIT": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=environment, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_goes_on() -> None:
    program = PROGRAM + "executor.forward(); child = os.fork()\n"
    program += "values = executor.forward()[0].asnumpy().sum()\n"
    program += "late = (net + 1).bind(mx.cpu(), executor.arg_dict, options=Options(jit='now')).forward()[0].asnumpy()\n"
    program += "if not child: os._exit(0 if late.shape == (1 << 17,) else 1)\n"
    program += "assert os.waitpid(child, 0)[1] == 0\n"
    environment = {**os.environ, "SYMGRAPH_CACHE": "", "SYMGRAPH_JIT": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=environment, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_rmsprop_update_of_many_weights() -> None:
    rng = np.random.default_rng(0)
    values = {k: rng.random(300_001).astype(np.float32) for k in "wgn"}
    ends = []
    for jit in ("off", "now"):
        w, g, n = (mx.sym.Variable(k) for k in "wgn")
        step = mx.sym.rmsprop_update(w, g, n, lr=0.01, gamma1=0.9, clip_gradient=0.7, attr={"__renews__": "w"})
        arrays = {k: mx.nd.array(x) for k, x in values.items()}
        executor = step.bind(
            mx.cpu(),
            {k: arrays[k] for k in "wg"},
            grad_req="null",
            aux_states={"n": arrays["n"]},
            options=Options(jit=jit),
        )
        for _ in range(3):
            executor.forward(is_train=True)
        assert states(executor) == ["compiled" if jit == "now" else "NumPy"]
        ends.append([arrays[k].asnumpy().tobytes() for k in "wn"])
    assert ends[0] == ends[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_forked_while_compiling_goes_on() -> None:
    program = PROGRAM.replace('options=Options(jit="now")', "").replace('assert "compiled" in executor.explain()', "0")
    program = (
        "import time\nfrom symgraph.backends.numba import compiler\n"
        "make = compiler._compile\ncompiler._compile = lambda source: time.sleep(3) or make(source)\n"
        + program
        + "time.sleep(0.2); child = os.fork()\n"
        "if not child:\n"
        "    late = (net + 1).bind(mx.cpu(), executor.arg_dict, options=Options(jit='now'))\n"
        "    told = 'forked while compiling' in executor.explain(), 'forked while compiling' in late.explain()\n"
        "    values = executor.forward(), late.forward()\n"
        "    os._exit(0 if told == (True, True) else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
    )
    environment = {**os.environ, "SYMGRAPH_CACHE": "", "SYMGRAPH_JIT": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=environment, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
