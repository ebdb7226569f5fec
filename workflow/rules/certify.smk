rule certify_robustness:
    """Prove of each image how far no attack can break it, by one certificate."""
    input:
        **data_inputs(),
        weights=attacked_weights,
    output:
        ledger=f"{CERTIFICATE}ledger.csv",
        provenance=f"{CERTIFICATE}certify.provenance.json",
    log:
        "logs/runs/{dataset}/{model}/{defense}/seed{seed}/certificates/{certificate}/{part}.log",
    benchmark:
        "benchmarks/runs/{dataset}/{model}/{defense}/seed{seed}/certificates/{certificate}/{part}.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=4000,
        runtime=240,
    params:
        **specified("certify_robustness", spec.certify_spec, *RUN_NAMES, "certificate", "part"),
    script:
        "../scripts/certify_robustness.py"
