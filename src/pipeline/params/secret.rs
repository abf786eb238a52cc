//! Secrets: values that nobody is shown, and how they are taken out of what elements say.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Value;

/// What stands where a secret stood.
const MASK: &str = "***";

/// Shorter pieces are left in place: they are words of the message rather than secrets.
const SHORTEST: usize = 6;

/// A text that is neither shown nor logged. Only elements get it.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Secret(String);

impl Secret {
    /// From the text itself.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for an element.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Texts that must not be seen. Elements put what they were told into their messages, and graphs show it.
#[derive(Clone, Debug, Default)]
pub struct Mask(Vec<Secret>);

impl Mask {
    /// For what these values hold.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut pieces: Vec<String> = values.into_iter().flat_map(pieces).collect();
        pieces.retain(|piece| piece.len() >= SHORTEST);
        // The whole before its parts.
        pieces.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
        pieces.dedup();
        Self(pieces.into_iter().map(Secret).collect())
    }

    /// A text without them.
    pub fn apply(&self, text: &str) -> String {
        let secrets = self.0.iter();
        secrets.fold(text.to_owned(), |text, Secret(piece)| text.replace(piece, MASK))
    }
}

fn pieces(value: &Value) -> Vec<String> {
    match value {
        Value::Secret(secret) => vec![secret.0.clone()],
        Value::Address(address) => address.pieces(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{
        super::{Address, Values},
        *,
    };

    #[test]
    fn what_an_element_says_of_its_address_holds_neither_key_nor_password() {
        let address = |text: &str| Value::Address(Address::parse(text, &[]).unwrap());
        let values = Values::from([
            (
                "a".to_owned(),
                address("rtmp://user:passw0rd@a.example/live2/key-1234-key?sign=abcdef"),
            ),
            (
                "b".to_owned(),
                address("srt://h.example:9?passphrase=a%20longer%20secret"),
            ),
            ("c".to_owned(), Value::Secret(Secret::new("hush-hush"))),
        ]);
        let mask = Mask::of(values.values());
        for (said, shown) in [
            (
                "cannot reach rtmp://user:passw0rd@a.example/live2/key-1234-key?sign=abcdef",
                "cannot reach ***",
            ),
            (
                "stream key-1234-key of live2 is in use",
                "stream *** of live2 is in use",
            ),
            ("user user, password passw0rd", "user user, password ***"),
            ("passphrase \"a longer secret\" is wrong", "passphrase \"***\" is wrong"),
            ("it is hush-hush", "it is ***"),
            ("a.example does not answer", "a.example does not answer"),
        ] {
            assert_eq!(mask.apply(said), shown);
        }
        assert!(!format!("{values:?} {mask:?}").contains("1234"));
    }
}
