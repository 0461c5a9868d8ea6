"""The jit extra: fused groups, and the steps of NumPy kernels, as compiled loops.

`forms` says what a group computes, as text that is equal for groups of equal form, and turns it into LLVM's language;
`nests` does so for the steps of a kernel, which `kernels` reads, and `contraction` for sums of products. `compiler`
makes machine code of it with llvmlite, the compiler beneath numba, in the background or at once. `cache` keeps the
machine code on disk. `tiered` is a call that NumPy runs until machine code is ready; `group` makes one of a fused
group, `kernels` of parts of a kernel.

LLVM is fed directly and not through numba's reading of Python functions: no Python source has to be generated and
executed, a loop is ready after some ten milliseconds instead of some hundred during which every step would wait for
the interpreter lock, and each operation's rounding, NaN and signed-zero rules are written down in one table.

What does not belong here: anything that is needed without the extra.
"""
