"""A job on a machine: running it, its provenance, the store, leases of GPUs."""
