"""What a stranger does first, with whatever is installed; and the files that must be in it."""

import sys
from importlib.resources import files
from pathlib import Path

import numpy as np

import modelpact
from modelpact import catalogue
from modelpact.cli import main

for package in ("contracts", "mechanisms", "equilibria", "modelpact"):
    assert (files(package) / "py.typed").is_file(), package
    assert not Path(str(files(package))).is_relative_to(Path(__file__).parents[1]), f"{package} is not installed"

contract = modelpact.design_contract(catalogue.load("S1"))
certificate = modelpact.verify(contract)
assert certificate.holds, certificate
both = modelpact.design_contracts([catalogue.load("S1"), catalogue.load("two-types")])
assert abs(both[0].objective - contract.objective) < 1e-6
posterior = modelpact.fit_curve(modelpact.Measurements(data=[10, 30, 100, 300], accuracy=[0.6, 0.7, 0.78, 0.82]))
assert 0.7 < float(np.squeeze(posterior.mean(1000.0))) < 1.0
conic = modelpact.design_contract(catalogue.load("two-types"), solver="conic")
assert abs(conic.objective - both[1].objective) < 1e-4
rows = np.random.default_rng(0).normal(size=(9, 4))
assert np.isfinite(modelpact.aggregate(rows, "geometric-median", malicious=2)).all()
game = modelpact.ParticipationGame(
    types=[0.1, 0.2, 0.6], loss_weight=1.0, complexity=40.0, exponent=0.5, cost=3.125e-7
)
assert modelpact.unravel(game) is not None
assert modelpact.report(contract).html.startswith("<!")
assert main(["catalogue", "--json"]) == 0
print("installed and working:", sys.executable)
