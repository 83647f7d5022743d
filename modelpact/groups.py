"""What `modelpact play` says of several coalitions: which form, what they keep, what must be said with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from equilibria.fixed_amounts import FixedAmountsRule
from equilibria.participation import ParticipationGame
from equilibria.partition import StablePartition
from equilibria.pooled import ClubRule, EqualShareRule


def groups_form(game: ParticipationGame) -> bool:
    """Whether members of coalitions agree what these are worth, so that several may form."""
    if isinstance(game.rule, FixedAmountsRule):
        return True
    return isinstance(game.rule, EqualShareRule) and not isinstance(game.rule, ClubRule) and game.alike


def partition_record(found: StablePartition) -> dict[str, Any]:
    """What a game's record says of the coalitions that form: the first thousand sizes and losses, best first."""
    return {
        "coalitions": len(found),
        "sizes": found.sizes[:1000].tolist(),
        "losses": found.losses[:1000].tolist(),
        "total_surplus": found.total_surplus,
        "labels": found.labels.tolist() if found.labels.size <= 1000 else None,
        "method": found.method,
    }


def groups_picture(game: ParticipationGame, ending: str) -> bytes:
    """The coalitions of a game drawn on a line by quality, in a format such as png."""
    import io

    from equilibria.plots import plot_partition

    picture = io.BytesIO()
    plot_partition(game, game.partition()).savefig(picture, format=ending)
    return picture.getvalue()


def groups_text(name: str, record: Mapping[str, Any], agents: int) -> str:
    """What several coalitions would keep beside what one does, and what must be said with it."""
    found, cascade = record["partition"], record["cascade"]
    kept, one = found["total_surplus"], cascade["total_surpluses"][-1]
    together = record["grand_coalition"]["total_surplus"]
    text = f"{name}: one coalition ends with {cascade['sizes'][-1]} of {agents} and keeps {one:.4g}"
    if found["coalitions"] in (1, agents):
        end = "all are together" if found["coalitions"] == 1 else "everybody is alone"
        return f"{text}; if there may be several, {end} all the same"
    sizes = [str(size) for size in found["sizes"][:6]] + (["more"] if found["coalitions"] > 6 else [])
    listed = f"{', '.join(sizes[:-1])} and {sizes[-1]}"
    text += f"; if there may be several, {found['coalitions']} coalitions of {listed} keep {kept:.4g}"
    text += f" of the {together:.4g} that all together would share" if together > 0 else ""
    text += (
        ". These need public or estimated quality, and the consent of their members; they are no Nash "
        "equilibrium of joining freely"
    )
    return text + (", and here they keep less than the one coalition" if one > kept * (1 + 1e-9) else "")
