"""Hold one attack, as a study sets it, against models whose exact minimal distance is known."""

from gauntlet.job import run


def check_attacks(record, *, spec):
    """Write whether the attack reaches what is within its reach, and what it missed."""
    from gauntlet import compute, conformance, io

    device = compute.prepare(spec)
    point = spec["points"][-1]
    io.write_json(record, conformance.check_attack(point, spec["batch"], spec["precision"], device))


if __name__ == "__main__":
    run(check_attacks, snakemake)
