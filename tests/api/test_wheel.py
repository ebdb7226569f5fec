"""The wheel, built and installed into an empty environment: what a user of `pip install` gets."""

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from tests.helpers import imports
from tests.helpers.places import ROOT

pytestmark = pytest.mark.slow
THREE_LINES = """
import torch
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
images = torch.rand(8, 1, 4, 4)
labels = model(images).argmax(1)

import gauntlet
result = gauntlet.attack(model, images, labels, eps=8/255)
print(result.robust_accuracy, result.images, result.success_by)

assert "site-packages" in gauntlet.__file__, gauntlet.__file__
assert 0 <= result.robust_accuracy <= 1 and result.n == 8
assert gauntlet.evaluate(model, images, labels, eps=0.01, attacks="fgsm").certified_accuracy > 0
assert gauntlet.__version__ == __import__("importlib.metadata").metadata.version(
    "gauntlet-robustness"
)
"""
EXTRAS = ("matplotlib", "onnx", "onnxruntime", "pandas", "PIL", "psutil", "sklearn", "snakemake")
EXTRAS += ("tabulate", "torchvision")  # modules that the library must do without
CONFIG = """
run: [wheel]
datasets: {digits: {source: sklearn_digits}}
defenses: {baseline: {kind: standard, epochs: 1}}
models: {tiny: {arch: mlp, hidden: [8]}}
attacks: {one: {kind: fgsm, norm: linf, eps: 0.1, loss_draws: 0}}
studies:
  wheel: {datasets: [digits], models: [tiny], defenses: [baseline], seeds: [0], attacks: [one]}
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The built wheel; what builds it is taken from this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    words = ["--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(
        [sys.executable, "-m", "build", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An empty environment with the wheel; other packages are seen through a .pth file."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    own = {"base": str(home), "platbase": str(home)}
    site = Path(sysconfig.get_path("purelib", "venv", own))
    python = home / "bin" / "python"
    words = ["install", "--quiet", "--no-deps", "--disable-pip-version-check", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *words], check=True)
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home


def run(installed, words, folder, **more):
    """Run a command of the environment, in another folder and without this one's paths."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    kept |= {"PATH": f"{installed / 'bin'}:{kept['PATH']}", "GAUNTLET_STORE": "off"}
    command = [str(installed / "bin" / words[0]), *words[1:]]
    return subprocess.run(
        command, cwd=folder, env=kept, capture_output=True, text=True, check=False, **more
    )


def test_it_holds_the_workflow_and_every_file_that_the_library_reads(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    library = ROOT / "workflow" / "lib"
    tracked = subprocess.run(
        ["git", "ls-files", "workflow/lib"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    files = [ROOT / name for name in tracked] or imports.library_files()
    wanted = {str(path.relative_to(library)) for path in files if path.is_file()}
    assert len(wanted) > 200 and wanted <= names
    for part in ("rules", "scripts", "schemas", "report"):
        for path in (ROOT / "workflow" / part).iterdir():
            if path.is_file():
                assert f"gauntlet/_workflow/workflow/{part}/{path.name}" in names
    for path in (*(ROOT / "config").glob("*.yaml"), ROOT / "Snakefile"):
        assert f"gauntlet/_workflow/{path.relative_to(ROOT)}" in names
    assert {"gauntlet/_workflow/workflow/Snakefile", "gauntlet/study/cost/rates.json"} <= names
    assert not any("__pycache__" in name or "/results/" in name for name in names)


def test_every_package_that_the_library_imports_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *extras["workflow"], *extras["onnx"]]
    declared += [*extras["tensorboard"], *extras["wandb"], *extras["mlflow"]]
    names = {line.split(">")[0].replace("-", "_").lower() for line in declared}
    names |= {"mlflow"}  # of mlflow-skinny
    names |= {"yaml", "sklearn", "pil", "google"}  # pyyaml, scikit-learn, pillow, onnx's protobuf
    names |= {"gauntlet", "snakemake_interface_logger_plugins"}  # the latter comes with Snakemake
    found = {
        found.name.split(".")[0]
        for path in imports.library_files()
        for found in imports.imports(path)
    }
    others = {name for name in found if name not in sys.stdlib_module_names}
    assert {"torch", "numpy"} < others and {name.lower() for name in others} <= names


def test_import_and_help(installed, tmp_path):
    done = run(installed, ["python", "-c", "import gauntlet; print(gauntlet.__file__)"], tmp_path)
    assert done.returncode == 0 and str(installed) in done.stdout
    done = run(installed, ["gauntlet", "--help"], tmp_path)
    assert done.returncode == 0 and "attack" in done.stdout and "run" in done.stdout, done.stderr
    done = run(installed, ["gauntlet", "list", "attacks"], tmp_path)
    assert done.returncode == 0 and "pgd" in done.stdout, done.stderr


def test_the_three_lines_without_any_extra(installed, tmp_path):
    program = f"import sys; sys.modules.update(dict.fromkeys({EXTRAS!r}))\n{THREE_LINES}"
    done = run(installed, ["python", "-c", program], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tensor(" in done.stdout


@pytest.mark.workflow
def test_a_study_is_run_from_the_installed_workflow(installed, tmp_path):
    (tmp_path / "mine.yaml").write_text(CONFIG)
    done = run(installed, ["gauntlet", "run", "mine.yaml", "--cores", "1"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    table = (tmp_path / "results" / "studies" / "wheel" / "summary.csv").read_text()
    assert "tiny" in table and "baseline" in table
    assert "tiny" in done.stdout + done.stderr
    again = run(installed, ["gauntlet", "run", "mine.yaml", "--cores", "1", "--dry-run"], tmp_path)
    assert again.returncode == 0 and "train_model" not in again.stdout + again.stderr
    cost = run(installed, ["gauntlet", "estimate", "mine.yaml"], tmp_path)
    assert cost.returncode == 0 and "jobs" in cost.stdout, cost.stdout + cost.stderr
