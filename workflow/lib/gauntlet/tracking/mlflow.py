"""MLflow: a run of an experiment, in a folder or on a tracking server."""

import os
from pathlib import Path

from torch import Tensor

from gauntlet.tracking.base.places import Place
from gauntlet.tracking.base.position import Position

FILE_STORE = "MLFLOW_ALLOW_FILE_STORE"  # newer versions ask whether a folder is meant


class MlflowRun:
    """Log to a run: metrics of batches have the batch as step, those of epochs the epoch."""

    immediate = True

    def __init__(self, client, run: str):
        self.client, self.run = client, run

    def batch(self, step: int, values: dict[str, float]) -> None:
        """Log numbers of a batch."""
        for name, value in values.items():
            self.client.log_metric(self.run, f"batch/{name}", value, step=step)

    def epoch(self, epoch: int, step: int, values: dict, pictures: dict[str, Tensor]) -> None:
        """Log an epoch's numbers, and pictures [N, C, H, W] side by side in one file each."""
        for name, value in values.items():
            self.client.log_metric(self.run, f"epoch/{name}", value, step=epoch)
        for name, images in pictures.items():
            row = (images.permute(1, 2, 0, 3).flatten(2) * 255).round().byte()  # [C, H, N * W]
            file = f"adversarial/{name}_{epoch:04d}.png"
            self.client.log_image(self.run, row.permute(1, 2, 0).numpy(), file)

    def close(self, finished: bool = True) -> None:
        """End the run; MLflow shows one that did not finish as failed."""
        self.client.set_terminated(self.run, "FINISHED" if finished else "FAILED")


def mlflow(
    place: Place, position: Position, spec: dict, *, uri: str, experiment: str = "gauntlet"
) -> MlflowRun:
    """Open a run of an experiment at a URI or in a folder, or go on in the position's run.

    Raises ImportError without the package mlflow, and what the store or server raises.
    """
    os.environ.setdefault(FILE_STORE, "true")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=_address(uri))
    if position.rows or position.batch:
        client.update_run(position.id, status="RUNNING")
        return MlflowRun(client, position.id)
    made = client.create_run(_experiment(client, experiment), run_name=place.name)
    position.id = made.info.run_id
    for name, value in _flat(spec):
        client.log_param(position.id, name, value)
    return MlflowRun(client, position.id)


def _address(uri: str) -> str:
    return uri if ":" in uri else Path(uri).resolve().as_uri()


def _experiment(client, name: str) -> str:
    """Give the experiment's id; another job may make it at the same moment."""
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name)
        except Exception:
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return found.experiment_id


def _flat(settings: dict, prefix: str = ""):
    """Give settings by dotted names, as texts that MLflow takes."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)[:500]
