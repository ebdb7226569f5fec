"""The trials of a search: what each reached, and which settings mattered."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from gauntlet.core.records import read_json
from gauntlet.reporting.figures import style
from gauntlet.reporting.search_lines import settings_text

COMPLETE, PRUNED, REFUSED = "complete", "pruned", "refused"
LABELS = {COMPLETE: "complete", PRUNED: "ended early", REFUSED: "refused"}
HIGH = 0.32  # inches of a setting's bar


def search(rows: str, *, spec: dict) -> Figure:
    """Draw a search; `rows` is the record of its trials."""
    return draw(read_json(rows))


def draw(record: Mapping) -> Figure:
    """Draw each trial's value with the best so far, and the importance of each setting.

    `record` is what `choose_trial` writes of all trials.
    """
    figure = Figure(figsize=(9.2, max(3.6, 1.6 + HIGH * len(_settings(record)))))
    figure.set_layout_engine("constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _values(left, record)
    _importance(right, record)
    handles, labels = left.get_legend_handles_labels()
    style.legend(figure, handles, labels)
    style.note(figure, _note(record))
    return figure


def _settings(record: Mapping) -> Sequence[str]:
    return list(record["trials"][0]["settings"])


def _values(axes, record: Mapping) -> None:
    trials, looks = record["trials"], style.looks(LABELS)
    known = [trial["value"] for trial in trials if trial["value"] is not None]
    floor = min(known) - 0.08 * (max(known) - min(known) or 1)
    for state, label in LABELS.items():
        mine = [trial for trial in trials if trial["state"] == state]
        values = [floor if trial["value"] is None else trial["value"] for trial in mine]
        look = looks[state] | {"linestyle": "none"}
        look |= {} if state == COMPLETE else {"markerfacecolor": "none"}
        if mine:
            axes.plot([trial["trial"] for trial in mine], values, label=label, **look)
    _best_so_far(axes, trials)
    for trial in (trial for trial in trials if trial["start"] and trial["value"] is not None):
        ring = {"marker": "o", "markersize": 13, "markerfacecolor": "none", "linestyle": "none"}
        ring |= {"markeredgecolor": style.ink(), "label": "settings by hand"}
        axes.plot(trial["trial"], trial["value"], **ring)
    axes.set_title("Trials")
    axes.set_xlabel("trial (number)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    style.percent_axis(axes.yaxis, "value on the validation part (%)")


def _best_so_far(axes, trials: Sequence[Mapping]) -> None:
    numbers, values = [], []
    for trial in trials:
        if trial["state"] == COMPLETE:
            numbers.append(trial["trial"])
            values.append(max([trial["value"], *values[-1:]]))
    numbers.append(trials[-1]["trial"])
    values += values[-1:]
    plain = {"color": style.ink(), "linewidth": 1.2, "zorder": 1}
    axes.step(numbers[: len(values)], values, where="post", label="best so far", **plain)


def _importance(axes, record: Mapping) -> None:
    shares = record["importance"]
    axes.set_title("Importance")
    if not shares:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "Too few complete trials\nto tell.", ha="center", va="center")
        return
    names = sorted(shares, key=lambda key: shares[key])
    color = style.looks(LABELS)[COMPLETE]["color"]
    bars = axes.barh(names, [shares[name] for name in names], color=color, height=0.6)
    axes.bar_label(bars, [f"{100 * shares[name]:.0f}" for name in names], padding=3, fontsize=8)
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, 1.1 * max(shares.values()))
    style.percent_axis(axes.xaxis, "share of the variance of values (%)")


def _note(record: Mapping) -> str:
    first, goal = record["trials"][0], record["goal"]
    best = next(trial for trial in record["trials"] if trial["trial"] == record["best"])
    parts = [f"{goal[name]:g} x {name} accuracy" for name in ("robust", "clean") if goal[name]]
    complete = sum(trial["state"] == COMPLETE for trial in record["trials"])
    seeds = f"{first['seeds']} seed" + "s" * (first["seeds"] != 1)
    about = f"{record['defense']} on {record['dataset']}, {record['model']}"
    return (
        f"{about}. Value: {' + '.join(parts)} "
        f"on n = {first['n']} validation images, mean over {seeds}; no test image is used. Best is "
        f"trial {best['trial']}: {settings_text(best['settings'])}. A trial that ended early shows "
        f"what it had reached; a refused one has no value and stands at the bottom. Importance: "
        f"fANOVA over the {complete} complete trials."
    )
