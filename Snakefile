"""Gauntlet: every model runs the gauntlet. The workflow is in workflow/Snakefile."""

# As `include:`, which would leave this file without a default target.
workflow.include("workflow/Snakefile", overwrite_default_target=True)
