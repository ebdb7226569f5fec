"""Hold one attack, as a study sets it, against models whose exact minimal distance is known."""

from gauntlet.runtime.job import run


def check_attacks(record, *, spec):
    """Write whether the attack reaches what is within its reach, and what it missed."""
    from gauntlet.core import records
    from gauntlet.core.device import prepare
    from gauntlet.stages import check_attack

    device = prepare(spec)
    point = spec["points"][-1]
    records.write_json(
        record, check_attack.check_attack(point, spec["batch"], spec["precision"], device)
    )


if __name__ == "__main__":
    run(check_attacks, snakemake)
