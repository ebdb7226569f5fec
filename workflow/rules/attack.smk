rule check_attacks:
    """Test an attack on models whose exact minimal distance is known."""
    output:
        record=f"{CHECK}check.json",
        provenance=record_of("check_attacks"),
    log:
        "logs/checks/{attack}.log",
    benchmark:
        "benchmarks/checks/{attack}.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: THREADS
    resources:
        **sized("check_attacks"),
        gpu=GPUS,
    params:
        **params_of("check_attacks"),
    script:
        "../scripts/check_attacks.py"


if SHARDS == 1:

    rule craft_examples:
        """Make adversarial examples with one attack against one model (white-box)."""
        input:
            **data_inputs(),
            weights=file_needed("craft_examples", "weights", weights_file),
            certificates=files_needed("craft_examples", "certificates", "ledger.csv"),
        output:
            examples=f"{ATTACK}examples.npy",
            draws=f"{ATTACK}draws.npy",
            ledger=f"{ATTACK}ledger.csv",
            provenance=record_of("craft_examples"),
        log:
            "logs/runs/{dataset}/{model}/{defense}/seed{seed}/attacks/{attack}/{part}.log",
        benchmark:
            "benchmarks/runs/{dataset}/{model}/{defense}/seed{seed}/attacks/{attack}/{part}.tsv"
        priority: ranked("craft_examples")
        conda:
            "../../envs/gauntlet.yaml"
        threads: THREADS
        resources:
            **sized("craft_examples"),
            gpu=GPUS,
        params:
            **params_of("craft_examples"),
        script:
            "../scripts/craft_examples.py"

else:

    rule craft_shard:
        """Make adversarial examples with one attack against one model, for a share of the images."""
        input:
            **data_inputs(),
            weights=file_needed("craft_shard", "weights", weights_file),
            certificates=files_needed("craft_shard", "certificates", "ledger.csv"),
        output:
            examples=temp(f"{ATTACK}shards/{{scatteritem}}/examples.npy"),
            draws=temp(f"{ATTACK}shards/{{scatteritem}}/draws.npy"),
            ledger=temp(f"{ATTACK}shards/{{scatteritem}}/ledger.csv"),
            provenance=record_of("craft_shard"),
        log:
            "logs/runs/{dataset}/{model}/{defense}/seed{seed}/attacks/{attack}/{part}/{scatteritem}.log",
        benchmark:
            "benchmarks/runs/{dataset}/{model}/{defense}/seed{seed}/attacks/{attack}/{part}/{scatteritem}.tsv"
        priority: ranked("craft_shard")
        conda:
            "../../envs/gauntlet.yaml"
        threads: THREADS
        resources:
            **sized("craft_shard"),
            gpu=GPUS,
        params:
            **params_of("craft_shard"),
        script:
            "../scripts/craft_examples.py"

    rule gather_examples:
        """Join the shards of an attack into the files that one job without shards writes."""
        input:
            shard_examples=gathered("examples.npy"),
            shard_draws=gathered("draws.npy"),
            shard_ledgers=gathered("ledger.csv"),
        output:
            examples=f"{ATTACK}examples.npy",
            draws=f"{ATTACK}draws.npy",
            ledger=f"{ATTACK}ledger.csv",
            provenance=record_of("gather_examples"),
        log:
            "logs/runs/{dataset}/{model}/{defense}/seed{seed}/attacks/{attack}/{part}.log",
        benchmark:
            "benchmarks/runs/{dataset}/{model}/{defense}/seed{seed}/attacks/{attack}/{part}.tsv"
        localrule: True
        conda:
            "../../envs/gauntlet.yaml"
        threads: 1
        resources:
            **sized("gather_examples"),
        params:
            **params_of("gather_examples"),
        script:
            "../scripts/gather_examples.py"


rule transfer_examples:
    """Test one model on the examples that were made against another one."""
    input:
        **data_inputs(),
        weights=file_needed("transfer_examples", "weights", weights_file),
        draws=file_needed("transfer_examples", "draws", "draws.npy"),
    output:
        ledger=f"{TRANSFER}ledger.csv",
        provenance=record_of("transfer_examples"),
    log:
        "logs/runs/{dataset}/{model}/{defense}/seed{seed}/transfer/{source}/{attack}.log",
    benchmark:
        "benchmarks/runs/{dataset}/{model}/{defense}/seed{seed}/transfer/{source}/{attack}.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: THREADS
    resources:
        **sized("transfer_examples"),
        gpu=GPUS,
    params:
        **params_of("transfer_examples"),
    script:
        "../scripts/transfer_examples.py"
