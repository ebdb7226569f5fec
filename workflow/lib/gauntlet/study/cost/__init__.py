"""What a study costs before it runs: work, rates, memory, time and priority of its jobs."""
