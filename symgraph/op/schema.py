"""What an operator is: a class whose typed attributes are its schema.

    @op("FullyConnected")
    class FullyConnected(Op):
        '''Linear transformation: ``Y = X W^T + b``.'''

        data: Tensor = arg("Input, (batch, ...).")
        weight: Tensor = arg("Weights, (num_hidden, features).")
        bias: Tensor = arg("Bias, (num_hidden,).", unless="no_bias")
        num_hidden: int = param("Number of output features.", ge=1)
        no_bias: bool = param("Leave the bias out.", default=False)

        def compute(self, xp, data, weight, bias=None): ...

An instance is the operator with its bound parameters: frozen, hashable, equal by value. The schema is data with many
readers: argument checking, signatures, documentation, attribute text, the generic tests. A definition that is
incomplete or contradicts itself fails at import.

What does not belong here: graphs, shapes of particular tensors, any particular operator.
"""

from __future__ import annotations

import builtins
import inspect
import math
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, dataclass_transform

from symgraph.errors import ArgumentError, OperatorDefinitionError, brief, suggest
from symgraph.op.types import ParamType, type_of

__all__ = [
    "REQUIRED",
    "Asked",
    "Input",
    "Op",
    "Param",
    "PartialShape",
    "Sample",
    "Tensor",
    "Tensors",
    "arg",
    "args",
    "asked",
    "param",
]

#: A shape of which some axes, or all (None), are unknown.
PartialShape = tuple[int | None, ...]


class Tensor:
    """Annotation of an input: one tensor."""


class Tensors:
    """Annotation of an input: any number of tensors."""


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


#: The default of a parameter that has none.
REQUIRED: Any = _Required()


class Input(NamedTuple):
    """Schema of one input, or of the variadic inputs."""

    doc: str
    name: str = ""
    when: Callable[[Any], bool] | None = None
    mutates: bool = False
    init: str | None = None
    variadic: bool = False
    counted_by: str | None = None
    prefix: str = "arg"


class Param(NamedTuple):
    """Schema of one parameter."""

    doc: str
    default: Any = REQUIRED
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    live: bool = False
    name: str = ""
    type: ParamType = ParamType()

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is REQUIRED

    def parse(self, value: Any) -> Any:
        """Return the canonical value, or raise `ValueError` saying what was expected."""
        parsed = self.type.parse(value)
        numbers = parsed if isinstance(parsed, tuple) else (parsed,)
        for number in numbers:
            if isinstance(number, (int, float)) and not isinstance(number, bool):
                if self.ge is not None and number < self.ge:
                    raise ValueError(f"{self.type.label} >= {self.ge}")
                if self.gt is not None and number <= self.gt:
                    raise ValueError(f"{self.type.label} > {self.gt}")
                if self.le is not None and number > self.le:
                    raise ValueError(f"{self.type.label} <= {self.le}")
        return parsed

    def describe(self) -> str:
        """Return type and default as documentation prints them: ``float, optional, default=0.95``."""
        if self.required:
            return f"{self.type.label}, required"
        return f"{self.type.label}, optional, default={self.type.show(self.default)}"


def arg(
    doc: str,
    *,
    unless: str | None = None,
    when: Callable[[Any], bool] | None = None,
    mutates: bool = False,
    init: str | None = None,
) -> Any:
    """Declare an input tensor.

    Parameters
    ----------
    doc
        What it is, with its shape.
    unless
        Name of a boolean parameter that takes the input away.
    when
        Function of the operator telling whether the input is there; for conditions that `unless` cannot say.
    mutates
        The operator renews this input: `compute` returns its new value after the outputs. In a symbol it must be a
        variable, and it shows as an auxiliary state.
    init
        Default initialiser of a variable made for this input, as JSON text.
    """
    if unless is not None:
        when = _unless(unless)
    return Input(doc, when=when, mutates=mutates, init=init)


def _unless(name: str) -> Callable[[Any], bool]:
    def when(operator: Any) -> bool:
        return not getattr(operator, name)

    return when


def args(doc: str, *, count: str, prefix: str = "arg") -> Any:
    """Declare a variadic input whose number of tensors is the parameter `count`; they are named `prefix` + index."""
    return Input(doc, variadic=True, counted_by=count, prefix=prefix)


def param(
    doc: str,
    *,
    default: Any = REQUIRED,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    live: bool = False,
) -> Any:
    """Declare a parameter.

    Parameters
    ----------
    doc
        What it means, with its unit if it has one.
    default
        Value when it is left out; without one the parameter is required.
    ge, gt, le
        Bounds of the value, or of each element of a tuple.
    live
        The value may change between steps of a bound graph without compiling anew. Only for numbers that
        `compute` never branches on.
    """
    return Param(doc, default=default, ge=ge, gt=gt, le=le, live=live)


#: An empty mapping that nobody can fill.
_NONE: Mapping[str, Any] = types.MappingProxyType({})


class Sample(NamedTuple):
    """One use of an operator, for the generic tests, the documentation and the benchmarks.

    Parameters
    ----------
    params
        Parameter values.
    shapes
        Shape of each input, in order.
    low, high
        Range from which float inputs are drawn.
    dtypes
        Dtype of each input that is not float32, by input name.
    integers
        Inputs that hold whole numbers in ``[0, bound)``: labels, indices; by input name.
    training
        Whether it runs as a training step.
    smooth
        False where the function has a kink or a jump near which finite differences mislead.
    """

    shapes: Sequence[tuple[int, ...]]
    params: Mapping[str, Any] = _NONE
    low: float = -1.0
    high: float = 1.0
    dtypes: Mapping[str, str] = _NONE
    integers: Mapping[str, int] = _NONE
    training: bool = False
    smooth: bool = True


@dataclass_transform(kw_only_default=True, field_specifiers=(arg, args, param))
class Op:
    """Base class of operators; see the module's docstring.

    Class attributes
    ----------------
    op_name
        Canonical name, the one written to JSON.
    aliases
        Other names under which it is found.
    outputs
        Names of all outputs, hidden ones included.
    differentiable
        False where no gradient exists; asking for one is an error.
    is_loss
        True where the gradient does not read a head gradient.
    keeps_unknown_attrs
        True where attributes that are no parameters are kept without complaint.
    samples
        Uses of the operator for the generic tests.
    """

    op_name: ClassVar[str] = ""
    aliases: ClassVar[tuple[str, ...]] = ()
    inputs: ClassVar[tuple[Input, ...]] = ()
    params: ClassVar[tuple[Param, ...]] = ()
    outputs: ClassVar[tuple[str, ...]] = ("output",)
    differentiable: ClassVar[bool] = True
    is_loss: ClassVar[bool] = False
    samples: ClassVar[Sequence[Sample]] = ()
    _param_index: ClassVar[dict[str, Param]] = {}
    _asks_training: ClassVar[bool] = False
    _asks_rng: ClassVar[bool] = False
    _values: tuple[Any, ...]
    _hash: int

    # -- construction ---------------------------------------------------------------------------------------------

    def __init__(self, **values: Any) -> None:
        values = {dotless(name): value for name, value in values.items()}
        problems = [problem for name in values if (problem := self._unknown(name))]
        parsed = []
        for p in self.params:
            if p.name not in values:
                if p.required:
                    problems.append(f"{p.name} is required ({p.type.label}): {p.doc.rstrip('.')}")
                parsed.append(p.default)
                continue
            try:
                parsed.append(p.parse(values[p.name]))
            except ValueError as error:
                problems.append(f"{p.name} must be {error}, got {brief(values[p.name])}")
        if problems:
            raise ArgumentError("; ".join(problems), where=f"{self.op_name}()")
        self._freeze(tuple(parsed))

    @classmethod
    def _unknown(cls, name: str) -> str | None:
        if name in cls._param_index:
            return None
        hint = suggest(name, cls._param_index)
        did = f"; did you mean {hint!r}?" if hint else ""
        return f"has no argument {name!r}{did}"

    def _freeze(self, values: tuple[Any, ...]) -> None:
        put = object.__setattr__
        for p, value in zip(self.params, values, strict=True):
            put(self, p.name, value)
        put(self, "_values", values)

    @classmethod
    def from_values(cls, values: tuple[Any, ...]) -> Self:
        """Return the operator with canonical values in the order of `params`; nothing is checked."""
        self = cls.__new__(cls)
        self._freeze(values)
        return self

    @classmethod
    def from_attrs(cls, attrs: Mapping[str, str]) -> Self:
        """Return the operator whose parameters stand in `attrs` as text.

        Keys that begin and end with two underscores are no parameters and are passed over. An operator without
        parameters passes over everything, as MXNet does.

        Raises
        ------
        ArgumentError
            Naming all bad, missing and unknown attributes at once.
        """
        if not cls.params:
            return cls.from_values(())
        return cls(**{k: v for k, v in attrs.items() if not (k.startswith("__") and k.endswith("__"))})

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{self.op_name} is frozen: make a new one instead of setting {name!r}")

    def with_live(self, live: Mapping[str, Any]) -> Self:
        """Return a copy whose live parameters are the given objects; for tracing only."""
        other = type(self).from_values(self._values)
        for name, value in live.items():
            object.__setattr__(other, name, value)
        return other

    # -- value ----------------------------------------------------------------------------------------------------

    @property
    def values(self) -> tuple[Any, ...]:
        """Canonical parameter values in the order of `params`."""
        return self._values

    def live_values(self) -> dict[str, float]:
        """Return the live parameters with their values."""
        return {p.name: getattr(self, p.name) for p in self.params if p.live}

    def structure(self) -> tuple[Any, ...]:
        """Return a key equal for operators that trace to the same program: live values do not count."""
        key = (type(self), *(None if p.live else v for p, v in zip(self.params, self._values, strict=True)))
        return (*key, signs) if (signs := self._negative_zeros()) else key

    def _negative_zeros(self) -> tuple[int, ...]:
        """Return which values are -0.0: Python holds it equal to 0.0, but ``1 / x`` does not."""
        if 0.0 not in self._values:
            return ()
        zeros = [k for k, v in enumerate(self._values) if isinstance(v, float) and v == 0.0]
        return tuple([k for k in zeros if math.copysign(1.0, self._values[k]) < 0])

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        assert isinstance(other, Op)
        return self._values == other._values and self._negative_zeros() == other._negative_zeros()

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            object.__setattr__(self, "_hash", hash((type(self), self._values)))
            return self._hash

    def __repr__(self) -> str:
        given = (f"{p.name}={p.type.show(v)}" for p, v in self.given())
        return f"{self.op_name}({', '.join(given)})"

    def given(self) -> Iterator[tuple[Param, Any]]:
        """Yield the parameters that differ from their default."""
        for p, value in zip(self.params, self._values, strict=True):
            if p.required or value != p.default:
                yield p, value

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self.op_name, self._values)

    # -- inputs and outputs ---------------------------------------------------------------------------------------

    def input_names(self) -> tuple[str, ...]:
        """Return the names of the inputs, given these parameters."""
        names: list[str] = []
        for i in self.inputs:
            if i.variadic:
                names += [f"{i.prefix}{k}" for k in range(getattr(self, i.counted_by or ""))]
            elif i.when is None or i.when(self):
                names.append(i.name)
        return tuple(names)

    def mutated(self) -> tuple[str, ...]:
        """Return the names of the inputs that the operator renews."""
        mutable = {i.name for i in self.inputs if i.mutates}
        return tuple(name for name in self.input_names() if name in mutable) if mutable else ()

    def output_names(self) -> tuple[str, ...]:
        """Return the names of all outputs, hidden ones included."""
        return self.outputs

    def num_visible(self) -> int:
        """Return how many outputs a user sees; the others are hidden and come last."""
        return len(self.output_names())

    def initializer(self, name: str) -> str | None:
        """Return the default initialiser (JSON text) of a variable made for the input `name`."""
        return next((i.init for i in self.inputs if i.name == name), None)

    # -- rules: an operator defines `compute`; the others are optional --------------------------------------------

    compute: ClassVar[Callable[..., Any]]
    backward: ClassVar[Callable[..., Any] | None] = None
    shapes: ClassVar[Callable[..., Mapping[str, PartialShape]] | None] = None
    dtypes: ClassVar[Callable[..., Mapping[str, Any]] | None] = None
    #: ``settle(self, **shapes of inputs and outputs)`` returns the operator with the parameters that inference decided:
    #: ``zeros(shape=(0, 3))`` in MXNet leaves its first axis to the operators that read it.
    settle: ClassVar[Callable[..., Op] | None] = None


def dotless(name: str) -> str:
    """Return an argument's name with the dots of MXNet's R front-end as underscores."""
    return name.replace(".", "_") if "." in name else name


class Asked(NamedTuple):
    """What a rule of an operator asks for, by its signature.

    Attributes
    ----------
    positional, keyword
        Names of the arguments: those that may go by position, ``self`` and ``xp`` included, and the others.
    rest, every
        Names of the arguments that take all further ones, by position and by name; empty if there is none.
    """

    positional: tuple[str, ...]
    keyword: tuple[str, ...]
    rest: str
    every: str

    def of(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the rule asks for of the things that are known by name."""
        wanted = known if self.every else (*self.positional, *self.keyword)
        return {n: v for n, v in known.items() if n in wanted}


def asked(rule: Callable[..., Any]) -> Asked:
    """Return what a rule asks for.

    >>> asked(lambda self, xp, data, *, training: data)
    Asked(positional=('self', 'xp', 'data'), keyword=('training',), rest='', every='')
    """
    if isinstance(rule, types.FunctionType) and not hasattr(rule, "__wrapped__"):
        # What `inspect.signature` finds, in a fiftieth of the time: an import asks this of every operator.
        code = rule.__code__
        count, total = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
        names = iter(code.co_varnames[total:])
        rest = next(names) if code.co_flags & inspect.CO_VARARGS else ""
        every = next(names) if code.co_flags & inspect.CO_VARKEYWORDS else ""
        return Asked(code.co_varnames[:count], code.co_varnames[count:total], rest, every)
    parameters = inspect.signature(rule).parameters.values()

    def names_of(*kinds: Any) -> tuple[str, ...]:
        return tuple(p.name for p in parameters if p.kind in kinds)

    p = inspect.Parameter
    rests, everys = names_of(p.VAR_POSITIONAL), names_of(p.VAR_KEYWORD)
    positional, keyword = names_of(p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD), names_of(p.KEYWORD_ONLY)
    return Asked(positional, keyword, "".join(rests), "".join(everys))


def _unpickle(name: str, values: tuple[Any, ...]) -> Op:
    from symgraph.op.registry import find

    return find(name).from_values(values)


_T = TypeVar("_T", bound=type[Op])


def define(cls: _T, name: str, aliases: Sequence[str]) -> _T:
    """Read the schema off a class's attributes, check it, and store it on the class.

    Raises
    ------
    OperatorDefinitionError
        With a sentence saying what to add or mend.
    """

    def fail(what: str) -> typing.NoReturn:
        raise OperatorDefinitionError(what, where=f"operator {name!r} (class {cls.__name__})")

    if not (cls.__doc__ or "").strip() or cls.__doc__ == Op.__doc__:
        fail("has no docstring: add one that begins with a one-sentence summary")
    if not hasattr(cls, "compute"):
        fail("has no compute: add 'def compute(self, xp, ...)'")
    inputs: list[Input] = []
    params: list[Param] = []
    hints = _own_hints(cls)
    for key, value in list(cls.__dict__.items()):
        if not isinstance(value, (Input, Param)):
            continue
        if key not in hints:
            fail(f"{key!r} has no annotation: write '{key}: Tensor = arg(...)' or '{key}: int = param(...)'")
        if not value.doc.strip():
            fail(f"{key!r} has no documentation: say what it means in the first argument of its declaration")
        if isinstance(value, Input):
            if hints[key] is not (Tensors if value.variadic else Tensor):
                fail(f"input {key!r} must be annotated {'Tensors' if value.variadic else 'Tensor'}")
            if params:
                fail(f"input {key!r} stands after a parameter: inputs come first, as in the call")
            inputs.append(value._replace(name=key))
        else:
            kind = type_of(hints[key])
            if kind is None:
                fail(f"parameter {key!r} has the annotation {hints[key]!r}, which is no parameter type")
            declared = value._replace(name=key, type=kind)
            if not declared.required:
                try:
                    canonical = declared.parse(declared.default)
                except ValueError as error:
                    fail(f"default of {key!r} is {declared.default!r}, but it must be {error}")
                declared = declared._replace(default=canonical)
            params.append(declared)
        delattr(cls, key)
    cls.op_name, cls.aliases = name, tuple(aliases)
    cls.inputs, cls.params = tuple(inputs), tuple(params)
    cls._param_index = {p.name: p for p in params}
    for i in inputs:
        if (
            i.variadic
            and i.counted_by not in cls._param_index
            and not isinstance(getattr(cls, i.counted_by or "", None), property)
        ):
            fail(f"variadic input {i.name!r} counts by {i.counted_by!r}, which is no parameter of it")
    _check_rules(cls, fail)
    return cls


def _own_hints(cls: type[Op]) -> dict[str, Any]:
    """Return the annotations of the inputs and parameters that a class declares, evaluated."""
    annotations = cls.__annotations__
    hints = {k: annotations[k] for k, v in cls.__dict__.items() if isinstance(v, (Input, Param)) and k in annotations}
    known = getattr(sys.modules.get(cls.__module__), "__dict__", {})
    rest: dict[str, Any] = {}
    for key, hint in hints.items():
        if isinstance(hint, str):
            # A name, mostly. `get_type_hints` compiles each, which for all operators is a third of defining them.
            found = known.get(hint, builtins.__dict__.get(hint))
            if found is None or isinstance(found, str):
                rest[key] = hint
            else:
                hints[key] = found
    if rest:
        alone = type(cls.__name__, (), {"__annotations__": rest, "__module__": cls.__module__})
        hints |= typing.get_type_hints(alone, include_extras=True)
    return hints


def _check_rules(cls: type[Op], fail: Callable[[str], typing.NoReturn]) -> None:
    """Check that the rules' signatures name only inputs and outputs that exist."""
    names = [i.name for i in cls.inputs]
    variadic = any(i.variadic for i in cls.inputs) or cls.input_names is not Op.input_names
    outputs = set(cls.outputs) if cls.output_names is Op.output_names else None
    requests = {"training", "rng"}
    compute = asked(cls.compute)
    positional = [*compute.positional[2:]]
    if unknown := set(compute.keyword) - requests:
        fail(f"compute asks for {sorted(unknown)}; it may ask for {sorted(requests)}")
    if not variadic and positional != names and not compute.rest:
        fail(f"compute takes {positional}, but the inputs are {names}: name them alike and in the same order")
    cls._asks_training, cls._asks_rng = "training" in compute.keyword, "rng" in compute.keyword
    if cls._asks_rng and cls.differentiable and cls.backward is None:
        fail("draws random numbers, so its gradient cannot be derived: write backward, or set differentiable = False")
    if variadic or outputs is None:
        return
    heads = {"dy", *(f"dy_{o}" for o in outputs)}
    for rule, allowed in (
        (cls.backward, heads | set(names) | outputs | {"training"}),
        (cls.shapes, set(names) | outputs),
        (cls.dtypes, set(names) | outputs),
    ):
        if rule is None:
            continue
        given = asked(rule)
        skip = 2 if rule is cls.backward else 1
        for key in (*given.positional[skip:], given.rest, *given.keyword):
            if key and key not in allowed:
                hint = suggest(key, allowed)
                did = f"; did you mean {hint!r}?" if hint else ""
                fail(f"{rule.__name__} asks for {key!r}, which is none of {sorted(allowed)}{did}")
