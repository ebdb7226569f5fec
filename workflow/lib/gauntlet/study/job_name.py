"""How one job among all is named. Standard library only."""

from collections.abc import Mapping
from typing import NamedTuple

Names = Mapping[str, str]


class JobName(NamedTuple):
    """A job's rule and wildcards."""

    rule: str
    names: Names
