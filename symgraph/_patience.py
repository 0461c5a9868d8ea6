"""Imports NumPy so that the threads of its BLAS soon give their cores back.

OpenBLAS lets its threads wait for the next product actively, for some 20 ms: they keep a core busy that our own threads
want in the meantime, and fused groups or copies after a product take up to twice as long. OpenBLAS reads how long from
the environment when it is loaded. So this only does something in programs that import symgraph before NumPy.

What does not belong here: the number of threads (`symgraph.backends.numpy.blas`).
"""

import os
import sys

#: 2 to this power are cycles of the processor, some 60 us: products that follow each other find the threads awake.
EXPONENT = 18

_NAME = "OPENBLAS_THREAD_TIMEOUT"

if "numpy" not in sys.modules and _NAME not in os.environ:
    os.environ[_NAME] = str(EXPONENT)
    try:
        import numpy  # noqa: F401
    finally:
        # Other programs that are started from this one are not concerned.
        del os.environ[_NAME]
