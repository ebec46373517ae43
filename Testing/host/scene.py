"""A real MRML scene with the observers that the application would put on it."""

import slicer
import vtk

_logics = []  # the scene's logics live as long as the process


def new_scene() -> slicer.vtkMRMLScene:
    """An empty scene with colour tables, selection and interaction nodes, and a subject hierarchy that is kept up."""
    scene = slicer.vtkMRMLScene()
    logic = slicer.vtkSlicerApplicationLogic()
    logic.SetMRMLScene(scene)
    logic.GetColorLogic().SetMRMLScene(scene)
    logic.GetColorLogic().AddDefaultColorNodes()
    _logics.append(logic)

    # Slicer's subject hierarchy plugins give each visible data node an item below the scene as soon as it is added.
    @vtk.calldata_type(vtk.VTK_OBJECT)
    def on_node_added(caller, event, node):
        if node.IsA("vtkMRMLDisplayableNode") and not node.GetHideFromEditors() and not caller.IsImporting():
            hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(caller)
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

    scene.AddObserver(scene.NodeAddedEvent, on_node_added)
    return scene


def add_slice_views(scene: slicer.vtkMRMLScene, names: tuple[str, ...] = ("Red", "Yellow", "Green")) -> None:
    """Add the nodes of slice views, as a layout does: a slice node and a composite node each."""
    for name in names:
        for kind in ("vtkMRMLSliceNode", "vtkMRMLSliceCompositeNode"):
            node = scene.CreateNodeByClass(kind)
            node.UnRegister(None)
            node.SetLayoutName(name)
            node.SetSingletonTag(name)
            node.SetName(name)
            scene.AddNode(node)
