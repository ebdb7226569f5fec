"""Where results lie: patterns of paths below the working directory. Standard library only."""

from gauntlet.study.matrix import AS_GIVEN

DATA = "results/data/{dataset}/"
RUN = "results/runs/{dataset}/{model}/{defense}/seed{seed}/"
GIVEN = RUN.replace("{defense}", AS_GIVEN)
WEIGHTS = "results/weights/{model}/"
ATTACK = f"{RUN}attacks/{{attack}}/{{part}}/"
TRANSFER = f"{RUN}transfer/{{source}}/{{attack}}/"
CERTIFICATE = f"{RUN}certificates/{{certificate}}/{{part}}/"
CHECK = "results/checks/{attack}/"
STUDY = "results/studies/{study}/"
AUDIT = f"{STUDY}audit/{{dataset}}/{{model}}/{{defense}}/seed{{seed}}/"
EVALUATION = f"{STUDY}evaluation/{{dataset}}/{{model}}/{{defense}}/seed{{seed}}"
FIGURES = (
    *("robustness", "tradeoff", "curves", "passes", "transfer"),
    *("bounds", "radii", "training", "examples", "classes", "rulegraph"),
)
# The provenance that a job of a rule leaves beside its result.
PROVENANCE = {
    "audit_model": f"{AUDIT}audit.provenance.json",
    "certify_robustness": f"{CERTIFICATE}certify.provenance.json",
    "check_attacks": f"{CHECK}check.provenance.json",
    "collect_results": f"{STUDY}robustness.provenance.json",
    "craft_examples": f"{ATTACK}craft.provenance.json",
    "craft_shard": f"{ATTACK}shards/{{scatteritem}}/craft.provenance.json",
    "download_data": f"{DATA}download.provenance.json",
    "download_weights": f"{WEIGHTS}download.provenance.json",
    "evaluate_robustness": f"{EVALUATION}.provenance.json",
    "export_model": f"{RUN}export/export.provenance.json",
    "gate": f"{STUDY}gate.provenance.json",
    "gather_examples": f"{ATTACK}craft.provenance.json",
    "import_model": f"{GIVEN}train.provenance.json",
    "pass_gate": f"{STUDY}gate_passed.provenance.json",
    "publish_tables": f"{STUDY}summary.provenance.json",
    "rerun_attack": f"{AUDIT}rerun/rerun.provenance.json",
    "split_data": f"{DATA}split.provenance.json",
    "train_model": f"{RUN}train.provenance.json",
    "transfer_examples": f"{TRANSFER}transfer.provenance.json",
} | {f"plot_{name}": f"{STUDY}figures/{name}.provenance.json" for name in FIGURES}
