//! From a file's text to a checked config: the top of the file, and the order
//! in which its parts are read.
//!
//! Everything is read even where something is wrong, so one run names every
//! mistake. A config comes out only if there was none.

use crate::draft::Draft;
use crate::node::{self, Kind, Node};
use crate::problem::{At, ConfigErrors, Problems};
use crate::section::{self, Section};
use crate::types::{Config, Side};
use crate::{audit, collections, environment, secrets, sides};
use hms_sync_model::{SideName, VecMap};
use hms_sync_notary::Settings;
use std::borrow::Cow;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Where the management API listens if the config does not say.
pub const MANAGEMENT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7070);

/// Reads and checks a config file. `env` answers for environment variables. Its folder for data is
/// beside the file, whatever folder the process is in.
///
/// # Errors
/// With every mistake in the file, each with its place and what to do.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigErrors> {
    let name = path.display().to_string();
    match text_of(path) {
        Ok(yaml) => {
            let mut config = parse(&name, &yaml, env)?;
            // An absolute one stays as it is.
            config.data_dir = path.parent().unwrap_or(Path::new("")).join(&config.data_dir);
            Ok(config)
        }
        Err(why) => {
            let mut problems = Problems::new(&name, "");
            problems.add(At::default(), format!("cannot be read: {why}"));
            Err(problems.into_errors())
        }
    }
}

/// The text of a file, as long as it is not too long.
fn text_of(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    let limit = u64::try_from(node::MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path)?.take(limit).read_to_string(&mut text)?;
    Ok(text)
}

/// Checks a config. `name` stands for the file in messages.
///
/// # Errors
/// With every mistake in it, each with its place and what to do.
pub fn parse(name: &str, yaml: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigErrors> {
    let yaml = yaml.strip_prefix('\u{feff}').unwrap_or(yaml);
    // Lines are counted as YAML counts them, and shown by the same count.
    let yaml: Cow<'_, str> =
        if yaml.contains('\r') { yaml.replace("\r\n", "\n").replace('\r', "\n").into() } else { yaml.into() };
    let mut problems = Problems::new(name, &yaml);
    let config = node::read(&yaml, &mut problems).and_then(|mut root| {
        environment::fill(&mut root, env, &mut problems);
        secrets::fill(&mut root, env, &mut problems);
        top(&root, &mut problems)
    });
    sound(config, problems)
}

/// Checks a config that a program wrote. `name` stands for the file in messages.
///
/// # Errors
/// With every mistake in it, each with its key and what to do.
pub fn check(name: &str, draft: Draft) -> Result<Config, ConfigErrors> {
    let mut problems = Problems::new(name, "");
    let root = draft.into_node(&mut problems);
    let config = top(&root, &mut problems);
    sound(config, problems)
}

/// Checks external systems alone, by name: what would stand below `sides`.
///
/// # Errors
/// With every mistake in them, each with its key and what to do.
pub fn check_sides(name: &str, sides: Draft) -> Result<VecMap<SideName, Side>, ConfigErrors> {
    let mut problems = Problems::new(name, "");
    let root = Draft::of("sides", sides).into_node(&mut problems);
    let read = root.get("sides").map(|node| sides::read(node, &mut problems)).unwrap_or_default();
    sound(sides::whole(read), problems)
}

/// What was read, if nothing is wrong with it.
fn sound<T>(read: Option<T>, problems: Problems<'_>) -> Result<T, ConfigErrors> {
    match read {
        Some(read) if problems.count() == 0 => Ok(read),
        _ => Err(problems.into_errors()),
    }
}

fn top(root: &Node, problems: &mut Problems<'_>) -> Option<Config> {
    if matches!(root.kind, Kind::Null) {
        problems.add(At::default(), "there is nothing in this file");
        return None;
    }
    let mut map = Section::open(root, "the config", problems)?;
    let sync = map.require("sync", problems).and_then(|node| sync_name(node, problems));
    let data_dir = map.take("data_dir", problems).map(|node| data_dir(node, problems));
    let management =
        map.take("management", problems).map_or(Some(MANAGEMENT), |node| management(node, problems));
    let audit = map
        .take("audit", problems)
        .map_or_else(|| Some(Settings::default()), |node| audit::read(node, problems));
    let read = map.require("sides", problems).map(|node| sides::read(node, problems));
    let known = read.as_deref().unwrap_or_default();
    let collections =
        map.require("collections", problems).map(|node| collections::read(node, known, problems));
    map.finish(problems);
    let sides = read.and_then(sides::whole);
    let sync = sync?;
    let data_dir = data_dir.unwrap_or_else(|| Some(PathBuf::from(format!("./{sync}"))))?;
    let (management, audit) = (management?, audit?);
    Some(Config { sync, data_dir, management, audit, sides: sides?, collections: collections? })
}

/// It becomes part of names and folders, so it follows the rules of a side's name.
fn sync_name(node: &Node, problems: &mut Problems<'_>) -> Option<String> {
    let name = section::text(node, "`sync`", problems)?;
    match SideName::try_new(name) {
        Ok(name) if !name.as_str().starts_with('.') => Some(name.as_str().to_owned()),
        Ok(_) => {
            problems.add(node.at, "`sync` must not begin with a dot");
            None
        }
        Err(_) => {
            let message = format!("`sync` {} will not do", node.describe());
            problems.add_hint(node.at, message, "1 to 64 letters, digits, `_`, `-`, `.` and `@`");
            None
        }
    }
}

fn data_dir(node: &Node, problems: &mut Problems<'_>) -> Option<PathBuf> {
    let text = section::text(node, "`data_dir`", problems)?;
    if text.is_empty() || text.contains('\0') {
        problems.add(node.at, "`data_dir` must be the path of a folder");
        return None;
    }
    Some(PathBuf::from(text))
}

fn management(node: &Node, problems: &mut Problems<'_>) -> Option<SocketAddr> {
    if !matches!(node.kind, Kind::Map(_)) {
        return address(node, false, problems);
    }
    let mut map = Section::open(node, "`management`", problems)?;
    let remote =
        map.take("allow_remote", problems).map(|node| section::yes_no(node, "`allow_remote`", problems));
    let at = map.require("address", problems);
    map.finish(problems);
    address(at?, remote.unwrap_or(Some(false))?, problems)
}

fn address(node: &Node, allow_remote: bool, problems: &mut Problems<'_>) -> Option<SocketAddr> {
    let text = section::text(node, "`management`", problems)?;
    let text =
        text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    let Ok(address) = text.parse::<SocketAddr>() else {
        let message = format!("`management` must be an address and a port, this is {}", node.describe());
        problems.add_hint(node.at, message, "as 127.0.0.1:7070 or [::1]:7070");
        return None;
    };
    if !address.ip().is_loopback() && !allow_remote {
        problems.add_hint(
            node.at,
            format!("`management` {address} can be reached from other machines"),
            format!("if that is meant: management: {{ address: \"{address}\", allow_remote: true }}"),
        );
        return None;
    }
    Some(address)
}
