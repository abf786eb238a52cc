//! Refusals: why an encoder is not taken, for whoever has to do without.

use std::time::Duration;

use super::{super::packages, codec::EncoderCodec};

/// No encoder is to be had.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}", self.text())]
pub struct Refused {
    /// For what.
    pub codec: EncoderCodec,
    /// Those that are installed, in the order they would have been taken, each with what speaks against it.
    pub passed_over: Vec<PassedOver>,
    /// The elements that would do, for where none is installed.
    pub would_do: Vec<String>,
}

/// An encoder that was not taken.
#[derive(Clone, Debug, PartialEq)]
pub struct PassedOver {
    /// The element.
    pub element: String,
    /// What speaks against it.
    pub why: Why,
}

/// What speaks against an encoder.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// It has failed in this pipeline.
    #[error("it has failed here")]
    Excluded,
    /// The configuration forbids it.
    #[error("the configuration forbids {0}")]
    Forbidden(String),
    /// It is not known yet whether it works.
    #[error("its probe has not ended")]
    Probing,
    /// Its probe failed.
    #[error("it does not work: {0}")]
    Broken(String),
    /// A limit of the configuration's is reached.
    #[error("{in_use} of {most} sessions of {of} are in use")]
    Limit {
        /// Of what.
        of: String,
        /// Sessions in use.
        in_use: u32,
        /// Most that may be.
        most: u32,
    },
    /// A limit that was learned from a failure is reached.
    #[error("{in_use} sessions are in use, and more than {most} have failed")]
    Learned {
        /// Sessions in use.
        in_use: u32,
        /// Most that worked.
        most: u32,
    },
    /// The processor has no room for it.
    #[error("it needs {needed:.1} cores, and {in_use:.1} of {most:.1} are in use")]
    Cores {
        /// What it needs.
        needed: f64,
        /// What is in use.
        in_use: f64,
        /// Most that may be.
        most: f64,
    },
    /// It has failed a moment ago.
    #[error("it has failed and is tried again in {} s: {reason}", left.as_secs_f64().ceil())]
    SetAside {
        /// How long it is passed over yet.
        left: Duration,
        /// What failed.
        reason: String,
    },
}

impl Refused {
    /// Whether there are encoders, but too few or too slow ones: less work might find one.
    pub fn is_shortage(&self) -> bool {
        let is_short = |why: &Why| matches!(why, Why::Limit { .. } | Why::Learned { .. } | Why::Cores { .. });
        self.codec.is_video() && self.passed_over.iter().any(|one| is_short(&one.why))
    }

    fn text(&self) -> String {
        let codec = self.codec.as_str();
        if self.passed_over.is_empty() {
            let would_do = self.would_do.join(", ");
            let hint = packages::hint(self.would_do.iter().map(String::as_str));
            return format!("no {codec} encoder is installed; one of {would_do} is needed{hint}");
        }
        let reasons: Vec<_> = self
            .passed_over
            .iter()
            .map(|one| format!("{}: {}", one.element, one.why))
            .collect();
        format!("no {codec} encoder is free: {}", reasons.join("; "))
    }
}
