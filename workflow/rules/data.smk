rule download_data:
    """Download or read a data set, verify its content and store it as arrays."""
    input:
        files=source_files,
    output:
        images=f"{DATA}images.npy",
        labels=f"{DATA}labels.npy",
        meta=f"{DATA}data.json",
        provenance=record_of("download_data"),
    log:
        "logs/data/{dataset}/download.log",
    benchmark:
        "benchmarks/data/{dataset}/download.tsv"
    localrule: True
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("download_data"),
    params:
        **params_of("download_data"),
    script:
        "../scripts/download_data.py"


rule split_data:
    """Divide a data set into train, validation and test parts, and report on them."""
    input:
        images=rules.download_data.output.images,
        labels=rules.download_data.output.labels,
        meta=rules.download_data.output.meta,
        indices=indices_file,
    output:
        split=f"{DATA}split.json",
        report=f"{DATA}split_report.json",
        provenance=record_of("split_data"),
    log:
        "logs/data/{dataset}/split.log",
    benchmark:
        "benchmarks/data/{dataset}/split.tsv"
    localrule: True
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("split_data"),
    params:
        **params_of("split_data"),
    script:
        "../scripts/split_data.py"
