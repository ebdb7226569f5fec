"""How tables and figures write numbers and threat models."""

import math


def short_eps(eps: str | float) -> str:
    """Write an eps as a short decimal or as a fraction of 255."""
    value = float(eps)
    if len(f"{value:.6g}") <= 6 or not math.isclose(value * 255, round(value * 255), abs_tol=1e-3):
        return f"{value:.4g}"
    return f"{round(value * 255)}/255"


def threat_label(norm: str, eps: str | float) -> str:
    """Write a threat model: `linf 8/255`, `sigma 0.1`."""
    return f"{'sigma' if norm == 'noise' else norm} {short_eps(eps)}"


def percent(mean: str | float | None, spread: str | float | None = None) -> str:
    """Write a share as a percentage with one decimal, with its spread if there is one."""
    if mean in ("", None):
        return "–"
    text = f"{100 * float(mean):.1f}"
    return text if spread in ("", None) else f"{text} ± {100 * float(spread):.1f}"
