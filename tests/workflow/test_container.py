"""The steps of the container file, run as a script: no builder of containers is needed.

Paths of the container lie below a temporary folder. Its environment sees the packages of this one,
so that pip finds the pinned requirements installed and fetches nothing.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig

import pytest

from tests.helpers.places import ROOT

FILE = ROOT / "envs" / "Containerfile"
PLACES = ("/opt/", "/study")


def steps():
    """Give (instruction, argument) of each line of the container file."""
    text = FILE.read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            yield word, rest.strip()


class Container:
    """A folder that stands for a container's root."""

    def __init__(self, root):
        self.root, self.folder = root, root
        (root / "bin").mkdir()
        (root / "bin" / "python").symlink_to(sys.executable)
        self.environment = {"PATH": f"{root / 'bin'}:{os.environ['PATH']}", "HOME": str(root)}
        self.environment |= {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}

    def inside(self, text):
        """Move the container's absolute paths below the folder."""
        for place in PLACES:
            text = text.replace(place, f"{self.root}{place}")
        return text

    def set(self, argument):
        for part in shlex.split(argument):
            name, _, value = self.inside(part).partition("=")
            if name == "PATH":
                value = f"{value.split(':')[0]}:{self.environment['PATH']}"
            self.environment[name] = value

    def copy(self, argument):
        *sources, target = argument.split()
        for source in sources:
            path, end = ROOT / source, self.folder / target
            if path.is_dir():
                leave = shutil.ignore_patterns("__pycache__")
                shutil.copytree(path, end, ignore=leave, dirs_exist_ok=True)
            else:
                shutil.copy2(path, end)

    def run(self, command):
        done = subprocess.run(
            ["sh", "-ec", self.inside(command)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def enter(self, folder):
        self.folder = self.root / folder.lstrip("/")
        self.folder.mkdir(parents=True, exist_ok=True)


@pytest.fixture
def container(tmp_path):
    made = Container(tmp_path)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = tmp_path / "opt" / "venv" / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    (packages / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return made


@pytest.mark.slow
def test_the_steps_of_the_container_work(container):
    known = {"WORKDIR": container.enter, "COPY": container.copy, "ENV": container.set}
    known |= {"RUN": container.run}
    done = [word for word, rest in steps() if word in known and known[word](rest) is None]
    assert done.count("COPY") >= 4
    start = next(rest for word, rest in steps() if word == "ENTRYPOINT")
    assert start == '["gauntlet"]'
    where = container.run("python -c 'import gauntlet; print(gauntlet.__file__)'")
    assert str(container.root) in where
    assert "fgsm" in container.run("gauntlet list attacks")


def test_every_instruction_is_known():
    words = {word for word, _ in steps()}
    assert words <= {"FROM", "ENV", "WORKDIR", "COPY", "RUN", "ENTRYPOINT", "CMD"}


def test_what_is_copied_is_there():
    for word, rest in steps():
        if word == "COPY":
            assert all((ROOT / source).exists() for source in rest.split()[:-1]), rest
