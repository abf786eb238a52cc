//! Pipelines: what is done with streams, by templates.
//!
//! [`template`] and [`params`] say what there is to do, [`library`] where it comes from, [`plan`] what of it is asked for;
//! [`reload`] keeps all three fresh.
//! The [`conductor`] runs the plan: it gives every pipeline a [`supervisor`], which builds an [`instance`] and feeds it
//! through a [`bridge`]; what comes out goes through [`publisher`] to the hub, or through [`segments`] to the packager. This
//! is the only part of the server that knows GStreamer. It knows no protocol.

pub mod assembly;
pub mod blueprint;
pub mod bridge;
pub mod clip;
pub mod cmaf;
pub mod conductor;
pub mod control;
pub mod decoder;
pub mod demand;
pub mod encoder;
pub mod equip;
pub mod graph;
pub mod inspect;
pub mod instance;
pub mod job;
pub mod ladder;
pub mod library;
pub mod memory;
pub mod packages;
pub mod params;
pub mod plan;
pub mod policy;
pub mod preview;
pub mod product;
pub mod publisher;
pub mod recording;
pub mod reload;
pub mod roster;
pub mod running;
pub mod segments;
pub mod set;
pub mod shortage;
pub mod stages;
pub mod supervisor;
pub mod syntax;
pub mod taps;
pub mod template;
pub mod trial;
pub mod vitals;
pub mod worker;

use std::sync::OnceLock;

/// Starts GStreamer and registers the elements that are part of the program. To be called before anything else here; it does
/// its work once, because a second registration would free the element factories of the first.
pub fn start() -> Result<(), StartError> {
    static STARTED: OnceLock<Result<(), StartError>> = OnceLock::new();
    let start = || {
        gst::init().map_err(|error| StartError(error.to_string()))?;
        gststreammill::plugin_register_static().map_err(|error| StartError(error.to_string()))?;
        gstfmp4::plugin_register_static().map_err(|error| StartError(error.to_string()))
    };
    STARTED.get_or_init(start).clone()
}

/// GStreamer does not start.
#[derive(Debug, Clone, thiserror::Error)]
#[error("GStreamer does not start: {0}")]
pub struct StartError(String);
