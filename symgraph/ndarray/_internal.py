"""All operators, those included whose names begin with an underscore, as the overloads and old programs use them."""

from symgraph.ndarray.functions import submodule

__getattr__, __dir__ = submodule(__name__, "")
