"""Each error and finding has a code that is listed once, with its severity; the docs show the list."""

import ast
from collections.abc import Iterator
from pathlib import Path

import code_table
import decnn
from decnn.codes import CODES

SEVERITIES = {"error": "error", "warning": "warning"}
SEVERITIES |= dict.fromkeys(("InputError", "SetupError", "DecnnError"), "error")


def given_codes() -> Iterator[tuple[str, str]]:
    """(code, severity) of each call in decnn that makes an error or a finding."""
    for path in Path(decnn.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            name = getattr(call.func, "id", getattr(call.func, "attr", ""))
            values: list[tuple[ast.expr, str]] = []
            if name in ("error", "warning") and call.args:
                values.append((call.args[0], name))
            if name == "Finding" and len(call.args) == 3 and isinstance(call.args[0], ast.Constant):
                values.append((call.args[1], call.args[0].value))
            if name in SEVERITIES:
                values += [(keyword.value, SEVERITIES[name]) for keyword in call.keywords if keyword.arg == "code"]
            for value, severity in values:
                for part in [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]:
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield part.value, severity


def test_every_code_is_listed_with_its_severity_and_none_is_listed_in_vain() -> None:
    given = {(code, severity) for code, severity in given_codes() if " " not in code}
    assert [pair for pair in sorted(given) if pair[1] not in CODES.get(pair[0], ("",))[0]] == []
    of_classes = {"bad-input", "setup", "cancelled", "internal"}
    assert set(CODES) == {code for code, _ in given} | of_classes


def test_the_docs_show_the_list() -> None:
    assert code_table.TEXT.read_text(encoding="utf-8") == code_table.written(), "run Testing/tools/code_table.py"
