"""From a model's files to its audit: the subject and the record."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gauntlet.audit import Finding, audit, remedies, verdict
from gauntlet.audit._finding import FAIL, WARN
from gauntlet.audit._subject import Certified, Subject, share
from gauntlet.core.batched_model import NonFiniteLogits
from gauntlet.core.errors import BrokenProof, GauntletError
from gauntlet.core.records import read_json, read_rows, write_rows
from gauntlet.core.rng import generator
from gauntlet.core.tolerance import SLACK
from gauntlet.evaluation.attack_ledger import AttackLedger, read_ledger
from gauntlet.evaluation.audit_ledger import COLUMNS
from gauntlet.evaluation.certificate_ledger import read_certificate
from gauntlet.evaluation.failures import failed

Part = tuple[Tensor, Tensor, Tensor]  # places in the data set [N], images [N, C, H, W], labels [N]


def make_subject(model: Callable, spec: dict, test: Part, train: Part | None, **known) -> Subject:
    """Prepare a model in eval mode for its audit; `known` are Subject's history, points, ...

    Raises GauntletError if the model is right about none of the audited images.
    """
    index, images, labels = test
    count = min(spec["images"], len(index))
    order = torch.randperm(len(index), generator=generator(spec["seed"], "audit images"))
    rows = order[:count].sort().values
    here = rows.to(images.device)
    settings = ("norm", "eps", "seed", "batch", "budget", "single_step")
    subject = Subject(
        model,
        images[here],
        labels[here],
        index[rows],
        test=test[1:],
        train=train and train[1:],
        **{name: spec[name] for name in settings},
        **known,
    )
    if not bool(subject.correct.any()):
        raise GauntletError(
            f"The model is right about none of {count} test images; allowed in an audit are models "
            "that are right about some (are its weights and its input range the right ones?)."
        )
    return subject


def read_known(
    spec: dict, history: str, train: str, ledgers, transfers, certificates
) -> dict[str, Any]:
    """Read what is known of a model besides its weights, under the names that Subject has."""
    return {
        "history": read_history(history),
        "selection": read_json(train)["selection"],
        "points": read_ledgers(ledgers, spec["attacks"], transfers, spec["transfer"]),
        "certificates": read_certificates(certificates),
    }


def read_history(path: str) -> list[dict]:
    """Read a training's rows by epoch as numbers; empty for a model that was not trained here."""
    rows = read_rows(path)
    if rows and "validation_robust" not in rows[0]:
        return []
    whole = [{name: float(text) for name, text in row.items()} for row in rows if all(row.values())]
    return [row | {"epoch": int(row["epoch"])} for row in whole]


def read_ledgers(
    ledgers: Sequence[str],
    attacks: Sequence[str],
    transfers: Sequence[str],
    origins: Sequence[tuple[str, str]],
) -> list[AttackLedger]:
    """Read what the study's attacks did, but for those that failed.

    `origins` are the (source, attack) of `transfers`.
    """
    files = [(path, attack) for path, attack in zip(ledgers, attacks, strict=True)]
    files += [
        (path, attack, source) for path, (source, attack) in zip(transfers, origins, strict=True)
    ]
    return [one for file in files if not failed(file[0]) for one in read_ledger(*file)]


def findings_of(subject: Subject, spec: dict) -> list[Finding]:
    """Put a subject through the checks that the spec names."""
    try:
        return list(audit(subject, spec["checks"]))
    except NonFiniteLogits as error:
        raise GauntletError(
            f"In the audit of {spec['name']} the model gave logits that are not finite; allowed "
            "are numbers."
        ) from error


def read_certificates(paths: Sequence[str]) -> list[Certified]:
    """Read what ledgers of certificates prove of the model itself, at each of their eps."""
    ledgers = [ledger for ledger in map(read_certificate, paths) if ledger.deterministic]
    return [
        Certified(
            kind=ledger.certificate,
            norm=ledger.norm,
            eps=eps,
            index=torch.from_numpy(ledger.index),
            holds=torch.from_numpy(ledger.covers(eps)),
        )
        for ledger in ledgers
        for eps in ledger.eps
    ]


def record_of(subject: Subject, findings: Sequence[Finding]) -> dict:
    """Give the audit as JSON types: threat model, accuracies, verdict, remedies, findings."""
    gradients = [subject.pgd(), subject.scale_free]
    broken = subject.broken.within(subject.eps * (1 + SLACK))
    return {
        "norm": subject.norm,
        "eps": subject.eps,
        "n": len(subject.labels),
        "clean_accuracy": subject.clean,
        "accuracy_under_gradients": subject.accuracy(*gradients),
        "accuracy_under_all_checks": share(subject.correct & ~broken),
        "verdict": verdict(findings),
        "failed": [finding.check for finding in findings if finding.verdict == FAIL],
        "warned": [finding.check for finding in findings if finding.verdict == WARN],
        "remedies": remedies(findings),
        "findings": [asdict(finding) for finding in findings],
    }


def audited(
    model: Callable, spec: dict, test: Part, train: Part | None, known: dict
) -> tuple[dict, Subject]:
    """Put a model through its audit: the record, and the subject that holds what was broken.

    Raises BrokenProof if an attack succeeded on a certified image: one of both is in error.
    """
    subject = make_subject(model, spec, test, train, **known)
    findings = findings_of(subject, spec)
    for finding in findings:
        if finding.check == "certificates" and finding.verdict == FAIL:
            raise BrokenProof(finding.meaning)
    return record_of(subject, findings), subject


def save_found(subject: Subject, table: str, examples: str) -> None:
    """Write the images that checks have broken, a row each, and what broke them [M, C, H, W]."""
    broken = subject.broken
    np.save(examples, broken.examples[broken.found].cpu().numpy())
    write_rows(table, COLUMNS, _found_rows(subject))


def _found_rows(subject: Subject) -> Iterator[dict]:
    broken, spans = subject.broken, subject.broken.distances()
    for row in broken.found.nonzero().squeeze(1).tolist():
        yield {
            "index": int(subject.index[row]),
            "label": int(subject.labels[row]),
            "check": broken.by[row],
            "prediction": int(broken.prediction[row]),
        } | {norm: repr(float(values[row])) for norm, values in spans.items()}
