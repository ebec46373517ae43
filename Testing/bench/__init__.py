"""`make bench`: how fast the engine is on this machine, beside its older self and other networks, in one run."""
