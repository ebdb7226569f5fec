rule download_data:
    """Fetch or read a data set, verify its content and store it as arrays."""
    input:
        files=source_files,
    output:
        images=DATA + "images.npy",
        labels=DATA + "labels.npy",
        meta=DATA + "data.json",
        provenance=DATA + "download.provenance.json",
    log:
        "logs/data/{dataset}/download.log",
    benchmark:
        "benchmarks/data/{dataset}/download.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **specified("download_data", spec.data_spec, "dataset"),
    script:
        "../scripts/download_data.py"


rule split_data:
    """Divide a data set into train, validation and test parts, and report on them."""
    input:
        images=rules.download_data.output.images,
        labels=rules.download_data.output.labels,
        meta=rules.download_data.output.meta,
    output:
        split=DATA + "split.json",
        report=DATA + "split_report.json",
        provenance=DATA + "split.provenance.json",
    log:
        "logs/data/{dataset}/split.log",
    benchmark:
        "benchmarks/data/{dataset}/split.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **specified("split_data", spec.split_spec, "dataset"),
    script:
        "../scripts/split_data.py"
