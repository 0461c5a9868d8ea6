"""The whole training step as one Symbol: forward, gradients and optimizer updates are nodes of one graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.errors import ArgumentError, suggest
from symgraph.graph.lower import RENEWS
from symgraph.graph.node import Entry
from symgraph.op import find

__all__ = ["training_step"]


def training_step(
    loss: Any,
    update: str = "rmsprop_update",
    *,
    params: Sequence[str] | None = None,
    inputs: Sequence[str] | None = None,
    **hyper: Any,
) -> Any:
    """Return a symbol that computes a loss and, bound and run with ``is_train=True``, renews its parameters.

    For each parameter ``w`` it holds the gradient of `loss`, an update node ``w_update`` and the states of the update
    as auxiliary variables ``w_<state>``. It is an ordinary graph: inferred, saved as JSON, inspected like any other.

    Parameters
    ----------
    loss
        Symbol whose outputs are losses, such as `SoftmaxOutput` or `MakeLoss`.
    update
        Name of an optimizer update operator.
    params
        Names of the arguments to train. None means all that are not inputs.
    inputs
        Names of the arguments that are fed. None means ``data`` and all whose name ends in ``label``.
    **hyper
        Parameters of the update, such as ``lr``. A parameter's ``__lr_mult__`` and ``__wd_mult__`` attributes multiply
        `lr` and `wd`.

    Returns
    -------
    Symbol
        The outputs of `loss`, followed by the new value of each parameter.

    Raises
    ------
    ArgumentError
        If a name is no argument of `loss`, nothing is left to train, or the operator is no update.

    Examples
    --------
    >>> import symgraph as mx
    >>> net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=1, name="fc")
    >>> loss = mx.sym.LinearRegressionOutput(net, mx.sym.Variable("label"), name="loss")
    >>> step = mx.sym.training_step(loss, "rmsprop_update", lr=0.01)
    >>> step.list_outputs()
    ['loss_output', 'fc_weight_update_output', 'fc_bias_update_output']
    >>> step.list_auxiliary_states()
    ['fc_weight_n', 'fc_bias_n']
    """
    from symgraph import symbol

    cls = find(update)
    roles = [i for i in cls.inputs if not i.variadic]
    if [i.name for i in roles[:2]] != ["weight", "grad"]:
        raise ArgumentError(f"{update} is no optimizer update of one weight", where="training_step()")
    arguments = dict.fromkeys(loss.list_arguments())
    fed = list(inputs) if inputs is not None else [n for n in arguments if n == "data" or n.endswith("label")]
    given = set(fed)
    chosen = list(params) if params is not None else [n for n in arguments if n not in given]
    for name in [*fed, *chosen]:
        if name not in arguments:
            raise ArgumentError(
                f"{name!r} is no argument of the loss",
                where="training_step()",
                hint=suggest(name, arguments),
                facts={"arguments": ", ".join(arguments)},
            )
    if not chosen:
        raise ArgumentError("there is nothing to train: every argument is an input", where="training_step()")
    attrs = loss.attr_dict()
    grads = loss.gradient(chosen)
    weights = {node.name: symbol.Symbol([Entry(node, 0, node.version)]) for node in loss._view.variables()}
    make = getattr(symbol, update) if hasattr(symbol, update) else getattr(symbol._internal, update)
    shared: dict[str, Any] = {}
    updates = []
    for k, name in enumerate(chosen):
        tensors = {"weight": weights[name], "grad": grads[k]}
        for role in roles[2:]:
            if role.mutates:
                tensors[role.name] = symbol.Variable(f"{name}_{role.name}")
            else:
                tensors[role.name] = shared.setdefault(role.name, symbol.Variable(role.name))
        scaled = dict(hyper)
        for param, key in (("lr", "__lr_mult__"), ("wd", "__wd_mult__")):
            factor = attrs.get(name, {}).get(key)
            if factor is not None and param in scaled:
                scaled[param] = scaled[param] * float(factor)
        updates.append(make(**tensors, **scaled, name=f"{name}_update", attr={RENEWS: name}))
    return symbol.Group([loss, *updates])
