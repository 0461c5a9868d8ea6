"""A call in two tiers: NumPy's, and machine code once that is ready.

What does not belong here: what is computed, and from which arrays.
"""

from __future__ import annotations

from collections.abc import Callable

from symgraph.backends.numba.compiler import Compiled, Function, available
from symgraph.backends.numba.forms import Unsupported

__all__ = ["Tiered", "tiered"]

#: Makes a call of the loaded function.
Bind = Callable[[Function], Callable[[], object]]


class Tiered:
    """A call; it runs compiled from the first time on that it finds the loop ready.

    Parameters
    ----------
    plain
        Runs it by NumPy.
    loop
        What is being compiled, or None.
    reason
        Why nothing is compiled.
    bind
        Makes the compiled call.
    """

    def __init__(
        self, plain: Callable[[], object], loop: Compiled | None, reason: str = "", bind: Bind | None = None
    ) -> None:
        self._plain, self._loop, self._reason, self._bind = plain, loop, reason, bind
        self._fast: Callable[[], object] | None = None

    def __call__(self) -> None:
        """Run it, compiled if that is ready."""
        if self._fast is not None:
            self._fast()
        elif self._loop is None or self._bind is None:
            self._plain()
        elif self._loop.function is not None:
            self._fast = self._bind(self._loop.function)
            self._fast()
        else:
            self._plain()
            # Asked for only now: loading the compiler takes turns with this thread, and the first step must not wait.
            self._loop.ask()

    @property
    def state(self) -> str:
        """How the next call runs, as a phrase."""
        if self._loop is None:
            return f"NumPy: {self._reason}" if self._reason else "NumPy"
        if self._loop.failure is not None:
            return f"NumPy: {self._loop.failure}"
        return "compiled" if self._loop.function is not None else "NumPy until compiled"


def tiered(plain: Callable[[], object], describe: Callable[[], tuple[Compiled, Bind]], mode: str) -> Tiered:
    """Return a call in two tiers.

    Parameters
    ----------
    plain
        Runs it by NumPy.
    describe
        Returns what is to be compiled, and what makes a call of it. It may raise `Unsupported`.
    mode
        ``"background"``, ``"now"`` or ``"off"``; see `Options`.
    """
    if mode == "off":
        return Tiered(plain, None)
    if not available():
        return Tiered(plain, None, "the jit extra is not installed")
    try:
        loop, bind = describe()
    except Unsupported as reason:
        return Tiered(plain, None, str(reason))
    if mode == "now":
        loop.make()
    return Tiered(plain, loop, bind=bind)
