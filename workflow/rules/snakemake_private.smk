"""What the rules read of Snakemake beyond its documented interface; no rules.

All attributes of `workflow` that Snakemake does not document are used in this file only. The forms
of its files and logs are in the library's runtime/cluster/snakemake_private.py.
"""

import sys
from pathlib import Path

# The checkout. `workflow.basedir` would be another folder where this workflow is a module.
HOME = Path(str(workflow.current_basedir)).parents[1]
if str(HOME / "workflow" / "lib") not in sys.path:
    sys.path.insert(0, str(HOME / "workflow" / "lib"))

import snakemake as _snakemake
from snakemake.exceptions import WorkflowError

from gauntlet.core.errors import GauntletError
from gauntlet.runtime.cluster import snakemake_private

try:
    snakemake_private.require_known(_snakemake.__version__)
except GauntletError as error:
    raise WorkflowError(str(error)) from None


# Whether another workflow uses this one as a module; it can be asked only while rules are read.
IS_MODULE = not workflow.modifier.is_main_snakefile()


def shard_count():
    """Give the number of shards: the config's, or a profile's or the command line's set-scatter."""
    return workflow._scatter["craft"]


def config_files():
    """List the config files that were read, the workflow's own and the command line's."""
    return list(dict.fromkeys(map(str, workflow.configfiles)))


def command_line_config():
    """Give what `--config` set; of nested values Snakemake makes texts, whatever they are."""
    return dict(workflow.config_settings.config)


def is_main_process():
    """Tell whether this Snakemake plans and starts the jobs."""
    return workflow.is_main_process


def is_job_elsewhere():
    """Tell whether this Snakemake is a job that another one sent to this machine."""
    return workflow.remote_exec


def shares_its_job():
    """Tell whether this Snakemake runs several tasks within one job of a cluster."""
    return "--executor" in sys.argv and snakemake_private.GROUP in sys.argv


def sends_jobs():
    """Tell whether this Snakemake sends jobs to other machines."""
    return workflow.non_local_exec


def runs_no_job():
    """Tell whether the command line asks for a plan, for unlocking or the like, and for no job."""
    return snakemake_private.runs_no_job(sys.argv[1:])


def asked_targets():
    """Give the targets of the command line; none before the rules are read."""
    return (workflow.dag_settings and workflow.dag_settings.targets) or ()
