rule train_model:
    """Train one model with one defense and one seed; validation chooses the checkpoint."""
    input:
        **data_inputs(),
        start=start_weights,
        crafted=crafted_examples,
    output:
        best=f"{RUN}best.pt",
        last=f"{RUN}last.pt",
        history=f"{RUN}history.csv",
        record=f"{RUN}train.json",
        provenance=f"{RUN}train.provenance.json",
    log:
        "logs/runs/{dataset}/{model}/{defense}/seed{seed}/train.log",
    benchmark:
        "benchmarks/runs/{dataset}/{model}/{defense}/seed{seed}/train.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=4000,
        runtime=240,
    params:
        **specified("train_model", spec.train_spec, *RUN_NAMES),
    script:
        "../scripts/train_model.py"
