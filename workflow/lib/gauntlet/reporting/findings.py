"""Sentences that a study's numbers carry: what a reader should take from a table or figure."""

from collections.abc import Mapping
from typing import NamedTuple

from gauntlet.reporting.formatting import percent, threat_label

NOISE = "gaussian_noise"
CLOSE = 0.02  # accuracies that differ by less are called about the same
CLEAR = 0.05  # a defense that gains less resists no attack
COLLAPSE = ("single-step collapse", "withstands one step only")  # see training's warnings


class Standing(NamedTuple):
    """A defense's clean and worst-case accuracy (mean over seeds), and its seeds' warnings."""

    clean: float
    robust: float
    warnings: tuple[str, ...] = ()
    passes: float | None = None


Standings = Mapping[str, Standing]
Kinds = Mapping[str, Mapping]


def noise_sentence(found: Standings, kinds: Kinds, threat: tuple) -> str | None:
    """Say whether training on noise resists attacks; None without such a defense."""
    base = _baseline(found, kinds)
    names = [name for name in found if kinds.get(name, {}).get("kind") == NOISE]
    if base is None or not names or _best(found) in names:
        return None
    best = _best(found)
    name = max(names, key=lambda one: found[one].robust)
    own, plain, top = (found[one].robust for one in (name, base, best))
    numbers = (
        f"{percent(own)} % at {threat_label(*threat)}, beside {percent(plain)} % of {base} and "
        f"{percent(top)} % of {best}"
    )
    if own - plain < max(CLEAR, (top - plain) / 2):
        return f"Training on noise does not resist these attacks: {name} keeps {numbers}."
    return f"Training on noise resists some of these attacks: {name} keeps {numbers}."


def collapse_sentence(found: Standings, kinds: Kinds) -> str | None:
    """Say in which single-step trainings a collapse was seen; None without such training."""
    single = [name for name in found if kinds.get(name, {}).get("single_step")]
    fallen = [name for name in single if any(_is_collapse(text) for text in found[name].warnings)]
    if not single:
        return None
    if not fallen:
        return f"No single-step training collapsed here ({', '.join(single)})."
    told = ", ".join(f"{name} ({percent(found[name].robust)} %)" for name in fallen)
    return (
        f"Single-step training can collapse, and withstand one step only: that was seen in {told}; "
        "the numbers are those of the weights that were chosen."
    )


def price_sentence(found: Standings, kinds: Kinds, threat: tuple) -> str | None:
    """Say what the most robust model pays in clean accuracy; None without a baseline."""
    base = _baseline(found, kinds)
    if base is None or _best(found) == base:
        return None
    best = _best(found)
    top, plain = found[best], found[base]
    lost, gained = plain.clean - top.clean, top.robust - plain.robust
    if lost <= CLOSE:
        return (
            f"The most robust model, {best} ({percent(top.robust)} % at {threat_label(*threat)}), "
            f"has {percent(top.clean)} % on clean images, {base} {percent(plain.clean)} %."
        )
    return (
        f"Robustness costs clean accuracy: {best}, the most robust model, gains "
        f"{100 * gained:.1f} points at {threat_label(*threat)} and loses {100 * lost:.1f} points "
        f"on clean images against {base}."
    )


def compute_sentences(found: Standings, kinds: Kinds) -> list[str]:
    """Say what robustness costs in passes, and which cheaper training comes close to the best."""
    known = {name: one for name, one in found.items() if one.passes}
    base = _baseline(known, kinds)
    if len(known) < 2 or base is None:
        return []
    best = _best(known)
    top, plain = known[best], known[base]
    times = top.passes / plain.passes
    sentences = [f"{best}, the most robust model, took {times:.3g} times the passes of {base}."]
    near = [name for name in known if known[name].robust >= top.robust - CLOSE and name != best]
    cheap = min(near, key=lambda name: known[name].passes, default=None)
    if cheap is not None and known[cheap].passes < top.passes:
        own = known[cheap]
        sentences.append(
            f"{cheap} comes within {100 * (top.robust - own.robust):.1f} points of it with "
            f"{own.passes / top.passes:.2g} times its passes."
        )
    else:
        sentences.append(f"No cheaper training comes within {100 * CLOSE:.0f} points of it.")
    return sentences


def _baseline(found: Standings, kinds: Kinds) -> str | None:
    return next((name for name in found if kinds.get(name, {}).get("kind") == "standard"), None)


def _best(found: Standings) -> str:
    return max(found, key=lambda name: found[name].robust)


def _is_collapse(warning: str) -> bool:
    return any(words in warning for words in COLLAPSE)
