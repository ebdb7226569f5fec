"""Weights & Biases: a run of a project; offline unless the configuration says online."""

from torch import Tensor

from gauntlet.tracking.base.places import Place
from gauntlet.tracking.base.position import Position


class WandbRun:
    """Log a run; all numbers have the batch as step, those of epochs `epoch` besides."""

    immediate = True

    def __init__(self, run, image):
        self.run, self.image = run, image

    def batch(self, step: int, values: dict[str, float]) -> None:
        """Log numbers of a batch."""
        self.run.log({f"batch/{name}": value for name, value in values.items()}, step=step)

    def epoch(self, epoch: int, step: int, values: dict, pictures: dict[str, Tensor]) -> None:
        """Log an epoch's numbers and pictures [N, C, H, W]."""
        found = {"epoch": epoch, **{f"epoch/{name}": value for name, value in values.items()}}
        for name, images in pictures.items():
            shown = [self.image(one.permute(1, 2, 0).numpy()) for one in images]
            found[f"adversarial/{name}"] = shown
        self.run.log(found, step=step)

    def close(self, finished: bool = True) -> None:
        """End the run; W&B marks one that did not finish as failed."""
        self.run.finish(exit_code=0 if finished else 1)


def wandb(
    place: Place,
    position: Position,
    spec: dict,
    *,
    project: str,
    entity: str | None = None,
    mode: str = "offline",
) -> WandbRun:
    """Open a run of a project, or go on in the one that the position names.

    Raises ImportError without the package wandb, and what `wandb.init` raises.
    """
    import wandb as library

    quiet = library.Settings(silent=True, console="off", disable_git=True, save_code=False)
    run = library.init(
        project=project,
        entity=entity,
        mode=mode,
        id=position.id,
        name=place.name,
        group="/".join(map(str, place.run[:3])),
        config=spec,
        dir=str(place.folder),
        resume="allow",
        settings=quiet,
    )
    run.define_metric("epoch/*", step_metric="epoch")
    return WandbRun(run, library.Image)
