"""One file per kind of source; each makes a Head out of files on disk."""
