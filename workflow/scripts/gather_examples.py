"""Join the shards of an attack."""

from gauntlet.runtime.job import run_here


def gather_examples(
    shard_examples, shard_draws, shard_ledgers, examples, draws, ledger, *, spec: dict
) -> None:
    """Write what one job without shards would have written: eps by eps, shard by shard."""
    from gauntlet.stages.gather import join_arrays, join_tables

    count = spec["points"]
    join_arrays(shard_examples, count, examples)
    join_arrays(shard_draws, count, draws)
    join_tables(shard_ledgers, count, ledger)


if __name__ == "__main__":
    run_here(gather_examples, snakemake)
