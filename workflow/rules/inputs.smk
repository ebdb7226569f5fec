"""Input functions of the rules; no rules."""


def run_folder(run):
    """Give the folder of one trained model."""
    return RUN.format(**run._asdict())


def data_inputs():
    """Give the files that hold a data set and its split."""
    return {name: DATA + file for name, file in DATA_FILES.items()}


DATA_FILES = {
    "images": "images.npy",
    "labels": "labels.npy",
    "meta": "data.json",
    "split": "split.json",
}


def source_files(wildcards):
    """Give the user's own files that a data set is read from, if there are any."""
    path = Path(SETTINGS["datasets"][wildcards.dataset].get("path") or os.devnull)
    if path.is_dir():
        return sorted(str(file) for file in path.rglob("*") if file.is_file())
    return [str(path)] if path.is_file() else []


def weights_name(defense):
    """Name the weights of a defense that are attacked, as its selection says."""
    if defense == AS_GIVEN:
        return "best.pt"
    settings = SETTINGS["defenses"][defense]
    return settings.get("selection", SETTINGS["training"]["selection"]) + ".pt"


def attacked_weights(wildcards):
    """Give the weights file of the run that the wildcards name."""
    return RUN.format(**{k: getattr(wildcards, k) for k in RUN_NAMES}) + weights_name(
        wildcards.defense
    )


def given_weights(wildcards):
    """Give the file of an external model, from the disk or as downloaded: a list of one or none."""
    model = SETTINGS["models"][wildcards.model]
    path = models.local_weights(model)
    if path is None and model["weights"] != OWN:
        path = WEIGHTS.format(model=wildcards.model) + "weights"
    return [path] if path else []


def start_weights(wildcards):
    """Give the weights that a training starts from: a list of one file or none."""
    source = resolve.init_source(SETTINGS, wildcards.defense)
    if source is None:
        return []
    run = specs.Run(wildcards.dataset, wildcards.model, source, wildcards.seed)
    return [run_folder(run) + weights_name(source)]


def crafted_examples(wildcards):
    """Give the example files that a training needs: a list of one file or none."""
    needed = resolve.needed_crafted(SETTINGS, wildcards.defense)
    if needed is None:
        return []
    source, attack, part = needed
    run = specs.Run(wildcards.dataset, wildcards.model, source, wildcards.seed)
    return [run_folder(run) + f"attacks/{attack}/{part}/draws.npy"]


def source_draws(wildcards):
    """Give the examples that were made against a transfer's source."""
    run = specs.Run(wildcards.dataset, wildcards.model, wildcards.source, wildcards.seed)
    return run_folder(run) + f"attacks/{wildcards.attack}/test/draws.npy"


def study_runs(wildcards):
    """List a study's runs."""
    return specs.runs(SETTINGS, wildcards.study)


def run_files(pattern):
    """Give an input function: one file per run of the study, below the run's folder."""
    return lambda wildcards: [run_folder(run) + pattern for run in study_runs(wildcards)]


def run_ledgers(wildcards):
    """Give the ledgers of one run in a study, in the order of the study's attacks."""
    attacks = SETTINGS["studies"][wildcards.study]["attacks"]
    folder = attacked_weights(wildcards).rpartition("/")[0]
    return [f"{folder}/attacks/{attack}/test/ledger.csv" for attack in attacks]


def certificate_ledger(wildcards, certificate):
    """Give the ledger of a certificate of the run that the wildcards name."""
    folder = attacked_weights(wildcards).rpartition("/")[0]
    return f"{folder}/certificates/{certificate}/{certificates.PART}/ledger.csv"


def run_certificates(wildcards):
    """Give the certificates of one run in a study, in the order of the study's list."""
    names = SETTINGS["studies"][wildcards.study]["certificates"]
    return [certificate_ledger(wildcards, name) for name in names]


def sparing_certificates(wildcards):
    """Give the certificates whose images an attack leaves out."""
    run = [getattr(wildcards, name) for name in RUN_NAMES[:-1]] + [int(wildcards.seed)]
    names = certificates.sparing(SETTINGS, *run, wildcards.attack, wildcards.part)
    return [certificate_ledger(wildcards, name) for name in names]


def gathered(file):
    """Name a file of every shard of an attack; the other wildcards stay."""
    folder = ATTACK.replace("{", "{{").replace("}", "}}")
    return gather.craft(f"{folder}shards/{{scatteritem}}/{file}")


def run_checks(wildcards):
    """Give the verdicts on the attacks of a study, in their order."""
    attacks = SETTINGS["studies"][wildcards.study]["attacks"]
    return [CHECK.format(attack=attack) + "check.json" for attack in attacks]


def run_transfers(wildcards):
    """Give the ledgers of the examples that a study shows to one run from another."""
    folder = attacked_weights(wildcards).rpartition("/")[0]
    sets = specs.transfer_sets(SETTINGS, wildcards.study, wildcards.defense)
    return [f"{folder}/transfer/{source}/{attack}/ledger.csv" for source, attack in sets]


def run_audits(wildcards):
    """Give the audit of one run in a study: a list of one file or none."""
    audited = audit_gate.checks_of(SETTINGS, wildcards.study)
    return [f"{AUDIT}audit.json".format(**dict(wildcards))] if audited else []


def run_reruns(wildcards):
    """Give the ledger of the attack that goes around what an audit found: a list of one or none."""
    wanted = audit_gate.reruns(SETTINGS, wildcards.study)
    return [f"{AUDIT}rerun/ledger.csv".format(**dict(wildcards))] if wanted else []


def study_tables(wildcards):
    """Give the evaluation of every run of a study."""
    return [
        EVALUATION.format(study=wildcards.study, **run._asdict()) + ".csv"
        for run in study_runs(wildcards)
    ]


def study_records(wildcards):
    """Give the evaluation record of every run of a study."""
    return [path.removesuffix(".csv") + ".json" for path in study_tables(wildcards)]


def study_data(file):
    """Give an input function: one file of every data set of a study."""

    def files(wildcards):
        names = SETTINGS["studies"][wildcards.study]["datasets"]
        return [DATA.format(dataset=name) + file for name in names]

    return files


def shown_attack(study):
    """Choose the attack whose examples a study shows: the longest one with a single eps."""

    def length(attack):
        points = resolve.attack_points(SETTINGS["attacks"][attack])
        passes = points[0].get("steps", 1) * points[0].get("restarts", 1)
        return ("eps" in points[0], len(points) == 1, passes)

    return max(SETTINGS["studies"][study]["attacks"], key=length)


def shown_files(file):
    """Give an input function: a file of the shown attack, for each model of the first seed."""

    def files(wildcards):
        seed = study_runs(wildcards)[0].seed
        shown = shown_attack(wildcards.study)
        return [
            run_folder(run) + f"attacks/{shown}/test/{file}"
            for run in study_runs(wildcards)
            if run.seed == seed
        ]

    return files
