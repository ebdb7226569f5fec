"""YAML files that a command writes: a header that says so, and no edited file is lost."""

import hashlib
import re
from pathlib import Path
from typing import Any

from gauntlet.cli.errors import UsageMistake
from gauntlet.core.files import write_whole

MARK = re.compile(r"# Written by gauntlet \(([0-9a-f]{12})\).*\n")


def write_generated(path: Path, text: str) -> Path:
    """Write a file anew unless a user has changed it since; raises UsageMistake in that case."""
    if path.exists() and not _untouched(path):
        raise UsageMistake(
            f"{path} exists and was changed by hand; run it by gauntlet run {path}, or rename it."
        )
    whole = (
        f"# Written by gauntlet ({_digest(text)}); a file that you change is not replaced.\n{text}"
    )
    write_whole(path, lambda fresh: fresh.write_text(whole, encoding="utf-8"))
    return path


def _untouched(path: Path) -> bool:
    found = MARK.match(text := path.read_text(encoding="utf-8", errors="replace"))
    return bool(found) and found.group(1) == _digest(text[found.end() :])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def flow(value: Any) -> str:
    """Write a value in one line of YAML."""
    import yaml

    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False)
    return text.removesuffix("...\n").strip()


def entries(mapping: dict[str, Any], indent: str = "  ") -> str:
    """Write a mapping as YAML, one entry a line."""
    return "".join(f"{indent}{key}: {flow(value)}\n" for key, value in mapping.items())


def block(mapping: dict[str, Any], indent: str = "  ") -> str:
    """Write a mapping as YAML in as many lines as it needs: a list of layers is long."""
    import yaml

    text = yaml.safe_dump(mapping, default_flow_style=None, width=96, sort_keys=False)
    return "".join(f"{indent}{line}\n" for line in text.splitlines())
