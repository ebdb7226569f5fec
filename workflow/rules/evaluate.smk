rule evaluate_robustness:
    """Measure one model: each attack, and the worst case per image of each threat model."""
    input:
        ledgers=files_needed("evaluate_robustness", "ledgers", "ledger.csv"),
        checks=files_needed("evaluate_robustness", "checks", "check.json"),
        transfers=files_needed("evaluate_robustness", "transfers", "ledger.csv"),
        certificates=files_needed("evaluate_robustness", "certificates", "ledger.csv"),
        train=f"{RUN}train.json",
        audits=files_needed("evaluate_robustness", "audits", "audit.json"),
        found=files_needed("evaluate_robustness", "audits", "found.csv"),
        reruns=files_needed("evaluate_robustness", "reruns", "ledger.csv"),
    output:
        table=f"{EVALUATION}.csv",
        record=f"{EVALUATION}.json",
        provenance=record_of("evaluate_robustness"),
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
        **params_of("evaluate_robustness"),
    script:
        "../scripts/evaluate_robustness.py"


rule collect_results:
    """Gather the evaluations of all models of a study into one tidy table."""
    input:
        records=files_needed("collect_results", "records", ".json"),
    output:
        robustness=report(
            f"{STUDY}robustness.csv",
            caption="../report/results.rst",
            category="Tables",
            labels={"study": "{study}", "table": "all results"},
        ),
        rows=f"{STUDY}robustness.json",
        provenance=record_of("collect_results"),
    log:
        "logs/studies/{study}/collect.log",
    benchmark:
        "benchmarks/studies/{study}/collect.tsv"
    localrule: True
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("collect_results"),
    params:
        **params_of("collect_results"),
    script:
        "../scripts/collect_results.py"
