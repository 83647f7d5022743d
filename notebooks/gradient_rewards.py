# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Rewards that follow the gradients
#
# Five hospitals train one classifier. Nobody signed a contract, nobody holds a common validation set, and yet
# whoever brought more should end with the better model. *Cosine gradient Shapley values* (Xu, Lyu, Ma, Miao,
# Foo and Low, NeurIPS 2021) look only at what is uploaded anyway: a contribution is the share of the joint
# direction that an update carries, and the reward is a joint step with some of its entries left out.
#
# We look at a single round first, then at whole trainings on handwritten digits, and we keep three questions
# in sight. Are the numbers exact? Do rewards follow contributions? Does anybody lose by taking part?

# %%
import matplotlib.pyplot as plt
import numpy as np

from mechanisms.cosine_game import cosine_contributions, cosine_shapley
from mechanisms.datasets import load, split
from mechanisms.fairness import fairness, over_runs, rationality
from mechanisms.gradient_rewards import CosineGradientRewards, keep_energy, keep_largest
from mechanisms.local_training import LocalTraining, local_updates, train_alone
from mechanisms.models import MultilayerPerceptron
from mechanisms.training import train

digits = load("digits", validation=100, test=500)
model = MultilayerPerceptron(features=64, classes=10)
local = LocalTraining(epochs=5, rate=0.5)
print(digits)

# %% [markdown]
# ## One round
#
# Five participants hold nested sets of classes: the first only zeros, the last all ten digits, all equally
# many samples. Each takes five gradient steps from the same start.

# %%
parts = split(digits, participants=5, kind="class-imbalance")
updates = local_updates(model, model.initial(0), parts, local=local)
unit = updates / np.linalg.norm(updates, axis=1, keepdims=True)
exact, surrogate = cosine_shapley(unit), cosine_contributions(unit)
print(exact)
print("surrogate, scaled to sum 1:", (surrogate / surrogate.sum()).round(4))
print("exact values sum to", exact.values.sum())
print(
    "surrogates sum to", surrogate.sum().round(12), "= length of the sum:", np.linalg.norm(unit.sum(0)).round(12)
)

# %% [markdown]
# The exact value needs all $2^n$ coalitions, but each coalition's value depends on the updates only through
# their inner products, so the table is built by doubling: twenty participants take a fraction of a second.
# The surrogate is each participant's own cosine with the sum, and it is remarkably good. For independent
# updates its error falls with the root of the number of parameters:

# %%
sizes = 2 ** np.arange(7, 15)
draw = np.random.default_rng(0)


def surrogate_error(size):
    rows = draw.normal(size=(10, size))
    phi, psi = cosine_shapley(rows).values, cosine_contributions(rows)
    return np.abs(phi / phi.sum() - psi / psi.sum()).sum()


errors = np.array([[surrogate_error(size) for _ in range(20)] for size in sizes]).mean(axis=1)
figure, axis = plt.subplots(figsize=(5, 3))
axis.loglog(sizes, errors, "o-", label="measured, 10 participants")
axis.loglog(sizes, errors[0] * (sizes / sizes[0]) ** -0.5, "--", label="slope -1/2")
axis.set_xlabel("parameters")
axis.set_ylabel("L1 error of the surrogate")
axis.legend()
figure.tight_layout()

# %% [markdown]
# ## What half of a step is worth
#
# A participant's reward is the joint step with its largest entries kept. In the paper the reputation decides
# which *fraction of the entries* is kept. The joint step's squared length sits in few of them, so half of the
# entries is nearly all of the step:

# %%
joint = unit.mean(axis=0)
for fraction in (0.1, 0.25, 0.5, 0.75):
    entries, energy = keep_largest(joint, fraction), keep_energy(joint, fraction)
    cosines = [kept @ joint / np.linalg.norm(kept) / np.linalg.norm(joint) for kept in (entries, energy)]
    print(
        f"fraction {fraction:.2f}: of the entries, cosine {cosines[0]:.3f}; "
        f"of the energy, cosine {cosines[1]:.3f} from {(energy != 0).mean():.1%} of the entries"
    )

# %% [markdown]
# `keep="energy"` therefore reads the fraction as one of the squared length. Both readings are compared below.
#
# ## Whole trainings
#
# Three ways to divide the digits (equal shares, sizes by a power law, nested classes), five and ten
# participants, two seeds each. *Alone* is what participants reach by themselves with as many epochs;
# *averaging* gives everybody the joint model.


# %%
def trial(participants, kind, seed):
    data = load("digits", validation=100, test=500, seed=seed)
    samples = None if kind == "class-imbalance" else 40
    held = split(data, participants=participants, kind=kind, samples=samples, seed=seed)
    test = data.test

    def run(reward):
        return train(model, held, rounds=80, local=local, reward=reward, validation=test, seed=seed)

    alone = np.array(
        [
            model.accuracy(params, test.inputs, test.labels)
            for params in train_alone(model, held, epochs=400, local=local, seed=seed)
        ]
    )
    rewards = {keep: CosineGradientRewards.mended(altruism=0.5, keep=keep) for keep in ("entries", "energy")}
    return alone, run(None), {keep: run(rule) for keep, rule in rewards.items()}


trials = {
    (participants, kind): [trial(participants, kind, seed) for seed in range(2)]
    for participants in (5, 10)
    for kind in ("uniform", "power-law", "class-imbalance")
}

# %%
print(f"{'n':>3} {'split':>16} {'alone':>13} {'averaging':>9}  {'rewards':>8} {'accuracies':>13} {'Pearson':>22}")
for (participants, kind), runs in trials.items():
    alone = np.mean([run[0] for run in runs], axis=0)
    averaging = np.mean([run[1].accuracy[-1] for run in runs])
    for keep in ("entries", "energy"):
        final = [run[2][keep].participant_accuracy[-1] for run in runs]
        pearson = over_runs([fairness(run[0], end).pearson for run, end in zip(runs, final)])
        undefined = f" ({pearson.undefined} undefined)" if pearson.undefined else ""
        print(
            f"{participants:>3} {kind:>16} {alone.min():.3f} - {alone.max():.3f} {averaging:>8.3f}  {keep:>8} "
            f"{np.min(final):.3f} - {np.max(final):.3f} {pearson.mean:>8.2f}{undefined}"
        )

# %% [markdown]
# Three things to read from the table.
#
# - On equal shares there is nothing to reward, and a correlation measures noise. Where all final accuracies
#   are equal it is *undefined*, and is reported so rather than dropped.
# - Masks by entries give nearly the joint model to everybody. Their correlation may still be high, because a
#   correlation does not see scale; look at the spread. Masks by energy spread the accuracies.
# - A correlation close to one says that rewards are ordered, not that anybody is better off.

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True)
for axis, keep in zip(axes, ("entries", "energy")):
    for alone, averaging, rewarded in trials[5, "class-imbalance"]:
        axis.plot(alone, rewarded[keep].participant_accuracy[-1], "o-")
        axis.axhline(averaging.accuracy[-1], color="grey", linewidth=0.6)
    axis.plot([0, 1], [0, 1], "k:", linewidth=0.8)
    axis.set_title(f"masks by {keep}")
    axis.set_xlabel("accuracy alone")
axes[0].set_ylabel("accuracy rewarded")
figure.tight_layout()

# %% [markdown]
# ## Does anybody lose?
#
# Points below the dotted line do worse than alone. The result names them, with the sampling error of 500 test
# samples taken into account:

# %%
for alone, averaging, rewarded in trials[5, "class-imbalance"]:
    print("energy:   ", rationality(alone, rewarded["energy"].participant_accuracy[-1], samples=500))
    print("averaging:", rationality(alone, np.full(5, averaging.accuracy[-1]), samples=500))

# %% [markdown]
# Averaging keeps everybody whole here. Steps of a prescribed, falling length forget how far each update would
# go, reach less in the same number of rounds, and whoever holds all classes ends below its own model. A rule
# that pays by gradients does not promise participation; a contract with a participation constraint does.
#
# It also matters for how long one trains. Let the steps be four times as long: what the majority holds is then
# learned early, and late gradients of whoever holds rare classes point away from the majority's. Contributions
# measured against the majority's direction fall where knowledge is rare.

# %%
for step in (0.5, 1.0, 2.0):
    rule = CosineGradientRewards.mended(altruism=0.5, step=step)
    run = train(model, parts, rounds=80, local=local, reward=rule, validation=digits.test)
    standing = run.figures["reputation"][-1]
    alone = trials[5, "class-imbalance"][0][0]
    measured = fairness(alone, run.participant_accuracy[-1])
    print(f"step {step}: Spearman {measured.spearman:.2f}, joint {run.accuracy[-1]:.3f}, reputation {standing.round(2)}")

# %% [markdown]
# ## A published detail that does not work
#
# The published code weights uploads in the joint step by reputation, and measures reputation against that same
# step. On equally large, class-imbalanced parts one participant then takes nearly all of it:

# %%
for weighting in ("equal", "reputation"):
    rule = CosineGradientRewards.mended(keep="entries", weighting=weighting)
    run = train(model, parts, rounds=80, local=local, reward=rule)
    print(f"{weighting:>10}: reputation after 80 rounds", run.figures["reputation"][-1].round(2))
