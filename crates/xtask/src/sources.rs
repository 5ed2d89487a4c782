//! What our own sources never hold: anything that runs a program, loads code or goes behind the
//! compiler's back. A configuration, a mapping or an answer can then make nothing run.
//!
//! Tests, benches and chores may start programs; they are no part of the product.

use crate::shell::{Outcome, root};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

/// Who may run programs, and which.
const MAY_RUN: &[&str] = &[
    // A command that prints a secret, where who starts hms-sync allows it.
    "crates/config/src/secrets.rs",
    // The demo's own parts.
    "crates/cli/src/demo/process.rs",
];

/// Words that run programs.
const RUNS: &[&str] = &["Command::new", "process::Command", "CommandExt", "posix_spawn", "execve"];
/// Words that load code, or that the compiler does not check.
const NEVER: &[&str] = &[
    "libloading",
    "dlopen",
    "unsafe {",
    "unsafe fn",
    "unsafe impl",
    "unsafe trait",
    "unsafe extern",
    "no_mangle",
    "global_asm!",
    "asm!(",
    "allow(unsafe_code)",
];

/// All of our sources, and that each manifest keeps the workspace's lints, of which one forbids
/// what the compiler does not check.
pub(crate) fn all() -> Outcome {
    let mut wrong = Vec::new();
    for (path, text) in sources()? {
        wrong.extend(found(&path, &text));
    }
    let lints = std::fs::read_to_string(root().join("Cargo.toml")).context("the workspace's manifest")?;
    if !lints.contains("unsafe_code = \"forbid\"") {
        wrong.push("Cargo.toml does not forbid `unsafe_code`".to_owned());
    }
    for room in rooms()? {
        let manifest = std::fs::read_to_string(room.join("Cargo.toml")).context("a manifest")?;
        if !manifest.contains("[lints]\nworkspace = true") {
            wrong.push(format!("{} has not the workspace's lints", room.display()));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("sources: {}", wrong.join("; "))
}

/// What of it stands in a file.
fn found(path: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let code = line.split("//").next().unwrap_or_default();
        let runs = RUNS.iter().filter(|_| !MAY_RUN.contains(&path)).find(|word| code.contains(**word));
        // `use std::process::{Child, Command};`
        let imported = code.contains("process::{") && code.contains("Command") && !MAY_RUN.contains(&path);
        if let Some(word) = runs.or_else(|| NEVER.iter().find(|word| code.contains(**word))) {
            wrong.push(format!("{path}:{number} says `{word}`"));
        } else if imported {
            wrong.push(format!("{path}:{number} imports `Command`"));
        }
    }
    wrong
}

/// The crates that the product is made of.
fn rooms() -> anyhow::Result<Vec<PathBuf>> {
    let all = std::fs::read_dir(root().join("crates")).context("the crates")?;
    let rooms = all.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    Ok(rooms.into_iter().filter(|room| !room.ends_with("xtask")).collect())
}

fn sources() -> anyhow::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for room in rooms()? {
        below(&room.join("src"), &mut found)?;
    }
    Ok(found)
}

fn below(folder: &Path, found: &mut Vec<(String, String)>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            below(&path, found)?;
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
            let name = path.strip_prefix(root()).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            found.push((name, text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{MAY_RUN, all, found, sources};

    #[test]
    fn nothing_runs_programs_or_goes_behind_the_compiler() {
        all().unwrap();
        let sources = sources().unwrap();
        assert!(sources.len() > 300, "{} files", sources.len());
        // Who may run programs does: a permission that is not used any more is taken back.
        for path in MAY_RUN {
            let (_, text) = sources.iter().find(|(name, _)| name == path).unwrap();
            assert!(text.contains("Command::new"), "{path}");
        }
    }

    #[test]
    fn whatever_does_is_found() {
        for line in [
            "    let out = std::process::Command::new(\"sh\").output();",
            "use tokio::process::{Child, Command};",
            "    unsafe { *place = 7 }",
            "pub unsafe fn f() {}",
            "    let library = libloading::Library::new(path);",
            "#[no_mangle]",
        ] {
            assert_eq!(found("crates/http/src/x.rs", &format!("\n{line}\n")).len(), 1, "{line}");
        }
        assert_eq!(found("crates/config/src/secrets.rs", "Command::new(program)"), Vec::<String>::new());
        assert_eq!(found("crates/config/src/secrets.rs", "unsafe { f() }").len(), 1);
        assert_eq!(
            found("crates/http/src/x.rs", "// unsafe { f() }\nmatch command { Command::Run => {} }").len(),
            0
        );
    }
}
