rule audit_model:
    """Run the audit's checks on a model: are its numbers reliable?"""
    input:
        **data_inputs(),
        weights=file_needed("audit_model", "weights", weights_file),
        history=f"{RUN}history.csv",
        train=f"{RUN}train.json",
        ledgers=files_needed("audit_model", "ledgers", "ledger.csv"),
        transfers=files_needed("audit_model", "transfers", "ledger.csv"),
        certificates=files_needed("audit_model", "certificates", "ledger.csv"),
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
        found=f"{AUDIT}found.csv",
        examples=f"{AUDIT}found.npy",
        provenance=record_of("audit_model"),
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
        **params_of("audit_model"),
    script:
        "../scripts/audit_model.py"


rule rerun_attack:
    """Attack a model again where its audit found gradient masking, by every means that avoids it."""
    input:
        **data_inputs(),
        weights=file_needed("rerun_attack", "weights", weights_file),
        audit=rules.audit_model.output.record,
        found=rules.audit_model.output.found,
        known=rules.audit_model.output.examples,
    output:
        examples=f"{AUDIT}rerun/examples.npy",
        ledger=f"{AUDIT}rerun/ledger.csv",
        provenance=record_of("rerun_attack"),
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
        **params_of("rerun_attack"),
    script:
        "../scripts/rerun_attack.py"
