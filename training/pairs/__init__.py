"""One file per kind of source; each makes a Head, or a measured pair, out of files on disk."""
