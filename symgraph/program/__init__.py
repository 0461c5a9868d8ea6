"""What an engine runs: values, primitives with their rules and gradients, the recorder, passes.

Knows no operator and no graph. Engines themselves are in `symgraph.backends`.
"""

from symgraph.program.namespace import Namespace
from symgraph.program.primitives import PRIMITIVES, Primitive
from symgraph.program.recorder import Recorded, Recorder, RecordingRandom
from symgraph.program.values import Equation, Program, Spec, Value

__all__ = [
    "PRIMITIVES",
    "Equation",
    "Namespace",
    "Primitive",
    "Program",
    "Recorded",
    "Recorder",
    "RecordingRandom",
    "Spec",
    "Value",
]
