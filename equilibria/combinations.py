"""What is not known for agents who differ in cost or capacity, and why: the one list that is asked."""

from __future__ import annotations

#: Each with the reason; what is not listed works for them.
NEEDS_AGENTS_ALIKE = {
    "one standalone contribution for all": "each has an own one, see standalone_contributions",
    "one standalone loss for all": "each has an own one, see standalone_losses",
    "mixed profiles and thresholds of types": "what joining is worth would depend on who joins, not on how "
    "many; tabulate the game",
    "the verified rule": "its theorem has the best agent by the estimates supply alone what anybody would",
    "a partition under equal shares": "members with other costs prefer other sizes, so that there need be no "
    "coalition best for all its members; FixedAmountsRule has partitions",
    "a club without a size": "who wants to stay is not told by quality alone; give the club's size",
    "a welfare optimum with slack": "it serves the verified rule only",
    "a phase diagram over costs": "there is no one cost to vary",
}
