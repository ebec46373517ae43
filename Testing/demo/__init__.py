"""`make demo`: a synthetic CT of a real head by the very logic that Slicer runs, and a picture and figures of it."""
