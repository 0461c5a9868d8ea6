"""The networks that benchmarks run, as symbols in the dialect that MXNet and symgraph share.

Each function takes the module (``mxnet`` or ``symgraph``), so both build the same graph from the same lines.
"""

from __future__ import annotations

from typing import Any

__all__ = ["lenet", "linear_regression", "mlp", "resnet"]


def linear_regression(mx: Any) -> Any:
    """One fully connected unit and a squared loss."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=1, name="fc")
    return mx.sym.LinearRegressionOutput(net, mx.sym.Variable("label"), name="loss")


def mlp(mx: Any, hidden: tuple[int, ...] = (64,), classes: int = 10) -> Any:
    """A perceptron with rectified hidden layers."""
    net = mx.sym.Variable("data")
    for k, width in enumerate(hidden):
        net = mx.sym.FullyConnected(net, num_hidden=width, name=f"fc{k}")
        net = mx.sym.Activation(net, act_type="relu", name=f"relu{k}")
    net = mx.sym.FullyConnected(net, num_hidden=classes, name="out")
    return mx.sym.SoftmaxOutput(net, mx.sym.Variable("label"), name="softmax")


def lenet(mx: Any, classes: int = 10) -> Any:
    """LeNet as MXNet's examples had it: two convolutions with tanh and max pooling, two dense layers."""
    net = mx.sym.Variable("data")
    for k, filters in enumerate((20, 50)):
        net = mx.sym.Convolution(net, kernel=(5, 5), num_filter=filters, name=f"conv{k}")
        net = mx.sym.Activation(net, act_type="tanh", name=f"tanh{k}")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2), name=f"pool{k}")
    net = mx.sym.Flatten(net)
    net = mx.sym.FullyConnected(net, num_hidden=500, name="fc0")
    net = mx.sym.Activation(net, act_type="tanh", name="tanh2")
    net = mx.sym.FullyConnected(net, num_hidden=classes, name="fc1")
    return mx.sym.SoftmaxOutput(net, mx.sym.Variable("label"), name="softmax")


def resnet(mx: Any, depth: int, classes: int = 1000) -> Any:
    """ResNet for 224 x 224 images (He et al., 2015), first version: 18 with basic blocks, 50 with bottlenecks."""
    bottleneck = depth == 50
    units = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}[depth]

    def conv(net: Any, name: str, filters: int, kernel: int, stride: int, relu: bool = True) -> Any:
        pad = kernel // 2
        net = mx.sym.Convolution(
            net,
            kernel=(kernel, kernel),
            stride=(stride, stride),
            pad=(pad, pad),
            num_filter=filters,
            no_bias=True,
            name=name,
        )
        net = mx.sym.BatchNorm(net, fix_gamma=False, eps=1e-5, name=f"{name}_bn")
        return mx.sym.Activation(net, act_type="relu", name=f"{name}_relu") if relu else net

    net = conv(mx.sym.Variable("data"), "stem", 64, 7, 2)
    net = mx.sym.Pooling(net, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max", name="stem_pool")
    for stage, count in enumerate(units):
        for unit in range(count):
            name, width = f"s{stage}u{unit}", 64 << stage
            stride = 2 if stage > 0 and unit == 0 else 1
            out = width * 4 if bottleneck else width
            short = net
            if unit == 0 and (stage > 0 or bottleneck):
                short = conv(net, f"{name}_short", out, 1, stride, relu=False)
            if bottleneck:
                net = conv(net, f"{name}_a", width, 1, 1)
                net = conv(net, f"{name}_b", width, 3, stride)
                net = conv(net, f"{name}_c", out, 1, 1, relu=False)
            else:
                net = conv(net, f"{name}_a", width, 3, stride)
                net = conv(net, f"{name}_b", width, 3, 1, relu=False)
            net = mx.sym.Activation(net + short, act_type="relu", name=f"{name}_relu")
    net = mx.sym.Pooling(net, kernel=(7, 7), global_pool=True, pool_type="avg", name="pool")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=classes, name="fc")
    return mx.sym.SoftmaxOutput(net, name="softmax")
