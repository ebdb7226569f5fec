"""Turn a model's ledgers into its rows of the robustness table."""

from gauntlet.runtime.job import run_here


def evaluate_robustness(
    ledgers,
    checks,
    transfers,
    train,
    table,
    record,
    audits=(),
    found=(),
    reruns=(),
    certificates=(),
    *,
    spec: dict,
) -> None:
    """Measure every attack, and the worst case per image of attacks with one norm and eps.

    `ledgers` and `checks` follow spec["attacks"], `transfers` spec["transfer"] ([source, attack]
    pairs), `certificates` spec["certificates"]. An attack that failed its check gets no robust
    accuracy of its own. `audits` is the model's audit and `found` what its checks have broken,
    which counts in the worst case; `reruns` is the ledger of the attack that went around what the
    audit found; all three may be empty. spec["low_precision"], if there, names the format of
    gradients by attack, where it is not float32. Raises GauntletError if an example contradicts a
    certificate.
    """
    from gauntlet.core.records import write_json, write_rows
    from gauntlet.evaluation.metrics import COLUMNS
    from gauntlet.evaluation.model_record import Paths, model_record
    from gauntlet.reporting.cells import robustness_cells

    read = Paths(train, ledgers, checks, transfers, certificates, audits, found, reruns)
    made = model_record(spec, read)
    write_rows(table, COLUMNS, map(robustness_cells, made["rows"]))
    write_json(record, made, sort=False)


if __name__ == "__main__":
    run_here(evaluate_robustness, snakemake)
