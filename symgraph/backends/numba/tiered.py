"""A call in two tiers: NumPy's, and machine code once that is ready.

What does not belong here: what is computed, and from which arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symgraph.backends.numba.compiler import Compiled, available
from symgraph.backends.numba.forms import Unsupported
from symgraph.backends.numba.team import Job, Native

__all__ = ["Bind", "Tiered", "Together", "tiered"]

#: Makes a call of the loaded function, or of the functions of `Together`.
Bind = Callable[[Any], Callable[[], object]]


class Together:
    """Several loops that are of use only together, with NumPy between them.

    Parameters
    ----------
    loops
        What is being compiled.
    note
        What is not, as a phrase.
    """

    def __init__(self, loops: Sequence[Compiled], note: str) -> None:
        self._loops, self.note = loops, note

    @property
    def function(self) -> tuple[Any, ...] | None:
        """The functions of all, or None as long as one is not ready."""
        functions = tuple(one.function for one in self._loops)
        return None if None in functions else functions

    @property
    def failure(self) -> str | None:
        """Why one of them never will be, or None."""
        return next((one.failure for one in self._loops if one.failure is not None), None)

    def ask(self) -> None:
        """Have them compiled in the background."""
        for one in self._loops:
            one.ask()

    def make(self) -> None:
        """Compile what has not been."""
        for one in self._loops:
            one.make()


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
        self, plain: Callable[[], object], loop: Compiled | Together | None, reason: str = "", bind: Bind | None = None
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
    def settled(self) -> Callable[[], object] | None:
        """What runs it by NumPy, if nothing will ever take its place."""
        return self._plain if self._loop is None else None

    @property
    def whole(self) -> bool:
        """Whether the next call does its work in a single call of machine code, which nothing can cut in two."""
        return isinstance(self._fast, (Native, Job))

    @property
    def state(self) -> str:
        """How the next call runs, as a phrase."""
        if self._loop is None:
            return f"NumPy: {self._reason}" if self._reason else "NumPy"
        if self._loop.failure is not None:
            return f"NumPy: {self._loop.failure}"
        if self._loop.function is None:
            return "NumPy until compiled"
        return f"compiled; {self._loop.note}" if self._loop.note else "compiled"


def tiered(plain: Callable[[], object], describe: Callable[[], tuple[Compiled | Together, Bind]], mode: str) -> Tiered:
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
