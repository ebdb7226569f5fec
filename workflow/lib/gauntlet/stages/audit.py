"""From a model's files to its audit: the subject, the record, and the page for people."""

from collections.abc import Callable, Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from gauntlet.audit import Finding, audit, remedies, verdict
from gauntlet.audit._finding import FAIL, WARN
from gauntlet.audit._subject import Certified, Subject
from gauntlet.core.batched_model import NonFiniteLogits
from gauntlet.core.errors import GauntletError
from gauntlet.core.rng import generator
from gauntlet.evaluation.attack_ledger import AttackLedger, read_points
from gauntlet.evaluation.certificate_ledger import read_proof
from gauntlet.evaluation.metrics import read_rows

Part = tuple[Tensor, Tensor, Tensor]  # places in the data set [N], images [N, C, H, W], labels [N]


def make_subject(model: Callable, spec: dict, test: Part, train: Part | None, **papers) -> Subject:
    """Prepare a model in eval mode for its audit; `papers` are Subject's history, points, ...

    Raises GauntletError if the model is right about none of the audited images.
    """
    index, images, labels = test
    count = min(spec["images"], len(index))
    order = torch.randperm(len(index), generator=generator(spec["seed"], "audit images"))
    rows = order[:count].sort().values
    here = rows.to(images.device)
    subject = Subject(
        *(model, images[here], labels[here], index[rows], spec["norm"], spec["eps"]),
        **{"seed": spec["seed"], "batch": spec["batch"], "budget": spec["budget"]},
        **{"test": test[1:], "train": train and train[1:], "single_step": spec["single_step"]},
        **papers,
    )
    if not bool(subject.right.any()):
        raise GauntletError(
            f"The model is right about none of {count} test images; allowed in an audit are models "
            "that are right about some (are its weights and its input range the right ones?)."
        )
    return subject


def read_history(path: str) -> list[dict]:
    """Read a training's rows by epoch as numbers; empty for a model that was not trained here."""
    rows = read_rows(path)
    if rows and "validation_robust" not in rows[0]:
        return []
    whole = [{name: float(text) for name, text in row.items()} for row in rows if all(row.values())]
    return [row | {"epoch": int(row["epoch"])} for row in whole]


def read_ledgers(
    ledgers: Sequence[str], attacks: Sequence[str], transfers: Sequence[str], sets: Sequence
) -> list[AttackLedger]:
    """Read what the study's attacks did; `sets` are the (source, attack) of `transfers`."""
    points = [
        p for path, name in zip(ledgers, attacks, strict=True) for p in read_points(path, name)
    ]
    for path, (source, attack) in zip(transfers, sets, strict=True):
        points += read_points(path, attack, source)
    return points


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
    proofs = [proof for proof in map(read_proof, paths) if proof.deterministic]
    return [
        Certified(proof.certificate, proof.norm, eps, *map(torch.from_numpy, held))
        for proof in proofs
        for eps in proof.eps
        for held in [(proof.index, proof.covers(eps))]
    ]


def record_of(subject: Subject, findings: Sequence[Finding]) -> dict:
    """Give the audit as JSON types: threat model, accuracies, verdict, remedies, findings."""
    gradients = [subject.pgd(), subject.scale_free]
    return {
        "norm": subject.norm,
        "eps": subject.eps,
        "n": len(subject.labels),
        "clean_accuracy": subject.clean,
        "accuracy_under_gradients": subject.accuracy(*gradients),
        "verdict": verdict(findings),
        "summary": summary_of(findings),
        "remedies": remedies(findings),
        "findings": [asdict(finding) for finding in findings],
    }


def summary_of(findings: Sequence[Finding]) -> str:
    """Say in one cell what was found: `pass`, `warn (a, b)` or `fail (a; warn b)`."""
    failed, warned = ([f.check for f in findings if f.verdict == word] for word in (FAIL, WARN))
    if failed:
        also = f"; warn {', '.join(warned)}" if warned else ""
        return f"fail ({', '.join(failed)}{also})"
    return f"warn ({', '.join(warned)})" if warned else "pass"


def page(name: str, record: dict) -> str:
    """Write an audit in Markdown."""
    head = (
        f"# Audit of {name}: {record['verdict']}\n\n"
        f"{record['norm']} eps {record['eps']:.4g}, n = {record['n']} test images; clean accuracy "
        f"{record['clean_accuracy']:.1%}, under gradient attacks "
        f"{record['accuracy_under_gradients']:.1%}.\n\n"
        "| check | verdict | evidence | meaning | advice |\n|---|---|---|---|---|\n"
    )
    return head + "".join(map(_line, record["findings"])) + _rerun_note(record["remedies"])


def _line(finding: dict) -> str:
    evidence = ", ".join(
        f"{name.replace('_', ' ')} {_number(value)}" for name, value in finding["evidence"].items()
    )
    cells = (finding["check"], finding["verdict"], evidence, finding["meaning"], finding["advice"])
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |\n"


def _number(value: float | int | str | None) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value in ("", None) else str(value)


def _rerun_note(found: Sequence[str]) -> str:
    if not found:
        return ""
    return f"\nThe model is attacked again in these ways: {', '.join(found)}.\n"
