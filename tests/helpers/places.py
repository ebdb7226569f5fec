"""Where the project's own files are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "workflow" / "lib"
SCRIPTS = ROOT / "workflow" / "scripts"
RECORDED = ROOT / "tests" / "helpers" / "recorded"
