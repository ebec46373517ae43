"""The floor of MRtoCT that runs inside Slicer: it starts the engine (decnn) as a child process, and never torch."""
