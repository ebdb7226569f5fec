"""What steps in front of a model share: the composed model, substitutes of gradients, fitting."""
