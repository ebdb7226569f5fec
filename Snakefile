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


localrules:
    all,
    gates,


rule all:
    """Make the tables and figures of every study named under `run:`."""
    default_target: True
    input:
        all_targets(),


onstart:
    start_worker()


onsuccess:
    stop_worker()


onerror:
    stop_worker()
