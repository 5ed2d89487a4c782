//! What can be checked without running a test: format, lints, that no room reaches up, and
//! that no source runs programs.

use crate::shell::{Outcome, cargo, root, run};
use anyhow::{Context, bail};
use std::collections::BTreeMap;

/// Rooms, lowest first. A room may name those before it.
const LAYERS: &[&str] = &[
    "proof",
    "model",
    "audit",
    "vault",
    "changelog",
    "notary",
    "bounds",
    "mapping",
    "resolver",
    "connector",
    "doubles",
    "hostile",
    "http",
    "config",
    "import",
    "engine",
    "rehearsal",
    "management",
    "hms-sync",
    "cli",
];

/// Who may name whom, for the libraries that belong to one room.
const ONLY: &[(&str, &[&str])] = &[
    ("sled", &["changelog"]),
    ("axum", &["management", "doubles"]),
    ("reqwest", &["http", "notary", "cli"]),
    ("chacha20poly1305", &["vault"]),
];

/// Everything.
pub(crate) fn all() -> Outcome {
    run("format", &mut cargo(&["fmt", "--all", "--", "--check"]))?;
    layers()?;
    crate::sources::all()?;
    let mut clippy = cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]);
    run("lints", &mut clippy)
}

/// The dependencies that each room names for its own code (not for its tests).
fn manifests() -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut all = BTreeMap::new();
    for room in LAYERS {
        let path = root().join("crates").join(room).join("Cargo.toml");
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let own =
            text.split("[dependencies]").nth(1).and_then(|rest| rest.split("\n[").next()).unwrap_or_default();
        let names = own.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
        all.insert(
            (*room).to_owned(),
            names.filter(|n| !n.is_empty() && !n.starts_with('#')).map(str::to_owned).collect(),
        );
    }
    Ok(all)
}

/// No room names one above it, and no library leaves its room.
fn layers() -> Outcome {
    let rank = |name: &str| LAYERS.iter().position(|room| *room == name);
    let mut wrong = Vec::new();
    for (room, names) in manifests()? {
        for name in &names {
            let target = if name == "hms-sync" {
                "hms-sync"
            } else {
                name.strip_prefix("hms-sync-").unwrap_or_default()
            };
            if rank(target).is_some_and(|of| Some(of) >= rank(&room)) {
                wrong.push(format!("crates/{room} names {name}, which stands above it"));
            }
            let rooms = ONLY.iter().find(|(library, _)| library == name).map(|(_, rooms)| *rooms);
            if rooms.is_some_and(|rooms| !rooms.contains(&room.as_str())) {
                wrong.push(format!(
                    "crates/{room} names {name}, which belongs to {:?}",
                    rooms.unwrap_or_default()
                ));
            }
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("layers: {}", wrong.join("; "))
}
