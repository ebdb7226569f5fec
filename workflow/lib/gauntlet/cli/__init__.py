"""The command line `gauntlet`: it writes configurations, starts Snakemake and shows results.

Every command says the Snakemake or Python command that does the same. Nothing heavy is imported
before it is needed: `gauntlet --help` loads neither PyTorch nor Snakemake.
"""
