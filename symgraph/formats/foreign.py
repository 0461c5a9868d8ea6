"""What a file probably is that is not what was expected: most wrong files are one of a few well-known ones."""

from __future__ import annotations

__all__ = ["looks_like"]

_ERROR_PAGE = "the download was probably answered by an error page"
_PICKLE = "pickles are never read here, because they can run code"
#: (first bytes, what the file looks like, what to do or to know). White space before and letter case do not matter.
_STARTS: tuple[tuple[bytes, str, str | None], ...] = (
    (b"<!DOCTYPE", "a web page", _ERROR_PAGE),
    (b"<html", "a web page", _ERROR_PAGE),
    (b"<?xml", "an XML document", _ERROR_PAGE),
    (b"version https://git-lfs", "a Git LFS pointer", "'git lfs pull' fetches the file itself"),
    (b"\x12\x01\0\0\0\0\0\0", "an MXNet parameter file (.params)", None),
    (b"\xb7\x9c\x04\x05\x4f\x8d\xe5\xf7", "a parameter blob of TVM", None),
    (b"PK\x03\x04", "a zip archive (.npz, PyTorch, Keras)", None),
    (b"\x93NUMPY", "a NumPy array (.npy)", None),
    (b"\x89HDF", "an HDF5 file (Keras .h5)", None),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"\x80\x02", "a Python pickle", _PICKLE),
    (b"\x80\x03", "a Python pickle", _PICKLE),
    (b"\x80\x04", "a Python pickle", _PICKLE),
    (b"\x80\x05", "a Python pickle", _PICKLE),
    (b"\xef\xbb\xbf", "text with a byte order mark", "save it as UTF-8 without one"),
    (b"\xff\xfe", "UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "save it as UTF-8"),
    (b"{", "JSON text", None),
)


def looks_like(start: bytes, expected: str) -> str | None:
    r"""Say what a file with these first bytes probably is instead of what was expected; None if they tell nothing.

    >>> looks_like(b"\x1f\x8b\x08", "symbol JSON")
    'starts with `1f 8b`: looks like a gzip archive, not symbol JSON; unpack it first'
    """
    start = start[:64].lstrip(b" \t\r\n")
    for mark, what, advice in _STARTS:
        if start.lower().startswith(mark.lower()):
            found = start[: len(mark)]
            begin = found.decode() if found.isascii() and found.decode().isprintable() else found.hex(" ")
            return f"starts with `{begin}`: looks like {what}, not {expected}" + (f"; {advice}" if advice else "")
    return None
