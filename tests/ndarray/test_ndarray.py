"""NDArray beyond what MXNet does: masks, NumPy's protocols, all-or-nothing writes, errors."""

from __future__ import annotations

import copy
import operator
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import symgraph as mx
from symgraph.errors import ArgumentError, DTypeError, ShapeError, UnsupportedError
from symgraph.ndarray import NDArray
from tests.snapshots import Snapshots

nd = mx.nd


def counted(*shape: int, dtype: str = "float32") -> NDArray:
    return nd.array(np.arange(np.prod(shape)).reshape(shape), dtype=dtype)


# -- indexing ---------------------------------------------------------------------------------------------------------

SHAPES = npst.array_shapes(min_dims=1, max_dims=4, max_side=4)


def test_tuples_inside_a_key_are_lists() -> None:
    """As in MXNet 1.9.1, and in NumPy."""
    a, held = counted(2, 3, 4), np.arange(24).reshape(2, 3, 4)
    for key in (((0, 1), (1, 2)), ([0, 1], (1, 2)), ((0, 1),), (slice(None), (0, 2), 1)):
        assert a[key].asnumpy().tolist() == held[key].tolist()
    assert a[(0, 1)].asnumpy().tolist() == held[0, 1].tolist()


@st.composite
def keys(draw: st.DrawFn) -> tuple[tuple[int, ...], Any]:
    """A shape, and a key that NumPy takes for it: basic, or with lists of numbers and masks."""
    shape = draw(SHAPES)
    basic = npst.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True)
    arrays = npst.integer_array_indices(shape[:2], result_shape=npst.array_shapes(max_dims=2, max_side=3))
    return shape, draw(st.one_of(basic, arrays, npst.arrays(bool, shape[:1])))


@given(keys())
def test_reading_is_that_of_numpy(example: tuple[tuple[int, ...], Any]) -> None:
    shape, key = example
    a = counted(*shape)
    expected = a.asnumpy()[key]
    found = a[key]
    assert found.shape == (expected.shape or (1,))
    np.testing.assert_array_equal(found.asnumpy().ravel(), np.ravel(expected))
    assert found._data.flags.c_contiguous


@given(keys())
def test_writing_is_that_of_numpy(example: tuple[tuple[int, ...], Any]) -> None:
    shape, key = example
    a = counted(*shape)
    expected = a.asnumpy()
    part = expected[key]
    values = -1 - np.arange(np.size(part), dtype="float32").reshape(np.shape(part))
    expected[key] = values
    a[key] = values
    np.testing.assert_array_equal(a.asnumpy(), expected)


@given(SHAPES.flatmap(lambda shape: st.tuples(st.just(shape), npst.basic_indices(shape, allow_newaxis=True))))
def test_a_part_is_a_view_where_it_is_contiguous(example: tuple[tuple[int, ...], Any]) -> None:
    shape, key = example
    a = counted(*shape)
    part = a._data[key if isinstance(key, tuple) else (key,)]
    contiguous = np.asarray(part).flags.c_contiguous or np.ndim(part) == 0
    found = a[key]
    if found.size:
        assert np.shares_memory(found._data, a._data) is bool(contiguous)


def test_masks_choose() -> None:
    # MXNet refuses boolean NDArrays, and takes NumPy's True and False for the numbers 1 and 0.
    a = counted(3, 4)
    rows = np.array([True, False, True])
    for mask in (rows, rows.tolist(), nd.array(rows, dtype="bool")):
        np.testing.assert_array_equal(a[mask].asnumpy(), a.asnumpy()[rows])
    above = (a > 5).astype("bool")
    np.testing.assert_array_equal(a[above].asnumpy(), np.arange(6, 12))
    a[above] = 0
    assert a.asnumpy().sum() == 15


def test_an_empty_list_chooses_nothing() -> None:
    assert counted(3, 4)[[]].shape == (0, 4)


def test_integers_are_stored_exactly() -> None:
    a = nd.zeros((2,), dtype="int64")
    a[0] = 2**62 + 1
    a[1:] = [-(2**62) - 1]
    assert a.asnumpy().tolist() == [2**62 + 1, -(2**62) - 1]


# -- NumPy and Python -------------------------------------------------------------------------------------------------


def test_numpy_reads_without_a_copy_and_cannot_write() -> None:
    a = counted(2, 3)
    view = np.asarray(a)
    assert np.shares_memory(view, a._data)
    assert not view.flags.writeable
    np.testing.assert_array_equal(np.stack([a, a]), [a.asnumpy()] * 2)
    copied = np.array(a)
    copied[0, 0] = 99
    assert a[0, 0].asscalar() == 0
    assert np.asarray(a, dtype="int8").dtype == np.int8
    with pytest.raises(ValueError, match="by copying only"):
        np.array(a, dtype="int8", copy=False)


def test_numpy_makes_no_arrays_of_objects() -> None:
    a = counted(3)
    with pytest.raises(TypeError, match="does not support ufuncs"):
        np.exp(a)
    with pytest.raises(TypeError):
        np.ones(3) + a
    assert isinstance(np.float32(2) * a, NDArray)
    assert isinstance(np.sum(a), NDArray)  # by its method


def test_dlpack_shares_memory() -> None:
    a = counted(2, 3)
    b = np.from_dlpack(a)
    b[0, 0] = 5
    assert a[0, 0].asscalar() == 5
    n = np.arange(3, dtype="int32")
    c = nd.from_dlpack(n)
    c[1] = 7
    assert n.tolist() == [0, 7, 2]
    assert a.__dlpack_device__() == (1, 0)


def test_python_numbers() -> None:
    one = nd.array([[2.5]])
    assert (float(one), int(one), bool(one)) == (2.5, 2, True)
    assert operator.index(nd.array([3], dtype="int32")) == 3
    assert [7, 8, 9][nd.array([1], dtype="int64")] == 8
    with pytest.raises(TypeError, match="no index"):
        operator.index(one)
    with pytest.raises(TypeError, match="one element"):
        float(counted(2))


def test_copies_are_their_own() -> None:
    a = counted(2, 3, dtype="int32")
    a.attach_grad("null")
    for b in (copy.copy(a), copy.deepcopy(a), pickle.loads(pickle.dumps(a)), a.copy()):  # noqa: S301
        b[:] = 9
        assert b.grad is None
        assert b.dtype is np.int32
    assert a.asnumpy().sum() == 15


def test_arithmetic_leaves_other_types_their_turn() -> None:
    class Other:
        def __radd__(self, left: Any) -> str:
            return "theirs"

        def __gt__(self, left: Any) -> str:
            return "theirs, too"

    assert counted(2) + Other() == "theirs"
    assert (counted(2) < Other()) == "theirs, too"


def test_a_negative_zero_is_another_number() -> None:
    one = nd.array([1.0])
    assert (1 / (one * 0.0)).asscalar() == np.inf
    assert (1 / (one * -0.0)).asscalar() == -np.inf


def test_there_are_no_arrays_on_gpus() -> None:
    for make in (
        lambda: nd.zeros((2,), ctx=mx.gpu()),
        lambda: nd.array([1], mx.gpu(1)),
        lambda: nd.arange(3, ctx=mx.gpu()),
        lambda: nd.random.uniform(shape=(2,), ctx=mx.gpu()),
        lambda: nd._internal._zeros(shape=(2,), ctx=mx.gpu()),
        lambda: nd.ones((2,)).as_in_context(mx.gpu()),
    ):
        with pytest.raises(UnsupportedError, match="no arrays on gpu"):
            make()
    with mx.gpu(0), pytest.raises(UnsupportedError, match="no arrays on gpu"):
        nd.zeros((2,))


# -- writing results --------------------------------------------------------------------------------------------------


def test_nothing_is_written_unless_everything_fits() -> None:
    w, g, m = nd.ones((2,)), nd.ones((2,)), nd.ones((2,))
    with pytest.raises(ShapeError):
        nd.sgd_mom_update(w, g, m, lr=0.5, momentum=0.9, out=nd.zeros((3,)))
    assert m.asnumpy().tolist() == [1, 1]
    x = [nd.ones((2,)), nd.ones((2,), dtype="float16")]
    with pytest.raises(DTypeError):
        nd.split(counted(2, 2), num_outputs=2, axis=0, squeeze_axis=True, out=x)
    assert [a.asnumpy().tolist() for a in x] == [[1, 1], [1, 1]]


def test_in_place_writes_where_views_look() -> None:
    a = counted(2, 3)
    row = a[1]
    memory = a._data
    a += 1
    a *= a
    a -= 1
    a /= 2
    a %= 3
    assert a._data is memory
    np.testing.assert_array_equal(row.asnumpy(), (np.square(np.arange(4, 7)) - 1) / 2 % 3)


def test_results_have_memory_of_their_own() -> None:
    a = counted(2, 3)
    for b in (a.T, nd.reshape(a, (3, 2)), a.flatten(), a.expand_dims(0), nd.identity(a), a.transpose((0, 1))):
        assert not np.shares_memory(a._data, b._data)
        assert b._data.flags.c_contiguous


# -- errors -----------------------------------------------------------------------------------------------------------


def test_error_texts(snapshot: Snapshots) -> None:
    a = counted(2, 3)
    with snapshot.raises(ArgumentError, "ndarray_constructor"):
        NDArray([1, 2])  # type: ignore[arg-type]
    with snapshot.raises(ArgumentError, "ndarray_asscalar"):
        a.asscalar()
    with snapshot.raises(ArgumentError, "ndarray_truth"):
        bool(a)
    with snapshot.raises(ArgumentError, "ndarray_index"):
        a["x"]
    with snapshot.raises(ShapeError, "ndarray_assign_shape"):
        a[0] = [1, 2]
    with snapshot.raises(ArgumentError, "ndarray_assign_type"):
        a[0] = None
    with snapshot.raises(ArgumentError, "ndarray_assign_large"):
        a[0] = 2**70
    with snapshot.raises(ShapeError, "ndarray_copyto"):
        a.copyto(nd.zeros((3, 2)))
    with snapshot.raises(ShapeError, "ndarray_reshape"):
        a.reshape((5, 5))
    with snapshot.raises(ArgumentError, "ndarray_reshape_nothing"):
        a.reshape()
    with snapshot.raises(ArgumentError, "ndarray_reshape_keyword"):
        a.reshape((3, 2), order="F")
    with snapshot.raises(ArgumentError, "ndarray_operand"):
        nd.add(a, "x")
    with snapshot.raises(ArgumentError, "ndarray_compared"):
        a == None  # noqa: B015, E711
    with snapshot.raises(UnsupportedError, "ndarray_sparse"):
        a.tostype("csr")
    with snapshot.raises(ShapeError, "ndarray_out_shape"):
        nd.relu(a, out=nd.zeros((3,)))
    with snapshot.raises(DTypeError, "ndarray_out_dtype"):
        nd.relu(a, out=nd.zeros((2, 3), dtype="float16"))
    with snapshot.raises(ArgumentError, "ndarray_out_count"):
        nd.split(a, num_outputs=3, axis=1, out=[a])
    with snapshot.raises(ArgumentError, "ndarray_out_type"):
        nd.relu(a, out=np.zeros((2, 3)))
