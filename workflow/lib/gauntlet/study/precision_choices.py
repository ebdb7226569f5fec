"""Choices of a number format that were made once and stand: small files, one a question.

Standard library only. A question is a dict of JSON types, a choice a dict with `precision` and
`why`. Files are written whole, and the first one stands: whoever comes second takes it.
"""

import contextlib
import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

from gauntlet.core.files import partial_name

FORMATS = ("float32", "bfloat16")
logger = logging.getLogger(__name__)


def file_of(folder: str, question: dict[str, Any]) -> Path:
    """Name the file that holds the choice of a question."""
    text = json.dumps(question, sort_keys=True)
    return Path(folder, f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json")


def read(folder: str, question: dict[str, Any]) -> dict[str, Any] | None:
    """Give the choice that stands; None without one, and where its file is damaged."""
    path = file_of(folder, question)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["question"] == question and record["precision"] in FORMATS:
            return record
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError):
        pass
    logger.warning("%s cannot be read as a choice of precision; it is chosen anew.", path)
    with contextlib.suppress(OSError):
        path.unlink()
    return None


def keep(folder: str, question: dict[str, Any], choice: dict[str, Any]) -> dict[str, Any]:
    """Write a choice, unless another one stands by now; give the one that stands."""
    path = file_of(folder, question)
    fresh = partial_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**choice, "question": question}, indent=1, sort_keys=True)
        fresh.write_text(f"{text}\n", encoding="utf-8")
        _place(fresh, path)
    except OSError as error:
        logger.warning("The choice of precision cannot be kept in %s (%s).", path, error.strerror)
        return choice
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
    return read(folder, question) or choice


def _place(fresh: Path, path: Path) -> None:
    """Give a whole file its name, if no other file has it."""
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        os.replace(fresh, path)
