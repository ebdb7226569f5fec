"""What happens once, around all jobs: checks, the worker process, Ctrl-C, the table; no rules."""

import atexit

from gauntlet.runtime import finish, interrupt, parent_watch, provenance, worker
from gauntlet.runtime.cluster import node

WORKER = []

parent_watch.announce()


def require_whole_tables():
    """Refuse to call a study done whose tables or figures are not what was written.

    A dry run, or a call that only unlocks the folder, gets a warning.
    """
    for study in SETTINGS["run"]:
        folder = Path(STUDY.format(study=study))
        records = [
            *folder.glob(f"*{provenance.ENDING}"),
            *folder.glob(f"figures/*{provenance.ENDING}"),
        ]
        for problem in provenance.damaged(records).values():
            if not runs_no_job():
                raise WorkflowError(problem)
            logger.warning(problem)


# A workflow that uses this one as a module decides itself what happens around its jobs.
if is_main_process() and not IS_MODULE:
    require_whole_tables()
    folders = [STUDY.format(study=study) for study in SETTINGS["run"]]
    finish.announce(folders, asked_targets)
    if interrupt.install():
        shell.prefix(interrupt.SHELL_PREFIX)


def start():
    """Start the warm worker for jobs on this machine."""
    if is_main_process():
        WORKER.append(worker.start())
        if sends_jobs():
            node.answer_for_sacct(HOME / "profiles" / "slurm" / "no_accounting")


def stop_worker():
    """End the warm worker."""
    while WORKER:
        worker.stop(WORKER.pop())


def finish_run():
    """End the warm worker, and show the tables of the studies when all else is said."""
    stop_worker()
    if is_main_process():
        finish.show_at_exit()


if is_job_elsewhere():
    # A job of several tasks is done by a process that hands them on one by one.
    WORKER.append(node.settle_on_node(shares_its_job()))
    atexit.register(stop_worker)
