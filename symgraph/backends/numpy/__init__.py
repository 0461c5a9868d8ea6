"""The NumPy engine: kernels for every primitive, eager evaluation, and the planned execution of programs."""
