"""What a file probably is that is not what was expected: most wrong files are one of a few well-known ones."""

from __future__ import annotations

__all__ = ["looks_like"]

#: (first bytes, what the file looks like). Letters are compared without case, after leading white space.
_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"<!doctype", "a web page; the download was probably answered by an error page"),
    (b"<html", "a web page; the download was probably answered by an error page"),
    (b"<?xml", "an XML document; the download was probably answered by an error page"),
    (b"version https://git-lfs", "a Git LFS pointer; the file itself was not fetched, 'git lfs pull' does that"),
    (b"\x12\x01\x00\x00\x00\x00\x00\x00", "an MXNet parameter file (.params)"),
    (b"\xb7\x9c\x04\x05\x4f\x8d\xe5\xf7", "a parameter blob of TVM, which is another format"),
    (b"pk\x03\x04", "a zip archive (.npz, PyTorch, Keras)"),
    (b"\x93numpy", "a NumPy array (.npy)"),
    (b"\x89hdf", "an HDF5 file (Keras .h5)"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"\x80\x02", "a Python pickle, which is never read here because it can run code"),
    (b"\x80\x03", "a Python pickle, which is never read here because it can run code"),
    (b"\x80\x04", "a Python pickle, which is never read here because it can run code"),
    (b"\x80\x05", "a Python pickle, which is never read here because it can run code"),
    (b"\xef\xbb\xbf", "text with a byte order mark; save it as UTF-8 without one"),
    (b"\xff\xfe", "UTF-16 text; save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text; save it as UTF-8"),
    (b"{", "JSON text"),
)


def looks_like(start: bytes) -> str | None:
    """Say what a file with these first bytes probably is, as the end of a sentence; None if they tell nothing.

    >>> looks_like(b"<!DOCTYPE html><html>")
    'starts with `<!DOCTYPE`: looks like a web page; the download was probably answered by an error page'
    """
    start = start[:64].lstrip(b" \t\r\n")
    lower = start.lower()
    for mark, what in _STARTS:
        if lower.startswith(mark.lower()):
            mark = start[: len(mark)]
            begin = mark.decode() if mark.isascii() and mark.decode().isprintable() else mark.hex(" ")
            return f"starts with `{begin}`: looks like {what}"
    return None
