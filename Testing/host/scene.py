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
