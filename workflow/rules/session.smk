"""What happens once, around all jobs: checks, the worker process, the progress bar; no rules."""

import atexit

from gauntlet.runtime import parent_watch, provenance, worker
from gauntlet.runtime.cluster import node

WORKER = []

parent_watch.announce()


def require_whole_tables():
    """Refuse to call a study done whose tables or figures are not what was written."""
    for study in SETTINGS["run"]:
        folder = Path(STUDY.format(study=study))
        records = [
            *folder.glob(f"*{provenance.ENDING}"),
            *folder.glob(f"figures/*{provenance.ENDING}"),
        ]
        for told in provenance.damaged(records).values():
            raise WorkflowError(told)


if workflow.is_main_process:
    require_whole_tables()


def start():
    """Start the warm worker for jobs on this machine, and show an estimate beside the bars."""
    if workflow.is_main_process:
        WORKER.append(worker.start())
        if workflow.non_local_exec:
            node.answer_for_sacct(HOME / "profiles" / "slurm" / "no_accounting")
    for handler in workflow.logger_manager.get_log_handlers():
        if hasattr(handler, "progress"):
            from rich.progress import TimeRemainingColumn

            handler.progress.speed_estimate_period = 1e6
            handler.progress.columns += (TimeRemainingColumn(),)


def stop_worker():
    """End the warm worker."""
    while WORKER:
        worker.stop(WORKER.pop())


if workflow.remote_exec:
    # A job of several tasks is done by a process that hands them on one by one.
    WORKER.append(node.settle_on_node("--executor" in sys.argv and "--local-groupid" in sys.argv))
    atexit.register(stop_worker)
