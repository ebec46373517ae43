"""`make demo`: a synthetic CT of a real head by the very logic that Slicer runs, and a picture and figures of it.

There is no Slicer application here, so importing this package starts Testing/host: a real MRML scene.
"""

import host

host.start()
