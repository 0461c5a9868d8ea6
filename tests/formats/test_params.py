"""Parameter files: all versions read, version 2 written, and every fault told in its own words."""

from __future__ import annotations

import io
import json
import os
import struct
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgraph.dtype import CODES
from symgraph.errors import ArgumentError, ParamsFormatError
from symgraph.formats import params
from tests.counting import assert_linear
from tests.formats.seeds import PARAMS, SIX, TEXTS, V1, V2, V3, dense, dense_v0, params_file, row_sparse
from tests.snapshots import Snapshots

W = np.arange(6, dtype=np.float32).reshape(2, 3)
N = np.array([0, 1], np.float32)

Named = list[tuple[str | None, params.Array]]


def same(found: Named, expected: Named) -> None:
    assert [name for name, _ in found] == [name for name, _ in expected]
    for (_, one), (_, other) in zip(found, expected, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.tobytes() == other.tobytes()


# -- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PARAMS)
def test_all_versions_and_devices_are_read(name: str) -> None:
    same(params.read(PARAMS[name]), [("arg:w", W), ("aux:n", N)])


@pytest.mark.parametrize("code", CODES)
def test_element_types(code: int) -> None:
    array = np.array([[0, 1], [1, 0]]).astype(CODES[code])
    content = params_file([dense((2, 2), array.tobytes(), code=code)])
    same(params.read(content), [(None, array)])
    assert params.dump([(None, array)]) == content


def test_sources(tmp_path: Path) -> None:
    content = PARAMS["V2"]
    file = tmp_path / "net-0001.params"
    file.write_bytes(content)
    expected: Named = [("arg:w", W), ("aux:n", N)]
    same(params.read(file), expected)
    same(params.read(str(file)), expected)
    same(params.read(bytearray(content)), expected)
    same(params.read(memoryview(content)), expected)
    with file.open("rb") as opened:
        same(params.read(opened), expected)
    with tempfile.TemporaryFile() as opened:
        opened.write(b"before" + content)
        opened.seek(6)
        same(params.read(opened), expected)
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as opened:
        with os.fdopen(writing, "wb") as other_end:
            other_end.write(content)
        same(params.read(opened), expected)


@pytest.mark.parametrize("source", [io.StringIO("text"), 3, None])
def test_what_is_no_source(source: Any) -> None:
    with pytest.raises(ArgumentError, match="takes bytes, a path or a file opened in binary mode, not"):
        params.read(source)


def test_arrays_own_their_memory() -> None:
    content = bytearray(PARAMS["V2"])
    (_, array), _ = params.read(content)
    content[:] = bytes(len(content))
    assert array.flags.writeable
    assert array.flags.owndata or array.base is None
    np.testing.assert_array_equal(array, W)


def test_scalars_and_dimensions_of_size_0() -> None:
    content = params_file([dense((), SIX[4:8], mark=V3), dense((0, 3), mark=V3)])
    expected: Named = [(None, np.array(1, np.float32)), (None, np.empty((0, 3), np.float32))]
    same(params.read(content), expected)
    same(params.read(params_file([dense((0, 3)), dense((3, 0), mark=V1), dense_v0((0,), b"")])), [
        (None, np.empty((0, 3), np.float32)),
        (None, np.empty((3, 0), np.float32)),
        (None, np.empty((0,), np.float32)),
    ])  # fmt: skip


def test_a_bool_is_0_or_1() -> None:
    (_, array), = params.read(params_file([dense((3,), b"\x00\x02\xff", code=7)]))  # fmt: skip
    assert array.dtype == bool
    assert array.tobytes() == b"\x00\x01\x01"


def test_the_reserved_field_is_ignored() -> None:
    content = bytearray(PARAMS["V2"])
    content[8:16] = b"whatever"
    same(params.read(bytes(content)), [("arg:w", W), ("aux:n", N)])


def test_no_arrays() -> None:
    assert params.read(params_file([])) == []
    assert params.dump([]) == params_file([])


# -- writing ---------------------------------------------------------------------------------------------------------


def test_version_2_is_written() -> None:
    assert params.dump([("arg:w", W), ("aux:n", N)]) == PARAMS["V2"]


def test_a_file_with_a_scalar_is_written_in_version_3() -> None:
    content = params_file([dense((), SIX[:4], mark=V3), dense((2,), SIX[:8], mark=V3)])
    assert params.dump([(None, W[0, 0]), (None, N)]) == content


def test_views_and_foreign_byte_order_are_written_by_value() -> None:
    views: Named = [("a", W.T), ("b", W[::-1, ::2]), ("c", W.astype(">f4")), ("d", np.broadcast_to(N, (2, 2)))]
    same(params.read(params.dump(views)), [(name, np.ascontiguousarray(array, "<f4")) for name, array in views])


def test_a_file_is_written(tmp_path: Path) -> None:
    file = tmp_path / "net-0001.params"
    params.write(file, iter([("arg:w", W), ("aux:n", N)]))
    assert file.read_bytes() == PARAMS["V2"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([("a", N), (None, N)], "array 2: either all arrays have names or none has"),
        ([(None, N), ("a", N)], "array 2 'a': either all arrays have names or none has"),
        ([("a", N), ("b", N), ("a", N)], "array 3 'a': array 1 has the same name"),
        ([("a\n", N)], "array 1 'a\\n': the name holds the control character U+000A at position 1"),
        (
            [("a", N.astype(complex))],
            "array 1 'a': the element type complex128 cannot be stored in a parameter file\n  possible: float",
        ),
        ([("a", np.array(["x"], object))], "array 1 'a': the element type object cannot be stored in a parameter file"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, arrays: Any, message: str) -> None:
    with pytest.raises(ParamsFormatError) as caught:
        params.write(tmp_path / "it.params", arrays)
    assert str(caught.value).startswith(message)
    assert list(tmp_path.iterdir()) == []


# -- files of MXNet --------------------------------------------------------------------------------------------------


def test_oracle_files(shared: Path) -> None:
    files = sorted(
        [*(shared / "oracle/nd_samples").glob("*.[np]*"), *(shared / "oracle").glob("json_samples/*.params")]
    )
    files = [file for file in files if file.suffix != ".json"]
    assert len(files) == 25
    sparse = [file for file in files if file.name.startswith(("csr", "row_sparse"))]
    assert len(sparse) == 3
    for file in sparse:
        with pytest.raises(ParamsFormatError, match="only dense arrays can be read"):
            params.read(file)
    for file in sorted(set(files) - set(sparse)):
        arrays = params.read(file)
        if file.name not in ("written_v0.nd", "written_v1.nd"):
            assert params.dump(arrays) == file.read_bytes(), file.name
    for version in (0, 1, 2):
        arrays = params.read(shared / f"oracle/nd_samples/written_v{version}.nd")
        assert [(name, array.shape, str(array.dtype)) for name, array in arrays] == [
            ("a", (2, 3), "float32"),
            ("b", (3,), "float16"),
            ("c", (1, 2, 3), "int64"),
            ("d", (2,), "bool"),
        ]


def test_published_files(shared: Path) -> None:
    folder = shared / "corpus/open"
    entries = json.loads((folder / "params_index.json").read_text())
    assert len(entries) == 59
    refused = rewritten = 0
    for entry in entries:
        file = folder / entry["file"]
        if not entry["loads"]:
            with pytest.raises(ParamsFormatError, match="looks like a parameter blob of TVM"):
                params.read(file)
            refused += 1
            continue
        arrays = params.read(file)
        for (name, array), told in zip(arrays, entry["arrays"], strict=True):
            assert (list(array.shape), str(array.dtype)) == (told["shape"], told["dtype"])
            if entry["format"]["names"]:
                assert name == told["name"]
            with np.errstate(invalid="ignore"):
                values = array.astype(np.float64)
            if np.all(np.abs(values) < 1e30):  # some hold arbitrary bits, signalling NaNs among them
                assert abs(values.sum() - told["sum"]) <= 1e-6 * max(1.0, np.abs(values).sum())
        if list(entry["format"]["kinds"]) == ["V2"] and list(entry["format"]["dev"]) == ["1"]:
            assert params.dump(arrays) == file.read_bytes(), entry["file"]
            rewritten += 1
    assert refused == 4
    assert rewritten > 20


# -- faults ----------------------------------------------------------------------------------------------------------

W_HEADER = dense((2, 3))
#: By what is wrong: the file.
FAULTS: dict[str, bytes] = {
    "empty": b"",
    "web page": b"\n<!doctype html><html>",
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:...",
    "TVM": bytes.fromhex("b79c04054f8de5f7") + bytes(40),
    "NumPy archive": b"PK\x03\x04" + bytes(60),
    "NumPy array": b"\x93NUMPY\x01\x00",
    "pickle": b"\x80\x04\x95\x00",
    "gzip": b"\x1f\x8b\x08",
    "symbol JSON": TEXTS["0.9"].encode(),
    "other mark": struct.pack("<QQQ", 0x113, 0, 0),
    "truncated in the mark": PARAMS["V2"][:3],
    "truncated in the reserved field": PARAMS["V2"][:12],
    "truncated in the number of arrays": PARAMS["V2"][:20],
    "truncated before the first array": PARAMS["V2"][:24],
    "truncated in a storage type": PARAMS["V2"][:30],
    "truncated in a shape": PARAMS["V2"][:40],
    "truncated in a device": PARAMS["V2"][:56],
    "truncated in an element type": PARAMS["V2"][:62],
    "truncated in data": PARAMS["V2"][:70],
    "truncated in the second array": PARAMS["V2"][:96],
    "truncated before the names": PARAMS["V2"][: -8 - 2 * (8 + 5)],
    "truncated in a name's length": PARAMS["V2"][: -2 - 5 - 8],
    "truncated in a name": PARAMS["V2"][:-2],
    "2^40 arrays": params_file([dense((2, 3), SIX)], count=2**40),
    "one array less than told": params_file([dense((2, 3), SIX)], count=2),
    "2^40 names": params_file([dense((2, 3), SIX)], named=2**40),
    "name of 2^40 bytes": params_file([dense((2, 3), SIX)], named=1) + struct.pack("<Q", 2**40) + b"name",
    "name of 100000 bytes": params_file([dense((2, 3), SIX)], ["n" * 100_000]),
    "2^31-1 dimensions": params_file([struct.pack("<Iii", V2, 0, 2**31 - 1) + bytes(64)]),
    "negative number of dimensions": params_file([struct.pack("<Iii", V2, 0, -7) + bytes(64)]),
    "65 dimensions": params_file([dense((1,) * 65, SIX[:4])]),
    "shape of 2^66": params_file([dense((2**33, 2**33), SIX)]),
    "shape of 2^66 beside a 0": params_file([dense((2**33, 0, 2**33))]),
    "shape of a terabyte": params_file([dense((2**38,), SIX)]),
    "negative dimension": params_file([dense((2, -3), SIX)]),
    "never given a shape, version 2": params_file([struct.pack("<Iii", V2, 0, 0)]),
    "never given a shape, storage type -1": params_file([struct.pack("<Ii", V2, -1)]),
    "never given a shape, version 1": params_file([struct.pack("<Ii", V1, 0)]),
    "never given a shape, version 3": params_file([struct.pack("<Iii", V3, 0, -1)]),
    "element type 99": params_file([dense((2, 3), SIX, code=99)]),
    "storage type 7": params_file([dense((2, 3), SIX, storage=7)]),
    "row_sparse": params_file([dense((2, 3), SIX), row_sparse()], ["arg:w", "arg:rows"]),
    "row_sparse without a name": params_file([row_sparse()]),
    "version unknown": params_file([struct.pack("<I", 0xF993FACB) + bytes(60)]),
    "one name for two arrays": params_file([dense((2, 3), SIX), dense((2, 3), SIX)], ["arg:w"]),
    "repeated name": params_file([dense((2, 3), SIX), dense((2, 3), SIX)], ["arg:w", "arg:w"]),
    "bytes after the end": PARAMS["V2"] + b"tail",
    "name not UTF-8": params_file([dense((2, 3), SIX)], ["arg:w"])[:-1] + b"\xff",
    "terminal escape in a name": params_file([dense((2, 3), SIX)], ["arg:\x1b[2J"]),
}


def message(content: bytes) -> str:
    with pytest.raises(ParamsFormatError) as caught:
        params.read(content)
    assert caught.type is ParamsFormatError
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def test_each_fault_has_its_own_words(snapshot: Snapshots) -> None:
    snapshot.check("params_faults", "\n\n".join(f"{what}\n    {message(made)}" for what, made in FAULTS.items()))


def test_the_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "net-0001.params"
    file.write_bytes(b"")
    with pytest.raises(ParamsFormatError) as caught:
        params.read(file)
    assert str(caught.value) == "net-0001.params: the file is empty"


def test_no_memory_is_taken_on_a_file_s_word(tmp_path: Path) -> None:
    huge = [what for what in FAULTS if "2^" in what or "terabyte" in what]
    assert len(huge) == 7
    file = tmp_path / "it.params"
    for what in huge:
        file.write_bytes(FAULTS[what])
        tracemalloc.start()
        with pytest.raises(ParamsFormatError):
            params.read(file)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1_000_000, what


def test_reading_takes_the_memory_of_the_arrays_once(tmp_path: Path) -> None:
    file = tmp_path / "it.params"
    params.write(file, [("a", np.zeros(1_000_000, np.float32)), ("b", np.zeros(500_000, np.float32))])
    tracemalloc.start()
    arrays = params.read(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(arrays) == 2
    assert peak < 6_500_000


def test_a_file_that_shrinks_while_it_is_read() -> None:
    class Shrinking(io.BytesIO):
        """Ends at byte `end` when it is read, whatever it said before."""

        end = 0

        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(size)[: max(0, self.end - self.tell() + (size or 0))]

        def readinto(self, buffer: Any, /) -> int:
            found = self.read(len(buffer))
            buffer[: len(found)] = found
            return len(found)

    def words(end: int) -> str:
        file = Shrinking(PARAMS["V2"])
        file.end = end
        with pytest.raises(ParamsFormatError) as caught:
            params.read(file)
        return str(caught.value)

    assert words(158) == "parameter file, name 2 of 2, byte 157: the file became shorter while it was read"
    # The headers are read before the data.
    file = Shrinking(PARAMS["V2"])
    file.end = 162
    same(params.read(file), [("arg:w", W), ("aux:n", N)])


def test_data_that_is_gone() -> None:
    class WithoutData(io.BytesIO):
        def readinto(self, buffer: Any, /) -> int:
            return 0

    with pytest.raises(ParamsFormatError) as caught:
        params.read(WithoutData(PARAMS["V2"]))
    assert str(caught.value) == "parameter file, byte 64: the file became shorter while it was read"


def hold_truncation(content: bytes) -> None:
    params.read(content)
    for length in range(len(content)):
        with pytest.raises(ParamsFormatError):
            params.read(content[:length])


@pytest.mark.parametrize("name", PARAMS)
def test_truncation_at_every_byte(name: str) -> None:
    hold_truncation(PARAMS[name])


def test_truncation_of_oracle_files(shared: Path) -> None:
    for file in sorted((shared / "oracle/nd_samples").glob("*.[np]*")):
        if file.suffix != ".json" and not file.name.startswith(("csr", "row_sparse")):
            hold_truncation(file.read_bytes())


# -- any file --------------------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=8)
ARRAYS = hnp.arrays(
    st.sampled_from(list(CODES.values())), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
)


@given(st.lists(ARRAYS, max_size=4), st.data())
def test_any_arrays_survive(arrays: list[params.Array], data: st.DataObject) -> None:
    names: list[Any] = [None] * len(arrays)
    if data.draw(st.booleans()):
        names = data.draw(st.lists(NAMES, min_size=len(arrays), max_size=len(arrays), unique=True))
    named = list(zip(names, arrays, strict=True))
    content = params.dump(named)
    found = params.read(content)
    same(found, named)
    assert params.dump(found) == content


def survives(content: bytes) -> None:
    """Hold that a file is read, and then survives being written, or is refused with an error of this room."""
    try:
        found = params.read(content)
    except ParamsFormatError as error:
        str(error).encode()
        return
    same(params.read(params.dump(found)), found)


INTS = st.sampled_from([-1, 0, 1, 2, 3, 4, 7, 8, 12, 64, 65, 2**31 - 1, -(2**31)]) | st.integers(-(2**31), 2**31 - 1)
LONGS = st.sampled_from([-1, 0, 1, 2, 3, 6, 2**31, 2**32, 2**40, 2**62, 2**63 - 1, -(2**63)]) | st.integers(-9, 99)
BIGS = st.sampled_from([0, 1, 2, 3, 5, 2**31, 2**40, 2**63, 2**64 - 1]) | st.integers(0, 99)


@given(st.data())
def test_any_fields(data: st.DataObject) -> None:
    arrays = []
    for _ in range(data.draw(st.integers(0, 3))):
        mark = data.draw(st.sampled_from([V1, V2, V2, V3]) | st.integers(0, 2**32 - 1))
        ndim = data.draw(INTS) if data.draw(st.booleans()) else None
        shape = data.draw(st.lists(LONGS, max_size=3) | st.just([2, 3]))
        made = struct.pack("<I", mark)
        if mark != V1:
            made += struct.pack("<i", data.draw(st.sampled_from([0, 0, 0, 1, 2]) | INTS))
        if data.draw(st.integers(0, 3)) == 0:  # what a sparse array has before its shape
            made += struct.pack("<iqq", 2, *data.draw(st.tuples(LONGS, LONGS)))
        made += struct.pack(f"<i{len(shape)}q", len(shape) if ndim is None else ndim, *shape)
        made += struct.pack("<iii", data.draw(INTS), data.draw(INTS), data.draw(st.integers(0, 7) | INTS))
        arrays.append(made + data.draw(st.sampled_from([SIX, b""]) | st.binary(max_size=40)))
    names = data.draw(st.lists(st.text(max_size=4).filter(lambda name: name.isprintable()), max_size=3))
    count = data.draw(st.none() | BIGS)
    survives(params_file(arrays, names, count=count, named=data.draw(st.none() | BIGS)))


@given(st.sampled_from([*PARAMS.values(), params_file([row_sparse()], ["rows"])]), st.data())
def test_changed_bytes(content: bytes, data: st.DataObject) -> None:
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        size = data.draw(st.sampled_from([1, 4, 8]))
        changed[at : at + size] = data.draw(st.binary(min_size=size, max_size=size))
    survives(bytes(changed))


def test_many_arrays_take_linear_effort() -> None:
    def write_and_read(count: int) -> None:
        arrays: Named = [(f"arg:w{i}", N) for i in range(count)]
        assert len(params.read(params.dump(arrays))) == count

    write_and_read(20_000)
    assert_linear(write_and_read, 250)
