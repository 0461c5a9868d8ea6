"""Rows added at indices, the transpose of taking them: the gradient of an embedding.

The result has the bits of ``np.add.at``: zeros, to which the updates are added one after another. That function goes
element by element, which takes several times as long. Here the updates are sorted by row. Then, in rounds, the first
update of every row is added at once, then the second of every row, and so on. A row with very many updates is reduced
alone.

What does not belong here: axes other than the first, indices out of range.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["MIN_WIDTH", "add_rows", "workspace_bytes"]

Array = np.ndarray[Any, Any]

#: Rows narrower than this are faster element by element; and the sum over one column is not in order.
MIN_WIDTH = 8
#: Bytes of updates that are gathered at a time: they and the rows they go to fit a second-level cache.
_BLOCK_BYTES = 1 << 17
#: A row with more updates than this is reduced alone: a call for it costs as much as its share of so many rounds.
_ROUNDS = 16


def _block(count: int, width: int, itemsize: int) -> int:
    """Return how many updates are gathered at a time; one more than there are is enough for their total."""
    return max(2, min(count + 1, _BLOCK_BYTES // (width * itemsize)))


def workspace_bytes(count: int, width: int, itemsize: int) -> int:
    """Return the scratch bytes for so many updates: two blocks of rows."""
    return 2 * _block(count, width, itemsize) * width * itemsize


def add_rows(out: Array, rows: Array, updates: Array, workspace: Array) -> None:
    """Let ``out`` be zeros with ``updates[k]`` added to ``out[rows[k]]``, for one k after another.

    Parameters
    ----------
    out
        (n, width), contiguous; `width` is at least `MIN_WIDTH`.
    rows
        Numbers of rows, 1-d, within range.
    updates
        One for each of `rows`, contiguous.
    workspace
        `workspace_bytes` of scratch memory.
    """
    out.fill(0)
    count, width = len(rows), out.shape[1]
    if not count:
        return
    block = _block(count, width, out.itemsize)
    new, old = workspace.view(out.dtype).reshape(2, block, width)
    zero = out.dtype.type(0)

    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    starts = np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1]]))
    counts = np.diff(starts, append=count)
    many = counts > _ROUNDS
    targets = rows[starts]

    left, at, to = counts[~many], starts[~many], targets[~many]
    done = 0
    while at.size:
        for k in range(0, at.size, block):
            here = to[k : k + block]
            added, there = new[: here.size], old[: here.size]
            updates.take(order[at[k : k + block] + done], 0, added, "clip")
            if done:
                out.take(here, 0, there, "clip")
                np.add(there, added, added)
            else:
                np.add(added, zero, added)  # a sum that begins with zero is never -0
            out[here] = added
        done += 1
        more = left > done
        left, at, to = left[more], at[more], to[more]

    for row, start, stop in zip(targets[many], starts[many], (starts + counts)[many], strict=True):
        total = out[row]
        for k in range(start, stop, block - 1):
            part = order[k : min(k + block - 1, stop)]
            new[0] = total
            updates.take(part, 0, new[1 : part.size + 1], "clip")
            np.add.reduce(new[: part.size + 1], 0, None, total)
