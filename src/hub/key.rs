//! Stream keys: the `app/name` that publishers and viewers meet under.

use std::{fmt, sync::Arc};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Longest application or stream name in bytes.
const MAX_PART_BYTES: usize = 1024;

/// Everything but what is harmless in a file name and in a URL's path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The name of a stream: application and stream name.
///
/// Both parts come from the network, so a key is only made by [`StreamKey::new`], which refuses what could harm a log
/// line, and what could be mistaken for a way through a directory tree. Whatever else they hold (spaces, quotes,
/// pipeline syntax) is legal and stays data: paths and URLs are built from [`file_stem`](Self::file_stem) and
/// [`url_path`](Self::url_path), never from the parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    app: Arc<str>,
    name: Arc<str>,
}

impl StreamKey {
    /// Checks both parts and makes the key.
    pub fn new(app: &str, name: &str) -> Result<Self, KeyError> {
        check("application", app)?;
        check("stream", name)?;
        Ok(Self {
            app: app.into(),
            name: name.into(),
        })
    }

    /// From configuration text of the form `app/name`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (app, name) = text.split_once('/').ok_or(KeyError::NoSlash)?;
        Self::new(app, name)
    }

    /// The application.
    pub fn app(&self) -> &str {
        &self.app
    }

    /// The stream name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The stream name as one file name component: percent-encoded, never empty, never starting with a dot.
    pub fn file_stem(&self) -> String {
        let mut stem = utf8_percent_encode(&self.name, ESCAPED).to_string();
        if stem.starts_with('.') {
            stem.replace_range(..1, "%2E");
        }
        // File systems end at 255 bytes; room is left for a time stamp and a suffix.
        stem.truncate(180);
        stem
    }

    /// `APP/NAME` as it stands in URLs, each part percent-encoded.
    pub fn url_path(&self) -> String {
        let app = utf8_percent_encode(&self.app, ESCAPED);
        let name = utf8_percent_encode(&self.name, ESCAPED);
        format!("{app}/{name}")
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app, self.name)
    }
}

fn check(what: &'static str, part: &str) -> Result<(), KeyError> {
    if part.is_empty() {
        return Err(KeyError::Empty { what });
    }
    if part.len() > MAX_PART_BYTES {
        return Err(KeyError::TooLong {
            what,
            bytes: part.len(),
        });
    }
    if part.chars().any(char::is_control) {
        return Err(KeyError::ControlCharacter { what });
    }
    if part
        .split(['/', '\\'])
        .any(|component| matches!(component, "" | "." | ".."))
    {
        return Err(KeyError::PathComponent { what });
    }
    Ok(())
}

/// Why a name is not accepted. The text is shown to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Nothing there.
    #[error("the {what} name is empty")]
    Empty {
        /// Which part.
        what: &'static str,
    },
    /// More than [`MAX_PART_BYTES`].
    #[error("the {what} name has {bytes} bytes; at most {MAX_PART_BYTES} are allowed")]
    TooLong {
        /// Which part.
        what: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// NUL, line feed and their like.
    #[error("the {what} name holds a control character")]
    ControlCharacter {
        /// Which part.
        what: &'static str,
    },
    /// An empty, `.` or `..` component between slashes.
    #[error("the {what} name has an empty, '.' or '..' part")]
    PathComponent {
        /// Which part.
        what: &'static str,
    },
    /// Not of the form `app/name`.
    #[error("a stream is written as app/name")]
    NoSlash,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn hostile_names_are_refused() {
        for name in [
            "", "..", "../x", "a/../b", "a//b", "/a", "a/", "..\\x", "a\0b", "a\nb", ".",
        ] {
            assert!(StreamKey::new("live", name).is_err(), "{name:?} was accepted");
        }
        assert!(StreamKey::new("live", &"x".repeat(1025)).is_err());
    }

    #[test]
    fn odd_names_are_legal_but_never_reach_a_path_as_they_are() {
        let key = StreamKey::new("live", "x ! filesink location=/tmp/x").unwrap();
        assert_eq!(key.file_stem(), "x%20%21%20filesink%20location%3D%2Ftmp%2Fx");
        assert_eq!(StreamKey::new("live", ".hidden").unwrap().file_stem(), "%2Ehidden");
        assert_eq!(
            StreamKey::new("live", "Kamera ä").unwrap().url_path(),
            "live/Kamera%20%C3%A4"
        );
    }

    #[test]
    fn a_name_may_hold_slashes_and_the_app_ends_at_the_first() {
        let key = StreamKey::parse("live/a/b").unwrap();
        assert_eq!((key.app(), key.name()), ("live", "a/b"));
        assert_eq!(StreamKey::parse("live"), Err(KeyError::NoSlash));
    }
}
