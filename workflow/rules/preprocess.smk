rule fit_preprocess:
    """Fit a step to the model that it stands before, on training and validation images."""
    input:
        **data_inputs(),
        weights=file_needed("fit_preprocess", "weights", weights_file),
        crafted=files_needed("fit_preprocess", "crafted", "draws.npy"),
    output:
        step=f"{STEP}step.pt",
        record=f"{STEP}fit.json",
        provenance=record_of("fit_preprocess"),
    log:
        "logs/runs/{dataset}/{model}/{defense}/seed{seed}/preprocess/{preprocess}/fit.log",
    benchmark:
        "benchmarks/runs/{dataset}/{model}/{defense}/seed{seed}/preprocess/{preprocess}/fit.tsv"
    priority: ranked("fit_preprocess")
    conda:
        "../../envs/gauntlet.yaml"
    threads: THREADS
    resources:
        **sized("fit_preprocess"),
        gpu=GPUS,
    params:
        **params_of("fit_preprocess"),
    script:
        "../scripts/fit_preprocess.py"


rule preprocess_examples:
    """Show a model behind a step the examples that were made against the model alone (naive)."""
    input:
        **data_inputs(),
        weights=file_needed("preprocess_examples", "weights", weights_file),
        step=files_needed("preprocess_examples", "step", "step.pt"),
        examples=files_needed("preprocess_examples", "examples", "examples.npy"),
        draws=files_needed("preprocess_examples", "examples", "draws.npy"),
    output:
        ledger=f"{STEPPED}naive.csv",
        provenance=record_of("preprocess_examples"),
    log:
        "logs/studies/{study}/preprocess/{dataset}/{model}/{defense}/seed{seed}/{preprocess}/naive.log",
    benchmark:
        "benchmarks/studies/{study}/preprocess/{dataset}/{model}/{defense}/seed{seed}/{preprocess}/naive.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: THREADS
    resources:
        **sized("preprocess_examples"),
        gpu=GPUS,
    params:
        **params_of("preprocess_examples"),
    script:
        "../scripts/preprocess_examples.py"


rule attack_preprocess:
    """Attack a model through a step: by its gradient, a substitute (BPDA), or a mean (EOT)."""
    input:
        **data_inputs(),
        weights=file_needed("attack_preprocess", "weights", weights_file),
        step=files_needed("attack_preprocess", "step", "step.pt"),
    output:
        examples=f"{STEPPED}examples.npy",
        ledger=f"{STEPPED}adaptive.csv",
        provenance=record_of("attack_preprocess"),
    log:
        "logs/studies/{study}/preprocess/{dataset}/{model}/{defense}/seed{seed}/{preprocess}/adaptive.log",
    benchmark:
        "benchmarks/studies/{study}/preprocess/{dataset}/{model}/{defense}/seed{seed}/{preprocess}/adaptive.tsv"
    priority: ranked("attack_preprocess")
    conda:
        "../../envs/gauntlet.yaml"
    threads: THREADS
    resources:
        **sized("attack_preprocess"),
        gpu=GPUS,
    params:
        **params_of("attack_preprocess"),
    script:
        "../scripts/attack_preprocess.py"


rule publish_preprocess:
    """Publish the table of steps before models: clean, naive and adaptive accuracy."""
    input:
        naive=files_needed("publish_preprocess", "naive", "naive.csv"),
        adaptive=files_needed("publish_preprocess", "adaptive", "adaptive.csv"),
    output:
        rows=f"{STUDY}preprocess.json",
        table=report(
            f"{STUDY}preprocess.csv",
            caption="../report/preprocess.rst",
            category="Tables",
            labels={"study": "{study}", "table": "steps before models"},
        ),
        page=f"{STUDY}preprocess.md",
        provenance=record_of("publish_preprocess"),
    log:
        "logs/studies/{study}/preprocess.log",
    benchmark:
        "benchmarks/studies/{study}/preprocess.tsv"
    localrule: True
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("publish_preprocess"),
    params:
        **params_of("publish_preprocess"),
    script:
        "../scripts/publish_preprocess.py"
