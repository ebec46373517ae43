"""Heads to learn from: a file on disk, with labels or a CT, becomes a Head."""
