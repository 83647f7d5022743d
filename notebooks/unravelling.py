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
# # Will they come, and stay?
#
# Ten hospitals consider training a model together. Their data differ in quality, and only each of them knows its own.
# If everybody gets the same model, the hospital with the best data asks: *am I not better off alone?* If it leaves, the
# model gets worse, and the next best asks the same question. This is **unravelling**, described for collaborative
# learning by Capitaine, Boursier, Scheid, Moulines, Jordan, El-Mhamdi and Durmus (NeurIPS 2024, arXiv 2407.14332), and
# before that for used cars by Akerlof (1970).
#
# This notebook shows a coalition unravel, first in the model and then with trained classifiers, and what stops it. The
# model and the numbers are this project's own; the phenomenon is the paper's.

# %%
# %matplotlib inline
import numpy as np

from equilibria import (
    ClubRule,
    FullInformationRule,
    ParticipationGame,
    VerifiedRule,
    correlated_equilibrium,
    phase_diagram,
    verification_trial,
)
from equilibria.plots import plot_cascades, plot_phase_diagram

# %% [markdown]
# ## The game
#
# The *type* of an agent is the discrepancy of its data from the target distribution: 0 is perfect, 1 is useless. A
# coalition that trains on $N$ samples in proportions $w_j$ gets a model whose excess risk is at most
#
# $$E = a\Big(\sum_j w_j\theta_j + \alpha N^{-\gamma}\Big),$$
#
# the first term from bad data, the second from little data. Everybody in the coalition receives that model and pays for
# the samples it gave. Alone, everybody would train on the same number of samples, here 160,000: what differs is only how
# good they are.

# %%
worst_first = 0.6 - 0.1 * np.concatenate([[0.0], np.cumsum(1 / np.arange(1, 10))])
game = ParticipationGame(
    types=worst_first[::-1].copy(), loss_weight=1.0, complexity=40.0, exponent=0.5, cost=3.125e-7
)
print(f"alone: {game.standalone_contribution:,.0f} samples, loss and cost {game.standalone_loss:.3f} above the type")
game.types.round(3)

# %% [markdown]
# ## Pooling unravels
#
# When types are unknown, all members are treated alike: the **pooled rule** asks everybody for the same number of
# samples, the number that maximises their welfare. Watch who leaves, and at what gain.

# %%
cascade = game.unravel()
print(cascade)

# %% [markdown]
# The best agent loses only 0.0096 by staying, but that is enough. Each departure leaves the next best a little worse off
# than the one before. In the end the worst agent trains alone, although together they had a surplus of 0.80 to share.
# If there may be several coalitions, four form and keep 0.42 of it (`game.partition()`): these need consent, and quality
# that is public or estimated.
#
# Is this the only way it can end? For rules of equal shares a theorem finds *all* pure equilibria by sorting: every
# equilibrium consists of the worst agents, and the $m$ worst form one exactly if neither the best of them wants out nor
# the next better wants in.

# %%
print(game.pure_equilibria())

# %% [markdown]
# ## What full information would do
#
# If types were known, the organiser could ask the good agents for what is worth their while and let the others ride free.
# The **full-information rule** maximises welfare subject to individual rationality: nobody is worse off than alone.

# %%
full = game.with_rule(FullInformationRule())
print("samples:", full.contributions().round(0))
print(f"surplus {full.total_surplus():.4f} instead of {game.total_surplus():.4f}; error {full.learning_error():.4f}")
print("everybody in:", full.certificate("all"))
plot_cascades({"pooled": cascade, "full information": full.unravel()})

# %% [markdown]
# Two agents supply all the data, each about twice what it would collect alone, and are exactly as well off as
# before; the others supply nothing and gain. That is efficient here, because bad data is worse than none.
#
# ## Verification
#
# Types are private, and asking does not help: under the full-information rule run on *declared* types, the two suppliers
# gain by claiming worse data. But data can be **sampled**. Take $q$ samples from everybody, estimate the types with a
# trusted probe, contribute what is best at the estimates, and leave everybody a slack that covers the error of
# estimation. If slack and cost of sampling fit into what training alone costs, everybody's best choice is to stay,
# whenever the estimates are within their radius, which they are with the chosen confidence.

# %%
rule = VerifiedRule(samples=39_441, confidence=0.95)
print(rule.guarantee(game))
print(verification_trial(game, rule, runs=300))

# %% [markdown]
# The slack is what does it, not the estimation alone: without it the same estimates fail nine times in ten, because under
# exact individual rationality the suppliers are indifferent and any error tips one of them over.

# %%
print(verification_trial(game, VerifiedRule(samples=39_441, slack_factor=0.0), runs=300))

# %% [markdown]
# How much of the full-information surplus does each remedy recover? The *club* uses verification only to exclude: the best
# nine, pooled.

# %%
rows = {
    "pooled, after unravelling": 0.0,
    "club of the best nine": game.with_rule(ClubRule()).total_surplus(),
    "verified": game.with_rule(rule).total_surplus(),
    "full information": full.total_surplus(),
}
for name, surplus in rows.items():
    print(f"{name:<28} {surplus:7.4f}  {surplus / full.total_surplus():6.1%}")

# %% [markdown]
# ## Unravelling is a statement about pure equilibria
#
# If a mediator could draw a coalition at random and tell each agent privately whether to join, so that everybody wants to
# obey, the pooled rule would still support something: the best **correlated equilibrium**.

# %%
best = correlated_equilibrium(game)
print(f"expected surplus {best.value:.4f}, proved at most {best.bound:.4f} for any; largest regret {best.regret:.1e}")
print("told to join with probability", best.joining.round(3))

# %% [markdown]
# ## When does it happen?
#
# Spread of quality makes a coalition unravel; expensive data holds it together, because sharing saves more.

# %%
wide = ParticipationGame(
    types=np.linspace(0.1, 0.6, 40), loss_weight=1.0, complexity=40.0, exponent=0.5, cost=3.125e-7
)
plot_phase_diagram(phase_diagram(wide, spreads=np.linspace(0.05, 1.0, 20), costs=np.geomspace(1e-8, 1e-5, 25)))

# %% [markdown]
# ## With trained models
#
# Now the same with handwritten digits. Ten agents draw from a common pool, and each has a private rate of wrong labels,
# from 2 % to 55 %. The model is a nearest-neighbour classifier, which passes wrong labels on as they are. We fit the
# bound to the learning curve on clean data, and compare what the game predicts with what training measures.

# %%
from equilibria.label_noise import label_noise

rates = [0.02, 0.041, 0.064, 0.091, 0.123, 0.16, 0.207, 0.27, 0.364, 0.553]
task = label_noise("digits", rates)
sizes = [30, 60, 120, 240, 480]
errors = task.learning_curve(sizes, repeats=100)
digits = task.calibrated_game(sizes, errors, standalone=60)
print("clean errors:", dict(zip(sizes, errors.round(3).tolist())))
print(f"fitted: complexity {digits.complexity:.3f}, exponent {digits.exponent:.3f}")

# %%
print("members  predicted  measured")
for first in range(10):
    members = np.arange(first, 10)
    measured = task.error(digits.contributions(members), repeats=100)
    print(
        f"{10 - first:>7}  {digits.learning_error(members):>9.3f}  {measured.mean:>8.3f} ± {measured.standard_error:.3f}"
    )

# %% [markdown]
# The prediction is a little pessimistic for the worst agents (a bound that adds errors does not notice that two wrongs may
# cancel), but the order and the size of the effect are right. So is the cascade, when members leave because their
# *measured* test error plus cost is lower alone:

# %%
happened = task.cascade(digits, repeats=60)
print("predicted sizes:", digits.unravel().sizes.tolist())
print("measured sizes: ", happened.sizes.tolist())
print("test error by round:", happened.errors.round(3).tolist())

# %%
best_rule = digits.with_rule(FullInformationRule())
measured = task.error(best_rule.contributions(), repeats=100)
print(f"full information: error {measured.mean:.3f} measured, {best_rule.learning_error():.3f} predicted")
print("measured gain of each agent:", task.measured_gains(best_rule, repeats=60).round(3))

# %% [markdown]
# Everybody but the best agent gains, and that one is at its reservation utility up to what the fit leaves unexplained.
#
# ## Can verification be proved to work here?
#
# No, and the library says so. The theorem asks that the model class be much richer than the class of probes; a
# nearest-neighbour classifier on 16 dimensions is not. What remains is to measure.

# %%
checked = VerifiedRule(samples=100, trusted_samples=148, paid=False)
print(checked.guarantee(digits))
stable = 0
for seed in range(20):
    estimated = VerifiedRule(
        samples=100, trusted_samples=148, paid=False, estimates=task.estimates(100, seed=seed)
    )
    stable += digits.with_rule(estimated).epsilon("all") == 0.0
print(f"with estimates from 100 real samples of each agent, the grand coalition was Nash in {stable} of 20 runs")

# %% [markdown]
# The same experiment on breast-cancer data, and the kept measurements of both, are in `examples/label_noise/`. To play
# your own case, write its types and constants into a file and run `modelpact play game.toml`.
