"""How fast the engine is on this machine: what `mrtoct bench` measures, without anything to compare it with."""
