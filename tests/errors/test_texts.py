"""The wording of errors, room by room."""

from __future__ import annotations

from symgraph.dtype import as_dtype, dtype_of_code
from symgraph.errors import DTypeError
from tests.snapshots import Snapshots


def test_not_an_element_type(snapshot: Snapshots) -> None:
    with snapshot.raises(DTypeError, "not_an_element_type"):
        as_dtype("float31")


def test_element_type_without_code(snapshot: Snapshots) -> None:
    with snapshot.raises(DTypeError, "element_type_without_code"):
        as_dtype("complex64")


def test_unknown_type_code(snapshot: Snapshots) -> None:
    with snapshot.raises(DTypeError, "unknown_type_code"):
        dtype_of_code(12)
