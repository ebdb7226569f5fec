rule craft_examples:
    """Make adversarial examples of one attack anew against one model (white-box)."""
    input:
        **data_inputs(),
        weights=attacked_weights,
    output:
        examples=f"{ATTACK}examples.npy",
        draws=f"{ATTACK}draws.npy",
        ledger=f"{ATTACK}ledger.csv",
        provenance=f"{ATTACK}craft.provenance.json",
    log:
        "logs/runs/{dataset}/{model}/{defense}/seed{seed}/attacks/{attack}/{part}.log",
    benchmark:
        "benchmarks/runs/{dataset}/{model}/{defense}/seed{seed}/attacks/{attack}/{part}.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=4000,
        runtime=240,
    params:
        **specified("craft_examples", spec.craft_spec, *RUN_NAMES, "attack", "part"),
    script:
        "../scripts/craft_examples.py"


rule transfer_examples:
    """Show one model the examples that were made against another."""
    input:
        **data_inputs(),
        weights=attacked_weights,
        draws=source_draws,
    output:
        ledger=f"{TRANSFER}ledger.csv",
        provenance=f"{TRANSFER}transfer.provenance.json",
    log:
        "logs/runs/{dataset}/{model}/{defense}/seed{seed}/transfer/{source}/{attack}.log",
    benchmark:
        "benchmarks/runs/{dataset}/{model}/{defense}/seed{seed}/transfer/{source}/{attack}.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=4000,
        runtime=30,
    params:
        **specified("transfer_examples", spec.transfer_spec, *RUN_NAMES, "source", "attack"),
    script:
        "../scripts/transfer_examples.py"
