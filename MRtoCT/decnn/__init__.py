"""decnn: synthetic CT from T1-weighted MR of the head, by a deep embedding convolutional network.

The engine of MRtoCT. It runs anywhere with SimpleITK, numpy and torch: ``python -m decnn --help``.
Importing this package is cheap; torch is imported only by the modules that compute with it.
"""

__version__ = "0.1.0"

NOTICE = "Not a medical device. A synthetic CT is not a planning CT until the department's own acceptance test says so."
"""Stands wherever a result is shown."""
