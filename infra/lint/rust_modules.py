"""The graph of modules of a Rust crate, read from its source without a compiler.

A module is a file; an inline module belongs to its file. An edge leads to the module that defines the item that is used, so
that a name that a facade re-exports counts for the module behind the facade. A re-export is a use too: a parent that
re-exports its child, which uses items that the parent defines, is a circle. Declaring a child (`mod child;`) is no use.

Code under `#[cfg(test)]`, and under every other condition that mentions `test`, does not count.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from infra.lint.module_graph import ModuleGraph, Use

_TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*)
    | (?P<block>/\*)
    | (?P<raw>b?c?r(?P<hashes>\#*)"(?:.|\n)*?"(?P=hashes))
    | (?P<string>[bc]?"(?:\\(?:.|\n)|[^"\\])*")
    | (?P<character>b?'(?:\\[^\n]+?|[^\\'\n])')
    | (?P<lifetime>'[A-Za-z_]\w*)
    | (?P<identifier>(?:r\#)?[A-Za-z_]\w*)
    | (?P<number>\d[\w.]*)
    | (?P<separator>::)
    | (?P<punctuation>[^\s])
    """,
    re.VERBOSE,
)
_PATH_IN_STRING = re.compile(r'"((?:crate|self|super)(?:::\w+)+)"')
_OPEN = {"(": ")", "[": "]", "{": "}"}
_ITEM_KEYWORDS = {"fn", "struct", "enum", "union", "trait", "type", "const", "static", "macro_rules"}


@dataclass(frozen=True)
class Token:
    text: str
    line: int
    is_identifier: bool = False


@dataclass(frozen=True)
class WrittenPath:
    """A path as the source has it."""

    segments: tuple[str, ...]
    line: int

    def __str__(self) -> str:
        return "::".join(self.segments)


@dataclass(eq=False)
class Module:
    """A module of the crate, inline ones included."""

    path: tuple[str, ...]
    file: Path
    owner: str
    """The module of the file: the node of the graph."""
    children: dict[str, Module] = field(default_factory=dict)
    parent: Module | None = None
    items: set[str] = field(default_factory=set)
    imports: dict[str, WrittenPath] = field(default_factory=dict)
    globs: list[WrittenPath] = field(default_factory=list)
    paths: list[WrittenPath] = field(default_factory=list)


@dataclass(frozen=True)
class Target:
    """A library or a program: the source of one crate."""

    name: str
    root: Path


def targets(workspace: Path) -> Iterator[Target]:
    """Yields the libraries and programs of every member of the workspace."""
    members = tomllib.loads((workspace / "Cargo.toml").read_text())["workspace"]["members"]
    for directory in (path for member in members for path in sorted(workspace.glob(member))):
        manifest = tomllib.loads((directory / "Cargo.toml").read_text())
        name = manifest["package"]["name"]
        library = directory / manifest.get("lib", {}).get("path", "src/lib.rs")
        programs = [directory / program["path"] for program in manifest.get("bin", []) if "path" in program]
        programs += [directory / "src" / "main.rs", *sorted((directory / "src" / "bin").glob("*.rs"))]
        roots = [root for root in dict.fromkeys([library, *programs]) if root.exists()]
        for root in roots:
            yield Target(name if len(roots) == 1 else f"{name} ({root.stem})", root)


def graph(target: Target, workspace: Path) -> ModuleGraph:
    """Returns the graph of the modules of a library or program."""
    result = ModuleGraph(target.name)
    root = Module((), target.root, "crate")
    modules = list(_read(root, target.root.parent))
    for module in modules:
        result.add_module(module.owner)
    for module in modules:
        for path in (*module.imports.values(), *module.globs, *module.paths):
            if used := _resolve(module, path.segments, root, set()):
                place = f"{module.file.relative_to(workspace)}:{path.line}"
                result.add_use(module.owner, used.owner, Use(place, str(path)))
    return result


def _read(module: Module, directory: Path) -> Iterator[Module]:
    """Reads the file of a module and of the modules it declares. `directory` is where its children's files are."""
    if not module.file.exists():
        # The compiler reports it.
        return
    tokens = list(_tokens(module.file.read_text()))
    if any(_is_test_condition(attribute) for attribute in _inner_attributes(tokens)):
        return
    yield from _read_body(module, _without_tests(tokens), directory)


def _read_body(module: Module, tokens: list[Token], directory: Path) -> Iterator[Module]:
    yield module
    position = 0
    depth = 0
    declared: list[tuple[Module, list[Token] | None]] = []
    while position < len(tokens):
        token = tokens[position]
        previous = tokens[position - 1] if position else None
        following = tokens[position + 1].text if position + 1 < len(tokens) else ""
        if token.text == "mod" and position + 2 < len(tokens) and tokens[position + 1].is_identifier:
            opening = tokens[position + 2].text
            name = following.removeprefix("r#")
            if opening in (";", "{"):
                path = (*module.path, name)
                is_file = opening == ";"
                file = _file_of(directory, name) if is_file else module.file
                child = Module(path, file, "::".join(path) if is_file else module.owner, parent=module)
                module.children[name] = child
                end = position + 3 if is_file else _closing(tokens, position + 2) + 1
                declared.append((child, None if is_file else tokens[position + 3 : end - 1]))
                position = end
                continue
        if token.text == "use" and (previous is None or previous.text in (";", "{", "}", ")", "]", "pub")):
            end = next(index for index in range(position, len(tokens)) if tokens[index].text == ";")
            _read_use(module, tokens[position + 1 : end])
            position = end + 1
            continue
        if token.text in _OPEN:
            depth += 1
        elif token.text in _OPEN.values():
            depth -= 1
        elif depth == 0 and token.text in _ITEM_KEYWORDS:
            name_at = position + (2 if token.text == "macro_rules" else 1)
            if name_at < len(tokens) and tokens[name_at].is_identifier:
                module.items.add(tokens[name_at].text)
        if token.is_identifier and following == "::" and (previous is None or previous.text != "::"):
            segments = [token.text]
            end = position + 1
            while end + 1 < len(tokens) and tokens[end].text == "::" and tokens[end + 1].is_identifier:
                segments.append(tokens[end + 1].text)
                end += 2
            module.paths.append(WrittenPath(tuple(segments), token.line))
            position = end
            continue
        if found := _PATH_IN_STRING.fullmatch(token.text):
            module.paths.append(WrittenPath(tuple(found[1].split("::")), token.line))
        position += 1
    for child, body in declared:
        if body is None:
            yield from _read(child, child.file.parent / (child.path[-1] if child.file.stem != "mod" else ""))
        else:
            yield from _read_body(child, body, directory / child.path[-1])


def _file_of(directory: Path, name: str) -> Path:
    file = directory / f"{name}.rs"
    return file if file.exists() else directory / name / "mod.rs"


def _read_use(module: Module, tokens: list[Token]) -> None:
    """Reads what stands between `use` and `;`."""

    def tree(position: int, prefix: tuple[str, ...]) -> int:
        segments = prefix
        while position < len(tokens):
            token = tokens[position]
            if token.text == "{":
                position += 1
                while tokens[position].text != "}":
                    position = tree(position, segments)
                    if tokens[position].text == ",":
                        position += 1
                return position + 1
            if token.text == "*":
                module.globs.append(WrittenPath(segments, token.line))
                return position + 1
            if token.text in (",", "}"):
                return position
            if token.text == "::":
                position += 1
                continue
            segments = (*segments, token.text.removeprefix("r#"))
            position += 1
            if position >= len(tokens) or tokens[position].text != "::":
                if segments[-1] == "self" and len(segments) > 1:
                    segments = segments[:-1]
                name = segments[-1]
                if position < len(tokens) and tokens[position].text == "as":
                    name = tokens[position + 1].text
                    position += 2
                # Each import counts, also where two are called `_`.
                while name in module.imports:
                    name += " "
                module.imports[name] = WrittenPath(segments, token.line)
                return position
        return position

    tree(0, ())


def _resolve(
    module: Module, segments: tuple[str, ...], root: Module, followed: set[tuple[Module, str]]
) -> Module | None:
    """Returns the module that defines the last segment, or the deepest module of the path; None outside of the crate.

    `followed` has the imports on the way here, each of which is followed once.
    """
    first, rest = segments[0].removeprefix("r#"), segments[1:]
    if first == "crate":
        return _resolve_in(root, rest, root, followed)
    if first == "self":
        return _resolve_in(module, rest, root, followed)
    if first == "super":
        return _resolve_super(module, rest, root, followed)
    if first in module.children or first in module.imports:
        return _resolve_in(module, segments, root, followed)
    return None


def _resolve_super(
    module: Module, rest: tuple[str, ...], root: Module, followed: set[tuple[Module, str]]
) -> Module | None:
    if module.parent is None:
        return None
    if rest and rest[0] == "super":
        return _resolve_super(module.parent, rest[1:], root, followed)
    return _resolve_in(module.parent, rest, root, followed)


def _resolve_in(
    module: Module, segments: tuple[str, ...], root: Module, followed: set[tuple[Module, str]]
) -> Module | None:
    if not segments:
        return module
    name, rest = segments[0].removeprefix("r#"), segments[1:]
    if name in module.children:
        return _resolve_in(module.children[name], rest, root, followed)
    if name in module.items:
        return module
    if imported := module.imports.get(name):
        # `use name::…` in the module that it binds `name` in: a crate.
        if (module, name) in followed or imported.segments[0] == name:
            return None
        followed.add((module, name))
        # None where the name comes from another crate: then it is the importing module whose item is used.
        return _resolve(module, (*imported.segments, *rest), root, followed) or module
    for glob in module.globs:
        if (module, str(glob)) in followed:
            continue
        source = _resolve(module, glob.segments, root, followed | {(module, str(glob))})
        if source and source is not module and (name in source.items or name in source.children):
            return _resolve_in(source, segments, root, followed)
    return module


def _tokens(source: str) -> Iterator[Token]:
    line = 1
    position = 0
    while found := _TOKEN.search(source, position):
        line += source.count("\n", position, found.start())
        position = found.end()
        if found.lastgroup == "block" or found["block"]:
            position = _end_of_block_comment(source, found.start())
        elif not found["comment"]:
            yield Token(found[0], line, bool(found["identifier"]))
        line += source.count("\n", found.start(), position)


def _end_of_block_comment(source: str, start: int) -> int:
    depth = 0
    for mark in re.finditer(r"/\*|\*/", source[start:]):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return start + mark.end()
    return len(source)


def _inner_attributes(tokens: list[Token]) -> Iterator[list[Token]]:
    for position in range(len(tokens) - 2):
        if [token.text for token in tokens[position : position + 3]] == ["#", "!", "["]:
            yield tokens[position + 2 : _closing(tokens, position + 2) + 1]


def _without_tests(tokens: list[Token]) -> list[Token]:
    """Leaves out attributes that are conditions on tests, and the items they stand before."""
    kept: list[Token] = []
    position = 0
    while position < len(tokens):
        if tokens[position].text == "#" and position + 1 < len(tokens) and tokens[position + 1].text == "[":
            end = _closing(tokens, position + 1) + 1
            if _is_test_condition(tokens[position + 1 : end]):
                position = _end_of_item(tokens, end)
            else:
                kept.extend(tokens[position:end])
                position = end
        else:
            kept.append(tokens[position])
            position += 1
    return kept


def _is_test_condition(attribute: list[Token]) -> bool:
    texts = [token.text for token in attribute]
    return texts[1:3] == ["cfg", "("] and "test" in texts and "not" not in texts


def _end_of_item(tokens: list[Token], position: int) -> int:
    is_use = False
    while position < len(tokens):
        text = tokens[position].text
        is_use = is_use or text == "use"
        if text == ";":
            return position + 1
        if text in _OPEN:
            end = _closing(tokens, position) + 1
            if text == "{" and not is_use:
                return end
            position = end
        elif text in _OPEN.values():
            return position
        else:
            position += 1
    return position


def _closing(tokens: list[Token], opening: int) -> int:
    """Returns the position of the bracket that closes the one at `opening`."""
    depth = 0
    for position in range(opening, len(tokens)):
        if tokens[position].text in _OPEN:
            depth += 1
        elif tokens[position].text in _OPEN.values():
            depth -= 1
            if depth == 0:
                return position
    return len(tokens) - 1
