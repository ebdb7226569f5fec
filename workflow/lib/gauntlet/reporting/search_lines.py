"""What tables say of settings that a search has found."""

from collections.abc import Mapping, Sequence
from typing import Any

from gauntlet.evaluation.summary import MODEL
from gauntlet.reporting.formatting import percent


def found_settings(rows: Sequence[Mapping]) -> list[str]:
    """Say which settings were found for each defense that comes from a search: a line each."""
    lines: dict[str, None] = {}
    for row in (row for row in rows if "found" in row):
        found = row["found"]
        reached = f"robust {percent(found['robust'])}, clean {percent(found['clean'])}"
        lines[
            f"{'/'.join(row[name] for name in MODEL)} has the settings of trial {found['trial']} "
            f"of the search {found['search']} ({settings_text(found['settings'])}), which reached "
            f"{reached} on {found['n']} validation images, {found['seeds']} seed"
            f"{'s' * (found['seeds'] != 1)}. No test image was used to find them."
        ] = None
    return list(lines)


def settings_text(settings: Mapping[str, Any]) -> str:
    """Write settings as `beta 3.2, optimizer adam`."""
    return ", ".join(f"{key} {value_text(value)}" for key, value in settings.items())


def value_text(value: Any) -> str:
    """Write one setting's value as YAML has it."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)
