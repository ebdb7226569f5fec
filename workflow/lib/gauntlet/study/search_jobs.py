"""The jobs of searches, for the table of jobs. Standard library only."""

from collections.abc import Iterator

from gauntlet.study import job_needs, paths, search_specs
from gauntlet.study.defenses import extra_file
from gauntlet.study.job_kind import JobKind, Need
from gauntlet.study.job_needs import Config, JobName, Names
from gauntlet.study.pretrained import beginning, is_published
from gauntlet.study.searches import trial_config

TRIAL_NAMES = ("search", "trial", "seed")


def _run(config: Config, names: Names) -> dict[str, str]:
    """Name the run that a trial would be outside of its search."""
    asked = config["searches"][names["search"]]
    own = {key: asked[key] for key in ("dataset", "model", "defense")}
    return own | {"seed": str(names.get("seed", asked["seeds"][0]))}


def source(config: Config, names: Names) -> Iterator[JobName]:
    """Give the job that stores a trial's data set."""
    return job_needs.source(config, _run(config, names))


def split(config: Config, names: Names) -> Iterator[JobName]:
    """Give the job that divides a trial's data set."""
    return job_needs.split(config, _run(config, names))


def start(config: Config, names: Names) -> Iterator[JobName]:
    """Give the training whose weights a trial starts from, if there is one."""
    return job_needs.start(trial_config(config, names["search"]), _run(config, names))


def crafted(config: Config, names: Names) -> Iterator[JobName]:
    """Give the attacks whose examples a trial trains on."""
    return job_needs.crafted(config, _run(config, names))


def teacher(config: Config, names: Names) -> Iterator[JobName]:
    """Give the job that makes the model whose answers a trial learns, if there is one."""
    return job_needs.teacher(config, _run(config, names))


def pretrained_weights(config: Config, names: Names) -> Iterator[JobName]:
    """Give the download of the pretrained weights that a trial begins from, if there is one."""
    return job_needs.pretrained_weights(trial_config(config, names["search"]), _run(config, names))


def pretrained_file(config: Config, names: Names) -> str | None:
    """Give the path of the user's own pretrained weights that a trial begins from, if any."""
    run = _run(config, names)
    weights = beginning(trial_config(config, names["search"]), run["model"], run["defense"])
    return None if is_published(weights) else weights


def extra(config: Config, names: Names) -> str | None:
    """Give the path of a trial's further images, if it has some."""
    known = trial_config(config, names["search"])
    return extra_file(known, config["searches"][names["search"]]["defense"])


def proposal(config: Config, names: Names) -> Iterator[JobName]:
    """Give the job that chooses a trial's settings."""
    number = search_specs.round_of(config, names["search"], names["trial"])
    yield JobName("propose_trials", {"search": names["search"], "round": str(number)})


def trials_before(config: Config, names: Names) -> Iterator[JobName]:
    """Give all trials of the rounds before one."""
    before = search_specs.trials_before(config, names["search"], names["round"])
    return _trials(config, names, before)


def trials(config: Config, names: Names) -> Iterator[JobName]:
    """Give all trials of a search."""
    return _trials(config, names, search_specs.all_trials(config, names["search"]))


def _trials(config: Config, names: Names, numbers: range) -> Iterator[JobName]:
    for trial in numbers:
        for seed in config["searches"][names["search"]]["seeds"]:
            own = {"search": names["search"], "trial": str(trial), "seed": str(seed)}
            yield JobName("run_trial", own)


def found(config: Config, names: Names) -> Iterator[JobName]:
    """Give the job that finds the settings of a defense, if it comes from a search."""
    if name := config["defenses"][names["defense"]].get("from_search"):
        yield from choice(config, {"search": name})


def choice(config: Config, names: Names) -> Iterator[JobName]:
    """Give the job that compares a search's trials."""
    yield JobName("choose_trial", {"search": names["search"]})


TRIALS = ("run_trial",)

JOBS: dict[str, JobKind] = {
    "propose_trials": JobKind(
        search_specs.round_spec,
        ("search", "round"),
        paths.ROUND,
        "propose",
        {"results": Need(TRIALS, trials_before)},
    ),
    "run_trial": JobKind(
        search_specs.trial_spec,
        TRIAL_NAMES,
        paths.TRIAL,
        "trial",
        {
            "source": Need(("download_data",), source),
            "split": Need(("split_data",), split),
            "proposal": Need(("propose_trials",), proposal),
            "start": Need(("train_model",), start),
            "pretrained": Need(("download_weights",), pretrained_weights, drawn=False),
            "crafted": Need(("craft_examples",), crafted),
            "teacher": Need(("train_model", "import_model"), teacher),
        },
    ),
    "choose_trial": JobKind(
        search_specs.choice_spec,
        ("search",),
        paths.SEARCH,
        "choose",
        {"results": Need(TRIALS, trials)},
    ),
    "plot_search": JobKind(
        search_specs.search_figure_spec,
        ("search",),
        paths.SEARCH,
        "trials",
        {"rows": Need(("choose_trial",), choice)},
        "plot_figure",
    ),
}
