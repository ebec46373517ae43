"""Hostile inputs, made by code: each kind with the outcome it must have. ``make attack`` tries them all."""
