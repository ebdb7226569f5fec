rule publish_tables:
    """Publish a study's summary as CSV, Markdown and LaTeX, and the cost of its trainings."""
    input:
        rows=rules.collect_results.output.rows,
        provenances=files_needed("publish_tables", "trainings", "train.provenance.json"),
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


rule plot_robustness:
    """Draw robust accuracy by defense and attack. The other figures are variants of this rule."""
    input:
        robustness=rules.collect_results.output.robustness,
    output:
        **figure_files("robustness", "Robust accuracy"),
    log:
        "logs/studies/{study}/figures/robustness.log",
    benchmark:
        "benchmarks/studies/{study}/figures/robustness.tsv"
    localrule: True
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("plot_robustness"),
    params:
        **params_of("plot_robustness"),
    script:
        "../scripts/plot_figure.py"


# Draw how far certified and robust accuracy lie apart.
use rule plot_robustness as plot_bounds with:
    output:
        **figure_files("bounds", "Certificates"),
    log:
        "logs/studies/{study}/figures/bounds.log",
    benchmark:
        "benchmarks/studies/{study}/figures/bounds.tsv"
    resources:
        **sized("plot_bounds"),
    params:
        **params_of("plot_bounds"),


# Draw certified accuracy against the radius.
use rule plot_robustness as plot_radii with:
    input:
        records=files_needed("plot_radii", "records", ".json"),
    output:
        **figure_files("radii", "Certificates"),
    log:
        "logs/studies/{study}/figures/radii.log",
    benchmark:
        "benchmarks/studies/{study}/figures/radii.tsv"
    resources:
        **sized("plot_radii"),
    params:
        **params_of("plot_radii"),


# Draw clean against robust accuracy.
use rule plot_robustness as plot_tradeoff with:
    output:
        **figure_files("tradeoff", "Robust accuracy"),
    log:
        "logs/studies/{study}/figures/tradeoff.log",
    benchmark:
        "benchmarks/studies/{study}/figures/tradeoff.tsv"
    resources:
        **sized("plot_tradeoff"),
    params:
        **params_of("plot_tradeoff"),


# Draw robust accuracy against eps.
use rule plot_robustness as plot_curves with:
    input:
        robustness=rules.collect_results.output.robustness,
        records=files_needed("plot_curves", "records", ".json"),
    output:
        **figure_files("curves", "Robust accuracy"),
    log:
        "logs/studies/{study}/figures/curves.log",
    benchmark:
        "benchmarks/studies/{study}/figures/curves.tsv"
    resources:
        **sized("plot_curves"),
    params:
        **params_of("plot_curves"),


# Draw robust accuracy against an attack's passes.
use rule plot_robustness as plot_passes with:
    input:
        records=files_needed("plot_passes", "records", ".json"),
    output:
        **figure_files("passes", "Robust accuracy"),
    log:
        "logs/studies/{study}/figures/passes.log",
    benchmark:
        "benchmarks/studies/{study}/figures/passes.tsv"
    resources:
        **sized("plot_passes"),
    params:
        **params_of("plot_passes"),


# Draw what examples made against one model do to the others.
use rule plot_robustness as plot_transfer with:
    output:
        **figure_files("transfer", "Robust accuracy"),
    log:
        "logs/studies/{study}/figures/transfer.log",
    benchmark:
        "benchmarks/studies/{study}/figures/transfer.tsv"
    resources:
        **sized("plot_transfer"),
    params:
        **params_of("plot_transfer"),


# Draw validation accuracy by epoch.
use rule plot_robustness as plot_training with:
    input:
        histories=files_needed("plot_training", "trainings", "history.csv"),
        trains=files_needed("plot_training", "trainings", "train.json"),
        splits=files_needed("plot_training", "splits", "split.json"),
    output:
        **figure_files("training", "Training"),
    log:
        "logs/studies/{study}/figures/training.log",
    benchmark:
        "benchmarks/studies/{study}/figures/training.tsv"
    resources:
        **sized("plot_training"),
    params:
        **params_of("plot_training"),


# Draw robust accuracy by class.
use rule plot_robustness as plot_classes with:
    input:
        robustness=rules.collect_results.output.robustness,
        records=files_needed("plot_classes", "records", ".json"),
        data=files_needed("plot_classes", "data", "data.json"),
    output:
        **figure_files("classes", "Robust accuracy"),
    log:
        "logs/studies/{study}/figures/classes.log",
    benchmark:
        "benchmarks/studies/{study}/figures/classes.tsv"
    resources:
        **sized("plot_classes"),
    params:
        **params_of("plot_classes"),


# Draw clean images, perturbations and adversarial examples.
use rule plot_robustness as plot_examples with:
    input:
        ledgers=files_needed("plot_examples", "ledgers", "ledger.csv"),
        examples=files_needed("plot_examples", "ledgers", "examples.npy"),
        images=files_needed("plot_examples", "data", "images.npy"),
        data=files_needed("plot_examples", "data", "data.json"),
    output:
        **figure_files("examples", "Examples"),
    log:
        "logs/studies/{study}/figures/examples.log",
    benchmark:
        "benchmarks/studies/{study}/figures/examples.tsv"
    resources:
        **sized("plot_examples"),
    params:
        **params_of("plot_examples"),


# Draw which rule feeds which.
use rule plot_robustness as plot_rulegraph with:
    input:
        [],
    output:
        **figure_files("rulegraph", "Workflow"),
    log:
        "logs/studies/{study}/figures/rulegraph.log",
    benchmark:
        "benchmarks/studies/{study}/figures/rulegraph.tsv"
    resources:
        **sized("plot_rulegraph"),
    params:
        **params_of("plot_rulegraph"),
