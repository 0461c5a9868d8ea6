"""Symbolic computation graphs that differentiate, compile to NumPy, and speak MXNet's dialect.

    import symgraph as mx

What does not belong here: anything but the names that a user sees.
"""

__all__ = ["__version__"]

__version__ = "0.1.0.dev0"
