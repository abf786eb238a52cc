//! Faults: what goes wrong, and when.

use std::path::{Path, PathBuf};

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) what: What,
    when: When,
}

/// How it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// With an error, as it should.
    Fail,
    /// The thread does not come back.
    Hang,
    /// The process ends.
    Abort,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum When {
    /// When the session is opened.
    AtOnce,
    /// Instead of the picture with this number.
    At(u64),
    /// As soon as there is this file.
    With(PathBuf),
}

impl Fault {
    /// Reads `fail`, `hang@30`, `abort@/tmp/now`. Anything else is no fault.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (what, when) = text.split_once('@').unwrap_or((text, ""));
        let what = match what {
            "fail" => What::Fail,
            "hang" => What::Hang,
            "abort" => What::Abort,
            _ => return None,
        };
        let when = match when {
            "" => When::AtOnce,
            path if path.starts_with('/') => When::With(Path::new(path).to_owned()),
            number => When::At(number.parse().ok()?),
        };
        Some(Self { what, when })
    }

    /// Whether it strikes when the session is opened.
    pub(crate) fn strikes_opening(&self) -> bool {
        self.when == When::AtOnce
    }

    /// Whether it strikes at the picture with this number.
    pub(crate) fn strikes(&self, picture: u64) -> bool {
        match &self.when {
            When::AtOnce => true,
            When::At(number) => picture >= *number,
            When::With(path) => path.exists(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn faults_strike_when_they_are_to() {
        let fault = |text| Fault::parse(text).unwrap();
        assert!(fault("fail").strikes_opening());
        let later = fault("hang@3");
        assert_eq!(later.what, What::Hang);
        assert_eq!(
            [0, 2, 3, 4].map(|picture| later.strikes(picture)),
            [false, false, true, true]
        );
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("now");
        let told = fault(&format!("abort@{}", file.display()));
        assert!(!told.strikes_opening() && !told.strikes(1000));
        std::fs::write(&file, "").unwrap();
        assert!(told.strikes(0));
        assert_eq!(["", "explode", "fail@soon"].map(Fault::parse), [None, None, None]);
    }
}
