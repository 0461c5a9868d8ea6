"""Random numbers: the seed, and the distributions of `symgraph.nd.random`.

Numbers are counter-based (`symgraph.backends.numpy.random_bits`): the seed, the number of the draw since seeding, and
the position in the array decide each of them.

What does not belong here: random operators of graphs; but `seed` decides their numbers, too.
"""

from symgraph.ndarray.random import (
    exponential,
    exponential_like,
    normal,
    normal_like,
    randint,
    randn,
    uniform,
    uniform_like,
)
from symgraph.ndarray.random_state import seed

__all__ = [
    "exponential",
    "exponential_like",
    "normal",
    "normal_like",
    "randint",
    "randn",
    "seed",
    "uniform",
    "uniform_like",
]
