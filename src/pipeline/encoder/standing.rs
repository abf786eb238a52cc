//! Standings: encoders as they are, for whoever shows them.

use std::time::Duration;

use super::map::Encoder;

/// What a probe has said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Nobody has asked.
    #[default]
    Unknown,
    /// It is being asked, or about to be.
    Awaited,
    /// It encodes.
    Works,
    /// It does not, and why.
    Broken(String),
}

/// An encoder as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The encoder.
    pub encoder: Encoder,
    /// What it runs on, where that is known.
    pub device: Option<String>,
    /// What its probe said.
    pub health: Health,
    /// What in the configuration forbids it.
    pub forbidden: Option<String>,
    /// Sessions in use.
    pub sessions: u32,
    /// Most of them at a time.
    pub allowed: Option<u32>,
    /// Most of them as a failure has taught.
    pub learned: Option<u32>,
    /// For how long it is passed over yet.
    pub aside: Option<Duration>,
    /// What failed last.
    pub last_error: Option<String>,
}

/// All that in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It can be taken, as far as is known.
    Works,
    /// Its probe failed.
    Broken,
    /// The configuration forbids it.
    Forbidden,
    /// It failed a moment ago.
    SetAside,
    /// Its probe has not ended.
    Probing,
    /// It has not been probed.
    Unknown,
}

/// The whole bench as it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The encoders in the order they are taken, codec by codec.
    pub encoders: Vec<Standing>,
    /// Sessions of pictures on the processor.
    pub software: u32,
    /// Most of them at a time.
    pub software_allowed: Option<u32>,
    /// Cores that they take, as estimated.
    pub cores: f64,
    /// Cores that they may take.
    pub cores_allowed: f64,
}

impl Standing {
    /// The word for it.
    pub fn state(&self) -> State {
        match &self.health {
            _ if self.forbidden.is_some() => State::Forbidden,
            Health::Broken(_) => State::Broken,
            _ if self.aside.is_some() => State::SetAside,
            Health::Works => State::Works,
            Health::Awaited => State::Probing,
            Health::Unknown => State::Unknown,
        }
    }

    /// Why it is in that state, where that needs a reason.
    pub fn trouble(&self) -> Option<String> {
        match (self.state(), &self.health) {
            (State::Forbidden, _) => {
                let which = self.forbidden.as_deref().unwrap_or_default();
                Some(format!("the configuration forbids {which}"))
            }
            (State::Broken, Health::Broken(reason)) => Some(reason.clone()),
            (State::SetAside, _) => self.last_error.clone(),
            _ => None,
        }
    }
}

impl State {
    /// For interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Broken => "broken",
            Self::Forbidden => "forbidden",
            Self::SetAside => "set-aside",
            Self::Probing => "probing",
            Self::Unknown => "unknown",
        }
    }
}
