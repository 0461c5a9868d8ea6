"""Partly known shapes: whatever is concluded from part of the truth agrees with the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from symgraph.errors import ShapeError
from symgraph.op import PartialShape
from symgraph.op.partial import axes_of, axis_of, broadcast, broadcast_operand, merge, reduced, same_shape, size_of


def erased(draw: st.DrawFn, shape: tuple[int, ...]) -> PartialShape:
    """Forget some lengths."""
    return tuple(draw(st.sampled_from((n, None))) for n in shape)


def agrees(shape: PartialShape | None, truth: tuple[int, ...]) -> bool:
    return shape is None or (
        len(shape) == len(truth) and all(m in (None, n) for m, n in zip(shape, truth, strict=True))
    )


@st.composite
def broadcasts(draw: st.DrawFn) -> tuple[list[tuple[int, ...]], list[PartialShape]]:
    """Two shapes that broadcast and their common one; and the three partly forgotten."""
    found = draw(mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3, min_side=0))
    truth = [*found.input_shapes, found.result_shape]
    return truth, [erased(draw, s) for s in truth]


@given(broadcasts())
def test_broadcasting_concludes_the_truth(case: tuple[list[tuple[int, ...]], list[PartialShape]]) -> None:
    (x, y, z), (partial_x, partial_y, partial_z) = case
    assert broadcast(x, y) == np.broadcast_shapes(x, y) == z
    assert agrees(broadcast(partial_x, partial_y), z)
    assert agrees(broadcast_operand(partial_x, y, z), x)
    assert agrees(broadcast_operand(partial_x, partial_y, partial_z), x)


@given(broadcasts())
def test_an_operand_beside_length_one_is_known(case: tuple[list[tuple[int, ...]], list[PartialShape]]) -> None:
    (x, y, z), _ = case
    found = broadcast_operand((None,) * len(x), y, z)
    assert found is not None
    for k in range(1, len(x) + 1):
        if z[-k] == 1 or len(y) < k or y[-k] == 1:
            assert found[-k] == x[-k]


@pytest.mark.parametrize(("x", "y"), [((2, 3), (3, 2)), ((2, None), (3, 4)), ((4,), (2, 3))])
def test_what_does_not_broadcast_is_told(x: PartialShape, y: PartialShape) -> None:
    with pytest.raises(ShapeError, match="do not broadcast"):
        broadcast(x, y)


def test_merging_prefers_the_first() -> None:
    assert merge(None, None) is None
    assert merge((2, None), (3, 4), (None, 5)) == (2, 4)
    assert merge((2, None), (3, 4, 5)) == (2, None)
    assert same_shape("xy", {"x": None, "y": (None, 2)}) == {"x": (None, 2), "y": (None, 2)}
    assert same_shape("xy", {}) == {}


def test_sizes_and_reductions() -> None:
    assert size_of((2, None)) is None
    assert size_of((2, 0, 3)) == 0
    assert size_of(()) == 1
    assert reduced((2, None, 4), (1,), True) == (2, 1, 4)
    assert reduced((2, 3), (0, 1), False) == (1,)


def test_axes_count_from_both_ends() -> None:
    assert axis_of(-1, 3) == 2
    assert axes_of((-1, 0), 3) == (0, 2)
    with pytest.raises(ShapeError, match="axis is 3, but the input has 3 axes"):
        axis_of(3, 3)
    with pytest.raises(ShapeError, match="names an axis twice"):
        axes_of((1, -2), 3)
