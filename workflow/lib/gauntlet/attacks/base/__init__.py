"""What several attacks share: the loops, the state of a search, losses, norm balls."""
