"""Part of the GPU check: PGD-40 in images/s beside bare forward plus backward passes."""

import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gauntlet.attacks.pgd import pgd
from gauntlet.core import device
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams
from gauntlet.models import build_model
from tests.benchmarks.gpu_budget import CUT, FAILED, SKIPPED, Row

EPS, STEPS, SHAPE = 8 / 255, 40, (3, 32, 32)
# How the network is computed: its name, the precision, the layout, how it is compiled.
WAYS = (
    ("float32, TF32 off", "float32", torch.contiguous_format, None),
    ("bfloat16", "bfloat16", torch.contiguous_format, None),
    ("float32, channels_last", "float32", torch.channels_last, None),
    ("bfloat16, channels_last", "bfloat16", torch.channels_last, None),
    ("bfloat16, channels_last, torch.compile", "bfloat16", torch.channels_last, "default"),
    ("bfloat16, channels_last, CUDA graphs", "bfloat16", torch.channels_last, "reduce-overhead"),
)


def speed(options, left: Callable[[], float]) -> Iterator[Row]:
    """Measure each way of computing preact_resnet18, then peers with the fastest plain way."""
    where = device.prepare(
        {"threads": 1 if options.device == "cpu" else 4, "device": options.device}
    )
    torch.use_deterministic_algorithms(False)  # as peers and bare passes compute
    width, count, batch = (4, 16, 8) if options.tiny else (64, 4096, 1024)
    images = torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(0)).to(where)
    longest = 0.0
    for name, precision, layout, compiled in WAYS:
        if compiled and options.device == "cpu":
            yield Row("", name, state=SKIPPED, note="measured on CUDA only")
            continue
        if left() < 1.5 * longest:
            yield Row("", name, state=CUT, note=f"{left():.0f} s were left")
            continue
        began = time.perf_counter()
        model = _network(width, where, layout)
        run = torch.compile(model, mode=compiled) if compiled else model
        try:
            yield from _rows(name, run, images, batch, precision)
        except Exception as error:  # a way that this version of PyTorch does not offer
            yield Row("", name, state=FAILED, note=f"{type(error).__name__}: {error}"[:300])
        longest = max(longest, time.perf_counter() - began)
    yield from _peers(_network(width, where, torch.contiguous_format), images, batch, left)


def _network(width: int, where: torch.device, layout) -> nn.Module:
    settings = {"arch": "preact_resnet18", "width": width}
    model = build_model(settings, SHAPE, 10, 0).to(where, memory_format=layout)
    return model.eval().requires_grad_(False)


def _rows(name: str, model, images: Tensor, batch: int, precision: str) -> Iterator[Row]:
    labels = BatchedModel(model, batch)(images).argmax(1)
    bare = _rate(lambda: _bare(model, images, labels, batch, precision), images)
    yield Row("", f"forward + backward, {name}", bare, "images/s", 1.0)
    given = {"norm": "linf", "eps": EPS, "steps": STEPS, "step": EPS / 4, "early_stop": False}
    batched = BatchedModel(model, batch, precision)

    def attacked():
        streams = Streams.of_images(0, torch.arange(len(labels)), "gpu-check")
        return pgd(batched, images, labels, streams=streams, **given)

    rate = _rate(attacked, images)
    note = "ratio: bare passes of 40 steps / PGD"
    yield Row("", f"PGD-40, {name}", rate, "images/s", round(rate * STEPS / bare, 3), note=note)


def _bare(model, images: Tensor, labels: Tensor, batch: int, precision: str) -> None:
    """Compute the loss and its gradient by the images, and nothing else."""
    lower = precision == "bfloat16"
    for some, truth in zip(images.split(batch), labels.split(batch), strict=True):
        given = some.detach().requires_grad_(True)
        with torch.autocast(some.device.type, torch.bfloat16, enabled=lower):
            loss = cross_entropy(model(given).float(), truth, reduction="sum")
        torch.autograd.grad(loss, given)


def _rate(run: Callable, images: Tensor) -> float:
    """Give images per second of the second of two runs: the first compiles and warms up."""
    run()
    _wait(images)
    began = time.perf_counter()
    run()
    _wait(images)
    return len(images) / (time.perf_counter() - began)


def _wait(images: Tensor) -> None:
    if images.is_cuda:
        torch.cuda.synchronize()


def _peers(model: nn.Module, images: Tensor, batch: int, left) -> Iterator[Row]:
    """Measure PGD-40 of the libraries that are installed, in float32, on the same images."""
    labels = BatchedModel(model, batch)(images).argmax(1)
    for name, make in {"torchattacks": _torchattacks, "foolbox": _foolbox}.items():
        attack = make(model)
        what = f"PGD-40, {name}, float32"
        if attack is None:
            yield Row("", what, state=SKIPPED, note=f"{name} is not installed")
            continue
        if left() < 20:
            yield Row("", what, state=CUT, note=f"{left():.0f} s were left")
            continue
        pairs = list(zip(images.split(batch), labels.split(batch), strict=True))
        yield Row(
            "", what, _rate(lambda a=attack, p=pairs: [a(*one) for one in p], images), "images/s"
        )


def _torchattacks(model: nn.Module):
    try:
        import torchattacks
    except ImportError:
        return None
    return torchattacks.PGD(model, eps=EPS, alpha=EPS / 4, steps=STEPS, random_start=True)


def _foolbox(model: nn.Module):
    try:
        import foolbox
    except ImportError:
        return None
    known = foolbox.PyTorchModel(model, bounds=(0, 1))
    attack = foolbox.attacks.LinfPGD(abs_stepsize=EPS / 4, steps=STEPS)
    return lambda some, truth: attack(known, some, truth, epsilons=EPS)
