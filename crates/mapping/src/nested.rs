//! JSON text of an object, written member by member in the order of their paths. No
//! value is made of it on the way.

use crate::FieldPath;

/// An object that is being written.
#[derive(Debug)]
pub(crate) struct Nested<'p> {
    text: Vec<u8>,
    /// The members, outermost first, whose objects are open.
    open: Vec<&'p str>,
}

/// What most records need.
const ROOM: usize = 320;

impl<'p> Nested<'p> {
    pub(crate) fn new() -> Self {
        let mut text = Vec::with_capacity(ROOM);
        text.push(b'{');
        Self { text, open: Vec::new() }
    }

    /// Puts at `path`, which comes after all before and does not lie in one of them, what
    /// `write` writes. If it answers that it has left it out, nothing is put.
    pub(crate) fn put<E>(
        &mut self,
        path: &'p FieldPath,
        write: impl FnOnce(&mut Vec<u8>) -> Result<bool, E>,
    ) -> Result<(), E> {
        let (length, were_open) = (self.text.len(), self.open.clone());
        let Some((last, way)) = path.split_last() else { return Ok(()) };
        let common = self.open.iter().zip(way).take_while(|(ours, its)| **ours == &***its).count();
        while self.open.len() > common {
            self.open.pop();
            self.text.push(b'}');
        }
        for part in way.iter().skip(common) {
            self.name(part);
            self.text.push(b'{');
            self.open.push(part);
        }
        self.name(last);
        if !write(&mut self.text)? {
            self.text.truncate(length);
            self.open = were_open;
        }
        Ok(())
    }

    fn name(&mut self, name: &str) {
        if self.text.last() != Some(&b'{') {
            self.text.push(b',');
        }
        // Writing to memory does not fail.
        let _fits = serde_json::to_writer(&mut self.text, name);
        self.text.push(b':');
    }

    /// The whole text.
    pub(crate) fn end(mut self) -> String {
        self.text.resize(self.text.len() + self.open.len() + 1, b'}');
        // All that was written is UTF-8.
        String::from_utf8(self.text).unwrap_or_default()
    }
}
