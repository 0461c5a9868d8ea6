"""Convolutions and their transposes, in one to three spatial dimensions, and enlarging images.

Layouts are named by their axes: N batch, C channels, then D depth, H height and W width. Computation is channels-first;
other layouts are transposed on the way in and out. Weights have the output channels first, then the axes of the data's
layout without N.

What does not belong here: pooling, which has weights neither given nor learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from symgraph.errors import ArgumentError, ShapeError
from symgraph.op import Op, PartialShape, Sample, Shape, Tensor, Tensors, arg, args, op, param
from symgraph.op.partial import merge

__all__ = ["channels_first", "channels_last", "spatial"]

Known = PartialShape | None
Layout = Literal["NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"] | None
LayoutV1 = Literal["NCHW", "NCDHW", "NHWC", "NDHWC"] | None
Tuning = Literal["off", "limited_workspace", "fastest"] | None

# -- parameters that convolutions share --------------------------------------------------------------------------------

KERNEL = param("Size of the window along each spatial axis; its length is the number of spatial axes, 1 to 3.", ge=1)
STRIDE = param("Step of the window along each spatial axis; empty: 1.", default=(), ge=1)
DILATE = param("Distance between neighbours in the window along each spatial axis; empty: 1.", default=(), ge=1)
PAD = param("Zeros added on both sides of each spatial axis; empty: 0.", default=(), ge=0)
NUM_FILTER = param("Number of output channels.", ge=1)
NUM_GROUP = param("Number of groups: each sees its own part of the channels only.", default=1, ge=1)
WORKSPACE = param("No effect: memory is planned. For graphs written elsewhere.", default=1024, ge=0)
CUDNN_TUNE = param("No effect; for graphs written elsewhere.", default=None)
CUDNN_OFF = param("No effect; for graphs written elsewhere.", default=False)
LAYOUT = param("Order of the axes; None: channels first.", default=None)
BIAS = arg("Bias, (num_filter,).", unless="no_bias")


def channels_last(layout: str | None) -> bool:
    """Tell whether a layout has the channels as its last axis."""
    return layout is not None and layout.endswith("C")


def channels_first(xp: Any, x: Any, layout: str | None) -> Any:
    """Return an array with its channels as the second axis."""
    return xp.permute_dims(x, (0, x.ndim - 1, *range(1, x.ndim - 1))) if channels_last(layout) else x


def _back(xp: Any, x: Any, layout: str | None) -> Any:
    """Return a channels-first array in `layout`."""
    return xp.permute_dims(x, (0, *range(2, x.ndim), 1)) if channels_last(layout) else x


def first(shape: Known, layout: str | None) -> Known:
    """Return a shape with its channels as the second axis."""
    if shape is None or not channels_last(layout):
        return shape
    return (*shape[:1], *shape[-1:], *shape[1:-1]) if len(shape) > 1 else shape


def last(shape: Known, layout: str | None) -> Known:
    """Return a channels-first shape in `layout`."""
    return (shape[0], *shape[2:], shape[1]) if shape is not None and channels_last(layout) else shape


def spatial(where: str, name: str, given: Sequence[int], rank: int, default: int) -> tuple[int, ...]:
    """Return a parameter that has one value for each of `rank` spatial axes; an empty one stands for `default`.

    Raises
    ------
    ArgumentError
        If it has another number of values.
    """
    if not given:
        return (default,) * rank
    if len(given) != rank:
        raise ArgumentError(
            f"{name} is {tuple(given)}, but must have {rank} value(s), one for each spatial axis", where=where
        )
    return tuple(given)


def check_rank(name: str, shape: Known, rank: int) -> None:
    """Refuse data whose number of spatial axes is not `rank`; None is not known yet."""
    if shape is not None and len(shape) != rank + 2:
        raise ShapeError(f"{name} has shape {shape}, but must have {rank + 2} axes: batch, channels, {rank} spatial")


class _Windows(Op):
    """What convolutions and their transposes have in common: windows, groups, layouts."""

    kernel: Shape
    num_filter: int
    num_group: int
    no_bias: bool
    layout: str | None

    def _rank(self) -> int:
        rank = len(self.kernel)
        if not 1 <= rank <= 3:
            raise ArgumentError(f"kernel is {self.kernel}, but must have 1 to 3 values", where=self.op_name)
        layout = self.layout
        if layout is not None and len(layout) != rank + 2:
            raise ArgumentError(f"layout {layout} does not fit a kernel of {rank} value(s)", where=self.op_name)
        return rank

    def _each(self, name: str, default: int) -> tuple[int, ...]:
        return spatial(self.op_name, name, getattr(self, name), self._rank(), default)

    def _extent(self) -> tuple[int, ...]:
        """Length of the window along each axis, gaps of dilation included."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self._each("dilate", 1), strict=True))

    def _groups(self, channels: int | None, name: str = "channels") -> int:
        groups: int = self.num_group
        if channels is not None and channels % groups:
            raise ShapeError(f"{channels} {name} do not fit num_group {groups}")
        return groups


class _Convolution(_Windows):
    """Rules and computation of a convolution."""

    def shapes(self, data: Known = None, weight: Known = None, bias: Known = None, output: Known = None) -> Any:
        rank, layout = self._rank(), self.layout
        check_rank("data", data, rank)
        check_rank("output", output, rank)
        data, weight, output = first(data, layout), first(weight, layout), first(output, layout)
        groups = self._groups(self.num_filter, "filters")
        known = merge((self.num_filter, None, *self.kernel), weight)
        x = data or (None,) * (rank + 2)
        y = output or (None,) * (rank + 2)
        channels = x[1] if known is None or known[1] is None else known[1] * groups
        self._groups(x[1])
        inside = None if x[1] is None else x[1] // groups
        batch = x[0] if x[0] is not None else y[0]
        ahead, back = [], []
        for n, m, extent, stride, pad in zip(
            x[2:], y[2:], self._extent(), self._each("stride", 1), self._each("pad", 0), strict=True
        ):
            if n is not None and n + 2 * pad < extent:
                raise ShapeError(f"the window takes {extent} along an axis of length {n} padded to {n + 2 * pad}")
            ahead.append(None if n is None else (n + 2 * pad - extent) // stride + 1)
            back.append(m - 1 + extent - 2 * pad if n is None and m is not None and stride == 1 else n)
        found: dict[str, Any] = {
            "weight": last((self.num_filter, inside, *self.kernel), layout),
            "output": last((batch, self.num_filter, *ahead), layout),
            "data": last((batch, channels if x[1] is None else x[1], *back), layout),
        }
        return found if self.no_bias else found | {"bias": (self.num_filter,)}

    def compute(self, xp: Any, data: Any, weight: Any, bias: Any = None) -> Any:
        check_rank("data", data.shape, self._rank())
        x, w = channels_first(xp, data, self.layout), channels_first(xp, weight, self.layout)
        y = xp.conv(x, w, self._each("stride", 1), self._each("dilate", 1), self._each("pad", 0), self.num_group)
        return _back(xp, _biased(xp, y, bias), self.layout)


def _biased(xp: Any, y: Any, bias: Any) -> Any:
    """Add a bias to the channels of a channels-first array."""
    return y if bias is None else y + xp.reshape(bias, (1, -1, *[1] * (y.ndim - 2)))


@op("Convolution", aliases=("_npx_convolution",))
class Convolution(_Convolution):
    """Convolution (cross-correlation) over one, two or three spatial axes.

    ``y[n, o, i] = bias[o] + sum over c, t of weight[o, c, t] * data[n, c, i * stride + t * dilate - pad]``, where data
    outside is zero. A spatial axis of length n becomes ``floor((n + 2 pad - dilate (kernel - 1) - 1) / stride) + 1``.
    """

    data: Tensor = arg("Input, (batch, channels, spatial axes...), or as `layout` says.")
    weight: Tensor = arg("Weights, (num_filter, channels / num_group, kernel...), or as `layout` says.")
    bias: Tensor = BIAS

    kernel: Shape = KERNEL
    stride: Shape = STRIDE
    dilate: Shape = DILATE
    pad: Shape = PAD
    num_filter: int = NUM_FILTER
    num_group: int = NUM_GROUP
    workspace: int = WORKSPACE
    no_bias: bool = param("Leave the bias out.", default=False)
    cudnn_tune: Tuning = CUDNN_TUNE
    cudnn_off: bool = CUDNN_OFF
    layout: Layout = LAYOUT

    samples = (
        Sample([(2, 3, 5, 6), (4, 3, 3, 2), (4,)], {"kernel": (3, 2), "num_filter": 4}),
        Sample([(2, 2, 7), (3, 2, 3)], {"kernel": (3,), "num_filter": 3, "stride": (2,), "pad": (1,), "no_bias": True}),
        Sample([(1, 2, 3, 4, 4), (2, 2, 2, 2, 2), (2,)], {"kernel": (2, 2, 2), "num_filter": 2, "dilate": (1, 2, 1)}),
        Sample([(2, 4, 5, 5), (6, 2, 3, 3), (6,)], {"kernel": (3, 3), "num_filter": 6, "num_group": 2, "pad": (1, 1)}),
        Sample([(2, 4, 5, 5), (4, 1, 3, 3)], {"kernel": (3, 3), "num_filter": 4, "num_group": 4, "no_bias": True}),
        Sample([(2, 3, 4, 4), (5, 3, 1, 1), (5,)], {"kernel": (1, 1), "num_filter": 5, "stride": (2, 2)}),
        Sample([(2, 5, 6, 3), (4, 3, 2, 3), (4,)], {"kernel": (3, 2), "num_filter": 4, "layout": "NHWC"}),
    )


@op("Convolution_v1")
class ConvolutionV1(_Convolution):
    """`Convolution` under the name and with the layouts it had before MXNet 0.9."""

    data: Tensor = arg("Input, (batch, channels, spatial axes...), or as `layout` says.")
    weight: Tensor = arg("Weights, (num_filter, channels / num_group, kernel...), or as `layout` says.")
    bias: Tensor = BIAS

    kernel: Shape = KERNEL
    stride: Shape = STRIDE
    dilate: Shape = DILATE
    pad: Shape = PAD
    num_filter: int = NUM_FILTER
    num_group: int = NUM_GROUP
    workspace: int = WORKSPACE
    no_bias: bool = param("Leave the bias out.", default=False)
    cudnn_tune: Tuning = CUDNN_TUNE
    cudnn_off: bool = CUDNN_OFF
    layout: LayoutV1 = LAYOUT

    samples = (Sample([(2, 3, 5, 6), (4, 3, 3, 2), (4,)], {"kernel": (3, 2), "num_filter": 4}),)


@op("Deconvolution", aliases=("_npx_deconvolution",))
class Deconvolution(_Windows):
    """Transposed convolution: the gradient of a convolution by its data, as an operator (Zeiler et al., 2010).

    A spatial axis of length n becomes ``(n - 1) stride - 2 pad + dilate (kernel - 1) + 1 + adj``, or what
    `target_shape` says, which then decides the padding.
    """

    data: Tensor = arg("Input, (batch, channels, spatial axes...), or as `layout` says.")
    weight: Tensor = arg("Weights, (channels, num_filter / num_group, kernel...), or as `layout` says.")
    bias: Tensor = BIAS

    kernel: Shape = KERNEL
    stride: Shape = STRIDE
    dilate: Shape = DILATE
    pad: Shape = param("Elements cut off on both sides of each spatial axis; empty: 0.", default=(), ge=0)
    adj: Shape = param(
        "Elements added at the end of each spatial axis, fewer than the stride; empty: 0.", default=(), ge=0
    )
    target_shape: Shape = param(
        "Lengths of the spatial axes of the result; decides `pad` and `adj`. Empty: they are as given.",
        default=(),
        ge=0,
    )
    num_filter: int = NUM_FILTER
    num_group: int = NUM_GROUP
    workspace: int = param("No effect: memory is planned. For graphs written elsewhere.", default=512, ge=0)
    no_bias: bool = param("Leave the bias out.", default=True)
    cudnn_tune: Tuning = CUDNN_TUNE
    cudnn_off: bool = CUDNN_OFF
    layout: Layout = LAYOUT

    samples = (
        Sample([(2, 3, 4, 3), (3, 2, 3, 2)], {"kernel": (3, 2), "num_filter": 2}),
        Sample(
            [(2, 2, 4), (2, 3, 3), (3,)],
            {"kernel": (3,), "num_filter": 3, "stride": (2,), "pad": (1,), "adj": (1,), "no_bias": False},
        ),
        Sample([(1, 4, 3, 3), (4, 1, 3, 3)], {"kernel": (3, 3), "num_filter": 2, "num_group": 2, "stride": (2, 2)}),
        Sample(
            [(1, 2, 3, 3), (2, 2, 3, 3)], {"kernel": (3, 3), "num_filter": 2, "stride": (2, 2), "target_shape": (6, 6)}
        ),
        Sample([(1, 2, 2, 2, 2), (2, 2, 2, 2, 2)], {"kernel": (2, 2, 2), "num_filter": 2, "dilate": (2, 1, 1)}),
    )

    def _frame(self, lengths: Sequence[int | None]) -> list[tuple[int, int | None]]:
        """Return the padding and the length of the result along each spatial axis of the data's `lengths`."""
        rank = self._rank()
        targets = spatial(self.op_name, "target_shape", self.target_shape, rank, 0)
        found: list[tuple[int, int | None]] = []
        rows = zip(
            lengths,
            self._extent(),
            self._each("stride", 1),
            self._each("pad", 0),
            self._each("adj", 0),
            targets,
            strict=True,
        )
        for n, extent, stride, pad, adj, target in rows:
            full = None if n is None else (n - 1) * stride + extent
            if any(targets):
                if full is None:
                    found.append((0, target))
                    continue
                if full < target:
                    raise ShapeError(
                        f"target_shape asks for {target}, but {full} is all that an axis of length {n} gives"
                    )
                # MXNet: an odd difference is cut off at the end.
                found.append(((full - target + 1) // 2, target))
                continue
            if adj >= stride:
                raise ArgumentError(f"adj is {self.adj}, but must be less than the stride", where=self.op_name)
            found.append((pad, None if full is None else full - 2 * pad + adj))
        return found

    def shapes(self, data: Known = None, weight: Known = None, bias: Known = None, output: Known = None) -> Any:
        rank, layout = self._rank(), self.layout
        check_rank("data", data, rank)
        check_rank("output", output, rank)
        data, weight, output = first(data, layout), first(weight, layout), first(output, layout)
        groups = self._groups(self.num_filter, "filters")
        x = data or (None,) * (rank + 2)
        channels = x[1] if x[1] is not None else (weight[0] if weight else None)
        self._groups(channels)
        batch = x[0] if x[0] is not None else (output[0] if output else None)
        frame = self._frame(x[2:])
        if any(m is not None and m <= 0 for _, m in frame):
            raise ShapeError(f"nothing is left of data {data}: the padding {self.pad} is too large")
        found: dict[str, Any] = {
            "weight": last((channels, self.num_filter // groups, *self.kernel), layout),
            "output": last((batch, self.num_filter, *(m for _, m in frame)), layout),
            "data": last((batch, channels, *x[2:]), layout),
        }
        return found if self.no_bias else found | {"bias": (self.num_filter,)}

    def compute(self, xp: Any, data: Any, weight: Any, bias: Any = None) -> Any:
        check_rank("data", data.shape, self._rank())
        x, w = channels_first(xp, data, self.layout), channels_first(xp, weight, self.layout)
        frame = self._frame(x.shape[2:])
        shape = (x.shape[0], self.num_filter, *(m for _, m in frame))
        pads = tuple(pad for pad, _ in frame)
        y = xp.conv_data_grad(x, w, shape, self._each("stride", 1), self._each("dilate", 1), pads, self.num_group)
        return _back(xp, _biased(xp, y, bias), self.layout)


@op("UpSampling")
class UpSampling(Op):
    """Enlarge images by a whole factor, by repeating elements or by a transposed convolution.

    ``nearest`` repeats each element `scale` times along both axes; further inputs, whose size must divide the result's,
    are enlarged to the same size, and then all are joined along the channels or added up. ``bilinear`` applies the
    weights, initially those of bilinear interpolation, to each channel.
    """

    data: Tensors = args(
        "Images, (batch, channels, height, width). For ``bilinear``: one image and the weights, (channels, 1, kernel, "
        "kernel) with kernel = 2 scale - scale % 2.",
        count="num_args",
    )

    scale: int = param("Factor of enlargement.", ge=1)
    num_filter: int = param("Number of channels, for ``bilinear``; 0: as the data has.", default=0, ge=0)
    sample_type: Literal["nearest", "bilinear"] = param("How to enlarge.")
    multi_input_mode: Literal["concat", "sum"] = param(
        "What to do with several inputs: join them along the channels, or add them up.", default="concat"
    )
    num_args: int = param("Number of inputs; for ``bilinear`` the weights count, too.", ge=1)
    workspace: int = param("No effect: memory is planned. For graphs written elsewhere.", default=512, ge=0)

    samples = (
        Sample([(1, 2, 2, 3)], {"scale": 2, "sample_type": "nearest", "num_args": 1}),
        Sample([(1, 2, 2, 3), (1, 1, 4, 6)], {"scale": 2, "sample_type": "nearest", "num_args": 2}),
        Sample(
            [(1, 2, 2, 2), (1, 2, 4, 4)],
            {"scale": 2, "sample_type": "nearest", "num_args": 2, "multi_input_mode": "sum"},
        ),
        Sample([(1, 2, 3, 2), (2, 1, 4, 4)], {"scale": 2, "sample_type": "bilinear", "num_args": 2}),
        Sample([(2, 1, 2, 2), (1, 1, 5, 5)], {"scale": 3, "sample_type": "bilinear", "num_args": 2}),
    )

    def input_names(self) -> tuple[str, ...]:
        if self.sample_type == "bilinear":
            return ("data", "weight")
        return tuple(f"arg{k}" for k in range(self.num_args))

    def initializer(self, name: str) -> str | None:
        return '["bilinear", {}]' if name == "weight" else None

    def shapes(self, **known: Known) -> Any:
        names, output = self.input_names(), known.get("output")
        for name in names:
            shape = known.get(name)
            if shape is not None and len(shape) != 4:
                raise ShapeError(f"{name} has shape {shape}, but must have 4 axes")
        data = known.get(names[0])
        x = data or (None,) * 4
        y = output if output is not None and len(output) == 4 else (None,) * 4
        enlarged = [n if m is None else m * self.scale for n, m in zip(y[2:], x[2:], strict=True)]
        back = [m if m is not None or n is None else n // self.scale for n, m in zip(y[2:], x[2:], strict=True)]
        batch = x[0] if x[0] is not None else y[0]
        if self.sample_type == "bilinear":
            side = 2 * self.scale - self.scale % 2
            weight = known.get("weight")
            channels = merge((x[1],), (y[1],), (weight[0],) if weight else None, (self.num_filter or None,))
            assert channels is not None
            return {
                "data": (batch, channels[0], *back),
                "weight": (channels[0], 1, side, side),
                "output": (batch, channels[0], *enlarged),
            }
        others = [known.get(name) or (None,) * 4 for name in names]
        counts = [shape[1] for shape in others]
        found: dict[str, Any] = {}
        if self.multi_input_mode == "sum" or len(names) == 1:
            channels = merge((y[1],), *((n,) for n in counts))
            assert channels is not None
            counts, total = [channels[0]] * len(names), channels[0]
        else:
            total = None if None in counts else sum(n for n in counts if n is not None)
        found["output"] = (batch, total, *enlarged)
        for name, shape, count in zip(names, others, counts, strict=True):
            found[name] = (batch, count, *(back if name == names[0] else shape[2:]))
        return found

    def compute(self, xp: Any, *tensors: Any) -> Any:
        if self.sample_type == "bilinear":
            data, weight = tensors
            n, c, h, w = data.shape
            # The padding of an odd scale is that of the even one: (scale - 1) / 2, rounded up.
            pad = self.scale // 2
            shape = (n, c, h * self.scale, w * self.scale)
            return xp.conv_data_grad(data, weight, shape, (self.scale,) * 2, (1, 1), (pad, pad), c)
        height, width = (n * self.scale for n in tensors[0].shape[2:])
        enlarged = [self._repeated(xp, x, height, width) for x in tensors]
        if self.multi_input_mode == "concat":
            return xp.concat(enlarged, 1)
        total = enlarged[0]
        for x in enlarged[1:]:
            total = total + x
        return total

    def _repeated(self, xp: Any, x: Any, height: int, width: int) -> Any:
        n, c, h, w = x.shape
        if height % h or width % w:
            raise ShapeError(f"an image of {h} x {w} cannot be enlarged to {height} x {width} by whole factors")
        wide = xp.broadcast_to(xp.reshape(x, (n, c, h, 1, w, 1)), (n, c, h, height // h, w, width // w))
        return xp.reshape(wide, (n, c, height, width))
