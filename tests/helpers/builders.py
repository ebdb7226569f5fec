"""Small made-up studies: ledgers, trainings and images, without a model."""

import csv
import json
from pathlib import Path

import numpy as np

LEDGER = (
    *("index", "label", "access", "norm", "eps", "clean_prediction", "adversarial_prediction"),
    *("clean_loss", "adversarial_loss", "clean_confidence", "adversarial_confidence"),
    *("linf", "l2", "l1", "success", "success_by", "success_query"),
    *("forwards", "backwards", "draw_loss", "note"),
)
STRENGTH = {"noise": 0.2, "fgsm": 0.8, "pgd40": 1.0, "curve": 0.97}
POINTS = {
    "noise": [("noise", 0.1)],
    "fgsm": [("linf", 0.15)],
    "pgd40": [("linf", 0.15)],
    "curve": [("linf", eps) for eps in (0.025, 0.05, 0.1, 0.15, 0.2, 0.3)],
}
MARGIN = {"baseline": 0.08, "noise": 0.09, "fgsm_at": 0.2, "pgd_at": 0.26, "trades": 0.28}
CLASSES = [str(digit) for digit in range(10)]


def ledger_row(index: int, label: int, success: bool = False, **other) -> dict:
    """Give one whole row; by default clean right, linf 0.15, white-box."""
    row = dict.fromkeys(LEDGER, 0.5) | {"index": index, "label": label, "clean_prediction": label}
    row |= {"access": "white-box", "norm": "linf", "eps": 0.15, "linf": 0.15}
    row |= {"forwards": 41, "backwards": 40, "success_query": 7 * success, "note": ""}
    row |= {"success_by": "pgd" if success else ""}
    row |= {"success": int(success), "adversarial_prediction": (label + success) % 10}
    return row | other


def write_table(path: Path, rows: list[dict]) -> Path:
    """Write rows as a CSV with the first row's columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def margins(defense: str, seed: int, labels: np.ndarray) -> np.ndarray:
    """Draw how far each image stands from being broken (0 = wrong when clean)."""
    stream = np.random.default_rng([seed, len(defense), sum(map(ord, defense))])
    scale = MARGIN.get(defense, 0.15) * (1 + 0.15 * np.cos(labels))
    drawn = scale * (0.75 + 0.35 * stream.standard_normal(len(labels))).clip(0.05, None)
    return np.where(stream.random(len(labels)) < 0.01 + 0.02 * (scale > 0.15), 0, drawn)


def attack_rows(attack: str, labels: np.ndarray, margin: np.ndarray, points=None) -> list[dict]:
    """Attack made-up images: one falls if eps times the attack's strength passes its margin."""
    rows = []
    for norm, eps in POINTS[attack] if points is None else points:
        force = eps * STRENGTH.get(attack, 0.9)
        for index, (label, far) in enumerate(zip(labels.tolist(), margin.tolist(), strict=True)):
            success = 0 < far < force
            clean = (label + (far == 0)) % 10
            now = (label + 3) % 10 if success else clean
            sure = float(np.clip(abs(far - force) * 4 + 0.4, 0, 0.999))
            message = {"clean_prediction": clean, "adversarial_prediction": now}
            message |= {"adversarial_confidence": sure, "clean_confidence": 0.98, "l2": eps * 6}
            rows.append(ledger_row(index, label, success, norm=norm, eps=eps, linf=eps) | message)
    return rows


def history_rows(defense: str, seed: int, epochs: int) -> list[dict]:
    """Make up a training: accuracies that rise and level off, with some jitter."""
    stream, goal = np.random.default_rng(seed), min(0.9, 3 * MARGIN.get(defense, 0.15))
    rise = 1 - np.exp(-np.arange(1, epochs + 1) / 6)
    rows = []
    for epoch, level in enumerate(rise, 1):
        jitter = 0.02 * stream.standard_normal(3)
        values = np.clip([0.98 * level, goal * level + 0.08, goal * level] + jitter, 0, 1)
        names = ("validation_clean", "validation_fgsm", "validation_robust")
        start = {"epoch": epoch, "learning_rate": 0.001, "train_loss": 2 * (1 - level)}
        rows.append(start | {"train_accuracy": level} | dict(zip(names, values, strict=True)))
    return rows


class Study:
    """A made-up study's files under a folder, laid out as the workflow lays them out."""

    def __init__(self, root: Path, defenses=("baseline", "pgd_at"), seeds=(0, 1), **settings):
        self.root, self.n = Path(root), settings.get("n", 200)
        attacks = settings.get("attacks", ("noise", "fgsm", "pgd40", "curve"))
        self.spec = {
            "study": "made_up",
            "datasets": list(settings.get("datasets", ["digits"])),
            "models": list(settings.get("models", ["article_cnn"])),
            "defenses": list(defenses),
            "attacks": list(attacks),
            "seeds": list(seeds),
            "baseline": "baseline",
            "passes": [["digits", "article_cnn", name, 8.0, 8.0] for name in defenses],
            "figures": {"dpi": settings.get("dpi", 60), "style": "default", "examples": 4},
        }
        self.labels = np.arange(self.n) % 10

    def runs(self) -> list[tuple[str, str, str, int]]:
        """List (dataset, model, defense, seed) in the study's order."""
        keys = ("datasets", "models", "defenses", "seeds")
        lists = [self.spec[key] for key in keys]
        return [
            (d, m, f, s) for d in lists[0] for m in lists[1] for f in lists[2] for s in lists[3]
        ]

    def folder(self, run: tuple) -> Path:
        """Give a run's folder."""
        dataset, model, defense, seed = run
        return self.root / "runs" / dataset / model / defense / f"seed{seed}"

    def train(self, run: tuple, epochs: int = 20, warnings=()) -> Path:
        """Write history.csv, train.json and train.provenance.json; give the folder."""
        folder = self.folder(run)
        write_table(folder / "history.csv", history_rows(run[2], run[3], epochs))
        record = {"selection": "best", "selected_epoch": epochs - 2 - run[3], "epochs": epochs}
        record["rule"] = "best robust validation accuracy (pgd, linf eps 0.15, 10 steps)"
        (folder / "train.json").write_text(json.dumps(record | {"warnings": list(warnings)}))
        (folder / "train.provenance.json").write_text(json.dumps({"seconds": 5.0 + run[3]}))
        return folder

    def attack(self, run: tuple, attack: str) -> Path:
        """Write a white-box ledger on the test part."""
        margin = margins(run[2], run[3], self.labels)
        path = self.folder(run) / "attacks" / attack / "test" / "ledger.csv"
        return write_table(path, attack_rows(attack, self.labels, margin))

    def transfer(self, run: tuple, attack: str, source: str = "baseline") -> Path:
        """Write the ledger of examples that were made on another defense."""
        rows = attack_rows(attack, self.labels, 2 * margins(run[2], run[3], self.labels))
        path = self.folder(run) / "transfer" / source / attack / "ledger.csv"
        return write_table(path, [row | {"access": "transfer"} for row in rows])

    def evaluate(self, run: tuple, transfer: bool = True, warnings=()) -> tuple[Path, Path]:
        """Make a run's ledgers and evaluate them; give the table and the record."""
        from evaluate_robustness import evaluate_robustness

        dataset, model, defense, seed = run
        train = self.train(run, warnings=warnings) / "train.json"
        sets = [["baseline", "pgd40"]] if transfer and defense != "baseline" else []
        spec = {"dataset": dataset, "model": model, "defense": defense, "seed": seed}
        spec |= {
            "attacks": self.spec["attacks"],
            "minimal": [],
            "transfer": sets,
            "certificates": [],
        }
        folder = self.root / "evaluation" / dataset / model / defense
        folder.mkdir(parents=True, exist_ok=True)
        table, record = folder / f"seed{seed}.csv", folder / f"seed{seed}.json"
        ledgers = [str(self.attack(run, attack)) for attack in spec["attacks"]]
        transfers = [str(self.transfer(run, attack)) for _, attack in sets]
        check = self.root / "check.json"
        check.write_text(json.dumps({"passed": True, "reason": ""}))
        checks = [str(check)] * len(ledgers)
        evaluate_robustness(
            ledgers, checks, transfers, str(train), str(table), str(record), spec=spec
        )
        return table, record

    def robustness(self, **options) -> Path:
        """Evaluate all runs and collect them; give robustness.csv."""
        from collect_results import collect_results

        self.records = [str(self.evaluate(run, **options)[1]) for run in self.runs()]
        path = self.root / "robustness.csv"
        self.rows = path.with_suffix(".json")
        collect_results(self.records, str(path), str(self.rows), spec=self.spec)
        return path

    def timings(self) -> Path:
        """Write timings.csv of all trainings, each with passes and seconds of its own."""
        rows = []
        for place, run in enumerate(self.runs(), 1):
            names = dict(zip(("dataset", "model", "defense", "seed"), run, strict=True))
            passes = {"epochs": 20, "forwards": 20.0 * place, "backwards": 20.0 * place}
            rows.append(names | passes | {"seconds": 2.0 * place})
        return write_table(self.root / "timings.csv", rows)

    def images(self, dataset: str = "digits", shape=(1, 8, 8)) -> tuple[Path, Path]:
        """Write images.npy (0 to 16) and data.json."""
        folder = self.root / "data" / dataset
        folder.mkdir(parents=True, exist_ok=True)
        images = np.random.default_rng(0).integers(0, 17, (self.n, *shape), dtype=np.uint8)
        np.save(folder / "images.npy", images)
        (folder / "data.json").write_text(json.dumps({"classes": CLASSES, "max_value": 16}))
        (folder / "split.json").write_text(json.dumps({"validation": list(range(self.n))}))
        return folder / "images.npy", folder / "data.json"

    def examples(self, run: tuple, attack: str = "pgd40") -> tuple[Path, Path]:
        """Write a ledger and its examples (images plus or minus eps), aligned row by row."""
        ledger = self.attack(run, attack)
        clean = np.load(self.root / "data" / run[0] / "images.npy").astype(np.float32) / 16
        signs = np.sign(np.random.default_rng(1).standard_normal(clean.shape))
        moved = [np.clip(clean + eps * signs, 0, 1) for _, eps in POINTS[attack]]
        path = ledger.with_name("examples.npy")
        np.save(path, np.concatenate(moved).astype(np.float32))
        return ledger, path
