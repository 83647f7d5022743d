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
# # A whole scheme, from raw digits to delivered models
#
# Six institutions could label handwritten digits, each at a cost that only it knows. Together they would train a
# better model than any of them alone, but whoever receives that model anyway has no reason to label anything.
# So the coordinator publishes a menu: deliver so many samples, receive the joint model up to such an accuracy.
#
# This notebook carries the timeline out on real data and then asks what came of every promise. The same from
# the command line: `modelpact run examples/digits-consortium/scheme.toml --draws 20`.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from modelpact.scheme import read_scheme, run_scheme
from modelpact.scheme.draws import run_draws, summarise
from modelpact.scheme.menu import curve_of

scheme = read_scheme(Path("../examples/digits-consortium/scheme.toml"))
folder = Path(tempfile.mkdtemp()) / "run"
records = run_scheme(scheme, folder)
sorted(path.name for path in folder.iterdir())

# %% [markdown]
# Every stage is a function from files to a file. A run that was stopped goes on with the first stage that is not
# done, a changed table of the scheme redoes what depends on it, and any file may come from the real world.
#
# ## The pilot, and what it says of the learning curve
#
# The pilot's models were trained on parts of 300 samples; the scheme will train on some 400. What the measurements
# say is a posterior over curves, counted from what naming the commonest class gives.

# %%
fit = records["fit"].result
measured = fit["measurements"]
figure, axis = plt.subplots(figsize=(6.5, 3.8))
axis.errorbar(measured["data"], measured["accuracy"], 2 * np.array(measured["error"]), fmt="o", label="pilot, ± 2 s.e.")
curve, data = curve_of(records["fit"]), np.geomspace(20, 700, 50)
low, high = curve.posterior.interval(data, scheme.measuring.confidence)
axis.fill_between(data, low, high, color="lightgrey", label=f"{scheme.measuring.confidence:.0%} of curves")
axis.plot(data, curve(data), label="their mean")
settled = records["settle"].result
realised = records["audit"].result["assumptions"]["trained_accuracy"]
axis.plot(settled["accepted_data"], realised, "k*", markersize=12, label="the joint model, on test samples")
axis.set(xscale="log", xlabel="samples", ylabel="accuracy", ylim=(0.55, 1.0))
axis.legend(fontsize=8)
figure.tight_layout()

# %% [markdown]
# ## The menu
#
# Whole samples, and the share of the joint model's value that is given. Nobody is asked for its cost: each option
# is the best one for those it is made for, by at least a little, and better than staying alone by ten.

# %%
for option in records["publish"].result["options"]:
    print(
        f"{option['name']:17} deliver {option['data']:3d}  receive {option['share']:.1%} of the model's value",
        f"  gain {option['expected_utility']:.0f}, alone {option['alone_utility']:.0f}",
    )

# %% [markdown]
# ## Who came, and who was turned away
#
# Besides the six the contract expects, one comes who delivers nothing and one whose labels are four tenths wrong.

# %%
for found in records["verify"].result["findings"]:
    seat = records["sign"].result["signatures"][found["seat"]]
    print(f"{seat['name']} ({seat['behaviour']}):", "accepted" if found["accepted"] else f"refused, {found['reason']}")

# %% [markdown]
# ## What was promised, and what came of it
#
# Accuracies are measured on test samples that no stage has looked at. `regret` is the most that another option, or
# being alone, would have gained on this very draw; with 300 test samples an accuracy is known to ± 0.015, so that
# fifteen of regret are noise.

# %%
audit = records["audit"].result
for k in audit["honest"]:
    row = audit["participants"][k]
    print(
        f"{row['name']}: promised {row['promised_accuracy']:.3f} ± {row['error']:.3f}, received {row['accuracy']:.3f};"
        f" gain {row['utility']:.0f}, alone {row['alone']['utility']:.0f}, regret {row['regret']:.0f}"
    )

# %% [markdown]
# ## Many draws
#
# One draw says little about expectations. Each further draw cuts the data anew, runs its own pilot and publishes
# its own menu. Three of them here; the example's README has the figures of twenty.

# %%
summary = summarise(scheme, run_draws(scheme, folder, draws=3))
kept = summary["promises"]["draws_with_all_met"]
print(f"all promises met in {kept['share']:.0%} of draws, stated {scheme.measuring.confidence:.0%}")
for row in summary["switching"]:
    if row["gain"]["low"] is not None:
        print(
            f"{row['type']} choosing {row['option']!r}: promised gain {row['promised_gain']['mean']:.0f},"
            f" found {row['gain']['mean']:.0f} [{row['gain']['low']:.0f}, {row['gain']['high']:.0f}]"
        )

# %%
rows = summary["cheating"]
figure, axis = plt.subplots(figsize=(6.5, 2.8))
axis.barh([row["kind"] for row in rows], [row["gain"]["mean"] for row in rows])
axis.axvline(0, color="black")
axis.set(xlabel="gain over honesty (a faultless model is worth 1000)")
figure.tight_layout()

# %% [markdown]
# Cheating pays with what is withheld: whoever is refused keeps its own data and nothing else. And without a
# contract, if everybody received everything, riding free would be the best choice:

# %%
free = summary["assumptions"]["gain_of_riding_free_without_contract"]
print(f"gain of riding free where everybody receives everything: {free['mean']:.0f}")
