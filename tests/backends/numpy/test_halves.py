"""A plan in two halves: what the second is to write must not change before."""

from __future__ import annotations

import numpy as np

from symgraph.backends.numpy.plan import Plan
from symgraph.program import Recorder, Spec


def test_pieces_that_the_first_half_computes_are_joined_in_the_second() -> None:
    recorder = Recorder()
    spec = Spec((2,), np.dtype("float32"))
    x, y = recorder.input(spec), recorder.input(spec)
    a, b = recorder.exp(x), recorder.exp(y)
    recorder.program.outputs = [v.value for v in (recorder.sum(a), recorder.sum(b), recorder.concat([a, b], 0))]
    joined = np.full(4, 7, np.float32)
    plan = Plan(recorder.program, [np.zeros(2, np.float32), np.zeros(2, np.float32)], targets={2: joined}, first=[0, 1])
    plan.run_first()
    assert joined.tolist() == [7, 7, 7, 7]
    plan.run_second()
    assert joined.tolist() == [1, 1, 1, 1]
