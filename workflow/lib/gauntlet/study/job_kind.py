"""What the table of jobs says of a rule's jobs. Standard library only."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from gauntlet.core.files import PROVENANCE
from gauntlet.study.job_name import JobName, Names
from gauntlet.study.specs import Spec


class Need(NamedTuple):
    """Jobs that a job waits for: the rules that can make them, and a function that lists them."""

    rules: tuple[str, ...]
    find: Callable[[Mapping[str, Any], Names], Iterator[JobName]]
    drawn: bool = True  # whether the figure of the rule graph shows it


class JobKind(NamedTuple):
    """What is known of a rule's jobs.

    `spec` makes the specification from the configuration and from the wildcards that `names`
    lists. The paths of all results begin with `place`; the provenance is called `record`.
    `script` is the stage's script, where it has not the rule's name.
    """

    spec: Callable[..., Spec]
    names: tuple[str, ...]
    place: str
    record: str
    needs: Mapping[str, Need] = {}
    script: str = ""

    @property
    def provenance(self) -> str:
        """Give the path of the provenance, with wildcards."""
        return f"{self.place}{self.record}{PROVENANCE}"
