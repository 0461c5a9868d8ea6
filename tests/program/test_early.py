"""Programs split in what is computed before the runs and in them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, note, settings
from hypothesis import strategies as st

from symgraph.backends.numpy import eager
from symgraph.program.early import split_constants
from tests.program.generate import Case, cases, same_bits


@given(case=cases(stores=False), share=st.integers(0, 7))
@settings(max_examples=150, deadline=None)
def test_both_parts_together_compute_the_whole(case: Case, share: int) -> None:
    program = case.program
    constant = [k for k in range(len(program.inputs)) if share >> k & 1]
    main, setup = split_constants(program, constant)
    note(f"{main}\n{setup}")
    main.verify()
    setup.verify()
    kept = [np.array(x) for x in eager.run(setup, case.arrays)]
    wanted = eager.run(program, case.arrays, case.hypers)
    # The first part reads nothing but the constants: other inputs may change between the two.
    found = eager.run(main, [*case.arrays, *kept], case.hypers)
    for x, y in zip(found, wanted, strict=True):
        assert same_bits(x, y)
    changing = {id(v) for k, v in enumerate(program.inputs) if k not in constant}
    assert not any(id(v) in changing for e in setup.equations for v in e.inputs)
    if not constant:
        assert not setup.equations
