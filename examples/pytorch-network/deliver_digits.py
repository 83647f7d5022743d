"""A convolutional network trained in PyTorch, delivered at .80 and .90 from its checkpoints, and audited.

Run `python examples/pytorch-network/deliver_digits.py` (PyTorch and scikit-learn).
"""

import tempfile
from pathlib import Path

import torch
from torch import nn

from mechanisms.datasets import Samples, load
from mechanisms.delivery import audit, deliver_checkpoints
from mechanisms.torch_model import TorchModel


def network():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def images(samples):
    return Samples(inputs=samples.inputs.reshape(-1, 1, 8, 8), labels=samples.labels)


def trained(folder, samples, epochs=25):
    """Train as one always does, saving the state before the first epoch and some times in each."""
    torch.manual_seed(0)
    net, saved = network(), []
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    inputs = torch.tensor(samples.inputs, dtype=torch.float32)
    labels = torch.tensor(samples.labels)
    for epoch in range(epochs):
        for step, rows in enumerate(torch.randperm(len(labels)).split(64)):
            if epoch < 6 or step == 0:
                saved.append(folder / f"{epoch:02d}-{step:02d}.pt")
                torch.save(net.state_dict(), saved[-1])
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(inputs[rows]), labels[rows]).backward()
            optimizer.step()
    saved.append(folder / "last.pt")
    torch.save(net.state_dict(), saved[-1])
    return net, saved


def main(folder):
    digits = load("digits", validation=400, test=497)
    train, held_out, test = map(images, (digits.train, digits.validation, digits.test))
    net, saved = trained(folder, train)
    model = TorchModel(net, classes=10)

    def score(state):
        return model.accuracy(model.vector(state), held_out.inputs, held_out.labels)

    best = score(torch.load(saved[-1]))
    delivery = deliver_checkpoints(score, saved, [0.8, 0.9, best], samples=len(held_out))
    found = audit(
        delivery, model=model, own=train, joint=len(train), test=test,
        shares=[0.1], moments=[0, 10, 30], rates=[0.1],
    )  # fmt: skip
    return delivery, found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        for result in main(Path(place)):
            print(result)
