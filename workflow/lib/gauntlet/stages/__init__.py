"""One module for each stage of the workflow: what a rule's script calls."""
