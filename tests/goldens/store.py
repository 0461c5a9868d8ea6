"""Reading and writing of golden arrays: a text index and one flat array per dtype.

An index (``NAME.json``) names every array by a reference ``[dtype, start, shape]``; the numbers lie one after the other
in the member ``dtype`` of ``NAME.npz``. Thousands of tiny arrays cost almost nothing this way, and equal arrays are
kept once.

This module knows only NumPy, so it works in the environment that makes the numbers and in the one that checks them.
What the numbers mean belongs to the scripts beside it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parent

Ref = list[Any]
"""A reference ``[dtype name, first element, shape]``."""


class Writer:
    """Collects arrays and hands out references to them."""

    def __init__(self) -> None:
        self._chunks: dict[str, list[np.ndarray]] = {}
        self._lengths: dict[str, int] = {}
        self._known: dict[tuple[str, bytes], int] = {}

    def add(self, array: np.ndarray) -> Ref:
        """Keep an array.

        Parameters
        ----------
        array : numpy.ndarray
            Any shape, a plain number or boolean dtype.

        Returns
        -------
        list
            The reference to put into the index.
        """
        array = np.ascontiguousarray(array).reshape(np.shape(array))
        dtype = array.dtype.name
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{dtype} arrays are not kept")
        flat = array.reshape(-1)
        key = (dtype, flat.tobytes())
        start = self._known.get(key)
        if start is None:
            start = self._known[key] = self._lengths.get(dtype, 0)
            self._chunks.setdefault(dtype, []).append(flat)
            self._lengths[dtype] = start + flat.size
        return [dtype, start, list(array.shape)]

    def save(self, name: str, meta: dict[str, Any], cases: dict[str, Any]) -> None:
        """Write ``NAME.json`` (one case a line, keys sorted) and ``NAME.npz``.

        Parameters
        ----------
        name : str
            File name without its suffix.
        meta : dict
            Facts about the run.
        cases : dict of str to JSON value
            The cases by id, with references inside.
        """
        members = {dtype: np.concatenate(chunks) for dtype, chunks in sorted(self._chunks.items())}
        if members:
            np.savez_compressed(FOLDER / f"{name}.npz", **members)
        text = json.dumps({"meta": meta}, sort_keys=True, indent=1)[:-2] + ',\n "cases": {\n'
        text += ",\n".join(f"  {json.dumps(key)}: {json.dumps(cases[key], sort_keys=True)}" for key in sorted(cases))
        (FOLDER / f"{name}.json").write_text(text + "\n }\n}\n", encoding="utf-8")


class Goldens:
    """The cases of one index, with their arrays at hand.

    Parameters
    ----------
    name : str
        ``operators``, ``symbols`` or ``executor``.

    Attributes
    ----------
    meta : dict
        Facts about the run that made the numbers.
    cases : dict of str to dict
        The cases by id, as in the index.
    """

    def __init__(self, name: str) -> None:
        index = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        self.meta: dict[str, Any] = index["meta"]
        self.cases: dict[str, dict[str, Any]] = index["cases"]
        self.members: dict[str, np.ndarray] = {}
        path = FOLDER / f"{name}.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as archive:
                self.members = {member: archive[member] for member in archive.files}

    def array(self, ref: Ref) -> np.ndarray:
        """Return the array of a reference, as a fresh copy."""
        dtype, start, shape = ref
        return self.members[dtype][start : start + math.prod(shape)].reshape(shape).copy()

    def arrays(self, case: str) -> dict[str, np.ndarray]:
        """Return all arrays of a case of ``operators`` by role (``in.data``, ``out.0``, ``grad.data``, ...)."""
        return {role: self.array(ref) for role, ref in self.cases[case]["arrays"].items()}

    def decode(self, value: Any) -> Any:
        """Replace every ``{"array": reference}`` inside a JSON value by its array."""
        if isinstance(value, dict):
            if value.keys() == {"array"}:
                return self.array(value["array"])
            return {key: self.decode(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        return value


def references(value: Any) -> Iterator[Ref]:
    """Walk a JSON value and yield the array references in it."""
    if isinstance(value, dict):
        if value.keys() == {"array"}:
            yield value["array"]
        elif isinstance(value.get("arrays"), dict):
            yield from value["arrays"].values()
        else:
            for item in value.values():
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)
