"""Reproduces the bundled model; imports decnn and is imported by nobody."""
