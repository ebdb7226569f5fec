"""A study's jobs and what each waits for, from the configuration alone. Standard library only.

The workflow's own graph is Snakemake's, and a test holds this one, for estimates, against it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from gauntlet.study import audit_gate, certificates, specs, specs_models
from gauntlet.study.matrix import AS_GIVEN, OWN
from gauntlet.study.models import MADE, local_weights
from gauntlet.study.paths import FIGURES, PROVENANCE
from gauntlet.study.resolve import init_source, needed_crafted
from gauntlet.study.specs import Run, Spec

RUN = Run._fields
MADE_WEIGHTS = re.compile(f"{MADE}runs/([^/]+)/([^/]+)/([^/]+)/seed([0-9]+)/(export/)?")
# Each rule's specification, and the names that it takes.
MAKERS: dict[str, tuple[Callable[..., Spec], tuple[str, ...]]] = {
    "audit_model": (audit_gate.audit_spec, ("study", *RUN)),
    "certify_robustness": (specs.certify_spec, (*RUN, "certificate", "part")),
    "check_attacks": (specs.check_spec, ("attack",)),
    "collect_results": (specs.table_spec, ("study",)),
    "craft_examples": (specs.craft_spec, (*RUN, "attack", "part")),
    "craft_shard": (specs.shard_spec, (*RUN, "attack", "part", "scatteritem")),
    "download_data": (specs.data_spec, ("dataset",)),
    "download_weights": (specs_models.weights_spec, ("model",)),
    "evaluate_robustness": (specs.evaluate_spec, ("study", *RUN)),
    "export_model": (specs_models.export_spec, ("model",)),
    "gate": (audit_gate.gate_spec, ("study",)),
    "gather_examples": (specs.gather_spec, ("attack",)),
    "import_model": (specs_models.import_spec, ("dataset", "model", "seed")),
    "publish_tables": (specs.table_spec, ("study",)),
    "rerun_attack": (audit_gate.rerun_spec, ("study", *RUN)),
    "split_data": (specs.split_spec, ("dataset",)),
    "train_model": (specs.train_spec, RUN),
    "transfer_examples": (specs.transfer_spec, (*RUN, "source", "attack")),
}


class Job(NamedTuple):
    """A job: its rule, the names in its wildcards, and the provenances that it waits for."""

    rule: str
    names: Mapping[str, str]
    needs: tuple[str, ...]


class Plan:
    """The jobs that a configuration asks for, by the path of their provenance.

    Jobs stand after those that they wait for.
    """

    def __init__(self, config: Mapping[str, Any], shards: int = 1):
        self.config, self.shards = dict(config), shards
        self.jobs: dict[str, Job] = {}
        for study in config["run"]:
            self._study(study)

    def spec(self, job: Job) -> Spec:
        """Give a job's specification; an empty one where nothing depends on it."""
        if job.rule not in MAKERS:
            return {}
        make, wanted = MAKERS[job.rule]
        return make(self.config, **{name: job.names[name] for name in wanted})

    def _add(self, rule: str, needs: Iterable[str], **names) -> str:
        words = {key: str(value) for key, value in names.items()}
        path = PROVENANCE[rule].format(**words)
        self.jobs.setdefault(path, Job(rule, words, tuple(dict.fromkeys(needs))))
        return path

    def _study(self, study: str) -> None:
        runs = specs.runs(self.config, study)
        models = [self._model(run) for run in runs]
        records = [self._evaluation(study, run) for run in runs]
        table = self._add("collect_results", records, study=study)
        ends = [table, self._add("publish_tables", [table, *models, *records], study=study)]
        data = [self._data(name) for name in self.config["studies"][study]["datasets"]]
        for name in FIGURES:
            needs = [] if name == "rulegraph" else [table, *records, *models, *data]
            ends.append(self._add(f"plot_{name}", needs, study=study))
        if audit_gate.gate_spec(self.config, study)["demands"]:
            gate = self._add("gate", [table], study=study)
            self._add("pass_gate", [gate, *ends], study=study)

    def _data(self, dataset: str) -> str:
        source = self._add("download_data", [], dataset=dataset)
        return self._add("split_data", [source], dataset=dataset)

    def _model(self, run: Run) -> str:
        if run.defense == AS_GIVEN:
            return self._given(run)
        needs = [self._data(run.dataset)]
        source = init_source(self.config, run.defense)
        if source is not None:
            needs.append(self._model(run._replace(defense=source)))
        crafted = needed_crafted(self.config, run.defense)
        if crafted is not None:
            source, attack, part = crafted
            needs.append(self._attack(run._replace(defense=source), attack, part))
        return self._add("train_model", needs, **run._asdict())

    def _given(self, run: Run) -> str:
        needs, settings = [self._data(run.dataset)], self.config["models"][run.model]
        path = local_weights(settings)
        if path is None and settings["weights"] != OWN:
            needs.append(self._add("download_weights", [], model=run.model))
        made = MADE_WEIGHTS.match(path or "")
        if made:
            source = Run(*made.groups()[:4])
            needs.append(self._model(source))
            if made[5]:
                exported = source._asdict()
                needs.append(self._add("export_model", [needs[-1]], **exported))
        return self._add("import_model", needs, **run._asdict())

    def _attack(self, run: Run, attack: str, part: str = "test") -> str:
        own = (run.dataset, run.model, run.defense, int(run.seed))
        names = certificates.sparing(self.config, *own, attack, part)
        needs = [self._model(run), *(self._certificate(run, name) for name in names)]
        known = run._asdict() | {"attack": attack, "part": part}
        if self.shards == 1:
            return self._add("craft_examples", needs, **known)
        items = [f"{number + 1}-of-{self.shards}" for number in range(self.shards)]
        parts = [self._add("craft_shard", needs, **known, scatteritem=item) for item in items]
        return self._add("gather_examples", parts, **known)

    def _certificate(self, run: Run, name: str) -> str:
        known = run._asdict() | {"certificate": name, "part": certificates.PART}
        return self._add("certify_robustness", [self._model(run)], **known)

    def _transfer(self, run: Run, source: str, attack: str) -> str:
        needs = [self._model(run), self._attack(run._replace(defense=source), attack)]
        return self._add("transfer_examples", needs, **run._asdict(), source=source, attack=attack)

    def _evaluation(self, study: str, run: Run) -> str:
        lists = self.config["studies"][study]
        needs = [self._attack(run, attack) for attack in lists["attacks"]]
        sets = specs.transfer_sets(self.config, study, run.defense)
        needs += [self._transfer(run, source, attack) for source, attack in sets]
        needs += [self._certificate(run, name) for name in lists["certificates"]]
        known = run._asdict() | {"study": study}
        needs.append(self._model(run))
        if audit_gate.checks_of(self.config, study):
            audit = self._add("audit_model", needs, **known)
            if audit_gate.reruns(self.config, study):
                needs.append(self._add("rerun_attack", [audit], **known))
            needs.append(audit)
        checks = [self._add("check_attacks", [], attack=attack) for attack in lists["attacks"]]
        return self._add("evaluate_robustness", [*needs, *checks], **known)
