//! Many byte strings, looked for in many bytes at once.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::HashMap;
use std::fmt::Write;

/// What is looked for: each with a name, found by its first eight bytes.
#[derive(Debug)]
pub struct Needles {
    by_start: HashMap<[u8; 8], Vec<(Vec<u8>, String)>>,
    /// Which pairs of first bytes there are.
    pairs: Vec<bool>,
}

impl Default for Needles {
    fn default() -> Self {
        Self { by_start: HashMap::new(), pairs: vec![false; 1 << 16] }
    }
}

fn pair(bytes: &[u8]) -> usize {
    bytes.iter().take(2).fold(0, |pair, byte| pair << 8 | usize::from(*byte))
}

impl Needles {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks for these bytes, eight at least.
    pub fn add(&mut self, bytes: &[u8], name: &str) {
        let start = bytes.first_chunk().unwrap_or_else(|| panic!("{name} is too short to be looked for"));
        self.pairs[pair(bytes)] = true;
        self.by_start.entry(*start).or_default().push((bytes.to_vec(), name.to_owned()));
    }

    /// Looks for a text as it is and in the encodings that such texts are met in.
    pub fn add_text(&mut self, text: &str) {
        self.add(text.as_bytes(), text);
        self.add_bytes_encoded(text.as_bytes(), text);
        let percent = |c: char| {
            if c.is_alphanumeric() || c == '-' { c.to_string() } else { format!("%{:02X}", c as u32) }
        };
        self.add(text.chars().map(percent).collect::<String>().as_bytes(), &format!("{text} in a URL"));
        self.add(text.replace(' ', "+").as_bytes(), &format!("{text} in a form"));
        let wide: Vec<u16> = text.encode_utf16().collect();
        self.add(
            &wide.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<_>>(),
            &format!("{text} as UTF-16LE"),
        );
        self.add(
            &wide.iter().flat_map(|unit| unit.to_be_bytes()).collect::<Vec<_>>(),
            &format!("{text} as UTF-16BE"),
        );
    }

    /// Looks for bytes in hexadecimal and in Base64, wherever they begin in it.
    pub fn add_bytes_encoded(&mut self, bytes: &[u8], name: &str) {
        let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a string takes all");
            hex
        });
        self.add(hex.as_bytes(), &format!("{name} in hexadecimal"));
        self.add(hex.to_uppercase().as_bytes(), &format!("{name} in hexadecimal"));
        for lead in 0..3 {
            let whole = [vec![0; lead], bytes.to_vec()].concat();
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let text = engine.encode(&whole);
                // Only letters that depend on nothing but these bytes.
                let (from, to) = ((lead * 8).div_ceil(6), whole.len() * 8 / 6);
                self.add(&text.as_bytes()[from..to], &format!("{name} in Base64"));
            }
        }
    }

    /// The names of those that are there.
    pub fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for at in 0..bytes.len().saturating_sub(7) {
            let rest = &bytes[at..];
            if !self.pairs[pair(rest)] {
                continue;
            }
            let known = rest.first_chunk().and_then(|start| self.by_start.get(start));
            let here = known.into_iter().flatten().filter(|(needle, _)| rest.starts_with(needle));
            found.extend(here.map(|(_, name)| name.clone()));
        }
        found
    }
}
