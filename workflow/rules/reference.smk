rule compare_reference:
    """Hold a finished study against the results that are kept of it, and against published numbers."""
    input:
        summary=f"{STUDY}summary.csv",
        kept=kept_file("summary.csv"),
        origin=kept_file("origin.json"),
        published=str(HOME / "config" / "reference.yaml"),
        schema=str(HOME / "workflow" / "schemas" / "reference.schema.yaml"),
        provenances=result_provenances,
    output:
        record=f"{STUDY}reference.json",
        page=report(
            f"{STUDY}reference.md",
            caption="../report/reference.rst",
            category="Tables",
            labels={"study": "{study}", "table": "kept and published results"},
        ),
        provenance=record_of("compare_reference"),
    log:
        "logs/studies/{study}/reference.log",
    benchmark:
        "benchmarks/studies/{study}/reference.tsv"
    localrule: True
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("compare_reference"),
    params:
        **params_of("compare_reference"),
    script:
        "../scripts/compare_reference.py"


rule verify_reference:
    """Fail with the list of kept rows that a study does not meet; else record that all are met."""
    input:
        record=rules.compare_reference.output.record,
    output:
        verified=f"{STUDY}reference.verified",
        provenance=record_of("verify_reference"),
    log:
        "logs/studies/{study}/verify_reference.log",
    benchmark:
        "benchmarks/studies/{study}/verify_reference.tsv"
    localrule: True
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("verify_reference"),
    params:
        **params_of("verify_reference"),
    script:
        "../scripts/verify_reference.py"


rule references:
    """Verify every study under `run` of which results are kept."""
    input:
        kept_studies,
    localrule: True
