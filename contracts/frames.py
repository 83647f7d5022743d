"""Results as pandas data frames, for notebooks and further work; pandas is loaded when asked for.

`frame.to_latex()` makes a table for a paper, `frame.to_markdown()` one for a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from contracts.errors import BackendMissing

if TYPE_CHECKING:
    import pandas


def frame(columns: Mapping[str, Any], index: Sequence[Any], name: str) -> pandas.DataFrame:
    """A data frame with a named index.

    Args:
        columns: values by column, one for each entry of the index.
        index: what the rows are called.
        name: what the index is called.

    Raises:
        BackendMissing: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise BackendMissing("pandas", "a data frame", "tables") from error
    return pandas.DataFrame(dict(columns), index=pandas.Index(list(index), name=name))
