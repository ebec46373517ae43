"""The catalog entries say the same as the build, the weights stay small, and the floors of the house stay apart."""

import ast
import json
import re
import sys
from pathlib import Path

import pytest

import decnn

ROOT = Path(__file__).resolve().parents[3]
ENGINE, SLICER_FLOOR, TRAINING = ROOT / "MRtoCT/decnn", ROOT / "MRtoCT/MRtoCTLib", ROOT / "training"
MEGABYTE = 1_000_000


def extension_metadata() -> dict[str, str]:
    text = (ROOT / "CMakeLists.txt").read_text()
    return dict(re.findall(r'^set\(EXTENSION_(\w+) "([^"]*)"\)', text, re.MULTILINE))


def legacy_entry() -> dict[str, str]:
    lines = [line for line in (ROOT / "MRtoCT.s4ext").read_text().splitlines() if line and not line.startswith("#")]
    return {key: value for key, _, value in (line.partition(" ") for line in lines)}


def catalog_entry() -> dict:
    return json.loads((ROOT / "MRtoCT.json").read_text())


def citation(key: str) -> str:
    found = re.search(rf'^{key}: "?([^"\n]*)"?$', (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert found, f"CITATION.cff has no {key}"
    return found[1]


@pytest.mark.parametrize(
    "key, legacy_key",
    [
        ("HOMEPAGE", "homepage"),
        ("CATEGORY", "category"),
        ("CONTRIBUTORS", "contributors"),
        ("DESCRIPTION", "description"),
        ("ICONURL", "iconurl"),
        ("SCREENSHOTURLS", "screenshoturls"),
        ("DEPENDS", "depends"),
    ],
)
def test_legacy_entry_agrees_with_cmake(key, legacy_key):
    assert legacy_entry()[legacy_key] == extension_metadata()[key]


def test_catalog_entry_agrees_with_the_others():
    entry, legacy, cmake = catalog_entry(), legacy_entry(), extension_metadata()
    assert entry["category"] == cmake["CATEGORY"]
    assert entry["build_dependencies"] == cmake["DEPENDS"].split()
    assert entry["scm_url"] == legacy["scmurl"]
    assert entry["scm_url"].removesuffix(".git") == cmake["HOMEPAGE"] == citation("repository-code")
    assert entry["scm_revision"] == legacy["scmrevision"]
    assert entry["build_subdirectory"] == legacy["build_subdirectory"]
    assert str(entry["tier"]) == legacy["tier"]


def test_catalog_entry_follows_slicers_schema():
    # Slicer/Slicer, Schemas/slicer-extension-catalog-entry-schema-v1.0.1.json: these keys and no other.
    required = {"$schema", "category", "scm_url"}
    optional = {"scm_revision", "scm_type", "build_dependencies", "build_subdirectory", "enabled", "tier"}
    entry = catalog_entry()
    assert required <= entry.keys() <= required | optional
    assert entry["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.1.json#")
    assert entry["tier"] in (1, 3, 5) and entry["scm_type"] in ("git", "local")


def test_every_catalog_picture_is_in_the_repository():
    metadata = extension_metadata()
    for address in [metadata["ICONURL"], *metadata["SCREENSHOTURLS"].split()]:
        path = ROOT / address.split("/main/", 1)[1]
        assert path.read_bytes().startswith(b"\x89PNG"), path


def test_one_version():
    assert citation("version") == decnn.__version__


def test_slicer_installs_every_file_of_the_module():
    """Slicer installs what MRtoCT/CMakeLists.txt lists, and nothing else."""
    module = ROOT / "MRtoCT"
    text = (module / "CMakeLists.txt").read_text().replace("${MODULE_NAME}", "MRtoCT")
    listed = re.findall(r"^  ([\w./-]+\.\w+)$", text, re.MULTILINE)
    there = [path for pattern in ("*.py", "Resources/**/*.*") for path in module.rglob(pattern)]
    assert sorted(listed) == sorted(path.relative_to(module).as_posix() for path in there)


def test_weights_stay_under_ten_megabytes():
    weights = [path for path in (ROOT / "MRtoCT").rglob("*") if path.suffix in {".pt", ".pth", ".ckpt", ".onnx"}]
    assert weights, "no weights are bundled"
    assert sum(path.stat().st_size for path in weights) < 10 * MEGABYTE


def imported_names(folder: Path) -> dict[str, set[str]]:
    """Every dotted name that the folder's files (or the one file) import, at file scope or inside: which files do."""
    names: dict[str, set[str]] = {}
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]
    assert files, f"{folder} holds no Python file"
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found = []
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in found:
                names.setdefault(name, set()).add(path.relative_to(ROOT).as_posix())
    return names


def foreign_imports(folder: Path, allowed: set[str]) -> dict[str, set[str]]:
    return {name: files for name, files in imported_names(folder).items() if name.split(".")[0] not in allowed}


def needs_torch(module: str) -> bool:
    """Whether importing this module of decnn may import torch, by itself or through another one of decnn."""
    path = ENGINE.joinpath(*module.split(".")[1:]).with_suffix(".py")
    if not path.exists():
        return False  # a name inside a module, or the package itself, whose __init__ is looked at like any module
    names = imported_names(path)
    return any(name.split(".")[0] == "torch" for name in names) or any(
        needs_torch(name) for name in names if name.startswith("decnn.") and name != module
    )


def test_the_engine_knows_nothing_of_slicer():
    allowed = {"decnn", "torch", "numpy", "SimpleITK", "pydicom"} | sys.stdlib_module_names
    assert foreign_imports(ENGINE, allowed) == {"distributed": {"MRtoCT/decnn/cli/cluster.py"}}


@pytest.mark.parametrize("floor", [SLICER_FLOOR, ROOT / "MRtoCT/MRtoCT.py"], ids=lambda path: path.name)
def test_the_slicer_floor_knows_nothing_of_torch(floor):
    """Slicer loads these files at start-up, where nothing but its own packages is sure to be there."""
    slicer_brings = {"slicer", "qt", "ctk", "vtk", "numpy", "SimpleITK", "packaging", "PyTorchUtils", "DICOMLib"}
    allowed = {"MRtoCT", "MRtoCTLib", "decnn"} | slicer_brings | sys.stdlib_module_names
    assert foreign_imports(floor, allowed) == {}
    assert [name for name in imported_names(floor) if name.startswith("decnn.") and needs_torch(name)] == []


def test_what_is_translated_can_be_found():
    """Slicer's tools look for strings: _() of anything else is never translated."""
    calls = 0
    for path in (*SLICER_FLOOR.rglob("*.py"), ROOT / "MRtoCT/MRtoCT.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                calls += 1
                (text,) = node.args
                assert isinstance(text, ast.Constant) and isinstance(text.value, str), f"{path.name}:{node.lineno}"
    assert calls > 50


def test_needs_torch_sees_through_modules():
    assert needs_torch("decnn.network") and needs_torch("decnn.model")
    assert not needs_torch("decnn.errors")


def test_training_is_imported_by_nobody():
    for folder in (ROOT / "MRtoCT", ROOT / "Testing/demo"):
        assert not [name for name in imported_names(folder) if name.split(".")[0] == "training"]
