"""Processes that train together, without torchrun: `together.py FOLDER RANK SIZE CASE...`."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import torch
from torch import distributed, nn

from gauntlet.core.rng import generator
from gauntlet.core.signals import Saved
from gauntlet.stages.train import fit_files
from gauntlet.training import loop
from gauntlet.training.data_parallel import DataParallel
from gauntlet.training.loop import NonFiniteLoss
from gauntlet.training.step import Step
from tests.helpers import tiny

MOVED = {"augment": "flip_crop", "ema": 0.9, "optimizer": "sgd", "learning_rate": 0.05}
CASES = {  # defense, architecture, changes of `training`
    **{name: (name, tiny.CNN, {}) for name in tiny.DEFENSES},
    "normed": ("adversarial", tiny.NORMED, MOVED),
    "normed trades": ("trades", tiny.NORMED, {}),
    "bfloat16": ("standard", tiny.NORMED, {"precision": "bfloat16"}),
    "few": ("adversarial", tiny.NORMED, {"batch": 2, "epochs": 1}),
    "ramp": ("ibp", tiny.CNN, {"ramp": 0.5}),
    "dropout": ("standard", "dropout", {}),
    "watched": ("n_fgsm", tiny.CNN, {"rollback": True}),
    "averaged": ("consistency", tiny.CNN, {"swa": 0.3}),
    "mixed": ("noise_adversarial", tiny.CNN, {"mix": "cutmix", "extra": {"share": 0.3}}),
    "frozen": ("mart", tiny.NORMED, {"freeze": 2}),
    "no number": ("standard", tiny.CNN, {"learning_rate": 1e30}),
}


def fit(case, **extra):
    """Train a case: 50 images for 2 epochs, and 25 images to validate on."""
    defense, arch, change = CASES[case]
    model = tiny.model(tiny.CNN if arch == "dropout" else arch)
    if arch == "dropout":
        model.network.insert(2, nn.Dropout(0.5))
    train = tiny.part(50)
    spec = tiny.spec(defense, **change)
    return loop.fit(model, spec, train, tiny.part(25, 1), **tiny.given(spec, train), **extra)


def gradients(processes, count):
    """Give the gradients, in float64, of one batch's loss, and what batch norm keeps of it."""
    model, part, spec = tiny.model(tiny.NORMED).double(), tiny.part(count), tiny.spec()
    model.train()
    losses = processes.losses(Step(model, spec))
    stream = generator(0, "gradients")
    loss, mean = losses(part.images.double(), part.labels, None, stream, 0.0)
    loss.backward()
    found = {name: weight.grad for name, weight in model.named_parameters()}
    return found | dict(model.named_buffers()) | {"loss": mean}


def same(first, second):
    """Hold two outcomes against one another, to the bit."""
    assert repr(first["history"]) == repr(second["history"])  # in which nan equals nan
    assert first["best_epoch"] == second["best_epoch"]
    for name in ("best", "last"):
        assert first[name].keys() == second[name].keys()
        assert all(torch.equal(first[name][key], second[name][key]) for key in first[name])


def stopped_and_gone_on(case, rank, size, keep):
    """Train a case that the last process is asked to stop, again and again."""
    for stops in range(20):
        looks = iter(range(3))

        def message(looks=looks):
            return signal.SIGUSR1 if rank == size - 1 and next(looks, None) == 2 else 0

        try:
            return fit(case, processes=DataParallel(rank, size, message), keep=keep), stops
        except Saved as end:
            assert end.code == 128 + signal.SIGUSR1
    raise AssertionError("it came to no end")


def main(folder: Path, rank: int, size: int, *cases: str) -> None:
    torch.set_num_threads(1)
    store = distributed.FileStore(str(folder / "store"), size)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=size)
    outcomes = {}
    for case in cases:
        try:
            outcomes[case] = vars(fit(case, processes=DataParallel(rank, size)))
        except NonFiniteLoss as error:
            outcomes[case] = error.epoch
        if case in ("dropout", "normed"):
            keep = folder / case
            keep.mkdir(exist_ok=True)
            again, outcomes[f"{case} stops"] = stopped_and_gone_on(case, rank, size, keep)
            outcomes[f"{case} again"] = vars(again)
    for count in (2, 33):
        outcomes[f"gradients {count}"] = gradients(DataParallel(rank, size), count)
    if (folder / "plan.json").exists():
        files, spec = json.loads((folder / "plan.json").read_text())
        found = fit_files(files, spec, None, torch.device("cpu"), DataParallel(rank, size))
        outcomes["files"] = vars(found)
    torch.save(outcomes, folder / f"outcomes{rank}.pt")
    distributed.barrier()


def run(folder: Path, size: int, cases, plan=None) -> list[dict]:
    """Train cases, and a plan of files and spec, in `size` processes: what each has in the end."""
    folder.mkdir()
    if plan:
        (folder / "plan.json").write_text(json.dumps(plan))
    paths = {"PYTHONPATH": os.pathsep.join(sys.path), "GLOO_SOCKET_IFNAME": "lo"}
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.helpers.together",
                str(folder),
                str(rank),
                str(size),
                *cases,
            ],
            env=os.environ | paths,
        )
        for rank in range(size)
    ]
    try:
        assert [process.wait(1200) for process in processes] == [0] * size
    finally:
        for process in processes:
            process.kill()
    return [torch.load(folder / f"outcomes{rank}.pt") for rank in range(size)]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
