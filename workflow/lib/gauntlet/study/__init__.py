"""From a study's YAML to its jobs, without PyTorch: settings, specs, paths, plan, code hashes."""
