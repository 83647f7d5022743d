"""Which works stand behind a result: for reference lists, in plain text or BibTeX.

The works are kept in one file, `bibliography.bib`, which the documentation reads too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.problem import Problem
from contracts.problem.participants import FixedTurnout
from contracts.problem.population import Population
from contracts.records import frozen

Reasons = tuple[tuple[str, str], ...]

OURS = "modelpact"
_CONTRACT: Reasons = (("wang2025paid", "the problem of contracts paid in models"),)
_UNRAVELLING: Reasons = (
    ("capitaine2024unravelling", "the question: do coalitions with private data quality unravel"),
    ("akerlof1970market", "adverse selection"),
    ("bendavid2010theory", "the error bound for pooled data of different quality"),
    (OURS, "the model, its constants and theorems"),
)
_SHARING: Reasons = (("karimireddy2022mechanisms", "accuracy shaping, and free-riding without it"),)

#: Why a class of results (by its full name; subclasses included) rests on which works.
BASIS: Mapping[str, Reasons] = {
    "contracts.problem.problem.Problem": _CONTRACT,
    "contracts.problem.population.Population": _CONTRACT,
    "contracts.problem.reservation.Reservation": _CONTRACT,
    "contracts.contract.full_information.FullInformation": _CONTRACT,
    "contracts.contract.rewards.Rewards": (*_CONTRACT, (OURS, "the capped policy and its optimality")),
    "contracts.contract.settlement.Settlement": (*_CONTRACT, (OURS, "the capped policy and its optimality")),
    "contracts.contract.contract.Contract": (
        *_CONTRACT,
        (OURS, "exact expectations, the solvers and the proof of optimality"),
    ),
    "contracts.problem.outside.Outside": ((OURS, "outside options and what joining costs"),),
    "contracts.problem.menu.Menu": ((OURS, "few options, whole lots and margins"),),
    "contracts.problem.doubt.Doubt": ((OURS, "promises kept at all probabilities in doubt"),),
    "contracts.problem.scenario.Scenario": ((OURS, "promises kept in several scenarios"),),
    "contracts.problem.participants.Turnout": ((OURS, "uncertain numbers of participants"),),
    "contracts.problem.objective.Objective": ((OURS, "contracts for objectives other than accuracy"),),
    "contracts.contract.choice.Choice": ((OURS, "choice among options by more than gains"),),
    "contracts.proof.certificate.Certificate": (*_CONTRACT, (OURS, "verification and the proof of optimality")),
    "contracts.problem.accuracy.GeneralizationBound": (
        ("karimireddy2022mechanisms", "the learning bound as an accuracy curve"),
        ("mohri2018foundations", "the generalization bound it is made from"),
    ),
    "contracts.problem.tabulated.Tabulated": (
        ("schumaker1983shape", "splines that keep monotone and concave data so"),
    ),
    "equilibria.participation.ParticipationGame": _UNRAVELLING,
    "equilibria.unravelling.Unravelling": _UNRAVELLING,
    "equilibria.welfare.WelfareOptimum": _UNRAVELLING,
    "equilibria.phase.PhaseDiagram": _UNRAVELLING,
    "equilibria.declared.ReportingGame": _UNRAVELLING,
    "equilibria.rule.Rule": _UNRAVELLING,
    "equilibria.guarantee.Guarantee": _UNRAVELLING,
    "equilibria.verification_trial.VerificationTrial": _UNRAVELLING,
    "equilibria.game.NashCertificate": (("nash1951games", "equilibrium"),),
    "equilibria.normal_form.NormalFormGame": (("nash1951games", "equilibrium"),),
    "equilibria.pure.PureEquilibria": (("nash1951games", "equilibrium"), *_UNRAVELLING),
    "equilibria.mixed.MixedEquilibrium": (("nash1951games", "mixed equilibrium"), *_UNRAVELLING),
    "equilibria.mixed_strategies.MixedStrategies": (
        ("nash1951games", "mixed equilibrium"),
        ("lemke1964equilibrium", "the path by which one of two players is found"),
    ),
    "equilibria.partition.StablePartition": (
        ("banerjee2001core", "coalitions best for all their members"),
        (OURS, "prefixes by quality, and the algorithm"),
        *_UNRAVELLING,
    ),
    "equilibria.blocking.BlockingCertificate": (
        ("banerjee2001core", "coalitions best for all their members"),
        (OURS, "the certificate for any partition"),
    ),
    "equilibria.correlated_table.CorrelatedStrategies": (
        ("aumann1974subjectivity", "correlated equilibrium"),
        ("huangfu2018parallelizing", "HiGHS, which solved the linear program"),
    ),
    "equilibria.bayesian.ThresholdEquilibrium": _UNRAVELLING,
    "equilibria.correlated.CorrelatedEquilibrium": (
        ("aumann1974subjectivity", "correlated equilibrium"),
        ("huangfu2018parallelizing", "HiGHS, which solved the linear program"),
        *_UNRAVELLING,
    ),
    "equilibria.extremal.ExtremalEquilibrium": (
        ("nash1951games", "equilibrium"),
        ("huangfu2018parallelizing", "HiGHS, which solved the integer program"),
    ),
    "equilibria.dynamics.BestResponsePath": (("monderer1996potential", "improvement paths"),),
    "equilibria.contribution.ContributionGame": _SHARING,
    "equilibria.menu.ContractMenu": (*_CONTRACT, (OURS, "the contract as a game")),
    "equilibria.menu.MenuCertificate": (*_CONTRACT, (OURS, "the contract as a game")),
    "mechanisms.accuracy_shaping.AccuracyShaping": _SHARING,
    "mechanisms.accuracy_shaping.SharingEquilibrium": _SHARING,
    "mechanisms.accuracy_shaping.StandardRule": _SHARING,
    "mechanisms.data_sharing.DataSharing": _SHARING,
    "mechanisms.shapley.ShapleyValues": (("shapley1953value", "the value"),),
    "mechanisms.gradient_rewards.CosineGradientRewards": (
        ("xu2021gradient", "rewards in gradients, by cosine"),
        ("shapley1953value", "the value"),
    ),
    "mechanisms.fairness.Fairness": (("xu2021gradient", "correlation as a measure of fairness"),),
    "mechanisms.verification.TypeEstimates": (
        ("capitaine2024unravelling", "probabilistic verification of data quality"),
        ("hoeffding1963probability", "the radius over finitely many models"),
        ("devroye1982bounds", "the radius over classes of models"),
    ),
    "mechanisms.rounds.TrainingRun": (("mcmahan2017communication", "training in rounds"),),
    "mechanisms.conflict.ConflictCurves": (
        ("raynal2025conflict", "the question: robustness against learning"),
        (OURS, "the measurements and the strongest attack"),
    ),
    "mechanisms.delivery.deliver.Delivery": ((OURS, "models of promised accuracies"),),
    "mechanisms.delivery.checkpoints.CheckpointDelivery": ((OURS, "models of promised accuracies"),),
    "mechanisms.delivery.audit.Audit": ((OURS, "what recipients can recover"),),
}

#: Rules of aggregation and attacks by name.
NAMED: Mapping[str, str] = {
    "mean": "mcmahan2017communication",
    "median": "yin2018byzantine",
    "trimmed-mean": "yin2018byzantine",
    "mean-around-median": "xie2018generalized",
    "krum": "blanchard2017machine",
    "multi-krum": "blanchard2017machine",
    "bulyan": "elmhamdi2018hidden",
    "minimum-diameter": "elmhamdi2018hidden",
    "geometric-median": "pillutla2022robust",
    "centered-clipping": "karimireddy2021learning",
    "norm-clipping": "sun2019backdoor",
    "foolsgold": "fung2020limitations",
    "acceptance-radius": "raynal2025conflict",
    "clipping-radius": "he2022clippedgossip",
    "zeno": "xie2019zeno",
    "zeno-screen": "xie2019zeno",
    "loss-rejection": "fang2020local",
    "loss-screen": "fang2020local",
    "error-rejection": "fang2020local",
    "error-screen": "fang2020local",
    "fltrust": "cao2021fltrust",
    "roni": "barreno2010security",
    "roni-screen": "barreno2010security",
    "nearest-neighbour-mixing": "allouah2023fixing",
    "bucketing": "karimireddy2022byzantine",
    "inner-product-manipulation": "xie2019fall",
    "fall-of-empires": "xie2019fall",
    "a-little-is-enough": "baruch2019little",
    "mimic": "karimireddy2022byzantine",
    "min-max": "shejwalkar2021manipulating",
    "min-sum": "shejwalkar2021manipulating",
    "steer": "raynal2025conflict",
}


@frozen
class Work:
    """An entry of the bibliography.

    Attributes:
        key: its BibTeX key.
        fields: author, title, year and the rest, as plain text.
        bibtex: the entry as it stands in the file.
    """

    key: str
    fields: Mapping[str, str]
    bibtex: str

    def __str__(self) -> str:
        field = self.fields
        authors = [" ".join(reversed(name.split(", "))) for name in field["author"].split(" and ")]
        listed = authors[0] if len(authors) == 1 else f"{', '.join(authors[:-1])} and {authors[-1]}"
        where = [field[name] for name in ("booktitle", "journal", "publisher", "note") if name in field]
        if "volume" in field:
            where.append(field["volume"] + (f"({field['number']})" if "number" in field else ""))
        if "pages" in field:
            where.append(field["pages"])
        where += [f"arXiv {field['eprint']}"] if "eprint" in field else []
        title = field["title"] if field["title"].endswith("?") else f"{field['title']}."
        return f"{listed} ({field['year']}). {title} {', '.join(where)}."


@frozen
class Citation:
    """The works behind a result, and what each is cited for.

    Attributes:
        works: the works, the most specific first, the library last.
        reasons: for each work what it contributed.
    """

    works: tuple[Work, ...]
    reasons: tuple[str, ...]

    @property
    def bibtex(self) -> str:
        """All entries as BibTeX."""
        return "\n\n".join(work.bibtex for work in self.works) + "\n"

    def __str__(self) -> str:
        return "\n".join(f"{work} [{why}]" for work, why in zip(self.works, self.reasons, strict=True))


def citation(result: Any) -> Citation:
    """Name the works behind a result.

    Args:
        result: a problem, contract, certificate, game, equilibrium, Shapley values, training run, or almost any
            other result of the library; or the name of an aggregation rule ("krum", also joined by "+") or of
            an attack.

    Returns:
        The works with reasons. `print` shows them as plain text, `.bibtex` has the entries.

    Raises:
        InvalidInput: nothing is known of such a result.

    >>> from contracts import GeneralizationBound
    >>> print(citation(GeneralizationBound()).works[0])
    Sai Praneeth Karimireddy, Wenshuo Guo and Michael I. Jordan (2022). Mechanisms that Incentivize Data
    Sharing in Federated Learning. arXiv 2207.04557.
    >>> [work.key for work in citation("nearest-neighbour-mixing+krum").works]
    ['allouah2023fixing', 'blanchard2017machine', 'modelpact']
    """
    reasons: dict[str, list[str]] = {}
    for key, why in _basis(result):
        if why not in reasons.setdefault(key, []):
            reasons[key].append(why)
    if not reasons:
        raise InvalidInput(
            f"result = {type(result).__name__}: expected a result of contracts, mechanisms or equilibria, or the"
            " name of a rule or an attack"
        )
    ours = reasons.pop(OURS, ["the implementation"])
    works = bibliography()
    return Citation(
        works=tuple(works[key] for key in [*reasons, OURS]),
        reasons=tuple("; ".join(why) for why in [*reasons.values(), ours]),
    )


def _basis(result: Any) -> Iterator[tuple[str, str]]:
    if isinstance(result, str):
        for name in result.split("+"):
            yield NAMED.get(name, OURS), checks.choice("result", name, _names())
    for kind in type(result).__mro__:
        yield from BASIS.get(f"{kind.__module__}.{kind.__qualname__}", ())
    if isinstance(result, Problem | Population) and not _published(result):
        yield OURS, "groups, qualities, capacities and baselines in one problem"
    for inner in _parts(result):
        yield from _basis(inner)
    provenance = getattr(result, "provenance", None)
    if getattr(provenance, "solver", None) in ("interior-point", "compiled"):
        yield "mehrotra1992implementation", "the predictor-corrector steps of the solver"
    if getattr(provenance, "solver", None) == "conic":
        yield "diamond2016cvxpy", "cvxpy, which stated the program to the conic solver"
    if getattr(provenance, "expectation", None) == "Gauss rule":
        yield "golub1969calculation", "Gauss rules for the law of the data"


def _published(result: Problem | Population) -> bool:
    """Whether participants cannot be told apart, nor their data, and value begins at zero."""
    population = result.population if isinstance(result, Problem) else result
    alike = population.groups is None and population.qualities is None and population.capacities is None
    alike &= population.shading == 0.0
    return alike and (
        isinstance(result, Population) or (result.baseline == 0.0 and np.ndim(result.valuation.scale) == 0)
    )


def _parts(result: Any) -> Iterator[Any]:
    """What a result was made from and that has sources of its own."""
    for name in ("problem", "accuracy", "curve", "game", "rule", "objective"):
        part = getattr(result, name, None)
        if part is not None and type(part).__module__.split(".")[0] in ("contracts", "equilibria"):
            yield part
    if "ConflictCurves" in type(result).__name__:
        yield from (*result.rules, result.attack)
    if isinstance(result, Problem):
        yield from _ingredients(result)


def _ingredients(problem: Problem) -> Iterator[Any]:
    """Those that say something; what is as usual needs no source."""
    population = problem.population
    yield from (one for one in (problem.outside, problem.menu) if not one.plain)
    yield from (law for law in population.laws if not isinstance(law, FixedTurnout))
    yield from problem.scenarios
    if population.doubt is not None:
        yield population.doubt


def _names() -> list[str]:
    from mechanisms.aggregation import rules
    from mechanisms.attacks import ATTACKS

    return [*rules(), *ATTACKS]


@cache
def bibliography() -> Mapping[str, Work]:
    """All works the library builds on, by BibTeX key.

    >>> bibliography()["shapley1953value"].fields["year"]
    '1953'
    """
    text = (files("modelpact") / "bibliography.bib").read_text(encoding="utf-8")
    entries = re.findall(r"^@\w+\{(\w+),\n(.*?)\n\}$", text, flags=re.M | re.S)
    sources = re.findall(r"^@.*?^\}$", text, flags=re.M | re.S)
    return {
        key: Work(key=key, fields=_fields(body), bibtex=source)
        for (key, body), source in zip(entries, sources, strict=True)
    }


def _fields(body: str) -> dict[str, str]:
    found = re.findall(r"^  (\w+) = \{(.*?)\},?$", body, flags=re.M | re.S)
    return {name: _text(value) for name, value in found}


ACCENTS = {r"{\"u}": "ü", r"{\'e}": "é", r"{\~a}": "ã", "--": "–", "``": "“", "''": "”"}


def _text(value: str) -> str:
    for code, character in ACCENTS.items():
        value = value.replace(code, character)
    return " ".join(re.sub(r"[{}]", "", value).split())
