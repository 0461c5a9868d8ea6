"""Bringing documents of older versions of MXNet up to date: a table of versions, each row a function on documents.

The spellings of older texts (``param``, ``attr``, index pairs) are the reader's affair and already gone here; this is
what their authors *meant* otherwise. Several rows need to know something about operators, which this room does not:
it is asked of a `Schema`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from symgraph.errors import GraphFormatError
from symgraph.formats.symbol_json import WRITER_VERSION, Document, NodeRecord, Ref
from symgraph.op.call import HIDDEN_KEYS

__all__ = ["NEWEST_KNOWN", "STEPS", "Schema", "Step", "upgrade"]

#: The newest version whose files are known: the betas of MXNet 2.0.
NEWEST_KNOWN: Final = 20000


class Schema(Protocol):
    """What the steps need to know about operators; each method answers None for an operator it does not know."""

    def input_names(self, op: str, attrs: Mapping[str, str]) -> tuple[str, ...] | None:
        """Return the names of all inputs, auxiliary states included, of operator `op` with these attributes."""
        ...

    def initializers(self, op: str, attrs: Mapping[str, str]) -> Mapping[str, str] | None:
        """Return the default ``__init__`` texts of those inputs that have one, by input name."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """A row of the table.

    Parameters
    ----------
    before
        The step concerns documents of a version below this one.
    sentence
        What it does, for people.
    apply
        Returns the changed document; leaves the one given as it is.
    """

    before: int
    sentence: str
    apply: Callable[[Document, Schema], Document]


def upgrade(document: Document, schema: Schema, *, strict: bool = False) -> Document:
    """Return `document` as a document of today's version, itself if it needs no change.

    ``node_row_ptr`` is dropped where nodes are added: only operators know their numbers of outputs.

    Parameters
    ----------
    document
        Any version; it is not changed. Bodies of subgraphs are left alone, as MXNet does.
    schema
        Answers questions about operators.
    strict
        Refuse a document that is newer than any known version, rather than warn.

    Raises
    ------
    GraphFormatError
        If `strict` and the document is newer than `NEWEST_KNOWN`.
    """
    version = document.version
    if version > NEWEST_KNOWN:
        what = f"the file is of version {version}, newer than any known ({NEWEST_KNOWN}); it may mean something else"
        if strict:
            raise GraphFormatError(what, where="attrs, mxnet_version")
        warnings.warn(what, stacklevel=2)
    for step in STEPS:
        if version < step.before:
            document = step.apply(document, schema)
    if version >= WRITER_VERSION:
        return document
    return replace(document, attrs={**document.attrs, "mxnet_version": ("int", WRITER_VERSION)})


def _add_missing_inputs(document: Document, schema: Schema) -> Document:
    """Give each operator that has fewer inputs than it declares variables for the rest.

    They are named ``<node>_<input>`` and take a copy of the node's attributes, as when composing.
    """
    nodes: list[NodeRecord] = []
    position: list[int] = []  # of each old node among the new ones
    for node in document.nodes:
        inputs = [(position[index], output, version) for index, output, version in node.inputs]
        names = schema.input_names(node.op, _parameters(node)) if node.op != "null" else None
        if names is not None and len(inputs) < len(names):
            # Hints for inputs (`weight_lr_mult`) are for the input alone; the next step delivers them.
            attrs = {key: value for key, value in node.attrs.items() if _hint_for_input(key, names) is None}
            for name in names[len(inputs) :]:
                inputs.append((len(nodes), 0, 0))
                nodes.append(NodeRecord("null", f"{node.name}_{name}", dict(attrs)))
        position.append(len(nodes))
        deps = [position[index] for index in node.control_deps]
        nodes.append(replace(node, inputs=inputs, control_deps=deps))
    if len(nodes) == len(document.nodes):
        return document
    heads: list[Ref] = [(position[index], output, version) for index, output, version in document.heads]
    return replace(document, nodes=nodes, heads=heads, node_row_ptr=None)


def _move_hidden_keys(document: Document, schema: Schema) -> Document:
    """Write hidden keys as ``__key__``, and those for an operator's input on that input's variable.

    MXNet does the latter only for operators that declare names for their inputs; here all do. It ends the process if
    the input is one that `_add_missing_inputs` would add, because there that step comes second.
    """
    nodes = list(document.nodes)
    for index, node in enumerate(document.nodes):
        if not any(hidden in key for key in node.attrs for hidden in HIDDEN_KEYS):
            continue
        attrs = dict(nodes[index].attrs)  # a variable's hints may have come from a node before
        names = schema.input_names(node.op, _parameters(node)) if node.op != "null" else None
        for key, value in node.attrs.items():
            if key in HIDDEN_KEYS:
                del attrs[key]
                attrs[f"__{key}__"] = value
                continue
            found = _hint_for_input(key, names or ())
            if found is None:
                continue
            name, hidden = found
            source = node.inputs[names.index(name)][0] if names and names.index(name) < len(node.inputs) else None
            if source is not None and nodes[source].op == "null":
                del attrs[key]
                nodes[source] = replace(nodes[source], attrs={**nodes[source].attrs, f"__{hidden}__": value})
        nodes[index] = replace(node, attrs=attrs)
    return replace(document, nodes=nodes)


def _set_initializers(document: Document, schema: Schema) -> Document:
    """Put operators' default initialisers on those of their variables that have none."""
    nodes = list(document.nodes)
    for node in document.nodes:
        defaults = schema.initializers(node.op, _parameters(node)) if node.op != "null" else None
        if not defaults:
            continue
        names = schema.input_names(node.op, _parameters(node)) or ()
        for name, (source, _, _) in zip(names, node.inputs, strict=False):
            variable = nodes[source]
            if name in defaults and variable.op == "null" and "__init__" not in variable.attrs:
                nodes[source] = replace(variable, attrs={**variable.attrs, "__init__": defaults[name]})
    return replace(document, nodes=nodes)


def _flatten_argmax_axis(document: Document, schema: Schema) -> Document:
    """Drop the axis "-1" of argmax and argmin, which meant all axes."""
    nodes = list(document.nodes)
    for index, node in enumerate(nodes):
        if node.op in ("argmax", "argmin") and node.attrs.get("axis") == "-1":
            nodes[index] = replace(node, attrs={key: value for key, value in node.attrs.items() if key != "axis"})
    return replace(document, nodes=nodes)


def _parameters(node: NodeRecord) -> dict[str, str]:
    """Return the attributes that are the operator's own: no hidden key, and no hint for an input."""
    return {
        key: value
        for key, value in node.attrs.items()
        if not any(key.startswith(hidden) or key.endswith(hidden) for hidden in HIDDEN_KEYS)
    }


def _hint_for_input(key: str, names: tuple[str, ...]) -> tuple[str, str] | None:
    """Split a key such as ``weight_lr_mult`` into the input's name and the hidden key, if it is one."""
    for hidden in HIDDEN_KEYS:
        if key.endswith(f"_{hidden}") and (name := key.removesuffix(f"_{hidden}")) in names:
            return name, hidden
    return None


#: The steps, in order. Those of one version see the result of the ones above.
STEPS: Final = (
    Step(900, "inputs that the file leaves out become variables (auxiliary states, above all)", _add_missing_inputs),
    # After the row above, so that its variables get their hints.
    Step(WRITER_VERSION, "lr_mult, wd_mult, ctx_group and their like become __lr_mult__ ...", _move_hidden_keys),
    Step(904, "operators' default initialisers are written on their variables", _set_initializers),
    Step(905, "argmax and argmin over axis -1 reduce all axes", _flatten_argmax_axis),
)
