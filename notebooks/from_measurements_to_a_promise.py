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
# # From eight measurements to a signed promise
#
# Everybody's first file is a learning curve: a few noisy measurements at the small end, to be trusted at thirty times the
# data. Here is what such a file tells, what can be promised on it, what could go wrong, and what one more measurement buys.

# %%
from pathlib import Path

import numpy as np

from contracts import (
    Infeasible,
    LinearValuation,
    MeasuredCurve,
    Measurements,
    Population,
    Problem,
    design_contract,
    fit_curve,
    fit_family,
    next_measurement,
    read_measurements,
)
from contracts.measured.curve_plot import draw_curve

folder = Path("..") if Path("../examples").exists() else Path()
everything = read_measurements(folder / "examples" / "tumour-clinics" / "curve.csv")

# %% [markdown]
# ## The pilot
#
# Only the first eight of the eleven sizes that were measured (a classifier of tumours, real data). The others are what we shall
# be judged by.

# %%
pilot = Measurements(
    data=everything.data[:8], accuracy=everything.accuracy[:8], standard_error=everything.standard_error[:8]
)
posterior = fit_curve(pilot)
print(posterior)
draw_curve(posterior, up_to=10_000)

# %%
later = everything.data[8:]
low, high = posterior.interval(later)
for x, truth, a, b in zip(later, everything.accuracy[8:], low, high, strict=True):
    print(f"{x:5g} data: measured later {truth:.4f}, foretold {a:.4f} to {b:.4f}")
assert ((low <= everything.accuracy[8:]) & (everything.accuracy[8:] <= high)).all()

# %% [markdown]
# A fitted formula is surer of itself than it has a right to be, far out:

# %%
formula = fit_family(pilot)
for x in (1_000.0, 100_000.0):
    print(
        f"{x:7g} data: power law {float(formula.curve(x)):.4f} ± {1.96 * float(formula.standard_error_at(x)):.4f},"
        f" posterior {np.round(posterior.interval(x), 4)}"
    )

# %% [markdown]
# ## What one more measurement buys

# %%
print(next_measurement(posterior, 1_000.0))


# %% [markdown]
# ## Three promises
#
# Nobody knows the curve when contracts are signed, and nobody knows it before training alone either.


# %%
def stated(promise, level=0.9):
    return Problem(
        population=Population(costs=[150.0, 70.0, 30.0], probabilities=[0.3, 0.4, 0.3], participants=6),
        accuracy=MeasuredCurve(measurements=pilot, promise=promise, level=level),
        valuation=LinearValuation(scale=100_000.0),
    )


average = design_contract(stated("average"))
print(average)
print(average.certificate)
assert average.certificate.holds

# %% [markdown]
# On average everybody gains or loses nothing; as it turns out some do worse, and the certificate says how probably. Shares of the
# model move with the curve, so that they can be right curve by curve:

# %%
model = design_contract(stated("model"))
print(model.reason)
for name, number in model.certificate.extended.items():
    print(f"{name}: {number:.3f}")
assert model.certificate.holds

# %% [markdown]
# A fixed value whatever the curve is the strongest promise, and the first to be refused:

# %%
for level in (0.95, 0.5):
    try:
        value = design_contract(stated("value", level))
        print(f"level {level}: expected accuracy {value.expected_accuracy:.4f} at least")
    except Infeasible as refusal:
        print(f"level {level}: {refusal}")

# %% [markdown]
# ## What could go wrong
#
# Data so cheap that the contract leaves the measured range far behind: the verdict says so in the same line. And a curve that does
# not rise gets no tick, whatever is promised on it.

# %%
cheap = Problem(
    population=Population(costs=[0.5, 0.2, 0.1], probabilities=[0.3, 0.4, 0.3], participants=6),
    accuracy=MeasuredCurve(measurements=pilot),
    valuation=LinearValuation(scale=100_000.0),
)
print(design_contract(cheap).certificate.verdict)
assert "times the largest size measured" in design_contract(cheap).certificate.caution

# %%
flat = Measurements(data=[10, 40, 160, 640], accuracy=[0.9, 0.899, 0.901, 0.9], standard_error=[0.002] * 4)
nothing = Problem(
    population=Population(costs=[15.0, 7.0, 3.0], probabilities=[0.3, 0.4, 0.3], participants=6),
    accuracy=MeasuredCurve(measurements=flat),
    valuation=LinearValuation(scale=10_000.0),
)
print(design_contract(nothing).certificate.verdict)
assert "do not rise" in design_contract(nothing).certificate.caution
