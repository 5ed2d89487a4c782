//! A sealed text where the log has room for a text only: words of a side, a version
//! tag, a request. A mark that no text of people has, then Base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hms_sync_model::Sealed;

/// A side could send it; what cannot be opened is then shown as erased, and no more.
const MARK: &str = "\u{1}sealed\u{1}";

/// As text.
pub(crate) fn from_sealed(sealed: &Sealed) -> String {
    let mut text = MARK.to_owned();
    STANDARD_NO_PAD.encode_string(sealed.as_bytes(), &mut text);
    text
}

/// Whether a text is a sealed one.
pub(crate) fn is_sealed(text: &str) -> bool {
    text.starts_with(MARK)
}

/// What was sealed; nothing if the rest of the text is no such thing.
pub(crate) fn to_sealed(text: &str) -> Option<Sealed> {
    Sealed::from_bytes(&STANDARD_NO_PAD.decode(text.strip_prefix(MARK)?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hms_sync_model::KeyId;

    #[test]
    fn comes_back_from_its_text() {
        let sealed = Sealed::new(KeyId([9; 8]), &[0, 1, 255]);
        assert_eq!(to_sealed(&from_sealed(&sealed)), Some(sealed));
        for text in ["", "words", "\u{1}sealed\u{1}", "\u{1}sealed\u{1}!"] {
            assert_eq!(to_sealed(text), None);
        }
    }
}
