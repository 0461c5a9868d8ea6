"""Train a small network on three spirals, by one symbol that holds forward, gradients and Adam's updates.

python examples/train_mlp.py
"""

import numpy as np

import symgraph as mx

BATCH, EPOCHS = 50, 60


def spirals(rng: np.random.Generator, per_class: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Return points (n, 2) on three arms of a spiral, with a little noise, and the arm of each."""
    labels = np.repeat(np.arange(3), per_class)
    radius = np.tile(np.linspace(0.1, 1, per_class), 3)
    angle = 2 * np.pi * labels / 3 + 4 * radius + rng.normal(0, 0.15, len(labels))
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    order = rng.permutation(len(labels))
    return points[order].astype(np.float32), labels[order].astype(np.float32)


def network() -> mx.sym.Symbol:
    x = mx.sym.Variable("data")
    for k, width in enumerate((32, 32)):
        x = mx.sym.FullyConnected(x, num_hidden=width, name=f"fc{k}")
        x = mx.sym.Activation(x, act_type="tanh", name=f"act{k}")
    x = mx.sym.FullyConnected(x, num_hidden=3, name="out")
    return mx.sym.SoftmaxOutput(x, name="softmax", normalization="batch")


def main() -> None:
    rng = np.random.default_rng(1)
    points, labels = spirals(rng)
    split = len(points) * 4 // 5

    net = network()
    step = mx.sym.training_step(net, "adam_update", lr=0.01)
    trainer = step.simple_bind(mx.cpu(), data=(BATCH, 2), softmax_label=(BATCH,))
    for name, weight in trainer.arg_dict.items():
        if name.endswith("weight"):
            weight[:] = rng.normal(0, 1 / np.sqrt(weight.shape[1]), weight.shape)

    # Adam's update leaves the correction of its first steps to the learning rate.
    count = 0
    for epoch in range(1, EPOCHS + 1):
        for k in range(0, split, BATCH):
            count += 1
            trainer.set_hyper(lr=0.01 * np.sqrt(1 - 0.999**count) / (1 - 0.9**count))
            trainer.forward(is_train=True, data=points[k : k + BATCH], softmax_label=labels[k : k + BATCH])
        if epoch % 20 == 0:
            # The same arrays, bound to the network alone, for all the points that were held back.
            held = {"data": mx.nd.array(points[split:]), **{n: trainer.arg_dict[n] for n in net.list_arguments()[1:-1]}}
            probability = net.bind(mx.cpu(), held).forward()[0].asnumpy()
            right = float((probability.argmax(axis=1) == labels[split:]).mean())
            print(f"epoch {epoch}: {right:.1%} of {len(points) - split} unseen points are right")
    assert right > 0.9


if __name__ == "__main__":
    main()
