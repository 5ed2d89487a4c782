//! Where in the file a dotted key stands.

use crate::node::{Kind, Node};
use crate::problem::At;

/// The place of `key` below `node`, as far as the key leads into it.
pub(crate) fn of(node: &Node, key: &str) -> At {
    let (mut node, mut at) = (node, node.at);
    for part in key.split('.') {
        let Kind::Map(entries) = &node.kind else { break };
        let Some(entry) = entries.iter().find(|entry| entry.key == part) else { break };
        (node, at) = (&entry.value, entry.at);
    }
    at
}
