"""Search of settings: results of trials, which of them end early, and what is tried next.

`trials` reads the results and compares them, `proposals` chooses the next settings (by Optuna),
`importance` says which setting mattered.
"""
