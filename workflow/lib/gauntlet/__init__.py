"""Gauntlet: adversarial robustness of classifiers, tensors in, tensors out."""
