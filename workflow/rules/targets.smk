"""The files of a study, its figures and its gate; no rules."""


def gate_targets(studies):
    """Give what says that the gates of some studies are passed."""
    gated = [study for study in studies if audit_gate.gate_spec(SETTINGS, study)["demands"]]
    return [STUDY.format(study=study) + "gate.passed" for study in gated]


def required_gates(wildcards):
    """Give the gates of the studies under `run`; a sentence if nothing is required of them."""
    gates = gate_targets(SETTINGS["run"])
    if not gates:
        raise WorkflowError(
            f"requirements fit no model of the studies under run ({', '.join(SETTINGS['run'])}); "
            "allowed is a gate for models that something is required of."
        )
    return gates


def study_targets(study):
    """Give the tables, figures and gate of a study, all but its passing of the gate."""
    tables = ("summary.csv", "summary.md", "summary.tex", "timings.csv", "robustness.csv")
    tables += ("certificates.csv",)
    figures = [f"figures/{name}.{kind}" for name in FIGURES for kind in ("png", "svg")]
    gate = ("gate.json", "gate.md") if gate_targets([study]) else ()
    return [STUDY.format(study=study) + name for name in (*tables, *figures, *gate)]


def all_targets():
    """Give all that is made of every study that is to be run."""
    made = [path for study in SETTINGS["run"] for path in study_targets(study)]
    return made + gate_targets(SETTINGS["run"])


def figure_files(name, category):
    """Give a figure's outputs: PNG for the report, SVG beside it."""
    path = STUDY + f"figures/{name}"
    labels = {"study": "{study}", "figure": name}
    shown = report(f"{path}.png", caption=f"../report/{name}.rst", category=category, labels=labels)
    return {"png": shown, "svg": f"{path}.svg", "provenance": f"{path}.provenance.json"}


# Which rule feeds which; a test holds this against what Snakemake itself finds.
RULE_EDGES = [
    ["download_data", "split_data"],
    ["split_data", "train_model"],
    ["split_data", "import_model"],
    ["download_weights", "import_model"],
    ["import_model", "craft_examples"],
    ["import_model", "evaluate_robustness"],
    ["train_model", "train_model"],
    ["train_model", "craft_examples"],
    ["train_model", "transfer_examples"],
    ["craft_examples", "transfer_examples"],
    ["craft_examples", "train_model"],
    ["train_model", "certify_robustness"],
    ["import_model", "certify_robustness"],
    ["certify_robustness", "craft_examples"],
    ["certify_robustness", "evaluate_robustness"],
    ["check_attacks", "evaluate_robustness"],
    ["craft_examples", "evaluate_robustness"],
    ["transfer_examples", "evaluate_robustness"],
    ["train_model", "evaluate_robustness"],
    ["craft_examples", "audit_model"],
    ["transfer_examples", "audit_model"],
    ["train_model", "audit_model"],
    ["audit_model", "rerun_attack"],
    ["train_model", "rerun_attack"],
    ["audit_model", "evaluate_robustness"],
    ["rerun_attack", "evaluate_robustness"],
    ["evaluate_robustness", "collect_results"],
    ["collect_results", "gate"],
    ["gate", "pass_gate"],
    ["collect_results", "publish_tables"],
    ["train_model", "publish_tables"],
    ["evaluate_robustness", "plot_classes"],
    ["evaluate_robustness", "plot_curves"],
    ["evaluate_robustness", "plot_passes"],
    ["collect_results", "plot_transfer"],
    ["collect_results", "plot_robustness"],
    ["evaluate_robustness", "publish_tables"],
    ["collect_results", "plot_bounds"],
    ["evaluate_robustness", "plot_radii"],
    ["collect_results", "plot_tradeoff"],
    ["collect_results", "plot_curves"],
    ["collect_results", "plot_classes"],
    ["train_model", "plot_training"],
    ["craft_examples", "plot_examples"],
]


def graph_spec(settings, study):
    """Say what the rule graph's figure shows."""
    return {"edges": RULE_EDGES, "figures": settings["figures"]}


def gate_name(settings, study):
    """Say whose gate is passed."""
    return {"study": study}
