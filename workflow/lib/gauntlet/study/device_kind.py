"""On what a configuration's jobs compute: device and precision. Standard library only."""

import os
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

BFLOAT_FLAGS = {"amx_bf16", "avx512_bf16"}


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


def precision(config: dict[str, Any], *, cpuinfo: str = "/proc/cpuinfo") -> str:
    """Resolve `compute.precision`: auto is bfloat16 where the device multiplies it natively.

    That is on CUDA, and on a CPU whose flags say so; else float32.
    """
    wanted = config["compute"]["precision"]
    if wanted != "auto":
        return wanted
    device = device_kind(config)
    native = _multiplies_bfloat16(cpuinfo) if device == "cpu" else device == "cuda"
    return "bfloat16" if native else "float32"


@cache
def _multiplies_bfloat16(cpuinfo: str) -> bool:
    if not os.path.exists(cpuinfo):
        return False
    with open(cpuinfo, encoding="utf-8") as stream:
        flags = next((line.split() for line in stream if line.startswith("flags")), [])
    return bool(BFLOAT_FLAGS & set(flags))
