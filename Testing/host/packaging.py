"""Stand-in for slicer.packaging (new in Slicer 5.12): only the question, never an installation."""

from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import Requirement


def pip_check(req: str) -> bool:
    """Whether the requirement, such as "torch>=2.1", is installed; found out without importing the package."""
    requirement = Requirement(req)
    try:
        return version(requirement.name) in requirement.specifier
    except PackageNotFoundError:
        return False
