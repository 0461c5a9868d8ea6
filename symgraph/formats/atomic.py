"""Saving a file so that nobody ever sees it half written.

The content goes to a temporary file in the same folder, is forced to the disk, and takes the target's name in one step.
Whatever happens before that step (a full disk, an error, a killed process) leaves the old file as it was. Two writers
of one file do not mix: the last one to finish wins.

Temporary files of writers that died are removed by the next save into the folder. A living writer holds a lock on its
temporary file, which its death releases, so no guess by age or process number is needed. Where the system has no such
locks, nothing is removed.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import BinaryIO

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["replacing", "write_bytes"]

_TEMPORARY = re.compile(r"\.symgraph-[0-9a-f]{16}\.tmp")
_BUFFER = 1 << 20


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that takes the name `path` only when the block ends without an error.

    An existing file's permissions are kept; a symbolic link goes on pointing to the file, which is replaced. If the
    block raises, or the disk does not take the content, the old file stays and the temporary one is removed.

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written, `path` is write-protected or not a regular file, or the disk
        is full or fails.
    """
    target = os.path.realpath(os.fsdecode(path))
    folder = os.path.dirname(target)
    mode = _mode_of(target)
    _sweep(folder)
    temporary, descriptor = _create(folder)
    try:
        with open(descriptor, "wb", buffering=_BUFFER) as file:
            yield file
            file.flush()
            os.fsync(descriptor)
            if mode is not None:
                os.chmod(temporary, mode)
            if fcntl is not None:
                os.replace(temporary, target)  # while the lock is held, so that no sweep comes between
        if fcntl is None:
            os.replace(temporary, target)  # Windows renames no open file
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Save `content` under the name `path`, as a whole or not at all; see `replacing`."""
    with replacing(path) as file:
        file.write(content)


def _mode_of(target: str) -> int | None:
    """Return the permissions of the file to be replaced, or None if there is none; refuse what must not be replaced."""
    try:
        found = os.stat(target)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
    if not stat.S_ISREG(found.st_mode):  # a rename would replace the device or the pipe itself
        raise OSError(errno.EINVAL, "not a regular file, so it cannot be replaced", target)
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), target)
    return stat.S_IMODE(found.st_mode)


def _create(folder: str) -> tuple[str, int]:
    """Create a temporary file, locked by this process; return its path and descriptor."""
    while True:
        temporary = os.path.join(folder, f".symgraph-{os.urandom(8).hex()}.tmp")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(temporary, flags, 0o666)  # less the umask, as for any new file
        _lock(descriptor, wait=True)
        if os.path.exists(temporary):  # not swept by another process between its creation and the lock
            return temporary, descriptor
        os.close(descriptor)


def _lock(descriptor: int, *, wait: bool) -> bool:
    """Lock an open file for this process; return whether that succeeded."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # held by its writer, or a file system without locks
        return False
    return True


def _sweep(folder: str) -> None:
    """Remove the temporary files in `folder` whose writers are dead."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):  # not ours, or swept by someone else: the save goes on
                    _remove_if_dead(entry.path)


def _remove_if_dead(temporary: str) -> None:
    descriptor = os.open(temporary, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    try:
        if _lock(descriptor, wait=False):
            os.unlink(temporary)
    finally:
        os.close(descriptor)


def _sync_folder(folder: str) -> None:
    """Force the new name to the disk, where the system can do that for a folder."""
    if fcntl is None:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
