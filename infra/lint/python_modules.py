"""The graph of modules of a Python package, from its import statements."""

from __future__ import annotations

import ast
from pathlib import Path

from infra.lint.module_graph import ModuleGraph, Use


def graph(package: Path, root: Path) -> ModuleGraph:
    """Returns the graph of a package, whose modules are imported by their path below `root`."""
    files = {_name(file, root): file for file in sorted(package.rglob("*.py"))}
    result = ModuleGraph(_name(package / "__init__.py", root))
    for module, file in files.items():
        result.add_module(module)
        nodes = ast.walk(ast.parse(file.read_text()))
        for node in (node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)):
            for imported in _imported(node, files):
                use = Use(f"{file.relative_to(root)}:{node.lineno}", f"import {imported}")
                result.add_use(module, imported, use)
    return result


def _name(file: Path, root: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(node: ast.Import | ast.ImportFrom, modules: dict[str, Path]) -> list[str]:
    """Returns the modules of the package that a statement imports. Relative imports are not used here."""
    names = [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        names = [inner if (inner := f"{module}.{name}") in modules else module for name in names]
    return [name for name in names if name in modules]
