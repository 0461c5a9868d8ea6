"""Blocks of fused groups: they cover everything once, and change no bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgraph.backends.numpy import blocks, threads
from symgraph.backends.numpy.blocks import cut_shape, merge_axes
from symgraph.backends.numpy.plan import Options, Plan
from symgraph.program import Recorded, Recorder, Spec
from symgraph.program import schedule as scheduling
from symgraph.program.fusion import cut
from tests.program.generate import data, same_bits


@given(shape=st.lists(st.integers(1, 9), min_size=1, max_size=3), elements=st.integers(1, 40))
@settings(max_examples=200)
def test_blocks_cover_every_element_once(shape: list[int], elements: int) -> None:
    count = np.zeros(shape, int)
    for index in cut_shape(shape, elements):
        part = count[index]
        assert 0 < part.size <= elements
        part += 1
    assert (count == 1).all()


def test_axes_that_run_evenly_become_one() -> None:
    x, row = np.zeros((4, 5, 6)), np.broadcast_to(np.zeros(6), (4, 5, 6))
    kept = ["kept"] * 3
    assert merge_axes(x.shape, [x, x], kept)[0] == (120,)
    assert merge_axes(x.shape, [x, row], kept)[0] == (20, 6)
    assert merge_axes(x.shape, [x, x.transpose(0, 2, 1).copy().transpose(0, 2, 1)], kept)[0] == (4, 5, 6)
    shape, kinds, views = merge_axes((1, 1), [np.ones((1, 1))], kept[:2])
    assert (shape, kinds) == ((1,), ["kept"])
    assert views[0].tolist() == [1]


def test_axes_of_different_kinds_stay_apart() -> None:
    x = np.zeros((2, 3, 4, 5))
    shape, kinds, _ = merge_axes(x.shape, [x], ["before", "kept", "after", "after"])
    assert (shape, kinds) == ((2, 3, 20), ["before", "kept", "after"])


# -- reductions -------------------------------------------------------------------------------------------------------


def batch_norm(xp: Recorder, x: Recorded, axes: list[int]) -> list[Recorded]:
    """Return what groups with sums over images and planes are made of."""
    mean = xp.sum(x, axes, True) / math.prod(x.shape[k] for k in axes)
    centred = x - mean
    return [centred, xp.sum(xp.square(centred), axes, False), xp.sum(xp.exp(centred) * x, axes, True)]


def softmax(xp: Recorder, x: Recorded, axes: list[int]) -> list[Recorded]:
    """Return what groups read of their own reductions."""
    e = xp.exp(x - xp.max(x, axes, True))
    total = xp.sum(e, axes, True)
    return [e / total, total, xp.min(e, axes, False)]


def check(form: Any, shape: tuple[int, ...], axes: list[int], dtype: str, workers: int, jit: str, x: Any) -> None:
    """Compare a plan whose groups hold reductions with one without groups."""
    xp = Recorder()
    xp.program.outputs = [y.value for y in form(xp, xp.input(Spec(shape, np.dtype(dtype)), "x"), axes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "_count", workers)
        for name, number in (("BLOCKED_BYTES", 1), ("_SMALL", 0), ("SPREAD_BYTES", 1)):
            patch.setattr(scheduling, name, number)
        patch.setattr(blocks, "BLOCK_BYTES", 256)
        patch.setattr(blocks, "FEW_BLOCKS", 1)
        plain = Plan(xp.program, [x], options=Options.none())
        fused = Plan(xp.program, [x], options=Options(jit=jit))
        found = [e.primitive.name for s in fused.layout.steps if s.blocked for e in s.equations]
        parts = cut(shape, axes)
        halves = parts is not None and dtype == "float16" and any(shape[k] > 1 for k in parts.before)
        assert ("sum" in found) == (parts is not None and not halves)
        for _ in range(2):
            plain.run()
            fused.run()
            for a, b in zip(plain.outputs, fused.outputs, strict=True):
                assert same_bits(a, b)


lengths = st.sampled_from((1, 2, 3, 5, 8, 17, 40))


@pytest.mark.parametrize("jit", ["off", "now"])
@given(
    shape=st.lists(lengths, min_size=2, max_size=4),
    dtype=st.sampled_from(("float32", "float64", "float16")),
    workers=st.integers(1, 3),
    seed=st.integers(0, 1000),
    special=st.sampled_from((0.0, 0.3)),
)
@settings(max_examples=60, deadline=None)
def test_sums_over_images_and_planes(
    jit: str, shape: list[int], dtype: str, workers: int, seed: int, special: float
) -> None:
    axes = [k for k in range(len(shape)) if k != 1]
    check(batch_norm, tuple(shape), axes, dtype, workers, jit, data(shape, dtype, seed, special))


@pytest.mark.parametrize("jit", ["off", "now"])
@given(
    shape=st.lists(lengths, min_size=2, max_size=4),
    kept=st.integers(1, 3),
    dtype=st.sampled_from(("float32", "float64", "float16")),
    workers=st.integers(1, 3),
    seed=st.integers(0, 1000),
    special=st.sampled_from((0.0, 0.3)),
)
@settings(max_examples=60, deadline=None)
def test_reductions_of_rows_that_the_group_reads(
    jit: str, shape: list[int], kept: int, dtype: str, workers: int, seed: int, special: float
) -> None:
    axes = list(range(min(kept, len(shape) - 1), len(shape)))
    check(softmax, tuple(shape), axes, dtype, workers, jit, data(shape, dtype, seed, special))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_planes_larger_than_a_block(workers: int) -> None:
    shape = (3, 4, 130, 131)
    check(batch_norm, shape, [0, 2, 3], "float32", workers, "off", data(shape, "float32", 0, 0))


def test_negative_zeros_are_added_up_as_one_sum_would() -> None:
    shape = (3, 4, 5)
    check(batch_norm, shape, [0, 2], "float32", 1, "off", np.full(shape, -0.0, np.float32))
