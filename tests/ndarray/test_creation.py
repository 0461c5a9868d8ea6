"""Making, sharing and saving arrays: what MXNet's programs do not show."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

import symgraph as mx
from symgraph.errors import ArgumentError, DTypeError, ParamsFormatError, ShapeError, UnsupportedError
from tests.snapshots import Snapshots

nd = mx.nd


class Foreign:
    """An array of some other library."""

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return np.array([[1, 2]], "int16")


def test_arrays_of_other_libraries() -> None:
    a = nd.array(Foreign())
    assert (a.shape, a.dtype, a.asnumpy().tolist()) == ((1, 2), np.float32, [[1, 2]])
    assert nd.array([nd.ones((2,)), nd.zeros((2,))]).asnumpy().tolist() == [[1, 1], [0, 0]]


def test_memory_order_of_the_source_does_not_matter() -> None:
    source = np.arange(6.0).reshape(2, 3)
    for given in (source.T, np.asfortranarray(source), source[:, ::-1], source.astype(">f4"), source[::2]):
        a = nd.array(given)
        assert a._data.flags.c_contiguous
        assert a._data.dtype.isnative
        np.testing.assert_array_equal(a.asnumpy(), given)


def test_arrays_may_be_empty() -> None:
    assert nd.zeros((0, 3)).shape == (0, 3)
    assert nd.ones(()).asnumpy() == 1
    assert (nd.zeros((0, 3)) + 1).shape == (0, 3)
    assert nd.concat(nd.zeros((0, 3)), nd.ones((2, 3)), dim=0).shape == (2, 3)


def test_out_is_filled() -> None:
    out = nd.zeros((2,), dtype="int32")
    assert nd.ones((2,), dtype="int32", out=out) is out
    assert out.asnumpy().tolist() == [1, 1]
    assert nd.full((2,), 7, out=out) is out
    assert out.asnumpy().tolist() == [7, 7]
    with pytest.raises(ShapeError):
        nd.zeros((3,), dtype="int32", out=out)


def test_a_shared_numpy_array_becomes_read_only() -> None:
    n = np.arange(3, dtype="float32")
    a = nd.from_numpy(n)
    with pytest.raises(ValueError, match="read-only"):
        n[0] = 1
    a[0] = 5
    assert n.tolist() == [5, 1, 2]
    with pytest.raises(ArgumentError, match="zero_copy=False"):
        nd.from_numpy(n)  # shared already
    assert nd.from_numpy(n, zero_copy=False).asnumpy().tolist() == [5, 1, 2]


def test_a_capsule_is_used_once() -> None:
    a = nd.array([1, 2])
    capsule = nd.to_dlpack_for_read(a)
    b = nd.from_dlpack(capsule)
    b[0] = 9
    assert a.asnumpy().tolist() == [9, 2]
    with pytest.raises(ArgumentError, match="PyCapsule"):
        nd.from_dlpack(capsule)


def test_shared_memory_outlives_its_owner() -> None:
    a = nd.from_dlpack(nd.to_dlpack_for_write(nd.array(np.arange(1000))))
    b = nd.from_numpy(np.arange(1000, dtype="float32"))
    np.testing.assert_array_equal(a.asnumpy(), b.asnumpy())


def test_files_by_path_and_by_object(tmp_path: Path) -> None:
    arrays = {"a": nd.array([1, 2], dtype="int32"), "b": nd.ones((2, 2), dtype="float16"), "scalar": nd.array(3.5)}
    nd.save(tmp_path / "x.params", arrays)
    buffer = io.BytesIO()
    nd.save(buffer, arrays)
    assert buffer.getvalue() == (tmp_path / "x.params").read_bytes()
    buffer.seek(0)
    with (tmp_path / "x.params").open("rb") as file:
        loaded = [nd.load(tmp_path / "x.params"), nd.load(str(tmp_path / "x.params")), nd.load(file), nd.load(buffer)]
    loaded.append(nd.load_frombuffer(bytearray(buffer.getvalue())))
    for found in loaded:
        assert isinstance(found, dict)
        assert list(found) == list(arrays)
        for name, x in arrays.items():
            assert found[name].dtype is x.dtype
            np.testing.assert_array_equal(found[name].asnumpy(), x.asnumpy())
            found[name][...] = 0  # the arrays are one's own
    with mx.cpu(2):
        assert nd.load(tmp_path / "x.params")["a"].context == mx.cpu(2)


def test_lists_of_files(tmp_path: Path) -> None:
    for given in ([nd.ones((1,)), nd.zeros((2,))], (nd.ones((1,)), nd.zeros((2,)))):
        nd.save(tmp_path / "x", given)
        found = nd.load(tmp_path / "x")
        assert [x.shape for x in found] == [(1,), (2,)]
    nd.save(tmp_path / "x", {})
    assert nd.load(tmp_path / "x") == []  # MXNet: the format does not tell an empty dict from an empty list


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    nd.save(tmp_path / "x", [nd.ones((1,))])
    before = (tmp_path / "x").read_bytes()
    with pytest.raises(ArgumentError):
        nd.save(tmp_path / "x", [nd.ones((1,)), 3])
    assert (tmp_path / "x").read_bytes() == before
    with pytest.raises(ParamsFormatError):
        nd.load_frombuffer(before[:-1])
    with pytest.raises(FileNotFoundError):
        nd.load(tmp_path / "nothing")


def test_error_texts(snapshot: Snapshots) -> None:
    with snapshot.raises(ArgumentError, "array_ragged"):
        nd.array([[1, 2], [3]])
    with snapshot.raises(ArgumentError, "array_text"):
        nd.array("abc")
    with snapshot.raises(ArgumentError, "array_none"):
        nd.array([1, None])
    with snapshot.raises(DTypeError, "array_dtype"):
        nd.array([1], dtype="complex64")
    with snapshot.raises(ArgumentError, "zeros_shape"):
        nd.zeros((2, 1.5))
    with snapshot.raises(ArgumentError, "zeros_negative"):
        nd.zeros((2, -1))
    with snapshot.raises(UnsupportedError, "zeros_sparse"):
        nd.zeros((2,), stype="csr")
    with snapshot.raises(ArgumentError, "moveaxis"):
        nd.moveaxis(nd.ones((2, 3)), 0, 5)
    with snapshot.raises(ArgumentError, "split_v2"):
        nd.split_v2(nd.ones((4,)), 3)
    with snapshot.raises(ShapeError, "onehot_encode"):
        nd.onehot_encode(nd.ones((2,)), nd.ones((3, 3)))
    with snapshot.raises(ArgumentError, "from_numpy_shared"):
        nd.from_numpy(np.ones((2, 3)).T)
    with snapshot.raises(ArgumentError, "save_element"):
        nd.save("x", {"a": 1})
    with snapshot.raises(ArgumentError, "save_file"):
        nd.save(3, [nd.ones((1,))])
    with snapshot.raises(ArgumentError, "load_frombuffer"):
        nd.load_frombuffer("x")
