rule evaluate_robustness:
    """Measure one model: each attack, and the worst case per image of each threat model."""
    input:
        ledgers=run_ledgers,
        checks=run_checks,
        transfers=run_transfers,
        certificates=run_certificates,
        train=f"{RUN}train.json",
        audits=run_audits,
        reruns=run_reruns,
    output:
        table=f"{EVALUATION}.csv",
        record=f"{EVALUATION}.json",
        provenance=f"{EVALUATION}.provenance.json",
    log:
        "logs/studies/{study}/evaluation/{dataset}/{model}/{defense}/seed{seed}.log",
    benchmark:
        "benchmarks/studies/{study}/evaluation/{dataset}/{model}/{defense}/seed{seed}.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("evaluate_robustness"),
    params:
        **specified("evaluate_robustness", spec.evaluate_spec, "study", *RUN_NAMES),
    script:
        "../scripts/evaluate_robustness.py"


rule collect_results:
    """Gather the evaluations of all models of a study into one tidy table."""
    input:
        records=study_records,
    output:
        robustness=report(
            f"{STUDY}robustness.csv",
            caption="../report/results.rst",
            category="Tables",
            labels={"study": "{study}", "table": "all results"},
        ),
        rows=f"{STUDY}robustness.json",
        provenance=f"{STUDY}robustness.provenance.json",
    log:
        "logs/studies/{study}/collect.log",
    benchmark:
        "benchmarks/studies/{study}/collect.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("collect_results"),
    params:
        **specified("collect_results", spec.table_spec, "study"),
    script:
        "../scripts/collect_results.py"
