"""Parts of the GPU check that measure nothing: the machine, leases, equal bytes, tests."""

import hashlib
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import torch

from gauntlet.api import attack
from gauntlet.core import device
from gauntlet.runtime import gpu_inventory
from gauntlet.training import loop
from gauntlet.training.data_parallel import SingleProcess
from tests.benchmarks.gpu_budget import CUT, FAILED, SKIPPED, Row
from tests.helpers import tiny
from tests.helpers.places import ROOT

MARK = "pytest.mark.cuda"  # what files hold whose tests use a device
Left = Callable[[], float]  # the seconds that a part still has
HOLDER = """
import sys, time
from gauntlet.runtime.gpu_leases import leased
with leased(1) as ids:
    print(*ids, flush=True)
    time.sleep(float(sys.argv[1]))
"""


def machine(options, left: Left) -> Iterator[Row]:
    """Name what is measured: device, driver, versions."""
    found = {"torch": torch.__version__, "CUDA": torch.version.cuda or "none"}
    found |= {"Python": platform.python_version()}
    if torch.cuda.is_available():
        found["GPU"] = torch.cuda.get_device_name()
        found["GPU memory (GiB)"] = round(torch.cuda.get_device_properties(0).total_memory / 2**30)
    for name, value in found.items():
        yield Row("", name, str(value))
    if options.device == "cuda" and not torch.cuda.is_available():
        yield Row("", "CUDA", state=FAILED, note="PyTorch finds no CUDA device")


def leases(options, left: Left) -> Iterator[Row]:
    """Lease a real device twice: the second waits for the first, even if the first is killed."""
    inventory = gpu_inventory.take_inventory()
    yield Row("", "devices that nvidia-smi names", len(inventory))
    if not inventory:
        yield Row("", "leases", state=SKIPPED, note="there is no nvidia-smi, or it names no device")
        return
    count = len(gpu_inventory.candidates(1, inventory))
    holders = [_holder(600) for _ in range(count)]
    held = sorted(holder.stdout.readline().strip() for holder in holders)
    yield Row("", "devices leased at once, each by one process", len(set(held)))
    second = _holder(0)
    try:
        time.sleep(min(3.0, left() / 4))
        yield _is("a lease waits while all devices are leased", second.poll() is None)
        holders[0].kill()
        holders[0].wait()
        second.wait(max(left() - 1, 1))
        taken = second.stdout.readline().strip()
        yield _is("it gets the device of a process that was killed", taken in held and bool(taken))
    finally:
        for holder in (*holders, second):
            holder.kill()


def _holder(seconds: float) -> subprocess.Popen:
    command = [sys.executable, "-c", HOLDER, str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _is(what: str, right: bool) -> Row:
    return Row("", what, "yes" if right else "no", state="measured" if right else FAILED)


def same_bytes(options, left: Left) -> Iterator[Row]:
    """Train and attack twice from one seed: are weights and examples equal, byte for byte?"""
    where = device.prepare({"threads": 1, "device": options.device})
    for precision in ("float32", "bfloat16"):
        found = [_digests(where, precision, options.tiny) for _ in range(2)]
        for name in found[0]:
            equal = found[0][name] == found[1][name]
            yield _is(f"{name}, {precision}: two runs give the same bytes", equal)
        if left() < 5:
            yield Row("", "other precisions", state=CUT, note="no time was left")
            return


def _digests(where: torch.device, precision: str, small: bool) -> dict[str, str]:
    arch = {"arch": "preact_resnet18", "width": 2 if small else 16}
    spec = tiny.spec("n_fgsm", epochs=1, precision=precision) | {"device": where.type}
    train, held = tiny.part(64 if small else 512), tiny.part(32, 1)
    for part in (train, held):
        part.images, part.labels = part.images.to(where), part.labels.to(where)
    model = tiny.model(arch).to(where)
    loop.fit(model, spec, train, held, processes=SingleProcess())
    done = attack(
        model, held.images, held.labels, eps=0.1, attack="pgd", precision=precision, progress=False
    )
    weights = b"".join(value.cpu().numpy().tobytes() for value in model.state_dict().values())
    examples = done.images.cpu().numpy().tobytes()
    found = {"weights": weights, "examples of PGD": examples}
    return {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}


def tests(options, left: Left) -> Iterator[Row]:
    """Run the tests that use every device there is."""
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if MARK in path.read_text()]
    command = [sys.executable, "-m", "pytest", "-rfE", "-m", "cuda", "-p", "no:cacheprovider"]
    command += map(str, sorted(files))
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=max(left() - 3, 1))
    except subprocess.TimeoutExpired:
        yield Row("", "tests", state=CUT, note="they took longer than their share of the time")
        return
    counts = dict(
        (name, int(count))
        for count, name in re.findall(r"(\d+) (passed|failed|error|skipped)", done.stdout)
    )
    failed = counts.get("failed", 0) + counts.get("error", 0)
    yield Row("", "tests that passed", counts.get("passed", 0), note="pytest -m cuda")
    names = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.M)
    state = FAILED if failed or not counts.get("passed") else "measured"
    yield Row("", "tests that failed", failed, state=state, note=", ".join(names)[:300])
