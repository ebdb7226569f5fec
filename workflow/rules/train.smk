rule train_model:
    """Train one model with one defense and one seed; validation chooses the checkpoint."""
    input:
        **data_inputs(),
        start=files_needed("train_model", "start", weights_file),
        crafted=files_needed("train_model", "crafted", "draws.npy"),
        teacher=files_needed("train_model", "teacher", weights_file),
        extra=further_images,
        pretrained=pretrained_file,
        search=files_needed("train_model", "search", "best.json"),
    output:
        best=f"{RUN}best.pt",
        last=f"{RUN}last.pt",
        history=f"{RUN}history.csv",
        record=f"{RUN}train.json",
        provenance=record_of("train_model"),
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
        **params_of("train_model"),
    script:
        "../scripts/train_model.py"


rule download_weights:
    """Download the file of an external model, or pretrained weights, and verify its checksum."""
    output:
        file=f"{WEIGHTS}weights",
        provenance=record_of("download_weights"),
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
        **params_of("download_weights"),
    script:
        "../scripts/download_weights.py"


rule import_model:
    """Import an external model: read it, check it, and store it like a trained one."""
    input:
        **data_inputs(),
        file=given_weights,
    output:
        best=f"{GIVEN}best.pt",
        last=f"{GIVEN}last.pt",
        history=f"{GIVEN}history.csv",
        record=f"{GIVEN}train.json",
        provenance=record_of("import_model"),
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
        **params_of("import_model"),
    script:
        "../scripts/import_model.py"


rule export_model:
    """Export a model as TorchScript, torch.export file and ONNX, for other programs."""
    input:
        meta=f"{DATA}data.json",
        weights=file_needed("export_model", "weights", weights_file),
    output:
        torchscript=f"{RUN}export/model.torchscript",
        exported=f"{RUN}export/model.pt2",
        onnx=f"{RUN}export/model.onnx",
        provenance=record_of("export_model"),
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
        **params_of("export_model"),
    script:
        "../scripts/export_model.py"
