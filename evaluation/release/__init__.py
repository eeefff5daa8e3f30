"""The gate: what may leave, of how few people, rounded how, and is nothing given away between the lines?

One way leads out. `release_counts` takes exact counts and gives `ReleasedCounts`; every share, sum and difference is worked out from those, never
from exact ones; curves go through `release_curve`. What comes out carries the gate's seal, and a page takes nothing else (`require_released`). What
has been released before stands in a ledger that the gate reads, and `check_release` reads a finished folder as a stranger would.
"""
