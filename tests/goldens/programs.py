"""Golden programs: small source texts that are run on MXNet once and on symgraph in every test run.

A program uses ``mx`` (the module under test), ``np`` and ``raises``, and leaves its findings in ``result``. This module
runs one, records what it finds, and says whether two findings are the same; it does not know which module it runs.
"""

from __future__ import annotations

import contextlib
import math
import sys
import warnings
from collections.abc import Callable, Collection
from types import ModuleType
from typing import Any

import numpy as np

from tests.goldens.store import Goldens, Writer

# The kinds of error that are told apart; an error is of the first of these among its classes.
FAMILIES = ("AttributeError", "IndexError", "KeyError", "NameError", "TypeError", "ValueError")


def error_names(error: BaseException) -> list[str]:
    """Return the names of an error's classes, most special first."""
    return [kind.__name__ for kind in type(error).__mro__]


def family(names: list[str]) -> str:
    """Return the family of an error: a builtin kind, or ``MXNetError`` for everything MXNet raises by itself."""
    return next((name for name in names if name in FAMILIES), "MXNetError")


def raises(function: Callable[[], Any]) -> dict[str, list[str]]:
    """Call a function and tell what it raises, as ``{"raises": [class names]}``; an empty list if nothing."""
    try:
        function()
    except Exception as error:  # noqa: BLE001 - which errors there are is the question
        return {"raises": error_names(error)}
    return {"raises": []}


def run(source: str, module: ModuleType) -> Any:
    """Run a program on a module and return its ``result``, arrays as NumPy arrays.

    Parameters
    ----------
    source : str
        The program.
    module : module
        What ``mx`` means inside.

    Returns
    -------
    object
        Dicts, lists, strings, numbers, None and arrays.
    """
    names: dict[str, Any] = {"mx": module, "np": np, "raises": raises}
    with module.name.NameManager():  # automatic names start at 0 in each program
        exec(compile(source, "<golden program>", "exec"), names)  # noqa: S102 - our own text
    return plain(names["result"])


def plain(value: Any) -> Any:
    """Reduce a finding to dicts, lists, strings, numbers, None and NumPy arrays."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, type) and issubclass(value, np.generic):
        return np.dtype(value).name
    if isinstance(value, np.dtype):
        return value.name
    if hasattr(value, "asnumpy"):
        return value.asnumpy()
    raise TypeError(f"a program left a {type(value).__name__} in its result")


def encode(value: Any, writer: Writer) -> Any:
    """Put the arrays of a finding away and reduce its errors to their family."""
    if isinstance(value, dict):
        if value.keys() == {"raises"}:
            return {"raises": family(value["raises"]) if value["raises"] else ""}
        return {key: encode(item, writer) for key, item in value.items()}
    if isinstance(value, list):
        return [encode(item, writer) for item in value]
    return {"array": writer.add(value)} if isinstance(value, np.ndarray) else value


def record(name: str, listed: dict[str, str], module: ModuleType, lower_bounds: Collection[str] = ()) -> None:
    """Run programs on the reference module and write what they find to ``NAME.json`` and ``NAME.npz``.

    With words on the command line, only programs whose name contains one are run, and the findings are printed.

    Parameters
    ----------
    name : str
        Name of the index.
    listed : dict of str to str
        The programs by name.
    module : module
        MXNet.
    lower_bounds : collection of str
        Programs whose findings are the least that must be known.
    """
    warnings.simplefilter("ignore")
    only = sys.argv[1:]
    writer = Writer()
    cases: dict[str, Any] = {}
    for title, source in listed.items():
        if only and not any(word in title for word in only):
            continue
        print(title, file=sys.stderr, flush=True)
        with contextlib.redirect_stdout(None):  # inference prints its arguments when it fails
            finding = run(source, module)
        if only:
            print(finding)
        cases[title] = {"source": source, "result": encode(finding, writer)}
        if title in lower_bounds:
            cases[title]["lower_bound"] = True
    if not only:
        meta = {"mxnet": module.__version__, "numpy": np.__version__, "script": f"make_{name}.py"}
        writer.save(name, {**meta, "engine": "native kernels"}, cases)


def surprises(goldens: Goldens, name: str, module: ModuleType, meant: Collection[str] = ()) -> list[str]:
    """Run a program and return where it differs from the golden one and should not, or should and does not.

    Parameters
    ----------
    goldens : Goldens
        The programs and what they found on the reference module.
    name : str
        The program.
    module : module
        The module under test.
    meant : collection of str
        The places of findings that differ on purpose.
    """
    case = goldens.cases[name]
    lines = differences(
        goldens.decode(case["result"]), run(case["source"], module), lower_bound=case.get("lower_bound", False)
    )
    places = {line: next((p for p in meant if line.startswith((f"{p}:", f"{p}["))), None) for line in lines}
    equal = [f"{place}: no longer differs" for place in meant if place not in places.values()]
    return [line for line, place in places.items() if place is None] + equal


def differences(
    expected: Any,
    actual: Any,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    lower_bound: bool = False,
    at: str = "result",
) -> list[str]:
    """Return where two findings differ, as readable lines; empty if they agree.

    An expected ``{"raises": family}`` agrees with any error of that family; ``MXNetError`` agrees with every error.
    Arrays agree if shape and dtype do and the numbers are close, NaN with NaN. Everything else must be equal.

    Parameters
    ----------
    expected, actual : object
        What ``run`` returned for the reference and for the module under test.
    rtol, atol : float
        Tolerances for floating-point numbers.
    lower_bound : bool
        The findings are shapes and the expected ones only the least that must be known: an expected ``[]``, 0, None or
        ``"refused"`` agrees with anything.
    at : str
        Where in the finding we are.
    """
    if lower_bound and (expected in ([], None, "refused") or (expected == 0 and type(expected) is int)):
        return []
    more: dict[str, Any] = {"rtol": rtol, "atol": atol, "lower_bound": lower_bound}
    if isinstance(expected, dict) and expected.keys() == {"raises"}:
        names = actual.get("raises") if isinstance(actual, dict) else None
        if isinstance(names, str):  # a golden
            names = [names] if names else []
        want = expected["raises"]
        if not want:
            return [] if names == [] else [f"{at}: raised {names}, should not"]
        if not names:
            return [f"{at}: should raise {want}, gave {actual!r}"]
        return [] if want == "MXNetError" or want in names else [f"{at}: should raise {want}, raised {names[0]}"]
    if isinstance(expected, dict) and isinstance(actual, dict):
        lines = [f"{at}: no {key!r}" for key in expected.keys() - actual.keys()]
        lines += [f"{at}: unexpected {key!r}" for key in actual.keys() - expected.keys()]
        for key in expected.keys() & actual.keys():
            lines += differences(expected[key], actual[key], **more, at=f"{at}[{key!r}]")
        return sorted(lines)
    if isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            return [f"{at}: {expected!r} expected, got {actual!r}"]
        lines = []
        for index, (one, other) in enumerate(zip(expected, actual, strict=True)):
            lines += differences(one, other, **more, at=f"{at}[{index}]")
        return lines
    if isinstance(expected, np.ndarray) and isinstance(actual, np.ndarray):
        if expected.shape != actual.shape or expected.dtype != actual.dtype:
            return [f"{at}: {expected.dtype}{expected.shape} expected, got {actual.dtype}{actual.shape}"]
        if expected.dtype.kind == "f":
            if np.allclose(expected, actual, rtol=rtol, atol=atol, equal_nan=True):
                return []
            with np.errstate(invalid="ignore"):
                return [f"{at}: off by {np.nanmax(np.abs(expected.astype('f8') - actual)):.3g}"]
        return [] if np.array_equal(expected, actual) else [f"{at}: {expected!r} expected, got {actual!r}"]
    if isinstance(expected, float) and isinstance(actual, float | int):
        if math.isclose(expected, actual, rel_tol=rtol, abs_tol=atol) or (math.isnan(expected) and math.isnan(actual)):
            return []
    elif type(expected) is type(actual) and not isinstance(expected, np.ndarray) and expected == actual:
        return []
    return [f"{at}: {expected!r} expected, got {actual!r}"]
