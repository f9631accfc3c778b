"""What the source says of the public names: where each lives, and its docstring, read without importing where that is enough."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import ROOT

_SOURCES = ROOT / "src"


@functools.cache
def _tree(module: str) -> ast.Module:
    path = _SOURCES.joinpath(*module.split("."))
    return ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())


def public_homes(package: str = "llmring") -> dict[str, str]:
    """Every name that a package's block for type checkers imports, with the module that it is imported from."""
    return dict(sorted(_imports(_for_type_checkers(package)).items()))


def _for_type_checkers(module: str) -> list[ast.stmt]:
    blocks = (node for node in _tree(module).body if isinstance(node, ast.If))
    return [line for block in blocks if ast.unparse(block.test) == "TYPE_CHECKING" for line in block.body]


def _imports(body: Iterable[ast.stmt]) -> dict[str, str]:
    return {
        alias.asname or alias.name: node.module
        for node in body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("llmring.")
        for alias in node.names
        if node.module
    }


def home(name: str, module: str) -> str:
    """The module that makes the name, where `module` only hands it on."""
    elsewhere = _imports([*_tree(module).body, *_for_type_checkers(module)]).get(name)
    return module if elsewhere is None else home(name, elsewhere)


def docstring(name: str, module: str) -> str:
    """What stands under the name where it is made: a class's or function's docstring, or the text below an assignment.

    Raises SystemExit where there is none: a public name that nobody can read about.
    """
    body = _tree(home(name, module)).body
    for number, node in enumerate(body):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            found = ast.get_docstring(node)
            if found:
                return found
        if name in _assigned(node):
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Name):
                return docstring(node.value.id, module)  # another name for the same thing
            below = body[number + 1] if number + 1 < len(body) else None
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                return inspect.cleandoc(str(below.value.value))
    raise SystemExit(f"{home(name, module)}.{name} is public and has no docstring")


def _assigned(node: ast.stmt) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def load(name: str, module: str) -> object:
    """The object itself."""
    return getattr(importlib.import_module(module), name)


def first_sentence(text: str) -> str:
    """The first sentence of a docstring or a page, on one line."""
    paragraph = " ".join(text.strip().partition("\n\n")[0].split())
    return re.split(r"(?<=[.!?…])\s+(?=[A-Z`\"]|\w+(?:, \w+)*: |https?:)", paragraph, maxsplit=1)[0]


@dataclass(frozen=True, slots=True)
class FieldNote:
    """What a docstring says of a field. unit: what stands in parentheses behind the name, or nothing."""

    unit: str
    meaning: str


def read_field_notes(text: str, names: Iterable[str]) -> tuple[str, Mapping[str, FieldNote]]:
    """A docstring apart: its prose, and what it says of each of `names`.

    A note reads `name: meaning`, `name (unit): meaning` or `one, other: meaning`; it begins a line, or follows the end of the note
    before it, and ends with its paragraph or at a line that begins with "Raises".
    """
    known = "|".join(sorted((re.escape(name) for name in names), key=len, reverse=True))
    if not known:
        return text, {}
    note = re.compile(rf"(?:^|(?<=[.;:…] ))((?:{known})(?:, (?:{known}))*)(?: \(([^()\n]+)\))?: ", re.MULTILINE)
    prose: list[str] = []
    notes: dict[str, FieldNote] = {}
    for paragraph in re.split(r"\n\n|\n(?=Raises )", text):
        found = list(note.finditer(paragraph))
        before = paragraph[: found[0].start()] if found else paragraph
        if before.strip():
            prose.append(before.strip())
        ends = [match.start() for match in found[1:]] + [len(paragraph)]
        for match, end in zip(found, ends[: len(found)], strict=True):
            meaning = " ".join(paragraph[match.end() : end].split())
            notes |= {name: FieldNote(match[2] or "", meaning.rstrip(";")) for name in match[1].split(", ")}
    return "\n\n".join(prose), notes


def module_path(module: str) -> Path:
    """The file of a module, from the top of the repository."""
    path = _SOURCES.joinpath(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).relative_to(ROOT)
