"""Join the shards of an attack."""

from gauntlet.runtime.job import run_here


def gather_examples(
    shard_examples, shard_draws, shard_ledgers, examples, draws, ledger, *, spec: dict
) -> str | None:
    """Write what one job without shards would have written: eps by eps, shard by shard.

    If a shard failed, the whole attack did: the ledger says why, and so does what is given back.
    """
    from gauntlet.evaluation.failures import write_missing
    from gauntlet.stages.gather import failure_of, join_arrays, join_tables

    if why := failure_of(shard_ledgers, ledger):
        write_missing((examples, draws))
        return why
    count = spec["points"]
    join_arrays(shard_examples, count, examples)
    join_arrays(shard_draws, count, draws)
    join_tables(shard_ledgers, count, ledger)
    return None


if __name__ == "__main__":
    run_here(gather_examples, snakemake)
