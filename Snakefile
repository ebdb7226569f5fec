"""Gauntlet: every model runs the gauntlet. This file is the table of contents."""

from snakemake.utils import min_version

min_version("9.27")


configfile: os.path.join(workflow.basedir, "config", "config.yaml")


include: "workflow/rules/common.smk"
include: "workflow/rules/sizes.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/certify.smk"
include: "workflow/rules/attack.smk"
include: "workflow/rules/audit.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/publish.smk"
include: "workflow/rules/gate.smk"


report: "workflow/report/workflow.rst"


# Short, or in need of the internet: done where Snakemake runs, also when others go to a cluster.
localrules:
    all,
    gates,
    download_data,
    download_weights,
    split_data,
    collect_results,
    publish_tables,
    gate,
    pass_gate,
    plot_robustness,
    plot_bounds,
    plot_radii,
    plot_tradeoff,
    plot_curves,
    plot_passes,
    plot_transfer,
    plot_training,
    plot_classes,
    plot_examples,
    plot_rulegraph,


rule all:
    """Make the tables and figures of every study named under `run:`."""
    default_target: True
    input:
        all_targets(),


onstart:
    start()


onsuccess:
    stop_worker()


onerror:
    stop_worker()
