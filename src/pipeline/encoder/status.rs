//! Status: the bench as the API and the command line show it. Fields keep their names and meanings; new ones may be added.
//! What is not known, or is not limited, is `null`.

use serde::Serialize;

use super::{
    super::memory::{
        Kits,
        status::{KitStatus, statuses},
    },
    standing::{Snapshot, Standing},
};

/// All encoders that are installed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EncodersStatus {
    /// Codec by codec, in the order in which they are taken.
    pub encoders: Vec<EncoderStatus>,
    /// For those on devices: whether pictures are decoded and scaled in the same memory.
    pub kits: Vec<KitStatus>,
    /// Sessions of pictures on the processor.
    pub software_sessions: u32,
    /// Most of them at a time.
    pub software_sessions_allowed: Option<u32>,
    /// Cores that they take, as estimated.
    pub software_cores: f64,
    /// Cores that they may take.
    pub software_cores_allowed: f64,
}

/// An encoder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EncoderStatus {
    /// The GStreamer element.
    pub element: String,
    /// `h264`, `hevc`, `av1`, `vp9`, `aac` or `opus`.
    pub codec: &'static str,
    /// `nvidia`, `va`, `vaapi`, `qsv`, `msdk`, `amf`, `v4l2`, `rockchip` or `software`.
    pub class: &'static str,
    /// What it runs on.
    pub device: Option<String>,
    /// The features of device memory that it takes pictures from.
    pub memory: Vec<String>,
    /// `works`, `broken`, `forbidden`, `set-aside` (it failed a moment ago), `probing` or `unknown`.
    pub state: &'static str,
    /// Why it is in a state that is no good one.
    pub message: Option<String>,
    /// Sessions in use.
    pub sessions: u32,
    /// Most sessions at a time, by what the configuration says or a failure has taught.
    pub sessions_allowed: Option<u32>,
    /// Most sessions as a failure has taught.
    pub sessions_learned: Option<u32>,
    /// For how long it is passed over yet.
    pub set_aside_seconds: Option<f64>,
    /// What failed last.
    pub last_error: Option<String>,
}

impl EncodersStatus {
    /// Of a bench, with the kits that its encoders are of. `is_present` tells whether an element is installed.
    pub fn new(bench: Snapshot, kits: &Kits, is_present: impl Fn(&str) -> bool) -> Self {
        let encoders = bench.encoders.iter().map(|standing| &standing.encoder);
        Self {
            kits: statuses(kits, encoders, is_present),
            encoders: bench.encoders.into_iter().map(EncoderStatus::from).collect(),
            software_sessions: bench.software,
            software_sessions_allowed: bench.software_allowed,
            software_cores: bench.cores,
            software_cores_allowed: bench.cores_allowed,
        }
    }
}

impl From<Standing> for EncoderStatus {
    fn from(standing: Standing) -> Self {
        Self {
            codec: standing.encoder.codec.as_str(),
            class: standing.encoder.class.as_str(),
            state: standing.state().as_str(),
            message: standing.trouble(),
            element: standing.encoder.element,
            memory: standing.encoder.memory,
            device: standing.device,
            sessions: standing.sessions,
            sessions_allowed: standing.allowed,
            sessions_learned: standing.learned,
            set_aside_seconds: standing.aside.map(|aside| aside.as_secs_f64()),
            last_error: standing.last_error,
        }
    }
}
