rule publish_tables:
    """Publish a study's summary as CSV, Markdown and LaTeX, and the cost of its trainings."""
    input:
        rows=rules.collect_results.output.rows,
        provenances=run_files("train.provenance.json"),
        records=study_records,
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
        provenance=f"{STUDY}summary.provenance.json",
    log:
        "logs/studies/{study}/publish.log",
    benchmark:
        "benchmarks/studies/{study}/publish.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("publish_tables"),
    params:
        **specified("publish_tables", spec.table_spec, "study"),
    script:
        "../scripts/publish_tables.py"


rule plot_robustness:
    """Draw robust accuracy by defense and attack."""
    input:
        robustness=rules.collect_results.output.robustness,
    output:
        **figure_files("robustness", "Robust accuracy"),
    log:
        "logs/studies/{study}/figures/robustness.log",
    benchmark:
        "benchmarks/studies/{study}/figures/robustness.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("plot_robustness"),
    params:
        **specified("plot_robustness", spec.figure_spec, "study"),
    script:
        "../scripts/plot_robustness.py"


rule plot_bounds:
    """Draw how far certified and robust accuracy lie apart."""
    input:
        robustness=rules.collect_results.output.robustness,
    output:
        **figure_files("bounds", "Certificates"),
    log:
        "logs/studies/{study}/figures/bounds.log",
    benchmark:
        "benchmarks/studies/{study}/figures/bounds.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("plot_bounds"),
    params:
        **specified("plot_bounds", spec.figure_spec, "study"),
    script:
        "../scripts/plot_bounds.py"


rule plot_radii:
    """Draw certified accuracy against the radius."""
    input:
        records=study_records,
    output:
        **figure_files("radii", "Certificates"),
    log:
        "logs/studies/{study}/figures/radii.log",
    benchmark:
        "benchmarks/studies/{study}/figures/radii.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("plot_radii"),
    params:
        **specified("plot_radii", spec.figure_spec, "study"),
    script:
        "../scripts/plot_radii.py"


rule plot_tradeoff:
    """Draw clean against robust accuracy."""
    input:
        robustness=rules.collect_results.output.robustness,
    output:
        **figure_files("tradeoff", "Robust accuracy"),
    log:
        "logs/studies/{study}/figures/tradeoff.log",
    benchmark:
        "benchmarks/studies/{study}/figures/tradeoff.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("plot_tradeoff"),
    params:
        **specified("plot_tradeoff", spec.figure_spec, "study"),
    script:
        "../scripts/plot_tradeoff.py"


rule plot_curves:
    """Draw robust accuracy against eps."""
    input:
        robustness=rules.collect_results.output.robustness,
        records=study_records,
    output:
        **figure_files("curves", "Robust accuracy"),
    log:
        "logs/studies/{study}/figures/curves.log",
    benchmark:
        "benchmarks/studies/{study}/figures/curves.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("plot_curves"),
    params:
        **specified("plot_curves", spec.figure_spec, "study"),
    script:
        "../scripts/plot_curves.py"


rule plot_passes:
    """Draw robust accuracy against an attack's passes."""
    input:
        records=study_records,
    output:
        **figure_files("passes", "Robust accuracy"),
    log:
        "logs/studies/{study}/figures/passes.log",
    benchmark:
        "benchmarks/studies/{study}/figures/passes.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("plot_passes"),
    params:
        **specified("plot_passes", spec.figure_spec, "study"),
    script:
        "../scripts/plot_passes.py"


rule plot_transfer:
    """Draw what examples made against one model do to the others."""
    input:
        robustness=rules.collect_results.output.robustness,
    output:
        **figure_files("transfer", "Robust accuracy"),
    log:
        "logs/studies/{study}/figures/transfer.log",
    benchmark:
        "benchmarks/studies/{study}/figures/transfer.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("plot_transfer"),
    params:
        **specified("plot_transfer", spec.figure_spec, "study"),
    script:
        "../scripts/plot_transfer.py"


rule plot_training:
    """Draw validation accuracy by epoch."""
    input:
        histories=run_files("history.csv"),
        trains=run_files("train.json"),
        splits=study_data("split.json"),
    output:
        **figure_files("training", "Training"),
    log:
        "logs/studies/{study}/figures/training.log",
    benchmark:
        "benchmarks/studies/{study}/figures/training.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("plot_training"),
    params:
        **specified("plot_training", spec.figure_spec, "study"),
    script:
        "../scripts/plot_training.py"


rule plot_classes:
    """Draw robust accuracy by class."""
    input:
        robustness=rules.collect_results.output.robustness,
        records=study_records,
        data=study_data("data.json"),
    output:
        **figure_files("classes", "Robust accuracy"),
    log:
        "logs/studies/{study}/figures/classes.log",
    benchmark:
        "benchmarks/studies/{study}/figures/classes.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("plot_classes"),
    params:
        **specified("plot_classes", spec.figure_spec, "study"),
    script:
        "../scripts/plot_classes.py"


rule plot_examples:
    """Draw clean images, perturbations and adversarial examples."""
    input:
        ledgers=shown_files("ledger.csv"),
        examples=shown_files("examples.npy"),
        images=study_data("images.npy"),
        data=study_data("data.json"),
    output:
        **figure_files("examples", "Examples"),
    log:
        "logs/studies/{study}/figures/examples.log",
    benchmark:
        "benchmarks/studies/{study}/figures/examples.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("plot_examples"),
    params:
        **specified("plot_examples", spec.figure_spec, "study"),
    script:
        "../scripts/plot_examples.py"


rule plot_rulegraph:
    """Draw which rule feeds which."""
    output:
        **figure_files("rulegraph", "Workflow"),
    log:
        "logs/studies/{study}/figures/rulegraph.log",
    benchmark:
        "benchmarks/studies/{study}/figures/rulegraph.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("plot_rulegraph"),
    params:
        **specified("plot_rulegraph", graph_spec, "study"),
    script:
        "../scripts/plot_rulegraph.py"
