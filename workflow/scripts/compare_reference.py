"""Hold a finished study against the results that are kept of it, and against published numbers."""

from gauntlet.runtime.job import run_here


def compare_reference(
    summary: str,
    kept: str,
    origin: str,
    published: str,
    schema: str,
    provenances: list[str],
    record: str,
    page: str,
    *,
    spec: dict,
) -> None:
    """Write a verdict for every kept row and every published one; what fails is told, not raised.

    `summary` and `kept` are the study's summary.csv, now and as kept; `origin` says by which code
    and machine the kept one was made, `provenances` what made the study now. On the same kind of
    machine and by the same code the bytes must be the same. `published` is a list that fits
    `schema`.
    """
    from pathlib import Path

    from gauntlet.core.records import read_json, read_rows, write_json
    from gauntlet.evaluation import reference_check
    from gauntlet.evaluation.published import beside
    from gauntlet.evaluation.reference_check import read_kept
    from gauntlet.reporting import reference_page
    from gauntlet.stages import published_values, study_origin

    rows, then, now = read_rows(summary), read_json(origin), study_origin.origin(provenances)
    made = {"study": spec["study"], "rows": reference_check.hold(rows, read_kept(kept))}
    made |= {
        "same_bytes": Path(summary).read_bytes() == Path(kept).read_bytes(),
        "same_machine": study_origin.same_machine(then, now),
        "same_code": then.get("code") == now["code"],
    }
    values = published_values.read_published(published, schema)
    made["published"] = beside(rows, spec["setups"], values["published"], values["tolerance"])
    made["problems"] = reference_page.problems(made)
    write_json(record, made, sort=False)
    Path(page).write_text(reference_page.page(made), encoding="utf-8")


if __name__ == "__main__":
    run_here(compare_reference, snakemake)
