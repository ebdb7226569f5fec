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
    priority: ranked("certify_robustness")
    conda:
        "../../envs/gauntlet.yaml"
    threads: THREADS
    resources:
        **sized("certify_robustness"),
        gpu=GPUS,
    params:
        **specified("certify_robustness", specs.certify_spec, *RUN_NAMES, "certificate", "part"),
    script:
        "../scripts/certify_robustness.py"
