"""The pages under docs/: current, complete, and with links that lead somewhere."""

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

from tests.helpers.places import ROOT

BUILDER = ROOT / "docs" / "build_settings.py"
PAGES = sorted(
    path
    for folder in (ROOT, ROOT / "docs", ROOT / "config", ROOT / "profiles")
    for path in (folder.rglob("*.md") if folder.name == "docs" else folder.glob("*.md"))
)


def _builder():
    plan = importlib.util.spec_from_file_location("build_settings", BUILDER)
    module = importlib.util.module_from_spec(plan)
    plan.loader.exec_module(module)
    return module


def test_the_page_of_settings_is_current():
    builder = _builder()
    made = builder.page(yaml.safe_load(builder.SCHEMA.read_text(encoding="utf-8")))
    assert builder.PAGE.read_text(encoding="utf-8") == made, "run `make docs` and commit the page"


def test_the_page_of_settings_knows_every_kind():
    builder = _builder()
    schema, text = (
        yaml.safe_load(builder.SCHEMA.read_text(encoding="utf-8")),
        builder.PAGE.read_text(),
    )
    for family, (switch, _) in builder.FAMILIES.items():
        for kind in schema["$defs"][family]["properties"][switch]["enum"]:
            assert f"### `{switch}: {kind}`" in text


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path):
    text = path.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        place = link.partition("#")[0]
        if place and "://" not in place:
            assert (path.parent / place).exists(), f"{path.relative_to(ROOT)} links to {link}"
