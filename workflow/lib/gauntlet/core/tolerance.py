"""What rounding may cost, where a distance is compared with an eps."""

SLACK = 1e-6  # relative to eps: rounding to float32, and to the digits of a ledger
