"""The check of circles, on small crates and packages made up for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.lint import circles, python_modules, rust_modules

WriteCrate = Callable[[dict[str, str]], list[list[str]]]


@pytest.fixture
def circles_of(tmp_path: Path) -> WriteCrate:
    """Writes a crate from its files under src/ and returns the circles in it."""

    def write(files: dict[str, str]) -> list[list[str]]:
        (tmp_path / "Cargo.toml").write_text('[workspace]\nmembers = ["made-up"]\n')
        for name, text in files.items():
            file = tmp_path / "made-up" / "src" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (tmp_path / "made-up" / "Cargo.toml").write_text('[package]\nname = "made-up"\n')
        (target,) = rust_modules.targets(tmp_path)
        return rust_modules.graph(target, tmp_path).circles()

    return write


CIRCLES = {
    "two modules that use each other": (
        {
            "lib.rs": "mod failure;\nmod api;",
            "failure.rs": "use crate::api::VERSION;\npub struct Failure;",
            "api.rs": "pub const VERSION: u8 = 1;\nfn ask() -> Result<(), crate::failure::Failure> { Ok(()) }",
        },
        [["api", "failure"]],
    ),
    "three modules": (
        {
            "lib.rs": "mod a;\nmod b;\nmod c;",
            "a.rs": "use super::b::{self, B};\npub struct A;",
            "b.rs": "use crate::c as other;\npub struct B;",
            "c.rs": "use crate::{a::A};\npub struct C;",
        },
        [["a", "b", "c"]],
    ),
    "a parent that uses its child, which uses what the parent defines": (
        {
            "lib.rs": "mod parent;",
            "parent.rs": "mod child;\npub struct Parent;\nfn make() { child::make(); }",
            "parent/child.rs": "use super::Parent;\npub fn make() -> Parent { Parent }",
        },
        [["parent", "parent::child"]],
    ),
    "a parent that re-exports its child, which uses what the parent defines": (
        {
            "lib.rs": "mod parent;",
            "parent.rs": "mod child;\npub use child::Child;\npub struct Parent;",
            "parent/child.rs": "use super::Parent;\npub struct Child(Parent);",
        },
        [["parent", "parent::child"]],
    ),
    "an inline module counts for its file": (
        {
            "lib.rs": "mod a;\nmod b;",
            "a.rs": "mod inner { use crate::b::B; }\npub struct A;",
            "b.rs": "pub struct B(crate::a::A);",
        },
        [["a", "b"]],
    ),
    "a path in an attribute": (
        {
            "lib.rs": "mod a;\nmod b;",
            "a.rs": 'pub struct A { #[serde(with = "crate::b")] time: u8 }',
            "b.rs": "pub fn serialize(_: crate::a::A) {}",
        },
        [["a", "b"]],
    ),
    "a name behind a glob of a facade": (
        {
            "lib.rs": "mod a;\nmod facade;",
            "a.rs": "use crate::facade::B;\npub struct A;",
            "facade.rs": "mod b;\npub use b::*;",
            "facade/b.rs": "pub struct B(crate::a::A);",
        },
        [["a", "facade::b"]],
    ),
}

NO_CIRCLES = {
    "a child that uses its parent, which only declares it": {
        "lib.rs": "mod parent;",
        "parent.rs": "pub mod child;\npub struct Parent;",
        "parent/child.rs": "use super::Parent;\nimpl Parent {}",
    },
    "siblings that use each other's names through the facade": {
        "lib.rs": "mod facade;",
        "facade.rs": "mod a;\nmod b;\npub use a::A;\npub use b::B;",
        "facade/a.rs": "pub struct A;",
        "facade/b.rs": "use super::A;\npub struct B(A);",
    },
    "a use in tests": {
        "lib.rs": "mod a;\nmod b;",
        "a.rs": "#[cfg(test)]\nuse crate::b::B;\npub struct A;\n#[cfg(test)]\nmod tests { use crate::b::B; }",
        "b.rs": "pub struct B(crate::a::A);",
    },
    "a module for tests in a file": {
        "lib.rs": 'mod a;\nmod b;\n#[cfg(any(test, feature = "test-support"))]\npub mod support;',
        "a.rs": "pub struct A;\n#[cfg(test)]\nmod tests;",
        "a/tests.rs": "use crate::b::B;",
        "b.rs": "pub struct B(crate::a::A);",
        "support.rs": "use crate::b::B;\npub struct Support;",
    },
    "a path in a comment or a text": {
        "lib.rs": "mod a;\nmod b;",
        "a.rs": '/* /* crate::b::B */ */\n/// [`crate::b::B`]\npub const A: &str = r#"crate::b::B "{"#; // crate::b::B',
        "b.rs": "pub const B: char = '{';\npub fn b<'a>(_: &'a str) -> &'static str { crate::a::A }",
    },
    "an item and a crate of the same name": {
        "lib.rs": "mod a;\nmod b;",
        "a.rs": "use strum::{self, strum};\nuse left::right;\nuse right::left;\nfn a() { strum::run(); left::run(); }\npub struct A;",
        "b.rs": "pub struct B(crate::a::A);",
    },
    "a module and a crate of the same name": {
        "lib.rs": "mod a;\nmod b;",
        "a.rs": "use b::B;\npub struct A;",
        "b.rs": "pub struct B(crate::a::A);",
    },
}


@pytest.mark.parametrize("name", CIRCLES)
def test_a_circle_is_found(circles_of: WriteCrate, name: str) -> None:
    files, expected = CIRCLES[name]
    assert circles_of(files) == expected


@pytest.mark.parametrize("name", NO_CIRCLES)
def test_modules_without_a_circle_are_not_reported(circles_of: WriteCrate, name: str) -> None:
    assert circles_of(NO_CIRCLES[name]) == []


def test_each_step_is_reported_with_its_place(tmp_path: Path, circles_of: WriteCrate) -> None:
    circles_of(CIRCLES["two modules that use each other"][0])
    (target,) = rust_modules.targets(tmp_path)
    graph = rust_modules.graph(target, tmp_path)
    [circle] = graph.circles()
    assert graph.describe(circle).splitlines() == [
        "made-up: api -> failure -> api",
        "    made-up/src/api.rs:2: api uses failure: crate::failure::Failure",
        "    made-up/src/failure.rs:1: failure uses api: crate::api::VERSION",
    ]


def test_a_circle_of_python_modules_is_found(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("import json\nfrom package import b\n")
    (package / "b.py").write_text("def late():\n    from package.a import A\n")
    (package / "c.py").write_text("import package.b\n")
    assert python_modules.graph(package, tmp_path).circles() == [["package.a", "package.b"]]


def test_every_target_of_the_workspace_is_read() -> None:
    read = {graph.name.split()[0]: graph for graph in circles.graphs(circles.ROOT)}
    assert {"api", "domain", "export-engine", "infra", "tests.e2e"} <= read.keys()
    # A lower bound: a parser that stopped at the first file would find no circle at all.
    assert len(read["domain"].uses) > 20
    assert "configuration::region" in read["domain"].uses
