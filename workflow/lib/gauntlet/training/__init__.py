"""Training: the loop, one step, optimizers, checkpoints, several processes, defenses."""
