"""An executor for benchmarks of scheduling: jobs sleep, then their outputs are there, empty.

Found through PYTHONPATH. `--sleeping-costs` is a JSON file of seconds by the path of a job's
provenance; `--sleeping-scale` shortens them; `--sleeping-told` is written when all is done: a list
of [rule, GPUs, seconds asked, second started, second noticed].
"""

import json
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecutorSettingsBase


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """What --sleeping-... options say."""

    costs: Path | None = field(default=None, metadata={"help": "seconds by job", "type": Path})
    scale: float = field(default=1.0, metadata={"help": "of these seconds", "type": float})
    told: Path | None = field(default=None, metadata={"help": "what ran when", "type": Path})


common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_default_storage_provider_args=False,
    pass_default_resources_args=False,
    pass_envvar_declarations_to_cmd=False,
    auto_deploy_default_storage_provider=False,
    init_seconds_before_status_checks=0,
)


class Executor(RemoteExecutor):
    """Submits to nothing: a job is over when its time has passed."""

    def __post_init__(self):
        self.options = self.workflow.executor_settings
        self.costs = json.loads(Path(self.options.costs).read_text())
        self.told, self.begin = [], time.time()

    def run_job(self, job) -> None:
        """Note when a job, or the jobs of a group one after the other, will be over."""
        members = list(job.jobs) if job.is_group() else [job]
        seconds = sum(map(self._seconds, members)) * float(self.options.scale)
        now = time.time()
        info = SubmittedJobInfo(job, external_jobid=str(job.jobid), aux={"end": now + seconds})
        gpus = int(job.resources.get("gpu", 0))
        self.told.append([members[0].rule.name, gpus, seconds, now - self.begin])
        info.aux["row"] = self.told[-1]
        self.report_job_submission(info)

    async def check_active_jobs(self, active_jobs) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Ask once for all jobs, as the plugin for Slurm does."""
        async with self.status_rate_limiter:
            now = time.time()
        for info in active_jobs:
            if info.aux["end"] > now:
                yield info
                continue
            info.aux["row"].append(now - self.begin)
            for member in info.job.jobs if info.job.is_group() else [info.job]:
                _touch(member)
            self.report_job_success(info)

    def cancel_jobs(self, active_jobs) -> None:
        """Nothing runs, so there is nothing to end."""

    def shutdown(self) -> None:
        """Say what ran when."""
        super().shutdown()
        Path(self.options.told).write_text(json.dumps(self.told))

    def _seconds(self, job) -> float:
        known = [self.costs[path] for path in map(str, job.output) if path in self.costs]
        return known[0] if known else 1.0


def _touch(job) -> None:
    for path in map(Path, [*job.output, *([job.benchmark] if job.benchmark else [])]):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
