"""Running on a cluster: the launcher, its status, and what it knows of schedulers."""
