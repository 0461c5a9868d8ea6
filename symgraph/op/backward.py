"""The operator ``_backward_X`` of an operator X: its gradient, itself an ordinary operator.

Its inputs are the head gradients of X's visible outputs, then X's inputs and outputs as far as the rule reads them;
its outputs are one gradient for each input of X. The rule is X's hand-written `backward` where there is one, else it
is derived from `compute` by ``xp.vjp``. Being an operator, it has a gradient too, so derivatives of any order exist,
and a graph that holds it is saved as JSON like any other.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from symgraph.op.schema import Input, Op, asked

__all__ = ["Backward", "backward_of"]

_CLASSES: dict[type[Op], type[Backward]] = {}


class Backward(Op):
    """Gradient of an operator by each of its inputs."""

    forward_class: ClassVar[type[Op]]
    forward: Op

    def _freeze(self, values: tuple[Any, ...]) -> None:
        super()._freeze(values)
        object.__setattr__(self, "forward", self.forward_class.from_values(values))

    def with_live(self, live: Any) -> Self:
        """Return a copy with other live parameters, in the forward operator too."""
        other = super().with_live(live)
        object.__setattr__(other, "forward", self.forward.with_live(live))
        return other

    def head_names(self) -> tuple[str, ...]:
        """Return the names of the head gradients, one for each visible output of the forward operator."""
        names = self.forward.output_names()[: self.forward.num_visible()]
        heads = ("dy",) if len(names) == 1 else tuple(f"dy_{name}" for name in names)
        # The gradient of a gradient has head gradients among its inputs: ddy beside dy.
        while not set(heads).isdisjoint(self.forward.input_names()):
            heads = tuple(f"d{head}" for head in heads)
        return heads

    def reads(self) -> tuple[str, ...]:
        """Return the forward inputs, and the forward outputs that are read.

        All inputs are there, read or not: an edge that nobody reads costs nothing, for it leaves no trace in the
        program, and it tells the shape of a gradient that is zero.
        """
        again = self._computed_again()
        return (*self.forward.input_names(), *(n for n in self._asked_outputs() if n not in again))

    def _asked_outputs(self) -> tuple[str, ...]:
        """Return the forward outputs that a hand-written rule asks for."""
        rule = self.forward_class.backward
        if rule is None:
            return ()
        read = asked(rule)
        return tuple(n for n in self.forward.output_names() if n in read.positional or n in read.keyword)

    def _computed_again(self) -> tuple[str, ...]:
        """Return the forward outputs that the rule asks for and that are computed from the inputs once more.

        Hidden outputs have no head gradient, and those of losses ignore theirs; so the gradient of this gradient
        cannot go through them. It goes through the computation. In a program that holds the forward computation, too,
        both are one: equal equations are merged. What is random cannot be repeated, and has no gradient to lose.
        """
        forward = self.forward
        if forward._asks_rng:
            return ()
        visible = () if forward.is_loss else forward.output_names()[: forward.num_visible()]
        return tuple(n for n in self._asked_outputs() if n not in visible)

    def input_names(self) -> tuple[str, ...]:
        """Return the head gradients, then what is read of the forward operator."""
        return (*self.head_names(), *self.reads())

    def output_names(self) -> tuple[str, ...]:
        """Return ``<input>_grad`` for each input of the forward operator."""
        return tuple(f"{name}_grad" for name in self.forward.input_names())

    def compute(self, xp: Any, *tensors: Any, training: bool, rng: Any) -> tuple[Any, ...]:
        """Return the gradient by each input, by the hand-written rule or the derived one."""
        forward, heads, reads = self.forward, self.head_names(), self.reads()
        rule = self.forward_class.backward
        dys = tensors[: len(heads)]
        given = dict(zip(reads, tensors[len(heads) :], strict=True))
        requests: dict[str, Any] = {}
        if forward._asks_training:
            requests["training"] = training
        if forward._asks_rng:
            requests["rng"] = rng
        names = forward.input_names()
        if rule is None:
            visible = forward.num_visible()

            def run(xp: Any, *inputs: Any) -> tuple[Any, ...]:
                result = forward.compute(xp, *inputs, **requests)
                return result[:visible] if isinstance(result, tuple) else (result,)

            return tuple(xp.vjp(run, [given[n] for n in names], dys))
        if again := self._computed_again():
            result = forward.compute(xp, *(given[n] for n in names), **requests)
            results = result if isinstance(result, tuple) else (result,)
            given |= {n: y for n, y in zip(forward.output_names(), results, strict=False) if n in again}
        read = asked(rule)
        known = read.of({**dict(zip(heads, dys, strict=True)), **given, "training": training})
        if read.rest:
            rest = {k: v for k, v in known.items() if k not in heads and k not in names}
            grads = rule(forward, xp, *dys, *(given[n] for n in names), **rest)
        else:
            grads = rule(forward, xp, **known)
        grads = grads if isinstance(grads, tuple) else (grads,)
        return tuple(xp.zeros_like(given[n]) if g is None else g for n, g in zip(names, grads, strict=True))

    def shapes(self, **known: Any) -> dict[str, Any]:
        """A gradient has the shape of what it is the gradient of."""
        names = self.forward.input_names()
        return {f"{n}_grad": known[n] for n in names if known.get(n) is not None} | {
            n: known[f"{n}_grad"] for n in names if n in known and known.get(f"{n}_grad") is not None
        }

    def dtypes(self, **known: Any) -> dict[str, Any]:
        """A gradient has the dtype of what it is the gradient of."""
        names = self.forward.input_names()
        return {f"{n}_grad": known[n] for n in names if known.get(n) is not None}


def backward_of(forward: type[Op]) -> type[Backward]:
    """Return the class of the operator ``_backward_X`` for the class of X."""
    if forward not in _CLASSES:
        name = f"_backward_{forward.op_name}"
        _CLASSES[forward] = type(
            f"Backward{forward.__name__}",
            (Backward,),
            {
                "__doc__": f"Gradient of `{forward.op_name}` by each of its inputs.",
                "op_name": name,
                "forward_class": forward,
                "inputs": tuple(Input(f"As in `{forward.op_name}`.", i.name) for i in forward.inputs),
                "params": forward.params,
                "_param_index": forward._param_index,
                "_asks_training": True,
                "_asks_rng": True,
                "samples": (),
            },
        )
    return _CLASSES[forward]
