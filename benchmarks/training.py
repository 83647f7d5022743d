"""Rounds of federated averaging per second: participants in one vmap against a plain PyTorch loop.

Run `python benchmarks/training.py`. The PyTorch column needs torch, here or in another environment whose
interpreter TORCH_PYTHON names; both train the same network on the same samples with the same steps, and the
last column says how far apart their accuracies end.
"""

import json
import os
import subprocess
import sys
import time

from mechanisms.datasets import load, split
from mechanisms.local_training import LocalTraining, stack
from mechanisms.models import MultilayerPerceptron
from mechanisms.training import train

ROUNDS, EPOCHS, RATE = 40, 5, 0.5

TORCH = """
import json, sys, time
import numpy as np
import torch

torch.set_num_threads(1)
task = json.load(sys.stdin)
parts = [(torch.tensor(x, dtype=torch.float32), torch.tensor(y)) for x, y in task["parts"]]
test = torch.tensor(task["test"][0], dtype=torch.float32), torch.tensor(task["test"][1])
sizes = torch.tensor([len(y) for _, y in parts], dtype=torch.float32)
shares = sizes / sizes.sum()

def network():
    return torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.Tanh(), torch.nn.Linear(32, 10))

def load(net, flat):
    start = 0
    for layer in (net[0], net[2]):
        rows, columns = layer.weight.shape
        block = flat[start : start + rows * columns].reshape(columns, rows).T
        layer.weight.data = block.clone()
        layer.bias.data = flat[start + rows * columns : start + rows * columns + rows].clone()
        start += rows * columns + rows

def flatten(net):
    return torch.cat([p for l in (net[0], net[2]) for p in (l.weight.data.T.reshape(-1), l.bias.data)])

loss, net, local = torch.nn.CrossEntropyLoss(), network(), network()
server = torch.tensor(task["initial"], dtype=torch.float32)

def one_round(server):
    mean = torch.zeros_like(server)
    for (x, y), share in zip(parts, shares):
        load(local, server)
        optimiser = torch.optim.SGD(local.parameters(), lr=task["rate"])
        for _ in range(task["epochs"]):
            optimiser.zero_grad()
            loss(local(x), y).backward()
            optimiser.step()
        mean += share * flatten(local)
    return mean

one_round(server)
started = time.perf_counter()
for _ in range(task["rounds"]):
    server = one_round(server)
seconds = time.perf_counter() - started
load(net, server)
accuracy = float((net(test[0]).argmax(dim=1) == test[1]).float().mean())
print(json.dumps({"seconds": seconds, "accuracy": accuracy}))
"""


def by_torch(task):
    interpreter = os.environ.get("TORCH_PYTHON", sys.executable)
    answer = subprocess.run([interpreter, "-c", TORCH], input=json.dumps(task), capture_output=True, text=True)
    return json.loads(answer.stdout.splitlines()[-1]) if answer.returncode == 0 else None


def main():
    digits = load("digits", test=500)
    model = MultilayerPerceptron(features=64, classes=10)
    local = LocalTraining(epochs=EPOCHS, rate=RATE)
    print(f"{ROUNDS} rounds of {EPOCHS} full-batch steps, network 64-32-10, one thread; first call excluded")
    print(f"{'participants':>12} {'rounds/s':>9} {'torch':>9} {'ratio':>6} {'accuracy':>9} {'apart':>7}")
    for participants in (5, 10, 20, 50):
        parts = split(digits, participants=participants, kind="power-law")
        padded, start = stack(parts), model.initial(0)
        train(model, padded, rounds=1, local=local, validation=digits.test)
        started = time.perf_counter()
        run = train(model, padded, rounds=ROUNDS, local=local, validation=digits.test, initial=start)
        own = ROUNDS / (time.perf_counter() - started)
        peer = by_torch(
            {
                "parts": [(part.inputs.tolist(), part.labels.tolist()) for part in parts],
                "test": (digits.test.inputs.tolist(), digits.test.labels.tolist()),
                "initial": start.tolist(),
                "rate": RATE,
                "epochs": EPOCHS,
                "rounds": ROUNDS,
            }
        )
        accuracy = run.accuracy[-1]
        if peer is None:
            print(f"{participants:>12} {own:>9.1f} {'absent':>9} {'-':>6} {accuracy:>9.3f} {'-':>7}")
            continue
        rate = ROUNDS / peer["seconds"]
        gap = abs(accuracy - peer["accuracy"])
        print(f"{participants:>12} {own:>9.1f} {rate:>9.1f} {own / rate:>6.1f} {accuracy:>9.3f} {gap:>7.4f}")


if __name__ == "__main__":
    main()
