"""Saving is all or nothing, whatever happens to the disk or the process."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgraph.formats import atomic, params, symbol_json
from symgraph.formats.atomic import replacing, write_bytes
from tests.formats.seeds import DOCUMENTS
from tests.snapshots import ROOT

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permissions, locks and signals are those of POSIX")

#: All that saves: by name, a function of a path.
SAVERS: dict[str, Callable[[Any], None]] = {
    "bytes": lambda path: write_bytes(path, b"new"),
    "symbol": lambda path: symbol_json.write(path, DOCUMENTS["layer"]),
    "params": lambda path: params.write(path, [("a", np.zeros(3, np.float32))]),
}


def temporaries(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.suffix == ".tmp"]


@pytest.mark.parametrize("name", SAVERS)
@pytest.mark.parametrize("kind", [str, Path])
def test_a_file_is_saved(tmp_path: Path, name: str, kind: Callable[[Path], Any]) -> None:
    SAVERS[name](kind(tmp_path / "it"))
    first = (tmp_path / "it").read_bytes()
    assert first
    SAVERS[name](kind(tmp_path / "it"))
    assert (tmp_path / "it").read_bytes() == first
    assert [file.name for file in tmp_path.iterdir()] == ["it"]


def test_a_file_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_bytes("it", b"new")
    assert (tmp_path / "it").read_bytes() == b"new"


# -- what stays as it was --------------------------------------------------------------------------------------------


def test_nothing_is_seen_before_the_end(tmp_path: Path) -> None:
    write_bytes(tmp_path / "it", b"old")
    with replacing(tmp_path / "it") as file:
        file.write(b"n" * 3_000_000)
        assert (tmp_path / "it").read_bytes() == b"old"
    assert (tmp_path / "it").read_bytes() == b"n" * 3_000_000


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_while_writing(tmp_path: Path, error: type[BaseException]) -> None:
    write_bytes(tmp_path / "it", b"old")

    def breaks_off() -> None:
        with replacing(tmp_path / "it") as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        breaks_off()
    assert (tmp_path / "it").read_bytes() == b"old"
    assert temporaries(tmp_path) == []


@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("name", SAVERS)
def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int, call: str) -> None:
    write_bytes(tmp_path / "it", b"old")

    def fails(*args: Any, **named: Any) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, call, fails)
        with pytest.raises(OSError, match=os.strerror(number)):
            SAVERS[name](tmp_path / "it")
    assert (tmp_path / "it").read_bytes() == b"old"
    assert temporaries(tmp_path) == []


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    # A limit on the size of files stands for it: the system itself refuses to write on.
    write_bytes(tmp_path / "it", b"old")
    code = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
import numpy as np
from symgraph.formats import params
try:
    params.write(sys.argv[1], [("a", np.zeros(5_000_000, np.float32))])
except OSError as error:
    sys.exit(error.errno)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "it")], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == errno.EFBIG
    assert (tmp_path / "it").read_bytes() == b"old"
    assert temporaries(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO])
def test_folders_that_are_not_synchronised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    real = os.fsync

    def only_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(atomic.os, "fsync", only_files)
    if number == errno.EIO:  # the new name may not survive a power cut, and that is said
        with pytest.raises(OSError, match=os.strerror(number)):
            write_bytes(tmp_path / "it", b"new")
    else:  # the file system has no such thing
        write_bytes(tmp_path / "it", b"new")
    assert (tmp_path / "it").read_bytes() == b"new"


def test_the_folder_reaches_the_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synchronised = []
    real = os.fsync
    monkeypatch.setattr(
        atomic.os, "fsync", lambda descriptor: (synchronised.append(os.fstat(descriptor)), real(descriptor))[1]
    )
    write_bytes(tmp_path / "it", b"new")
    assert [stat.S_ISDIR(each.st_mode) for each in synchronised] == [False, True]
    assert synchronised[0].st_ino == (tmp_path / "it").stat().st_ino
    assert synchronised[1].st_ino == tmp_path.stat().st_ino


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAVERS)
def test_a_folder_that_does_not_exist(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError):
        SAVERS[name](tmp_path / "missing" / "it")


@pytest.mark.parametrize("name", SAVERS)
def test_a_folder_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    write_bytes(folder / "it", b"old")
    folder.chmod(0o500)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write everywhere")
        with pytest.raises(PermissionError):
            SAVERS[name](folder / "it")
    finally:
        folder.chmod(0o700)
    assert (folder / "it").read_bytes() == b"old"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that nobody may write")
@pytest.mark.parametrize("name", SAVERS)
def test_a_folder_that_nobody_may_write(name: str) -> None:
    with pytest.raises(OSError, match=r"\[Errno"):
        SAVERS[name](Path("/proc/self/it"))


def test_a_write_protected_file(tmp_path: Path) -> None:
    file = tmp_path / "it"
    write_bytes(file, b"old")
    file.chmod(0o400)
    if os.access(file, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(PermissionError):
        write_bytes(file, b"new")
    assert file.read_bytes() == b"old"


def test_a_write_protected_file_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes(tmp_path / "it", b"old")
    monkeypatch.setattr(atomic.os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError):
        write_bytes(tmp_path / "it", b"new")
    assert (tmp_path / "it").read_bytes() == b"old"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "it").mkdir()
    with pytest.raises(IsADirectoryError):
        write_bytes(tmp_path / "it", b"new")


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "it")
    with pytest.raises(OSError, match="not a regular file"):
        write_bytes(tmp_path / "it", b"new")
    assert stat.S_ISFIFO((tmp_path / "it").stat().st_mode)


# -- permissions and links -------------------------------------------------------------------------------------------


def test_permissions_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "it"
    write_bytes(file, b"old")
    file.chmod(0o640)
    write_bytes(file, b"new")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_bytes(tmp_path / "it", b"new")
    assert (tmp_path / "it").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_goes_on_pointing_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "real", tmp_path / "it"
    write_bytes(target, b"old")
    link.symlink_to(target)
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


# -- killed and living writers ---------------------------------------------------------------------------------------


def test_files_of_dead_writers_are_swept_and_no_others(tmp_path: Path) -> None:
    dead = tmp_path / ".symgraph-0123456789abcdef.tmp"
    dead.write_bytes(b"half")
    mine = [tmp_path / "net.tmp", tmp_path / ".symgraph-net.tmp", tmp_path / "x.symgraph-0123456789abcdef.tmp"]
    for file in mine:
        file.write_bytes(b"mine")
    (tmp_path / ".symgraph-aaaaaaaaaaaaaaaa.tmp").symlink_to(mine[0])
    write_bytes(tmp_path / "it", b"new")
    assert not dead.exists()
    assert all(file.exists() for file in mine)
    assert (tmp_path / ".symgraph-aaaaaaaaaaaaaaaa.tmp").is_symlink()


def test_the_file_of_a_living_writer_is_not_swept(tmp_path: Path) -> None:
    with replacing(tmp_path / "slow") as slow:
        slow.write(b"slow")
        write_bytes(tmp_path / "quick", b"quick")
        assert len(temporaries(tmp_path)) == 1
        with replacing(tmp_path / "slow") as other:
            other.write(b"quicker")
    assert (tmp_path / "slow").read_bytes() == b"slow"  # the last one to finish wins
    assert temporaries(tmp_path) == []


def test_a_file_swept_before_it_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = atomic._lock
    swept = []

    def sweeps_first(descriptor: int, *, wait: bool) -> bool:
        if wait and len(swept) < 3:
            swept.extend(temporaries(tmp_path))
            swept[-1].unlink()
        return real(descriptor, wait=wait)

    monkeypatch.setattr(atomic, "_lock", sweeps_first)
    write_bytes(tmp_path / "it", b"new")
    assert len(swept) == 3
    assert (tmp_path / "it").read_bytes() == b"new"
    assert temporaries(tmp_path) == []


def test_without_locks_nothing_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = tmp_path / ".symgraph-0123456789abcdef.tmp"
    dead.write_bytes(b"half")
    monkeypatch.setattr(atomic, "fcntl", None)
    write_bytes(tmp_path / "it", b"new")
    assert (tmp_path / "it").read_bytes() == b"new"
    assert dead.exists()


ENDLESS_WRITER = """
import sys
import numpy as np
from symgraph.formats import params
path, number = sys.argv[1], int(sys.argv[2])
while True:
    number += 1
    params.write(path, [("a", np.full(400_000, number, np.float32)), ("b", np.array([number], np.float32))])
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "it.params"
    chance = random.Random(0)
    last = 0
    left = 0
    for _ in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", ENDLESS_WRITER, str(file), str(last)], cwd=ROOT, stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            told = int(writer.stdout.readline())
            time.sleep(chance.uniform(0, 0.05))
            writer.send_signal(signal.SIGKILL)
            told = max([told, *map(int, writer.stdout.read().split())])
        (_, a), (_, b) = params.read(file)
        assert np.all(a == b)
        assert b[0] >= told > last  # what was reported as saved is there
        last = int(b[0])
        left += len(temporaries(tmp_path))
    assert left > 0, "no writer was killed in a save: the test shows nothing"
    write_bytes(tmp_path / "other", b"")
    assert temporaries(tmp_path) == []


def save_often(path: Path, value: int) -> None:
    for _ in range(30):
        params.write(path, [("a", np.full(20_000, value, np.float32))])


def test_two_writers_do_not_mix(tmp_path: Path) -> None:
    file = tmp_path / "it.params"
    save_often(file, 0)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=save_often, args=(file, value)) for value in (1, 2)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        ((_, array),) = params.read(file)
        assert np.all(array == array[0])
        seen.add(float(array[0]))
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert seen & {1.0, 2.0}
    assert temporaries(tmp_path) == []
