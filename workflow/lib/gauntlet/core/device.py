"""Where and how tensors are computed: device, threads, determinism."""

import ctypes
import os
from itertools import islice

import torch

from gauntlet.core.errors import GauntletError

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
NO_FLOAT64 = ("mps",)
CPU_LINES = 12  # of /proc/cpuinfo, which tell about the first processor
LARGEST_BLOCK, MOST_KEPT = 32 << 20, 2**31 - 1  # bytes; the first is the maximum in glibc


def prepare(spec: dict) -> torch.device:
    """Set up the process as the spec says and give its device.

    The number of threads is in the spec because another number gives other bits on a CPU. TF32 is
    off and algorithms are deterministic. Raises GauntletError if the device is not there.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(spec["threads"])
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.utils.deterministic.fill_uninitialized_memory = False  # no result depends on such memory
    keep_memory()
    return find_device(spec["device"])


def keep_memory() -> bool:
    """Let this process keep the memory of freed tensors; tell whether that was possible.

    glibc returns large blocks to the system and requests them again, page by page: a third of an
    attack's time on a CPU. Other C libraries stay unchanged.
    """
    try:
        adjust = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(adjust(MMAP_THRESHOLD, LARGEST_BLOCK) and adjust(TRIM_THRESHOLD, MOST_KEPT))


def find_device(kind: str) -> torch.device:
    """Give the device of a kind: cpu or cuda."""
    present = {"cpu": True, "cuda": torch.cuda.is_available()}
    if not present.get(kind, False):
        there = ", ".join(name for name, found in present.items() if found)
        raise GauntletError(
            f"compute.device resolved to '{kind}', but this machine's PyTorch offers {there}; "
            f"set compute.device to one of these."
        )
    return torch.device(kind)


def require_float64(device: torch.device | str, what: str) -> None:
    """Raise GauntletError that names `what` if a device has no float64, as Apple's mps."""
    if torch.device(device).type in NO_FLOAT64:
        raise GauntletError(
            f"{what} on '{device}', which has no float64, in which balls and certificates are "
            "computed; allowed are cpu and cuda: move model and images there first."
        )


def describe() -> dict[str, str]:
    """Describe this machine for a provenance record."""
    record = {"cpu": _processor(), "torch": torch.__version__}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        record["gpu"] = torch.cuda.get_device_name()
    return record


def _processor() -> str:
    """Name the processor; its family and model tell those apart that share a name."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            lines = (line.partition(":") for line in stream)
            known = {key.strip(): value.strip() for key, _, value in islice(lines, CPU_LINES)}
        parts = [f"{key} {known[key]}" for key in ("cpu family", "model") if key in known]
        return f"{known['model name']} ({', '.join(parts)})" if parts else known["model name"]
    except (OSError, KeyError):
        import platform

        return platform.processor() or platform.machine()
