"""On what a configuration's jobs compute. Standard library only."""

import os
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

BFLOAT_FLAGS = {"amx_bf16", "avx512_bf16"}
PROCESSOR = ("vendor_id", "cpu family", "model", "stepping", "model name")


def device_kind(
    config: dict[str, Any],
    *,
    environ: Mapping[str, str] = os.environ,
    exists: Callable[[str], bool] = os.path.exists,
    which: Callable[[str], str | None] = shutil.which,
) -> str:
    """Resolve `compute.device` to cpu or cuda without importing PyTorch.

    auto is cuda where a GPU is visible, else cpu: also on a Mac, whose mps has no float64.
    """
    wanted = config["compute"]["device"]
    if wanted != "auto":
        return wanted
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    hidden = visible is not None and visible.strip() in ("", "-1")
    found = not hidden and (exists("/dev/nvidia0") or (visible and which("nvidia-smi")))
    return "cuda" if found else "cpu"


def multiplies_bfloat16(device: str, *, cpuinfo: str = "/proc/cpuinfo") -> bool:
    """Tell whether a device of this machine multiplies bfloat16 natively: CUDA, or a CPU's flags.

    `cpuinfo` is the file that lists the flags.
    """
    if device != "cpu":
        return device == "cuda"
    return bool(BFLOAT_FLAGS & set(processor(cpuinfo).get("flags", "").split()))


def processor_name(*, cpuinfo: str = "/proc/cpuinfo") -> str:
    """Name the processor's model, as exactly as the system does; "" if it does not."""
    known = processor(cpuinfo)
    return " / ".join(known[key] for key in PROCESSOR if key in known)


@cache
def processor(cpuinfo: str) -> dict[str, str]:
    """Read what a file such as /proc/cpuinfo says of the first processor; empty without one."""
    try:
        with open(cpuinfo, encoding="utf-8") as stream:
            lines = [line.partition(":") for line in stream]
    except OSError:
        return {}
    found: dict[str, str] = {}
    for key, _, value in lines:
        found.setdefault(key.strip(), value.strip())
    return found
