"""Running the plan of one kernel, for the tests of kernels."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from symgraph.backends.numpy.kernel_plan import Staged

Array = npt.NDArray[Any]


class MadeByNumPy(Staged):
    """The other way, without compiling it."""

    def __init__(self, plain: Any, stages: Any) -> None:
        super().__init__(plain, stages)
        self.run = functools.partial(make, stages)


def make(stages: Any) -> None:
    for stage in stages():
        for lane in reversed(stage):  # they must not depend on each other
            for function, arguments in lane:
                function(*arguments)


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
