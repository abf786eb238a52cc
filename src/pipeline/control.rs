//! Controls: what can be done to a pipeline while it runs.

use gst::prelude::*;
use gst_video::{DownstreamForceKeyUnitEvent, UpstreamForceKeyUnitEvent};
use serde::{Deserialize, Serialize};

use super::{blueprint::Changes, instance::apply_live, ladder::TOP, stages::of_class};

/// A change, or a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Control {
    /// Set these, at once. Nothing is set if one of them cannot be while it runs.
    Set(Changes),
    /// Begin a group of pictures with the next one.
    KeyFrame,
    /// Show the elements as they are now.
    Graph,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It was done.
    Done,
    /// The elements, in Graphviz' language.
    Graph(String),
}

/// Does it.
pub fn apply(pipeline: &gst::Pipeline, control: &Control) -> Result<Answer, String> {
    match control {
        Control::Set(changes) => apply_live(pipeline.upcast_ref(), changes).map(|()| Answer::Done),
        Control::KeyFrame => ask_for_key_frames(pipeline).map(|()| Answer::Done),
        Control::Graph => {
            let graph = pipeline.debug_to_dot_data(gst::DebugGraphDetails::all());
            Ok(Answer::Graph(graph.to_string()))
        }
    }
}

fn ask_for_key_frames(pipeline: &gst::Pipeline) -> Result<(), String> {
    // Before the way parts, so that all rungs of a ladder make a key frame of the same picture.
    if let Some(top) = pipeline.by_name(TOP).and_then(|top| top.static_pad("sink")) {
        let event = DownstreamForceKeyUnitEvent::builder().all_headers(true).build();
        return match top.send_event(event) {
            true => Ok(()),
            false => Err("its pictures have not begun".to_owned()),
        };
    }
    let mut asked = false;
    for encoder in of_class(pipeline.upcast_ref(), "Encoder", "Video") {
        let event = UpstreamForceKeyUnitEvent::builder().all_headers(true).build();
        asked |= encoder.static_pad("src").is_some_and(|pad| pad.send_event(event));
    }
    match asked {
        true => Ok(()),
        false => Err("it has no encoder that could make a key frame".to_owned()),
    }
}
