"""Reports circles between modules, in every crate of the workspace and in the Python packages.

Usage: python -m infra.lint.circles [folder of the workspace]. The exit status is 1 if there is one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from infra.lint import python_modules, rust_modules
from infra.lint.module_graph import ModuleGraph

ROOT = Path(__file__).resolve().parents[2]
PYTHON_PACKAGES = ("infra", "tests/e2e")


def graphs(workspace: Path) -> Iterator[ModuleGraph]:
    """Yields the graph of each library, program and Python package."""
    for target in rust_modules.targets(workspace):
        yield rust_modules.graph(target, workspace)
    for package in PYTHON_PACKAGES:
        yield python_modules.graph(workspace / package, workspace)


def main(workspace: Path) -> int:
    found = 0
    modules = 0
    for graph in graphs(workspace):
        modules += len(graph.uses)
        for circle in graph.circles():
            found += 1
            print(graph.describe(circle))
    print(f"{modules} modules, {found} circles")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT))
