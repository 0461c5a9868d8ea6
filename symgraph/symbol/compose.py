"""Making nodes: names, variables for inputs that were left out, attributes, versions of renewed variables.

Works on nodes and entries; what a Symbol is, is in `symgraph.symbol.symbol`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from types import FrameType

from symgraph import attribute, name
from symgraph.errors import ArgumentError, GraphError, suggest
from symgraph.graph.node import Entry, Node
from symgraph.graph.view import renews
from symgraph.op import Op
from symgraph.op.call import is_hidden

__all__ = ["created_at", "current_version", "make_node", "make_variable", "renew"]


class _Traits:
    """What composing asks of an operator class, found out once."""

    __slots__ = ("init", "names", "renews")

    def __init__(self, cls: type[Op]) -> None:
        fixed = cls.input_names is Op.input_names and all(i.when is None and not i.variadic for i in cls.inputs)
        self.names = tuple(i.name for i in cls.inputs) if fixed else None
        self.renews = renews(cls)
        self.init = cls.initializer is not Op.initializer or any(i.init for i in cls.inputs)


_TRAITS: dict[type[Op], _Traits] = {}


def make_node(
    op: Op,
    hint: str,
    given: Mapping[str, Entry],
    attrs: dict[str, str],
    *,
    node_name: str | None = None,
    attr: Mapping[str, str] | None = None,
    hidden: Mapping[str, str] | None = None,
) -> Node:
    """Return a new node that applies an operator.

    Parameters
    ----------
    op
        The operator.
    hint
        What an automatic name begins with.
    given
        The entries given, by input name. For the others variables are made: ``<node>_<input>``.
    attrs
        The parameters given, as text; becomes the node's own.
    node_name
        The name the user gave, or None.
    attr
        Further attributes from the user.
    hidden
        Attributes ``__key__`` from the user's keywords.

    Raises
    ------
    ArgumentError
        If an attribute is neither a parameter of the operator nor hidden.
    GraphError
        If an input that the operator renews is not a variable.
    """
    traits = _TRAITS.get(type(op))
    if traits is None:
        traits = _TRAITS[type(op)] = _Traits(type(op))
    scope = attribute.current()
    if attr or hidden or not scope.empty:
        op = _add_attributes(op, attrs, {**scope.get(attr), **(hidden or {})})
    node_name = name.current().get(node_name, hint)
    created = created_at()
    inputs = []
    for input_name in traits.names if traits.names is not None else op.input_names():
        entry = given.get(input_name)
        if entry is None:
            own = dict(attrs)
            if traits.init and "__init__" not in own and (init := op.initializer(input_name)) is not None:
                own["__init__"] = init
            entry = Entry(Node(None, f"{node_name}_{input_name}", (), own, created))
        elif entry.node.op is None:
            if traits.init and (init := op.initializer(input_name)) is not None:
                entry.node.attrs.setdefault("__init__", init)  # MXNet: on the user's own variable too
            if entry.node.version:
                entry = Entry(entry.node, 0, entry.node.version)
        inputs.append(entry)
    if traits.renews:
        renew(op, inputs, node_name, created)
    return Node(op, node_name, inputs, attrs, created)


def renew(op: Op, inputs: list[Entry], node_name: str, created: str | None) -> None:
    """Raise the versions of the variables that an operator renews, in place.

    Raises
    ------
    GraphError
        If such an input is not a variable.
    """
    mutated = op.mutated()
    for slot, input_name in enumerate(op.input_names()):
        if input_name in mutated:
            variable = inputs[slot].node
            if variable.op is not None:
                raise GraphError(
                    f"input {input_name!r} is renewed by {op!r}, so it must be a variable, not the output of "
                    f"{variable.name!r}",
                    where=node_name,
                    created=created,
                )
            variable.version += 1
            inputs[slot] = Entry(variable, 0, variable.version)


def _add_attributes(op: Op, attrs: dict[str, str], extra: Mapping[str, str]) -> Op:
    """Add the attributes of ``attr=`` and of scopes to a node's; returns the operator with parameters among them."""
    parameters = type(op)._param_index
    changed = False
    for key, value in extra.items():
        if key in attrs:
            continue
        if parameters and not is_hidden(key):
            if key not in parameters:
                raise ArgumentError(
                    f"attribute {key!r} (from attr= or an AttrScope) is no parameter of {op.op_name}; write "
                    f"'__{key}__' for one of your own",
                    hint=suggest(key, parameters),
                )
            changed = True
        attrs[key] = value
    return type(op).from_attrs(attrs) if changed else op


def make_variable(variable_name: str, attrs: Mapping[str, str], attr: Mapping[str, str] | None) -> Node:
    """Return a new variable with the attributes of its own, of ``attr=`` and of the scopes.

    Raises
    ------
    ArgumentError
        If an attribute is no string.
    """
    for key, value in (attr or {}).items():
        if not isinstance(value, str):
            raise ArgumentError(f"attribute {key!r} of variable {variable_name!r} is text, not {value!r}")
    own = attribute.current().get(attr)
    own.update(attrs)
    return Node(None, variable_name, (), own, created_at())


def current_version(entry: Entry) -> Entry:
    """Return an entry with the version that its variable has now."""
    return Entry(entry.node, entry.index, entry.node.version) if entry.node.version else entry


def created_at() -> str | None:
    """Return ``file:line`` of the innermost call from outside the package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return None if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


#: The folder of the package, as the interpreter names it in code objects.
_PACKAGE = os.path.dirname(os.path.dirname(created_at.__code__.co_filename)) + os.sep
