"""From ledgers to numbers: attack and certificate ledgers, metrics, summaries, the gate."""
