"""Random numbers: the seed, and the distributions of `symgraph.nd.random`.

Numbers are counter-based (`symgraph.backends.numpy.random_bits`): the seed, the number of the draw since seeding, and
the position in the array decide each of them.

What does not belong here: random operators of graphs; an executor draws by a seed of its own, taken from here.
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
from symgraph.ndarray.random_state import next_seed, seed

__all__ = [
    "exponential",
    "exponential_like",
    "next_seed",
    "normal",
    "normal_like",
    "randint",
    "randn",
    "seed",
    "uniform",
    "uniform_like",
]
