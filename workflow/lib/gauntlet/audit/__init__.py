"""Audit checks, one plug-in file each: `gauntlet/audit/<check>.py` holds the function `<check>`.

The package can be called: `gauntlet.audit(model, images, labels, eps=...)` is `gauntlet.api.audit`.
"""

import sys
from collections.abc import Iterable, Iterator

from gauntlet.audit._finding import FAIL, PASS, WARN, Finding, skipped
from gauntlet.audit._subject import Subject
from gauntlet.core.callable_room import CallableRoom
from gauntlet.core.plugins import load

sys.modules[__name__].__class__ = CallableRoom


def audit(subject: Subject, checks: Iterable[str]) -> Iterator[Finding]:
    """Run the named checks on a model, in their order; without images all are skipped."""
    for name in checks:
        check, subject.check = load("audit", name), name
        yield check(subject) if len(subject.images) else skipped(name, "There are no images.")
        subject.check = ""


def verdict(findings: Iterable[Finding]) -> str:
    """Give the worst verdict: fail, warn, else pass; what is only information passes."""
    given = {finding.verdict for finding in findings}
    return FAIL if FAIL in given else WARN if WARN in given else PASS


def remedies(findings: Iterable[Finding]) -> list[str]:
    """Name, sorted, what an attack must do to work around what was found."""
    return sorted({finding.remedy for finding in findings if finding.remedy})
