"""Input functions of the rules; no rules. Which jobs a job needs is said by the table of jobs."""

from gauntlet.runtime import folder_manifest
from gauntlet.study import models, pretrained, search_jobs, split_settings
from gauntlet.study.defenses import extra_file
from gauntlet.study.job_table import JOBS, provenance_of
from gauntlet.study.matrix import AS_GIVEN, OWN

KEPT = HOME / "results" / "reference"
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


def fallible_file(job):
    """Name the file that says whether a job's model or attack failed."""
    return "audit.json" if job.rule == "audit_model" else "ledger.csv"


def own_file(path):
    """Give the path of a user's own file; the prefix of a module is for files that rules make."""
    return local(path) if IS_MODULE else path


def source_files(wildcards):
    """Give the user's own file that a data set is read from, if there is one.

    Of a folder it is the manifest: one file that is older than what was made of the folder unless
    a file below it has another name, size or time of change.
    """
    require_known(wildcards)
    path = SETTINGS["datasets"][wildcards.dataset].get("path") or os.devnull
    if os.path.isdir(path):
        return [own_file(folder_manifest.manifest_of(path, refresh=is_main_process()))]
    return [own_file(str(Path(path)))] if os.path.isfile(path) else []


def indices_file(wildcards):
    """Give the user's own file of test images' numbers, if a data set's split names one."""
    require_known(wildcards)
    chosen = split_settings.chosen_indices(SETTINGS["datasets"][wildcards.dataset]["split"]) or {}
    return [own_file(str(Path(chosen["file"])))] if "file" in chosen else []


def further_images(wildcards):
    """Give the user's own file of further training images, if a defense has one."""
    require_known(wildcards)
    path = extra_file(SETTINGS, wildcards.defense)
    return [own_file(str(Path(path)))] if path else []


def pretrained_file(wildcards):
    """Give the pretrained weights that a training begins from, downloaded or the user's own file."""
    require_known(wildcards)
    weights = pretrained.beginning(SETTINGS, wildcards.model, wildcards.defense)
    if weights is None or pretrained.is_published(weights):
        return files_needed("train_model", "pretrained", "weights")(wildcards)
    return [own_file(str(Path(weights)))]


def pretrained_of_trial(wildcards):
    """Give the pretrained weights that a search's trials begin from, if they do."""
    require_known(wildcards)
    path = search_jobs.pretrained_file(SETTINGS, dict(wildcards.items()))
    if path is not None:
        return [own_file(str(Path(path)))]
    return files_needed("run_trial", "pretrained", "weights")(wildcards)


def further_images_of_trial(wildcards):
    """Give the user's own file of further training images, if a search's defense has one."""
    require_known(wildcards)
    path = search_jobs.extra(SETTINGS, dict(wildcards.items()))
    return [own_file(str(Path(path)))] if path else []


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


def kept_file(name):
    """Give an input function: a file of what is kept of a study; WorkflowError if nothing is."""

    def file(wildcards):
        require_known(wildcards)
        path = KEPT / wildcards.study / name
        if not path.is_file():
            raise WorkflowError(
                f"Nothing is kept of the study '{wildcards.study}' ({path} does not exist); "
                f"allowed are {', '.join(kept_names()) or 'none so far'}."
            )
        return str(path)

    return file


def kept_names():
    """List the studies of which results are kept, with what they were made by."""
    return sorted(path.parent.name for path in KEPT.glob("*/origin.json"))


def kept_studies(wildcards):
    """Give the files that say that the kept studies under `run` are verified."""
    there = [study for study in SETTINGS["run"] if study in kept_names()]
    if not there:
        raise WorkflowError(
            f"Nothing is kept of the studies under run ({', '.join(SETTINGS['run'])}); allowed are "
            f"{', '.join(kept_names()) or 'none so far'}."
        )
    return [STUDY.format(study=study) + "reference.verified" for study in there]


def result_provenances(wildcards):
    """Give the provenances of what a study has trained, crafted and proven."""
    require_known(wildcards)
    needs = JOBS["compare_reference"].needs
    made = [
        needs[name].find(SETTINGS, dict(wildcards.items())) for name in ("trainings", "results")
    ]
    return [provenance_of(job) for jobs in made for job in jobs]
