rule publish_tables:
    """Publish a study's summary as CSV, Markdown and LaTeX, and the cost of its trainings."""
    input:
        rows=rules.collect_results.output.rows,
        provenances=files_needed("publish_tables", "trainings", "train.provenance.json"),
        trains=files_needed("publish_tables", "trainings", "train.json"),
        records=files_needed("publish_tables", "records", ".json"),
    output:
        summary=f"{STUDY}summary.json",
        summary_csv=report(
            f"{STUDY}summary.csv",
            caption="../report/summary.rst",
            category="Tables",
            labels={"study": "{study}", "table": "summary"},
        ),
        summary_md=f"{STUDY}summary.md",
        summary_tex=f"{STUDY}summary.tex",
        timings=report(
            f"{STUDY}timings.csv",
            caption="../report/timings.rst",
            category="Tables",
            labels={"study": "{study}", "table": "training cost"},
        ),
        certificates=report(
            f"{STUDY}certificates.csv",
            caption="../report/certificates.rst",
            category="Tables",
            labels={"study": "{study}", "table": "certificates"},
        ),
        comparisons=report(
            f"{STUDY}comparisons.csv",
            caption="../report/comparisons.rst",
            category="Tables",
            labels={"study": "{study}", "table": "against the baseline"},
        ),
        provenance=record_of("publish_tables"),
    log:
        "logs/studies/{study}/publish.log",
    benchmark:
        "benchmarks/studies/{study}/publish.tsv"
    localrule: True
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("publish_tables"),
    params:
        **params_of("publish_tables"),
    script:
        "../scripts/publish_tables.py"
