"""A CT in a file of its own. Slicer keeps a node's attributes in a scene, but not in the file of a volume."""

from pathlib import Path
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from decnn.errors import DecnnError, explain
from MRtoCTLib import nodes
from MRtoCTLib.errors import SaveError

_WITH_ROOM = (".nrrd", ".mha")
_HEADERS = (".nrrd", ".nhdr", ".mha", ".mhd")


def save(ctNode: Any, path: Path) -> None:
    """Write a CT with its attributes, which an export needs, in the header of the file.

    Args:
        ctNode: a CT that this module made. Its parent transform is not written, as Slicer does it.
        path: of a .nrrd or .mha file; what is there is replaced.

    Raises:
        SaveError: the file cannot be written.
    """
    if path.suffix.lower() not in _WITH_ROOM:
        raise SaveError(
            _("'{name}' has no room for what an export needs: save the CT as .nrrd or .mha.").format(name=path.name)
        )
    from decnn.io.images import check_output, write_image

    try:
        target = check_output(path, "")
        write_image(nodes.imageOf(ctNode, metadataOf(ctNode)), target)
    except (DecnnError, OSError) as error:
        raise SaveError(str(explain(error))) from error


def metadataOf(ctNode: Any) -> dict[str, str]:
    """What a file of this CT says of it. Without the MR's node ID, which means nothing outside the scene."""
    names = [name for name in ctNode.GetAttributeNames() if name.startswith(nodes.PREFIX)]
    # A line of its own ends an entry in some formats.
    return {name: " ".join(ctNode.GetAttribute(name).split("\n")) for name in names if name != nodes.SOURCE_ATTRIBUTE}


def restore(node: Any) -> None:
    """Give a CT that was loaded from a file of its own the attributes that its header keeps, if it is still that CT."""
    if node is None or node.GetAttribute(nodes.MODEL_ATTRIBUTE) or node.GetImageData() is None:
        return
    storage = node.GetStorageNode()
    path = Path(storage.GetFullNameFromFileName() or "") if storage is not None else Path()
    if path.suffix.lower() not in _HEADERS or not path.is_file():
        return
    import SimpleITK as sitk  # here, or every start of Slicer would wait for it

    from decnn.io.provenance import entries_in

    try:
        entries = entries_in(path)
        # The file may have been replaced, or the volume edited, since it was loaded.
        if not entries or not np.array_equal(
            sitk.GetArrayFromImage(sitk.ReadImage(str(path))), slicer.util.arrayFromVolume(node)
        ):
            return
    except RuntimeError:
        return  # it can be read no longer
    with slicer.util.NodeModify(node):
        for name, value in entries.items():
            node.SetAttribute(name, value)
