"""Input functions of the rules; no rules. Which jobs a job needs is said by the table of jobs."""

from gauntlet.study import models
from gauntlet.study.job_table import JOBS
from gauntlet.study.matrix import AS_GIVEN, OWN

DATA_FILES = {
    "images": "images.npy",
    "labels": "labels.npy",
    "meta": "data.json",
    "split": "split.json",
}


def data_inputs():
    """Give the files that hold a data set and its split."""
    return {name: DATA + file for name, file in DATA_FILES.items()}


def files_needed(rule, need, file):
    """Give an input function: a file of every job that a rule's job needs under a name.

    `file` is the end of the path, or a function that gives it for a job.
    """
    find = JOBS[rule].needs[need].find

    def files(wildcards):
        require_known(wildcards)
        return [file_of(job, file) for job in find(SETTINGS, dict(wildcards.items()))]

    return files


def file_needed(rule, need, file):
    """Give an input function: a file of the one job that a rule's job needs under a name."""
    files = files_needed(rule, need, file)
    return lambda wildcards: files(wildcards)[0]


def file_of(job, file):
    """Give the path of a job's file."""
    end = file(job) if callable(file) else file
    return JOBS[job.rule].place.format(**job.names) + end


def weights_file(job):
    """Name the weights that are attacked of a trained or imported model: by its selection."""
    defense = job.names["defense"]
    if defense == AS_GIVEN:
        return "best.pt"
    settings = SETTINGS["defenses"][defense]
    return settings.get("selection", SETTINGS["training"]["selection"]) + ".pt"


def own_file(path):
    """Give the path of a user's own file; the prefix of a module is for files that rules make."""
    return local(path) if IS_MODULE else path


def source_files(wildcards):
    """Give the user's own files that a data set is read from, if there are any."""
    require_known(wildcards)
    path = Path(SETTINGS["datasets"][wildcards.dataset].get("path") or os.devnull)
    if path.is_dir():
        files = sorted(str(file) for file in path.rglob("*") if file.is_file())
        return [own_file(file) for file in files]
    return [own_file(str(path))] if path.is_file() else []


def given_weights(wildcards):
    """Give the file of an external model, from the disk or as downloaded: a list of one or none."""
    require_known(wildcards)
    require_way(wildcards.model, AS_GIVEN)
    model = SETTINGS["models"][wildcards.model]
    path = models.local_weights(model)
    if path is not None:
        return [path if path.startswith(models.MADE) else own_file(path)]
    return [WEIGHTS.format(model=wildcards.model) + "weights"] if model["weights"] != OWN else []


def gathered(file):
    """Name a file of every shard of an attack; the other wildcards stay."""
    folder = ATTACK.replace("{", "{{").replace("}", "}}")
    return gather.craft(f"{folder}shards/{{scatteritem}}/{file}")
