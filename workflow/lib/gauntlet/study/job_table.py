"""The table of jobs: for each rule the specification, the place and the needs of its jobs.

The rules take their params and input files from this table; the plan for estimates and the figure
of the rule graph take their edges from it. A test compares it with what Snakemake itself finds.
Standard library only.
"""

from collections.abc import Mapping
from typing import Any

from gauntlet.study import (
    audit_gate,
    figure_jobs,
    job_needs,
    paths,
    preprocess_jobs,
    search_jobs,
    specs,
    specs_models,
    specs_reference,
    specs_tables,
    table_needs,
)
from gauntlet.study.figure_jobs import MODEL, MODELS, RECORDS, TABLE
from gauntlet.study.job_kind import JobKind, Need
from gauntlet.study.job_name import JobName
from gauntlet.study.specs import Run, Spec


def script_of(rule: str) -> str:
    """Name the script of a rule's stage, without its ending."""
    return JOBS[rule].script or rule


def provenance_of(job: JobName) -> str:
    """Give the path of the provenance that a job writes."""
    return JOBS[job.rule].provenance.format(**job.names)


def spec_of(config: Mapping[str, Any], job: JobName) -> Spec:
    """Give the specification of a job."""
    kind = JOBS[job.rule]
    return kind.spec(config, **{name: job.names[name] for name in kind.names})


def rule_edges(drawn: bool = False) -> list[tuple[str, str]]:
    """List (rule, rule that reads its files): all edges, or only those that the figure shows."""
    edges = [
        (source, rule)
        for rule, kind in JOBS.items()
        for need in kind.needs.values()
        for source in need.rules
        if not drawn or (need.drawn and not {source, rule} & set(SHARDED))
    ]
    return list(dict.fromkeys(edges))


def graph_spec(config: Spec, study: str) -> Spec:
    """Say what the figure of the rule graph shows; it is the same for all studies."""
    shown = {"edges": rule_edges(drawn=True), "figure": "rulegraph", "figures": config["figures"]}
    return specs.ordered(shown)


# These two rules take the place of craft_examples where attacks are divided into shards.
SHARDED = ("craft_shard", "gather_examples")
RUN_NAMES = Run._fields
ATTACK_NAMES = (*RUN_NAMES, "attack", "part")
AUDIT_NAMES = ("study", *RUN_NAMES)

IMAGES = {
    "source": Need(("download_data",), job_needs.source),
    "split": Need(("split_data",), job_needs.split),
}
ATTACKED = IMAGES | {
    "weights": MODEL,
    "certificates": Need(("certify_robustness",), job_needs.sparing),
}
LEDGERS = {
    "ledgers": Need(("craft_examples",), job_needs.attacks),
    "transfers": Need(("transfer_examples",), job_needs.transfers),
    "certificates": Need(("certify_robustness",), job_needs.certificates_of),
}
EXPORTED = {"source": IMAGES["source"], "weights": MODEL}
MADE = Need(("train_model", "export_model"), job_needs.made_weights, drawn=False)
FALLIBLE = ("craft_examples", "transfer_examples", "audit_model", "rerun_attack")
FIGURE_RULES = tuple(f"plot_{name}" for name in paths.FIGURES)
RESULTS = ("collect_results", "publish_tables", "publish_preprocess", "plot_steps", "choose_trial")
RESULTS += ("plot_search", *FIGURE_RULES, "gate")
OTHERS = {"others": Need(RESULTS, table_needs.study_results, drawn=False)}
PASSED = {"record": Need(("gate",), table_needs.gate)} | OTHERS
COMPLETE = OTHERS | {
    "rows": Need(("collect_results",), table_needs.table),
    "results": Need(FALLIBLE, job_needs.fallible, drawn=False),
}
COMPARED = {
    "summary": Need(("publish_tables",), table_needs.tables, drawn=False),
    "trainings": MODELS._replace(drawn=False),
    "results": Need(FALLIBLE, job_needs.fallible, drawn=False),
}
VERIFIED = {"record": Need(("compare_reference",), table_needs.comparison, drawn=False)}

JOBS: dict[str, JobKind] = {
    "download_data": JobKind(specs.data_spec, ("dataset",), paths.DATA, "download"),
    "split_data": JobKind(
        specs.split_spec, ("dataset",), paths.DATA, "split", {"source": IMAGES["source"]}
    ),
    "train_model": JobKind(
        specs.train_spec,
        RUN_NAMES,
        paths.RUN,
        "train",
        IMAGES
        | {
            "start": Need(("train_model",), job_needs.start),
            "crafted": Need(("craft_examples",), job_needs.crafted),
            "teacher": Need(("train_model", "import_model"), job_needs.teacher),
            "pretrained": Need(("download_weights",), job_needs.pretrained_weights, drawn=False),
            "search": Need(("choose_trial",), search_jobs.found),
        },
    ),
    "download_weights": JobKind(specs_models.weights_spec, ("model",), paths.WEIGHTS, "download"),
    "import_model": JobKind(
        specs_models.import_spec,
        ("dataset", "model", "seed"),
        paths.GIVEN,
        "train",
        IMAGES
        | {
            "download": Need(("download_weights",), job_needs.downloaded_weights),
            "made": MADE,
        },
    ),
    "export_model": JobKind(
        specs_models.export_spec,
        ("model",),
        f"{paths.RUN}export/",
        "export",
        {key: need._replace(drawn=False) for key, need in EXPORTED.items()},
    ),
    "certify_robustness": JobKind(
        specs.certify_spec,
        (*RUN_NAMES, "certificate", "part"),
        paths.CERTIFICATE,
        "certify",
        IMAGES | {"weights": MODEL},
    ),
    "check_attacks": JobKind(specs.check_spec, ("attack",), paths.CHECK, "check"),
    "craft_examples": JobKind(specs.craft_spec, ATTACK_NAMES, paths.ATTACK, "craft", ATTACKED),
    "craft_shard": JobKind(
        specs.shard_spec,
        (*ATTACK_NAMES, "scatteritem"),
        f"{paths.ATTACK}shards/{{scatteritem}}/",
        "craft",
        ATTACKED,
        script="craft_examples",
    ),
    "gather_examples": JobKind(
        specs.gather_spec,
        ("attack",),
        paths.ATTACK,
        "craft",
        {"shards": Need(("craft_shard",), job_needs.shards)},
    ),
    "transfer_examples": JobKind(
        specs.transfer_spec,
        (*RUN_NAMES, "source", "attack"),
        paths.TRANSFER,
        "transfer",
        IMAGES
        | {
            "weights": Need(("train_model",), job_needs.model),
            "draws": Need(("craft_examples",), job_needs.source_attack),
        },
    ),
    "audit_model": JobKind(
        audit_gate.audit_spec,
        AUDIT_NAMES,
        paths.AUDIT,
        "audit",
        IMAGES | LEDGERS | {"weights": MODEL},
    ),
    "rerun_attack": JobKind(
        audit_gate.rerun_spec,
        AUDIT_NAMES,
        f"{paths.AUDIT}rerun/",
        "rerun",
        IMAGES | {"weights": MODEL, "audit": Need(("audit_model",), job_needs.audit)},
    ),
    "evaluate_robustness": JobKind(
        specs.evaluate_spec,
        AUDIT_NAMES,
        paths.EVALUATION,
        "",
        LEDGERS
        | {
            "checks": Need(("check_attacks",), job_needs.checks),
            "train": MODEL,
            "audits": Need(("audit_model",), job_needs.audits),
            "reruns": Need(("rerun_attack",), job_needs.reruns),
        },
    ),
    "collect_results": JobKind(specs.table_spec, ("study",), paths.STUDY, "robustness", RECORDS),
    "publish_tables": JobKind(
        specs_tables.publish_spec,
        ("study",),
        paths.STUDY,
        "summary",
        TABLE | RECORDS | {"trainings": MODELS},
    ),
    **preprocess_jobs.JOBS,
    **search_jobs.JOBS,
    **figure_jobs.JOBS,
    "plot_rulegraph": JobKind(
        graph_spec, ("study",), paths.STUDY, "figures/rulegraph", script=figure_jobs.SCRIPT
    ),
    "gate": JobKind(audit_gate.gate_spec, ("study",), paths.STUDY, "gate", TABLE),
    "complete_study": JobKind(specs.study_spec, ("study",), paths.STUDY, "complete", COMPLETE),
    "compare_reference": JobKind(
        specs_reference.reference_spec, ("study",), paths.STUDY, "reference", COMPARED
    ),
    "verify_reference": JobKind(
        specs.study_spec, ("study",), paths.STUDY, "reference_verified", VERIFIED
    ),
    "pass_gate": JobKind(specs.study_spec, ("study",), paths.STUDY, "gate_passed", PASSED),
}
