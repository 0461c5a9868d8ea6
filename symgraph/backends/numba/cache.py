"""Machine code of compiled loops on disk, so that a later process need not compile them again.

One file a loop, named by a key of everything that decides its content. A file carries its key and a checksum; one that
is damaged, cut short or another's is passed over and written anew. A file gets its name when it is whole, so any number
of processes may write the same one. A folder that cannot be written is no fault: then every process compiles.

The folder is `SYMGRAPH_CACHE` if that is set (empty: nothing is kept), else ``symgraph`` in the user's cache folder.
What lies there is run, hence a file that belongs to another user is not read.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from pathlib import Path

__all__ = ["folder", "load", "save"]

_MAGIC = b"symgraph machine code 1\n"
#: Files kept; a loop takes some four kilobytes.
_MOST_FILES = 4096


def folder() -> Path | None:
    """Return the folder, which need not exist, or None if nothing is to be kept."""
    named = os.environ.get("SYMGRAPH_CACHE")
    if named is not None:
        return Path(named) / "jit" if named else None
    try:
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "symgraph" / "jit"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "symgraph" / "jit"
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "symgraph" / "jit"
    except RuntimeError:  # no home
        return None


def _head(key: str, content: bytes) -> bytes:
    return _MAGIC + key.encode() + b"\n" + hashlib.sha256(content).digest()


def load(key: str) -> bytes | None:
    """Return the content kept under a key, or None if there is none that can be trusted."""
    where = folder()
    if where is None:
        return None
    try:
        with open(where / f"{key}.o", "rb") as file:
            if hasattr(os, "geteuid") and os.fstat(file.fileno()).st_uid != os.geteuid():
                return None
            whole = file.read()
    except OSError:
        return None
    start = len(_MAGIC) + len(key) + 1 + hashlib.sha256().digest_size
    content = whole[start:]
    return content if whole[:start] == _head(key, content) else None


def save(key: str, content: bytes) -> None:
    """Keep `content` under a key; does nothing where it cannot."""
    where = folder()
    if where is None:
        return
    import tempfile

    with contextlib.suppress(OSError):
        where.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_room(where)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{key[:16]}-", suffix=".tmp", dir=where)
        try:
            with open(descriptor, "wb") as file:
                file.write(_head(key, content) + content)
            os.replace(temporary, where / f"{key}.o")
        except BaseException:
            os.unlink(temporary)
            raise


def _make_room(where: Path) -> None:
    """Remove the oldest half once there are too many, what dead writers have left included."""
    files = [*where.glob("*.o"), *where.glob(".*.tmp")]
    if len(files) >= _MOST_FILES:
        ages = []
        for file in files:
            with contextlib.suppress(OSError):
                ages.append((file.stat().st_mtime, file))
        for _, file in sorted(ages)[: len(ages) // 2]:
            with contextlib.suppress(OSError):
                file.unlink()
