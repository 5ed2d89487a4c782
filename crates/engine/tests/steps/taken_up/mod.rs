//! A record that was held after a loss, taken up at a person's word: it starts over from what
//! its sides show, and nothing is sent before they have been read.

mod scene;
mod again;
mod restored;
