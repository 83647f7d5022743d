"""What a sweep records of every problem, and how the records become a labelled data set."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts.contract import Contract
from contracts.contract.batch import attempt_contracts
from contracts.contract.full_information import full_informations
from contracts.errors import BackendMissing, ModelpactError
from contracts.problem import Problem
from modelpact.axes import Axis
from modelpact.verdicts import gaps, optimal

if TYPE_CHECKING:
    import xarray

# name -> (meaning, unit); those in BY_TYPE have a value for each type.
BY_TYPE = {
    "contribution": ("data each participant of the type contributes", "data"),
    "expected_reward": ("expected value of the model the type receives", "cost"),
    "utility": ("expected reward less the cost of the data contributed", "cost"),
    "reservation_utility": ("what the type gets alone", "cost"),
    "information_rent": ("utility less what the type gets alone", "cost"),
}
SCALARS = {
    "objective": ("expected value of the trained model", "cost"),
    "expected_accuracy": ("expected accuracy of the trained model", "1"),
    "reached": ("what is maximised: the expected accuracy or value, or another objective", "of the objective"),
    "full_information": ("expected value of the trained model if types were known", "cost"),
    "full_information_error": ("standard error of full_information; 0 where it is exact", "cost"),
    "information_cost": (
        "full_information less objective: what not knowing the types costs; with few participants it can be"
        " negative, for the benchmark keeps everybody in whoever comes, the contract on average",
        "cost",
    ),
    "optimality_gap": (
        "proved bound on how much better another contract can be, for the program as solved",
        "of the target: cost, or 1 where accuracy is maximised and the valuation is not linear",
    ),
    "global_gap": ("the same against the true curve, floor included", "as optimality_gap"),
    "holds": ("1 where every promise holds, 0 where one does not or the problem failed", "1"),
    "certified": ("1 where optimality is proved besides", "1"),
    "excluded": ("distinct costs, from the dearest down, that contribute nothing by design", "1"),
}
Columns = dict[str, np.ndarray]


def compute(problems: Sequence[Problem | str], types: int) -> Columns:
    """Design, verify and benchmark a chunk of problems.

    Args:
        problems: problems, or the texts of the errors that kept them from being stated.
        types: the number of types to which rows are filled up with NaN.

    Returns:
        Arrays by column, first dimension the problems; "error" is empty where nothing failed.
    """
    stated = {k: problem for k, problem in enumerate(problems) if isinstance(problem, Problem)}
    columns: Columns = {name: np.full((len(problems), types), np.nan) for name in BY_TYPE}
    columns |= {name: np.full(len(problems), np.nan) for name in SCALARS}
    columns["certified"][:] = columns["holds"][:] = 0.0
    errors = [problem if isinstance(problem, str) else "" for problem in problems]
    solved: dict[int, Contract] = {}
    for k, answer in zip(stated, attempt_contracts(list(stated.values())), strict=True):
        if isinstance(answer, Contract):
            solved[k] = answer
        else:
            errors[k] = f"{type(answer).__name__}: {answer}"
    known = full_informations([stated[k] for k in solved])
    for (k, contract), benchmark in zip(solved.items(), known, strict=True):
        try:
            _record(columns, k, contract, benchmark)
        except (ModelpactError, ArithmeticError, ValueError) as error:
            errors[k] = f"{type(error).__name__}: {error}"
    return columns | {"error": np.array(errors, dtype=str)}


def _record(columns: Columns, k: int, contract: Contract, benchmark: Any) -> None:
    certificate = contract.certificate
    solved_gap, gap = gaps(certificate)
    count = contract.contribution.size
    for name in BY_TYPE:
        columns[name][k, :count] = getattr(contract, name)
    values = {
        "objective": contract.objective,
        "expected_accuracy": contract.expected_accuracy,
        "full_information": benchmark.objective,
        "full_information_error": benchmark.standard_error,
        "information_cost": benchmark.objective - contract.objective,
        "reached": contract.reached,
        "optimality_gap": solved_gap,
        "global_gap": gap,
        "holds": float(certificate.holds),
        "certified": float(optimal(certificate)),
        "excluded": float(contract.provenance.excluded),
    }
    for name, value in values.items():
        columns[name][k] = np.nan if value is None else value


def dataset(
    columns: Columns, axes: Mapping[str, Axis], names: Sequence[str] | None, title: str
) -> xarray.Dataset:
    """The records with named dimensions, coordinates and units.

    Args:
        columns: the arrays of all problems, in C order of the axes.
        axes: the axes by dimension.
        names: the types' names, where all problems share them.
        title: what the data set is called.
    """
    xr = _xarray()
    shape = tuple(len(axis.labels) for axis in axes.values())
    types = columns["contribution"].shape[1]
    variables = {}
    for name, (meaning, unit) in (BY_TYPE | SCALARS).items():
        wide = name in BY_TYPE
        dimensions = (*axes, "type") if wide else tuple(axes)
        values = columns[name].reshape((*shape, types) if wide else shape)
        variables[name] = (dimensions, values, {"long_name": meaning, "units": unit})
    variables["error"] = (
        tuple(axes),
        columns["error"].reshape(shape).astype(object),
        {"long_name": "why the problem failed; empty where it did not"},
    )
    coordinates = {
        name: (name, _coordinate(axis.labels), {"units": axis.unit} if axis.unit else {})
        for name, axis in axes.items()
    }
    coordinates["type"] = ("type", _coordinate(names if names else range(1, types + 1)), {})
    return xr.Dataset(variables, coordinates, {"title": title, "source": "modelpact sweep"})


def _coordinate(labels: Any) -> np.ndarray:
    values = np.array(list(labels))
    return values.astype(object) if values.dtype.kind == "U" else values


def to_netcdf(data: xarray.Dataset) -> bytes:
    """The data set as a NetCDF file (classic format, 64-bit offsets: every reader of NetCDF knows it)."""
    return bytes(data.to_netcdf(engine="scipy", format="NETCDF3_64BIT"))


def from_netcdf(content: bytes) -> xarray.Dataset:
    """The data set of a file that `to_netcdf` made."""
    return _xarray().open_dataset(io.BytesIO(content), engine="scipy").load()


def _xarray() -> Any:
    try:
        import xarray
    except ImportError as error:
        raise BackendMissing("xarray", "a sweep", "sweeps") from error
    return xarray
