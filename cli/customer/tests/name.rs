//! The program's name in its own texts.

#![cfg(unix)]

use std::{os::unix::fs::symlink, process::Command};

/// The program may be installed under another file name: builds for AWS Lambda call it `bootstrap`.
#[test]
fn usage_lines_name_audit_export_whatever_the_file_is_called() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("bootstrap");
    symlink(env!("CARGO_BIN_EXE_audit-export"), &program).unwrap();
    let shown = |arguments: &[&str]| {
        let output = Command::new(&program).args(arguments).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    for (arguments, usage) in [
        (&["--help"][..], "Usage: audit-export <COMMAND>"),
        (&["config", "get", "--help"], "Usage: audit-export config get [OPTIONS] <ID>"),
        (&["config", "get"], "Usage: audit-export config get <ID>"),
        (&["help", "verify"], "Usage: audit-export verify "),
        (&["--version"], "audit-export "),
    ] {
        let text = shown(arguments);
        assert!(text.contains(usage) && !text.contains("bootstrap"), "{arguments:?}: {text}");
    }
}
