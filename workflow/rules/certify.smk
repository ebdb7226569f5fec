rule certify_robustness:
    """Prove for each image a distance within which no attack can succeed, by one certificate."""
    input:
        **data_inputs(),
        weights=file_needed("certify_robustness", "weights", weights_file),
    output:
        ledger=f"{CERTIFICATE}ledger.csv",
        provenance=record_of("certify_robustness"),
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
        **params_of("certify_robustness"),
    script:
        "../scripts/certify_robustness.py"
