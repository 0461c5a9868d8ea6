"""Running the plan of one kernel, for the tests of kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def run(plan: Any, *operands: Array, shape: tuple[int, ...]) -> Array:
    """Run a plan twice, with NaN and with ones in its workspace: nothing may depend on what was there."""
    out = np.full(shape, np.nan, operands[0].dtype)
    workspace = np.empty(-(-plan.workspace // 8))
    call = plan.bind(*operands, out, workspace)
    results = []
    for left_over in (np.nan, 1):
        workspace.fill(left_over)
        out.fill(np.nan)
        call()
        results.append(out.copy())
    np.testing.assert_array_equal(results[0], results[1])
    return results[0]
