"""A real MRML scene with the observers that the application would put on it."""

import numpy as np
import slicer
import vtk

_BLUE_WHITE_RED = [(0.02, 0.2, 0.39), (0.97, 0.97, 0.97), (0.41, 0.0, 0.12)]
_DARK_TO_BRIGHT = [(0.0, 0.0, 0.02), (0.7, 0.2, 0.33), (0.99, 1.0, 0.64)]
_logics = []  # the scene's logics live as long as the process


def new_scene() -> slicer.vtkMRMLScene:
    """An empty scene with colour tables, selection and interaction nodes, and a subject hierarchy that is kept up."""
    scene = slicer.vtkMRMLScene()
    logic = slicer.vtkSlicerApplicationLogic()
    logic.SetMRMLScene(scene)
    logic.GetColorLogic().SetMRMLScene(scene)
    logic.GetColorLogic().AddDefaultColorNodes()
    _logics.append(logic)
    # What the module Colors adds: its own node class, and the tables that it has in files (two of them).
    scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
    for file, colours in (("DivergingBlueRed.txt", _BLUE_WHITE_RED), ("Inferno.txt", _DARK_TO_BRIGHT)):
        add_color_table(scene, f"File{file}", colours)

    # Slicer's subject hierarchy plugins give each visible data node an item below the scene as soon as it is added.
    @vtk.calldata_type(vtk.VTK_OBJECT)
    def on_node_added(caller, event, node):
        if node.IsA("vtkMRMLDisplayableNode") and not node.GetHideFromEditors() and not caller.IsImporting():
            hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(caller)
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

    scene.AddObserver(scene.NodeAddedEvent, on_node_added)
    return scene


def add_color_table(scene: slicer.vtkMRMLScene, tag: str, colours: list[tuple[float, float, float]]) -> None:
    """A table of 255 colours between these ones; its ID is that of Slicer's own table with this tag."""
    node = slicer.vtkMRMLColorTableNode()
    node.SetTypeToUser()
    node.SetName(tag.removeprefix("File").removesuffix(".txt"))
    node.SetNumberOfColors(255)
    for index in range(255):
        position = index / 254 * (len(colours) - 1)
        rgb = [np.interp(position, range(len(colours)), channel) for channel in zip(*colours, strict=True)]
        node.SetColor(index, str(index), *rgb, 1.0)
    node.SetSingletonTag(tag)
    node.HideFromEditorsOff()
    scene.AddNode(node)


def application_logic() -> slicer.vtkSlicerApplicationLogic:
    """The logic of the scene that new_scene() made last."""
    return _logics[-1]


def add_views(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLLayoutLogic:
    """Add the nodes of views as layouts ask for them, by Slicer's real layout logic and a real slice logic per view.

    Not the views themselves: nothing is drawn. Returns the layout logic.
    """
    application = application_logic()
    slice_logics = vtk.vtkCollection()
    application.SetSliceLogics(slice_logics)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def on_node_added(caller, event, node):
        if node.IsA("vtkMRMLSliceNode"):
            logic = slicer.vtkMRMLSliceLogic()  # it adds the view's composite node
            logic.SetMRMLApplicationLogic(application)
            logic.SetMRMLScene(caller)
            logic.SetSliceNode(node)
            slice_logics.AddItem(logic)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def on_node_about_to_be_removed(caller, event, node):
        # A view goes with its slice node; its logic would add the node again.
        for logic in [slice_logics.GetItemAsObject(index) for index in range(slice_logics.GetNumberOfItems())]:
            if logic.GetSliceNode() is node:
                slice_logics.RemoveItem(logic)
                logic.SetMRMLScene(None)

    scene.AddObserver(scene.NodeAddedEvent, on_node_added)
    scene.AddObserver(scene.NodeAboutToBeRemovedEvent, on_node_about_to_be_removed)
    crosshair = scene.CreateNodeByClass("vtkMRMLCrosshairNode")
    crosshair.UnRegister(None)
    crosshair.SetSingletonTag("default")
    scene.AddNode(crosshair)
    layout = slicer.vtkMRMLLayoutLogic()
    layout.SetMRMLScene(scene)
    layout.GetLayoutNode().SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    return layout
