"""MR and CT of one person: one file per kind of source."""
