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


# Draw robust accuracy against what training costs.
use rule plot_robustness as plot_compute with:
    input:
        robustness=rules.collect_results.output.robustness,
        timings=rules.publish_tables.output.timings,
    output:
        **figure_files("compute", "Training"),
    log:
        "logs/studies/{study}/figures/compute.log",
    benchmark:
        "benchmarks/studies/{study}/figures/compute.tsv"
    resources:
        **sized("plot_compute"),
    params:
        **params_of("plot_compute"),


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


# Draw what steps before models are worth.
use rule plot_robustness as plot_steps with:
    input:
        rows=rules.publish_preprocess.output.rows,
    output:
        **figure_files("steps", "Robust accuracy"),
    log:
        "logs/studies/{study}/figures/steps.log",
    benchmark:
        "benchmarks/studies/{study}/figures/steps.tsv"
    resources:
        **sized("plot_steps"),
    params:
        **params_of("plot_steps"),
