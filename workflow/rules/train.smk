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
    wildcard_constraints:
        defense=TRAINED,
    priority: ranked("train_model")
    conda:
        "../../envs/gauntlet.yaml"
    threads: train_threads
    resources:
        **sized("train_model"),
        gpu=train_gpus,
    params:
        **specified("train_model", specs.train_spec, *RUN_NAMES),
    script:
        "../scripts/train_model.py"


rule download_weights:
    """Fetch an external model's file and verify its checksum."""
    output:
        file=f"{WEIGHTS}weights",
        provenance=f"{WEIGHTS}download.provenance.json",
    log:
        "logs/weights/{model}.log",
    benchmark:
        "benchmarks/weights/{model}.tsv"
    localrule: True
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("download_weights"),
    params:
        **specified("download_weights", specs_models.weights_spec, "model"),
    script:
        "../scripts/download_weights.py"


rule import_model:
    """Take a model from outside as it is given: read it, check it, keep it as ours are kept."""
    input:
        **data_inputs(),
        file=given_weights,
    output:
        best=f"{GIVEN}best.pt",
        last=f"{GIVEN}last.pt",
        history=f"{GIVEN}history.csv",
        record=f"{GIVEN}train.json",
        provenance=f"{GIVEN}train.provenance.json",
    log:
        f"logs/runs/{{dataset}}/{{model}}/{AS_GIVEN}/seed{{seed}}/import.log",
    benchmark:
        f"benchmarks/runs/{{dataset}}/{{model}}/{AS_GIVEN}/seed{{seed}}/import.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: THREADS
    resources:
        **sized("import_model"),
        gpu=GPUS,
    params:
        **specified("import_model", specs_models.import_spec, "dataset", "model", "seed"),
    script:
        "../scripts/import_model.py"


rule export_model:
    """Write a model as TorchScript, torch.export file and ONNX, for other programs."""
    input:
        meta=f"{DATA}data.json",
        weights=attacked_weights,
    output:
        torchscript=f"{RUN}export/model.torchscript",
        exported=f"{RUN}export/model.pt2",
        onnx=f"{RUN}export/model.onnx",
        provenance=f"{RUN}export/export.provenance.json",
    log:
        "logs/runs/{dataset}/{model}/{defense}/seed{seed}/export.log",
    benchmark:
        "benchmarks/runs/{dataset}/{model}/{defense}/seed{seed}/export.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("export_model"),
    params:
        **specified("export_model", specs_models.export_spec, "model"),
    script:
        "../scripts/export_model.py"
