"""The files of a study, its figures and its gate; no rules."""

from gauntlet.study import table_needs
from gauntlet.study.defenses import searches_of


def gate_targets(studies):
    """Give the files that say that the gates of some studies are passed."""
    gated = [study for study in studies if table_needs.has_gate(SETTINGS, study)]
    return [STUDY.format(study=study) + "gate.passed" for study in gated]


def required_gates(wildcards):
    """Give the gates of the studies under `run`; WorkflowError if nothing is required of them."""
    gates = gate_targets(SETTINGS["run"])
    if not gates:
        raise WorkflowError(
            f"requirements fit no model of the studies under run ({', '.join(SETTINGS['run'])}); "
            "allowed is a gate for models that something is required of."
        )
    return gates


def study_targets(study):
    """Give the tables, figures and gate of a study, without the file that says it is passed."""
    tables = (
        "summary.json",
        "summary.csv",
        "summary.md",
        "summary.tex",
        "timings.csv",
        "robustness.csv",
    )
    tables += ("certificates.csv", "comparisons.csv")
    figures = [f"figures/{name}.{kind}" for name in FIGURES for kind in ("png", "svg")]
    gate = ("gate.json", "gate.md") if gate_targets([study]) else ()
    stepped = SETTINGS["studies"][study]["preprocess"]
    steps = ("preprocess.csv", "preprocess.md", "preprocess.json") if stepped else ()
    figures += [f"figures/steps.{kind}" for kind in ("png", "svg")] * bool(stepped)
    made = (*tables, *steps, *figures, *gate)
    searched = searches_of(SETTINGS, study)
    return [STUDY.format(study=study) + name for name in made] + search_targets(searched)


def search_targets(searches):
    """Give the table and the figure of some searches' trials, and their winners."""
    files = ("best.json", "trials.csv", "trials.png", "trials.svg")
    return [SEARCH.format(search=search) + name for search in searches for name in files]


def all_searches(wildcards):
    """Give the files of every search of the configuration; WorkflowError if there is none."""
    if not SETTINGS["searches"]:
        raise WorkflowError("searches is empty; allowed is a configuration with a search.")
    return search_targets(SETTINGS["searches"])


def other_results(wildcards):
    """Give all that is made of a study before it is called complete, or its gate is passed."""
    require_known(wildcards)
    return study_targets(wildcards.study)


def all_targets():
    """Give all files of every study that is to be run."""
    made = [path for study in SETTINGS["run"] for path in study_targets(study)]
    made += [STUDY.format(study=study) + "complete" for study in SETTINGS["run"]]
    return made + gate_targets(SETTINGS["run"])


def figure_files(name, category):
    """Give a figure's outputs: PNG for the report, SVG and provenance beside it."""
    path = STUDY + f"figures/{name}"
    labels = {"study": "{study}", "figure": name}
    shown = report(f"{path}.png", caption=f"../report/{name}.rst", category=category, labels=labels)
    return {"png": shown, "svg": f"{path}.svg", "provenance": record_of(f"plot_{name}")}
