"""What is subtle about layers, normalizations, pooling, activations and losses, and is in no table of MXNet's values.

Values and gradients of plain uses are held by `test_values` and `test_gradients`; here are conventions, states, random
masks, and shapes that follow from later ones.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import symgraph.ops  # noqa: F401  (registers the operators)
from symgraph.errors import ArgumentError, DTypeError, ShapeError
from symgraph.graph.trace import trace
from symgraph.op import Op, find
from symgraph.op.backward import backward_of
from symgraph.program import Spec
from symgraph.testing.running import forward, gradient, infer


def make(name: str, **params: Any) -> Op:
    return find(name)(**params)


def array(*shape: int, seed: int = 0, low: float = -1.0, high: float = 1.0, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, shape).astype(dtype)


def output(op: Op, training: bool = False, **inputs: Any) -> np.ndarray:
    return forward(op, inputs, training).outputs["output"]


def maps(op: Op, size: int, *specs: Spec) -> list[str]:
    """Return the element-wise primitives that pass over arrays of `size` elements."""
    equations = trace(op, specs, False).program.equations
    return [e.primitive.name for e in equations if e.primitive.kind == "map" and e.outputs[0].size == size]


# -- FullyConnected ----------------------------------------------------------------------------------------------------


def test_features_follow_from_weights() -> None:
    op = make("FullyConnected", num_hidden=3)
    found = op.shapes(data=(5, None), weight=(3, 4))
    assert (found["data"], found["bias"], found["output"]) == ((5, 4), (3,), (5, 3))
    assert op.shapes(data=(None, 2, None), weight=(3, 8), output=(7, 3))["data"] == (7, 2, 4)
    # Two unknown lengths, or one that does not divide: nothing follows.
    assert op.shapes(data=(None, None, None), weight=(3, 8))["data"] == (None, None, None)
    assert op.shapes(data=(None, 3, None), weight=(3, 8))["data"] == (None, 3, None)
    wide = make("FullyConnected", num_hidden=3, flatten=False)
    assert wide.shapes(weight=(3, 8), output=(7, 2, 3))["data"] == (7, 2, 8)


def test_bias_is_known_before_data() -> None:
    found = infer(make("FullyConnected", num_hidden=3), partial=True).shapes
    assert found["bias"] == (3,)
    assert found["weight"] == (3, None)


# -- convolution -------------------------------------------------------------------------------------------------------


def correlate(x: np.ndarray, w: np.ndarray, stride: Any, dilate: Any, pad: Any, groups: int) -> np.ndarray:
    """Sum by sum, as the documentation says."""
    x = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *((p, p) for p in pad)])
    counts = [
        (n - (k - 1) * d - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], w.shape[2:], stride, dilate, strict=True)
    ]
    y = np.zeros((x.shape[0], w.shape[0], *counts))
    inside, each = w.shape[1], w.shape[0] // groups
    for o in range(w.shape[0]):
        part = x[:, o // each * inside : (o // each + 1) * inside]
        for place in np.ndindex(*counts):
            for tap in np.ndindex(*w.shape[2:]):
                at = tuple(i * s + t * d for i, s, t, d in zip(place, stride, tap, dilate, strict=True))
                y[(slice(None), o, *place)] += part[(slice(None), slice(None), *at)] @ w[(o, slice(None), *tap)]
    return y


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "dilate", "pad", "groups"),
    [
        ((2, 4, 9), (3,), (2,), (2,), (1,), 2),
        ((1, 4, 6, 7), (3, 2), (1, 2), (2, 1), (1, 0), 1),
        ((2, 6, 5, 5), (3, 3), (1, 1), (1, 1), (1, 1), 6),
        ((1, 2, 4, 5, 4), (2, 3, 1), (1, 2, 1), (1, 1, 1), (0, 1, 0), 1),
    ],
)
def test_convolution_is_a_sum_over_windows(
    shape: Any, kernel: Any, stride: Any, dilate: Any, pad: Any, groups: int
) -> None:
    filters = 6
    x, w, b = array(*shape), array(filters, shape[1] // groups, *kernel, seed=1), array(filters, seed=2)
    common = {"kernel": kernel, "stride": stride, "dilate": dilate, "pad": pad, "num_group": groups}
    op = make("Convolution", num_filter=filters, **common)
    wanted = correlate(x, w, stride, dilate, pad, groups) + b.reshape(1, -1, *[1] * len(kernel))
    np.testing.assert_allclose(output(op, data=x, weight=w, bias=b), wanted, rtol=1e-5, atol=1e-5)

    # The transpose: <conv(x), y> = <x, deconv(y)>, with `adj` for what the stride does not reach.
    wanted -= b.reshape(1, -1, *[1] * len(kernel))
    y = array(*wanted.shape, seed=3)
    rows = zip(shape[2:], wanted.shape[2:], kernel, stride, dilate, pad, strict=True)
    adj = tuple(n - ((m - 1) * s - 2 * p + (k - 1) * d + 1) for n, m, k, s, d, p in rows)
    back = make("Deconvolution", num_filter=shape[1], adj=adj, **common)
    right = np.sum(output(back, data=y, weight=w).astype(np.float64) * x)
    np.testing.assert_allclose(right, np.sum(wanted * y), rtol=1e-4)


@pytest.mark.parametrize("layout", ["NWC", "NHWC", "NDHWC"])
def test_channels_last_is_a_transposition(layout: str) -> None:
    rank = len(layout) - 2
    kernel, order = (2,) * rank, (0, *range(2, rank + 2), 1)
    x, w = array(2, 3, *(5,) * rank), array(4, 3, *kernel, seed=1)
    b = array(4, seed=2)
    plain = output(make("Convolution", kernel=kernel, num_filter=4), data=x, weight=w, bias=b)
    op = make("Convolution", kernel=kernel, num_filter=4, layout=layout)
    found = output(op, data=x.transpose(order), weight=w.transpose(order), bias=b)
    np.testing.assert_array_equal(found, plain.transpose(order))
    shapes = infer(op, {"data": (2, *(5,) * rank, 3)}).shapes
    assert shapes["weight"] == (4, *kernel, 3)
    assert shapes["output"] == (2, *(4,) * rank, 4)


def test_convolution_shapes_flow_backwards() -> None:
    op = make("Convolution", kernel=(3, 3), num_filter=4, num_group=2, pad=(1, 0))
    found = op.shapes(weight=(4, 5, 3, 3), output=(7, None, 8, 9))
    assert found["data"] == (7, 10, 8, 11)
    strided = make("Convolution", kernel=(3, 3), num_filter=4, stride=(2, 2))
    assert strided.shapes(data=(None, None, None, None), output=(7, 4, 8, 9))["data"] == (7, None, None, None)


@pytest.mark.parametrize(
    ("params", "shape", "error", "text"),
    [
        (
            {"kernel": (3, 3), "num_filter": 4, "num_group": 3},
            (1, 3, 5, 5),
            ShapeError,
            "4 filters do not fit num_group 3",
        ),
        ({"kernel": (3, 3), "num_filter": 4, "num_group": 2}, (1, 3, 5, 5), ShapeError, "3 channels do not fit"),
        ({"kernel": (3, 3), "num_filter": 4}, (1, 3, 5), ShapeError, "must have 4 axes"),
        ({"kernel": (3, 3), "num_filter": 4}, (1, 3, 2, 5), ShapeError, "window takes 3 along an axis of length 2"),
        ({"kernel": (3, 3), "num_filter": 4, "stride": (1,)}, (1, 3, 5, 5), ArgumentError, "must have 2 value"),
        ({"kernel": (3, 3), "num_filter": 4, "layout": "NCW"}, (1, 3, 5, 5), ArgumentError, "layout NCW does not fit"),
        ({"kernel": (1, 1, 1, 1), "num_filter": 4}, (1, 3, 5, 5, 5, 5), ArgumentError, "1 to 3 values"),
    ],
)
def test_convolutions_that_make_no_sense(params: Any, shape: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        infer(make("Convolution", **params), {"data": shape})


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({"kernel": (3, 3), "stride": (2, 2)}, (9, 9)),
        ({"kernel": (3, 3), "stride": (2, 2), "pad": (1, 1), "adj": (1, 1)}, (8, 8)),
        ({"kernel": (3, 3), "stride": (2, 2), "target_shape": (8, 7)}, (8, 7)),
        # What `target_shape` decides, `pad` and `adj` do not.
        ({"kernel": (3, 3), "stride": (2, 2), "target_shape": (8, 8), "pad": (1, 1)}, (8, 8)),
        ({"kernel": (3, 3), "dilate": (2, 2)}, (8, 8)),
    ],
)
def test_deconvolution_sizes(params: Any, wanted: Any) -> None:
    op = make("Deconvolution", num_filter=2, **params)
    assert infer(op, {"data": (1, 3, 4, 4)}).shapes["output"] == (1, 2, *wanted)
    found = output(op, data=array(1, 3, 4, 4), weight=array(3, 2, 3, 3, seed=1))
    assert found.shape == (1, 2, *wanted)


def test_deconvolutions_that_make_no_sense() -> None:
    with pytest.raises(ArgumentError, match="less than the stride"):
        infer(make("Deconvolution", kernel=(3,), num_filter=1, stride=(2,), adj=(2,)), {"data": (1, 1, 4)})
    with pytest.raises(ShapeError, match="asks for 12, but 9"):
        infer(make("Deconvolution", kernel=(3,), num_filter=1, stride=(2,), target_shape=(12,)), {"data": (1, 1, 4)})
    with pytest.raises(ShapeError, match="nothing is left"):
        infer(make("Deconvolution", kernel=(2,), num_filter=1, pad=(3,)), {"data": (1, 1, 4)})


def test_upsampling_by_the_nearest_and_by_weights() -> None:
    x = np.array([[[[1, 2], [3, 4]]]], np.float32)
    found = output(make("UpSampling", scale=2, sample_type="nearest", num_args=1), arg0=x)
    np.testing.assert_array_equal(found[0, 0], [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]])
    op = make("UpSampling", scale=2, sample_type="bilinear", num_args=2)
    assert op.input_names() == ("data", "weight")
    assert op.initializer("weight") == '["bilinear", {}]'
    data, weight = array(2, 3, 2, 2), array(3, 1, 4, 4, seed=1)
    plain = make("Deconvolution", kernel=(4, 4), stride=(2, 2), pad=(1, 1), num_filter=3, num_group=3)
    np.testing.assert_array_equal(output(op, data=data, weight=weight), output(plain, data=data, weight=weight))
    assert infer(op, {"data": (2, 3, 5, 4)}).shapes["weight"] == (3, 1, 4, 4)
    with pytest.raises(ShapeError, match="whole factors"):
        output(
            make("UpSampling", scale=2, sample_type="nearest", num_args=2),
            arg0=array(1, 1, 4, 4),
            arg1=array(1, 1, 3, 3),
        )


# -- pooling -----------------------------------------------------------------------------------------------------------


def test_same_pooling_starts_at_the_first_element() -> None:
    x = np.arange(1, 6, dtype=np.float32).reshape(1, 1, 5)
    common: dict[str, Any] = {"kernel": (2,), "stride": (2,), "pooling_convention": "same"}
    np.testing.assert_array_equal(output(make("Pooling", pool_type="sum", **common), data=x)[0, 0], [3, 7, 5])
    np.testing.assert_array_equal(output(make("Pooling", pool_type="max", **common), data=x)[0, 0], [2, 4, 5])
    # The padding that `same` adds at the end is not counted: it is not asked for by `pad`.
    np.testing.assert_array_equal(output(make("Pooling", pool_type="avg", **common), data=x)[0, 0], [1.5, 3.5, 5])
    with pytest.raises(ArgumentError, match="pad must be 0"):
        infer(make("Pooling", pad=(1,), **common), {"data": (1, 1, 5)})


@pytest.mark.parametrize(
    ("name", "extra", "corner"),
    [
        # Windows of 3 x 3 with pad 1 on 6 x 6 ones: the last stands over by one, so it has one element of the data in
        # the corner, and four within the padding.
        ("Pooling", {}, 1 / 4),
        ("Pooling", {"count_include_pad": False}, 1.0),
        ("Pooling_v1", {}, 1 / 9),
    ],
)
def test_what_an_average_divides_by(name: str, extra: Any, corner: float) -> None:
    op = make(name, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="avg", pooling_convention="full", **extra)
    found = output(op, data=np.ones((1, 1, 6, 6), np.float32))
    assert found.shape == (1, 1, 4, 4)
    assert found[0, 0, -1, -1] == np.float32(corner)


def test_the_greatest_of_everything_has_one_gradient() -> None:
    x = np.ones((1, 1, 2, 2), np.float32)
    op = make("Pooling", global_pool=True, pool_type="max")
    found = gradient(op, {"data": x}, [np.ones((1, 1, 1, 1), np.float32)])["data"]
    np.testing.assert_array_equal(found[0, 0], [[1, 0], [0, 0]])


def test_hidden_output_of_max_pooling() -> None:
    op = make("Pooling", kernel=(2, 2))
    assert (op.output_names(), op.num_visible()) == (("output", "workspace"), 1)
    assert make("Pooling", kernel=(2, 2), layout="NHWC").output_names() == ("output",)
    assert make("Pooling", kernel=(2, 2), pool_type="avg").output_names() == ("output",)
    facts = infer(op, {"data": (1, 2, 4, 4)})
    assert facts.dtypes["workspace"] == np.dtype("int32")


# -- dropout and random slopes -----------------------------------------------------------------------------------------


def test_dropout_keeps_a_share_and_scales_it() -> None:
    x = array(100, 100, low=0.5)
    op = make("Dropout", p=0.25)
    found = forward(op, {"data": x}, training=True).outputs
    kept = found["output"] != 0
    # A share of 0.75 of 10,000: its deviation is sqrt(0.75 * 0.25 / 10000) = 0.0043.
    assert abs(kept.mean() - 0.75) < 5 * 0.0043
    np.testing.assert_allclose(found["output"][kept], x[kept] / 0.75, rtol=1e-6)
    np.testing.assert_array_equal(found["mask"], kept / np.float32(0.75))
    grad = gradient(op, {"data": x}, [np.ones_like(x)], training=True)["data"]
    np.testing.assert_array_equal(grad, found["mask"])


def test_dropout_outside_of_training() -> None:
    x = array(50, 50, low=0.5)
    np.testing.assert_array_equal(output(make("Dropout", p=0.5), data=x), x)
    np.testing.assert_array_equal(gradient(make("Dropout", p=0.5), {"data": x}, [x], training=False)["data"], x)
    assert (output(make("Dropout", p=0.5, mode="always"), data=x) == 0).any()
    assert not output(make("Dropout", p=1.0), True, data=x).any()
    assert not gradient(make("Dropout", p=1.0), {"data": x}, [x], training=True)["data"].any()


def test_dropout_along_axes() -> None:
    found = forward(make("Dropout", p=0.5, axes=(1,)), {"data": np.ones((40, 7), np.float32)}, True).outputs
    assert found["mask"].shape == (40, 1)
    assert all(len(set(row)) == 1 for row in found["output"].tolist())
    assert set(found["output"].ravel().tolist()) == {0.0, 2.0}


def test_dropout_refuses_whole_numbers() -> None:
    with pytest.raises(DTypeError, match="int32"):
        output(make("Dropout"), data=np.ones(3, np.int32))


def test_random_slopes() -> None:
    x = array(60, 50)
    op = make("LeakyReLU", act_type="rrelu", lower_bound=0.2, upper_bound=0.6)
    assert (op.output_names(), op.num_visible()) == (("output", "mask"), 2)
    found = forward(op, {"data": x}, training=True).outputs
    mask = found["mask"]
    assert mask.min() >= np.float32(0.2)
    assert mask.max() < 0.6
    assert abs(mask.mean() - 0.4) < 5 * 0.4 / math.sqrt(12 * mask.size)
    np.testing.assert_array_equal(found["output"], np.where(x > 0, x, x * mask))
    heads = [np.ones_like(x), np.ones_like(x)]
    np.testing.assert_array_equal(gradient(op, {"data": x}, heads)["data"], np.where(x > 0, 1, mask))
    np.testing.assert_allclose(output(op, data=-np.ones(3, np.float32)), -0.4, rtol=1e-6)
    with pytest.raises(ArgumentError, match="lower_bound"):
        output(make("LeakyReLU", act_type="rrelu", lower_bound=0.7, upper_bound=0.6), data=x)


def test_one_learned_slope_for_all() -> None:
    x, gamma = array(4, 3), np.array([0.3], np.float32)
    op = make("LeakyReLU", act_type="prelu")
    np.testing.assert_array_equal(output(op, data=x, gamma=gamma), np.where(x > 0, x, x * gamma))
    grad = gradient(op, {"data": x, "gamma": gamma}, [np.ones_like(x)])
    np.testing.assert_allclose(grad["gamma"], [x[x <= 0].sum()], rtol=1e-5)
    # Nothing said, there is a slope for each channel.
    assert infer(op, {"data": (4, 3)}).shapes["gamma"] == (3,)
    assert op.initializer("gamma") == '["Constant", {"value": 0.25}]'


@pytest.mark.parametrize("act_type", ["relu", "sigmoid", "softrelu", "softsign", "tanh"])
def test_activations_far_out(act_type: str) -> None:
    """Neither overflow nor NaN where the function is tame, in value and in gradient."""
    x = np.array([-1e4, -100.0, 100.0, 1e4], np.float32)
    op = make("Activation", act_type=act_type)
    wanted = {
        "relu": ([0, 0, 100, 1e4], [0, 0, 1, 1]),
        "sigmoid": ([0, 0, 1, 1], [0, 0, 0, 0]),
        "softrelu": ([0, 0, 100, 1e4], [0, 0, 1, 1]),
        "softsign": (x / (1 + abs(x)), 1 / (1 + abs(x)) ** 2),
        "tanh": ([-1, -1, 1, 1], [0, 0, 0, 0]),
    }[act_type]
    np.testing.assert_allclose(output(op, data=x), wanted[0], rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(gradient(op, {"data": x}, [np.ones_like(x)])["data"], wanted[1], rtol=1e-6, atol=1e-30)


# -- normalizations ----------------------------------------------------------------------------------------------------


def batch(channels: int = 3, dtype: str = "float32", inner: str = "float32") -> dict[str, np.ndarray]:
    return {
        "data": array(8, channels, 4, low=0.0, high=3.0, dtype=dtype),
        "gamma": array(channels, seed=1, low=0.5, high=2.0, dtype=inner),
        "beta": array(channels, seed=2, dtype=inner),
        "moving_mean": array(channels, seed=3, dtype=inner),
        "moving_var": array(channels, seed=4, low=0.5, high=2.0, dtype=inner),
    }


def test_running_averages_change_in_training_only() -> None:
    inputs = batch()
    x = inputs["data"]
    op = make("BatchNorm", fix_gamma=False, momentum=0.7)
    mean, var = x.mean((0, 2)), x.var((0, 2))
    trained = forward(op, inputs, training=True)
    np.testing.assert_allclose(trained.renewed["moving_mean"], 0.7 * inputs["moving_mean"] + 0.3 * mean, rtol=1e-5)
    np.testing.assert_allclose(trained.renewed["moving_var"], 0.7 * inputs["moving_var"] + 0.3 * var, rtol=1e-5)
    np.testing.assert_allclose(trained.outputs["var"], 1 / np.sqrt(var + 0.001), rtol=1e-5)
    for fixed in (forward(op, inputs), forward(make("BatchNorm", use_global_stats=True), inputs, training=True)):
        np.testing.assert_array_equal(fixed.renewed["moving_mean"], inputs["moving_mean"])
        np.testing.assert_array_equal(fixed.renewed["moving_var"], inputs["moving_var"])


def test_fixed_gamma_is_one() -> None:
    inputs = batch()
    op = make("BatchNorm")
    other = inputs | {"gamma": np.full(3, 7, np.float32)}
    np.testing.assert_array_equal(output(op, True, **inputs), output(op, True, **other))
    grads = gradient(op, inputs, [array(8, 3, 4, seed=9)])
    assert not grads["gamma"].any()
    assert grads["beta"].any()


def test_half_precision_has_single_precision_statistics() -> None:
    op = make("BatchNorm", fix_gamma=False)
    dtypes = infer(op, {"data": (8, 3, 4)}, {"data": np.dtype("float16")}).dtypes
    assert {n: str(d) for n, d in dtypes.items()} == {
        **dict.fromkeys(("data", "output"), "float16"),
        **dict.fromkeys(("gamma", "beta", "moving_mean", "moving_var", "mean", "var"), "float32"),
    }
    half, single = batch(dtype="float16"), batch()
    single["data"] = half["data"].astype(np.float32)
    found, wanted = forward(op, half, True), forward(op, single, True)
    np.testing.assert_array_equal(found.outputs["output"], wanted.outputs["output"].astype(np.float16))
    np.testing.assert_array_equal(found.renewed["moving_var"], wanted.renewed["moving_var"])


def test_inference_takes_two_passes() -> None:
    """Scale and shift are computed for each channel first, so that the data is multiplied once and added to once."""
    vector = Spec((3,), np.dtype("float32"))
    passes = maps(make("BatchNorm", fix_gamma=False), 8 * 3 * 4, Spec((8, 3, 4), np.dtype("float32")), *[vector] * 4)
    assert sorted(passes) == ["add", "multiply"]


def test_channels_follow_from_parameters() -> None:
    op = make("BatchNorm", axis=-1)
    found = op.shapes(data=(2, 5, None), gamma=(3,))
    assert found["data"] == (2, 5, 3)
    assert found["moving_var"] == (3,)
    with pytest.raises(ShapeError, match="channels"):
        output(make("BatchNorm"), **batch(3) | {"data": array(8, 4, 2)})


def test_the_third_output_of_the_first_version_is_the_variance() -> None:
    inputs = batch()
    found = forward(make("BatchNorm_v1", fix_gamma=False), inputs, training=True)
    np.testing.assert_allclose(found.outputs["var"], inputs["data"].var((0, 2)), rtol=1e-5)
    newer = forward(make("BatchNorm", fix_gamma=False, eps=0.001), inputs, training=True)
    np.testing.assert_array_equal(found.outputs["output"], newer.outputs["output"])


def test_groups_of_channels_share_a_scale() -> None:
    x = array(2, 4, 3)
    op = make("GroupNorm", num_groups=2)
    assert infer(op, {"data": (2, 4, 3)}).shapes["gamma"] == (2,)
    gamma, beta = np.array([2, 3], np.float32), np.array([1, -1], np.float32)
    groups = x.reshape(2, 2, 6)
    wanted = (groups - groups.mean(2, keepdims=True)) / np.sqrt(groups.var(2, keepdims=True) + 1e-5)
    wanted = wanted * gamma[None, :, None] + beta[None, :, None]
    np.testing.assert_allclose(
        output(op, data=x, gamma=gamma, beta=beta), wanted.reshape(2, 4, 3), rtol=1e-4, atol=1e-5
    )
    with pytest.raises(ShapeError, match="do not fit num_groups 3"):
        infer(make("GroupNorm", num_groups=3), {"data": (2, 4, 3)})


# -- softmax -----------------------------------------------------------------------------------------------------------


def test_softmax_of_the_first_elements() -> None:
    x = array(3, 4, seed=5)
    lengths = np.array([0, 2, 9], np.int64)
    op = make("softmax", use_length=True)
    found = output(op, data=x, length=lengths)
    np.testing.assert_array_equal(found[0], 0)
    np.testing.assert_allclose(found[1], [*np.exp(x[1, :2]) / np.exp(x[1, :2]).sum(), 0, 0], rtol=1e-6)
    np.testing.assert_allclose(found[2], output(make("softmax"), data=x)[2], rtol=1e-6)
    grad = gradient(op, {"data": x, "length": lengths}, [array(3, 4, seed=6)])
    np.testing.assert_array_equal(grad["data"][0], 0)
    np.testing.assert_array_equal(grad["data"][1, 2:], 0)
    with pytest.raises(DTypeError, match="length has element type float32"):
        infer(op, {"data": (3, 4)}, {"length": np.dtype("float32")})
    with pytest.raises(ArgumentError, match="only softmax takes lengths"):
        output(make("log_softmax", use_length=True), data=x)


def test_softmax_in_a_wider_type() -> None:
    x = array(2, 5, dtype="float16", low=-4, high=4)
    op = make("softmax", dtype="float32")
    found = output(op, data=x)
    np.testing.assert_array_equal(found, output(make("softmax"), data=x.astype(np.float32)))
    grad = gradient(op, {"data": x}, [array(2, 5, seed=1)])["data"]
    assert grad.dtype == np.float16


# -- losses ------------------------------------------------------------------------------------------------------------


def test_losses_need_no_head_gradient() -> None:
    names = "SoftmaxOutput SVMOutput MakeLoss LinearRegressionOutput MAERegressionOutput LogisticRegressionOutput"
    for name in names.split():
        assert make(name).is_loss, name
    assert not make("SoftmaxOutput", out_grad=True).is_loss


def test_head_gradients_do_not_matter_unless_asked_for() -> None:
    inputs = {"data": array(4, 5), "label": np.array([0, 4, 1, 2], np.float32)}
    head = array(4, 5, seed=7)
    plain = make("SoftmaxOutput")
    wanted = gradient(plain, inputs, [np.ones_like(head)])["data"]
    np.testing.assert_array_equal(gradient(plain, inputs, [head])["data"], wanted)
    np.testing.assert_array_equal(gradient(make("SoftmaxOutput", out_grad=True), inputs, [head])["data"], wanted * head)


@pytest.mark.parametrize("name", ["SoftmaxOutput", "SVMOutput", "softmax_cross_entropy"])
def test_labels_have_no_gradient(name: str) -> None:
    inputs = {"data": array(4, 5), "label": np.array([0, 4, 1, 2], np.float32)}
    op = make(name)
    head = np.ones((1,) if name == "softmax_cross_entropy" else (4, 5), np.float32)
    np.testing.assert_array_equal(gradient(op, inputs, [head])["label"], np.zeros(4, np.float32))


@pytest.mark.parametrize(
    ("params", "data", "first", "others"),
    [
        ({}, (4, 5), (4,), [(4, 5)]),
        ({}, (4, 3, 5), (4, 3), [(4, 3, 5)]),
        ({"preserve_shape": True}, (4, 3, 5), (4, 3), [(4, 3, 5)]),
        ({"multi_output": True}, (4, 3, 5, 6), (4, 30), [(4, 5, 6), (4, 1, 5, 6), (4, 3, 5, 6)]),
        ({"multi_output": True}, (4, 3), (4, 1), [(4,), (4, 3)]),
    ],
)
def test_labels_of_softmax(params: Any, data: Any, first: Any, others: Any) -> None:
    op = make("SoftmaxOutput", **params)
    assert infer(op, {"data": data}).shapes["label"] == first
    for label in others:
        assert infer(op, {"data": data, "label": label}).shapes["label"] == label
    with pytest.raises(ShapeError, match="label has shape"):
        infer(op, {"data": data, "label": (4, 7)})


@pytest.mark.parametrize("label", [-1.0, 5.0, 2.0**31, 2.0**32 + 3, -(2.0**32) + 3, 2.0**70])
def test_a_label_that_is_no_class_takes_nothing_from_the_gradient(label: float) -> None:
    inputs = {"data": array(2, 5, dtype="float64"), "label": np.array([3.0, label])}
    op = make("SoftmaxOutput")
    p = output(op, **inputs)
    one = np.array([[0, 0, 0, 1, 0], [0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(gradient(op, inputs, [p])["data"], p - one)


@pytest.mark.parametrize("name", ["SoftmaxOutput", "SVMOutput", "softmax_cross_entropy"])
def test_labels_are_compared_in_no_more_bits_than_the_data_have(name: str) -> None:
    op = make(name)
    backward = backward_of(type(op)).from_values(op.values)
    shapes = {"label": (4,), "dy": (1,) if name == "softmax_cross_entropy" else (4, 5)}
    inputs = [Spec(shapes.get(n, (4, 5)), np.dtype("float32")) for n in backward.input_names()]
    large = [e for e in trace(backward, inputs, True).program.equations if e.outputs[0].size == 20]
    assert any(e.primitive.name == "equal" for e in large)
    assert all(v.dtype.itemsize <= 4 for e in large for v in (*e.inputs, *e.outputs))


def test_labels_as_probabilities() -> None:
    p = array(4, 5, low=0.0)
    inputs = {"data": array(4, 5, seed=1), "label": p}
    op = make("SoftmaxOutput", normalization="batch", grad_scale=2.0)
    found = gradient(op, inputs, [p])["data"]
    np.testing.assert_array_equal(found, (output(op, **inputs) - p) * 2)


@pytest.mark.parametrize(
    ("data", "label"), [((4, 3), (4, 3)), ((4, 1), (4,)), ((4,), (4,)), ((4, 1, 1), (4, 1, 1)), ((1, 1), (1,))]
)
def test_labels_of_regressions(data: Any, label: Any) -> None:
    op = make("LinearRegressionOutput")
    assert infer(op, {"data": data}).shapes["label"] == label


def test_labels_of_regressions_in_another_shape() -> None:
    op = make("LinearRegressionOutput")
    x, y = array(4, 6), array(4, 2, 3, seed=1)
    found = gradient(op, {"data": x, "label": y}, [x])["data"]
    np.testing.assert_allclose(found, (x - y.reshape(4, 6)) / 6, rtol=1e-6)
    with pytest.raises(ShapeError, match="as many elements"):
        infer(op, {"data": (4, 6), "label": (6, 4)})
    # The batch follows from the label.
    assert op.shapes(data=(None, 6), label=(4, 6))["data"] == (4, 6)


def test_sparseness_penalty() -> None:
    x, average = array(5, 3, low=0.1, high=0.9), np.full(3, 0.3, np.float32)
    op = make("IdentityAttachKLSparseReg", penalty=0.1, momentum=0.9, sparseness_target=0.2)
    inputs = {"data": x, "moving_avg": average}
    renewed = 0.9 * 0.3 + 0.1 * x.mean(0)
    np.testing.assert_allclose(forward(op, inputs, True).renewed["moving_avg"], renewed, rtol=1e-6)
    np.testing.assert_array_equal(forward(op, inputs, False).renewed["moving_avg"], average)
    head = array(5, 3, seed=1)
    wanted = head + 0.1 * (-0.2 / renewed + 0.8 / (1 - renewed))
    np.testing.assert_allclose(gradient(op, inputs, [head])["data"], wanted, rtol=1e-5)
