rule audit_model:
    """Put a model through the audit's checks: may its numbers be believed?"""
    input:
        **data_inputs(),
        weights=attacked_weights,
        history=f"{RUN}history.csv",
        train=f"{RUN}train.json",
        ledgers=run_ledgers,
        transfers=run_transfers,
        certificates=run_certificates,
    output:
        record=f"{AUDIT}audit.json",
        page=report(
            f"{AUDIT}audit.md",
            caption="../report/audit.rst",
            category="Audit",
            labels={
                "study": "{study}",
                "model": "{dataset}/{model}/{defense}",
                "seed": "{seed}",
            },
        ),
        provenance=f"{AUDIT}audit.provenance.json",
    log:
        "logs/studies/{study}/audit/{dataset}/{model}/{defense}/seed{seed}.log",
    benchmark:
        "benchmarks/studies/{study}/audit/{dataset}/{model}/{defense}/seed{seed}.tsv"
    priority: ranked("audit_model")
    conda:
        "../../envs/gauntlet.yaml"
    threads: THREADS
    resources:
        **sized("audit_model"),
        gpu=GPUS,
    params:
        **specified("audit_model", audit_gate.audit_spec, "study", *RUN_NAMES),
    script:
        "../scripts/audit_model.py"


rule rerun_attack:
    """Attack a model again where its audit found masking, by an attack that goes around it."""
    input:
        **data_inputs(),
        weights=attacked_weights,
        audit=rules.audit_model.output.record,
    output:
        examples=f"{AUDIT}rerun/examples.npy",
        ledger=f"{AUDIT}rerun/ledger.csv",
        provenance=f"{AUDIT}rerun/rerun.provenance.json",
    log:
        "logs/studies/{study}/rerun/{dataset}/{model}/{defense}/seed{seed}.log",
    benchmark:
        "benchmarks/studies/{study}/rerun/{dataset}/{model}/{defense}/seed{seed}.tsv"
    priority: ranked("rerun_attack")
    conda:
        "../../envs/gauntlet.yaml"
    threads: THREADS
    resources:
        **sized("rerun_attack"),
        gpu=GPUS,
    params:
        **specified("rerun_attack", audit_gate.rerun_spec, "study", *RUN_NAMES),
    script:
        "../scripts/rerun_attack.py"
