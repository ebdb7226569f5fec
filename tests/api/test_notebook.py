"""The tutorial runs from its first cell to its last in a kernel, as a reader runs it."""

import signal

import nbformat
import pytest
from nbclient import NotebookClient

from tests.helpers.places import ROOT

PATH = ROOT / "docs" / "tutorials" / "attack_my_model.ipynb"


def texts(notebook) -> list[str]:
    """Give what each code cell printed or showed, its error messages left aside."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            shown = [
                out.get("text") or out.get("data", {}).get("text/plain", "") for out in cell.outputs
            ]
            found.append("\n".join(shown))
    return found


def test_it_is_saved_with_what_it_showed():
    notebook = nbformat.read(PATH, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    shown = "\n".join(texts(notebook))
    for call in ("Attack gauntlet", "Evaluation of", "Certificate crown", "Audit: fail", "True"):
        assert call in shown
    assert not any(out.output_type == "error" for cell in code for out in cell.outputs)


@pytest.mark.slow
def test_it_runs(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "workflow" / "lib"))
    saved = nbformat.read(PATH, as_version=4)
    notebook = nbformat.read(PATH, as_version=4)
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        NotebookClient(notebook, timeout=1200, kernel_name="python3").execute()
    finally:
        signal.signal(signal.SIGINT, interrupt)  # which the client sets to Python's own
    fresh, before = texts(notebook), texts(saved)
    titles = [[text.split("\n")[0].split(":")[0] for text in shown] for shown in (fresh, before)]
    tables = [(one, other) for one, other in zip(*titles, strict=True) if " images" in other]
    assert len(tables) > 5 and all(one == other for one, other in tables)
    assert "True" in fresh[-1]
