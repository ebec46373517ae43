"""A Head becomes pairs of T1 and CT: anatomy, contrast, position, and what a scanner does."""
