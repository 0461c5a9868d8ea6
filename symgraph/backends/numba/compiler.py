"""From a form to a function of machine code: once a process for equal forms, in the background or at once.

llvmlite is imported when the first loop is compiled, in the thread that compiles it, never by ``import symgraph``.

What does not belong here: what a loop computes, and on which arrays it runs.
"""

from __future__ import annotations

import collections
import ctypes
import functools
import hashlib
import importlib.util
import os
import platform
import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np

from symgraph.backends.numba import cache

__all__ = ["Compiled", "available", "compiled", "registers", "wait"]

#: ``(addresses, strides, lengths)``; called without the interpreter lock.
Function = Callable[[Any, Any, Any], None]
F = TypeVar("F", bound=Hashable)
_PROTOTYPE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


class Compiled:
    """A loop, compiled or to be.

    Attributes
    ----------
    function
        The function, or None as long as it is not ready.
    failure
        Why there never will be one, or None.
    """

    #: What of the whole is not compiled: nothing.
    note = ""

    __slots__ = ("_asked", "_write", "failure", "function")

    def __init__(self, write: Callable[[], str]) -> None:
        self._write = write
        self.function: Function | None = None
        self.failure: str | None = None
        self._asked = False

    def ask(self) -> None:
        """Have it compiled in the background."""
        global _thread
        if self._asked:
            return
        with _lock:
            self._asked = True
            _waiting.append(self)
            if _thread is None:
                _thread = threading.Thread(target=_work, name="symgraph-jit")
                try:
                    _thread.start()
                except RuntimeError:  # there are no threads to be had; whoever asks next tries again
                    _thread = None

    def make(self) -> None:
        """Compile it, if that has not been done."""
        with _compiling:
            if self.function is None and self.failure is None:
                try:
                    self.function = _compile(self._write())
                # A compiler that is broken or absent is no reason to stop: NumPy does the work, and explain() says why.
                except Exception as error:  # noqa: BLE001
                    self.failure = f"compiling failed: {error}"


_table: dict[Hashable, Compiled] = {}
_waiting: collections.deque[Compiled] = collections.deque()
_lock = threading.Lock()
_compiling = threading.Lock()
_thread: threading.Thread | None = None


@functools.cache
def available() -> bool:
    """Return whether the jit extra is installed."""
    return importlib.util.find_spec("llvmlite") is not None


def compiled(form: F, write: Callable[[F], str]) -> Compiled:
    """Return the loop of a form, the same object for equal forms; nothing is compiled yet.

    `write` returns the loop's module in LLVM's language, with one function, ``loop``.
    """
    with _lock:
        found = _table.get(form)
        if found is None:
            found = _table[form] = Compiled(functools.partial(write, form))
        return found


def wait() -> None:
    """Wait until nothing is being compiled in the background."""
    while (thread := _thread) is not None:
        thread.join()


def _work() -> None:
    """Compile what waits, then end: a thread that compiles while Python ends would crash, so Python waits for it."""
    global _thread
    while True:
        with _lock:
            if not _waiting or not threading.main_thread().is_alive():
                _thread = None
                return
            job = _waiting.popleft()
        job.make()


def _forget() -> None:
    """After a fork: the child has no thread; what the parent has not finished is left to NumPy."""
    global _thread, _lock, _compiling
    busy = _thread is not None or _compiling.locked()
    _thread, _lock, _compiling = None, threading.Lock(), threading.Lock()
    _waiting.clear()
    if busy:  # locks inside LLVM may be held for ever
        _broken.append("the process was forked while compiling")
        for one in _table.values():
            if one.function is None and one.failure is None:
                one.failure = _broken[0]


_broken: list[str] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


# -- compiling --------------------------------------------------------------------------------------------------------


@functools.cache
def _machine() -> tuple[Any, str]:
    """Return LLVM's description of this machine, and a text of all that decides the machine code beside the loop."""
    import importlib.metadata

    import llvmlite
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    triple, cpu = binding.get_process_triple(), binding.get_host_cpu_name()
    features = binding.get_host_cpu_features().flatten()
    machine = binding.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features, opt=3, jit=True)
    try:
        numba = importlib.metadata.version("numba")
    except importlib.metadata.PackageNotFoundError:
        numba = "none"
    versions = [llvmlite.__version__, *map(str, binding.llvm_version_info), numba, np.__version__]
    return machine, "\n".join([triple, cpu, features, *versions])


@functools.cache
def registers() -> tuple[int, int, bool]:
    """Return the bytes of a vector register, how many there are, and whether product and sum are one instruction."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return 16, 32, True
    if features.get("avx512f"):
        return 64, 32, True
    return (32 if features.get("avx") else 16), 16, bool(features.get("fma"))


def _compile(source: str) -> Function:
    """Return the function of a module, from the cache or made now."""
    if _broken:
        raise RuntimeError(_broken[0])
    from llvmlite import binding

    machine, surroundings = _machine()
    key = hashlib.sha256(f"{surroundings}\n\n{source}".encode()).hexdigest()
    content = cache.load(key)
    if content is None:
        content = _machine_code(binding, machine, source)
        cache.save(key, content)
    empty = binding.parse_assembly("")
    empty.triple = machine.triple
    engine = binding.create_mcjit_compiler(empty, machine)
    engine.add_object_file(binding.ObjectFileRef.from_data(content))
    engine.finalize_object()
    address = engine.get_function_address("loop")
    if not address:
        raise RuntimeError("the compiled loop has no entry")
    engine.detach()  # never unloaded: threads may be in it until the process ends
    return _PROTOTYPE(address)


def _machine_code(binding: Any, machine: Any, source: str) -> bytes:
    module = binding.parse_assembly(source)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    module.verify()
    options = binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    options.slp_vectorization = False
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    code: bytes = machine.emit_object(module)
    return code
