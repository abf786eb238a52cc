//! The element behind [`super::MillParse`].

use std::sync::{LazyLock, Mutex, PoisonError};

use gst::{glib, prelude::*, subclass::prelude::*};

/// Parsers by the name of the caps they take, and what has to be asked of them.
const PARSERS: &[(&str, &str, &str)] = &[
    (
        "video/x-h264",
        "h264parse",
        "video/x-h264,stream-format=avc,alignment=au",
    ),
    (
        "video/x-h265",
        "h265parse",
        "video/x-h265,stream-format=hvc1,alignment=au",
    ),
    (
        "video/x-av1",
        "av1parse",
        "video/x-av1,stream-format=obu-stream,alignment=tu",
    ),
    ("video/x-vp8", "identity", "video/x-vp8"),
    ("video/x-vp9", "vp9parse", "video/x-vp9"),
    ("audio/x-opus", "opusparse", "audio/x-opus"),
    ("audio/x-flac", "flacparse", "audio/x-flac,framed=true"),
    ("audio/x-ac3", "ac3parse", "audio/x-ac3,framed=true"),
    ("audio/x-eac3", "ac3parse", "audio/x-eac3,framed=true"),
];

/// The two that share a name.
const AAC: (&str, &str) = ("aacparse", "audio/mpeg,mpegversion=4,stream-format=raw");
const MP3: (&str, &str) = ("mpegaudioparse", "audio/mpeg,mpegversion=1,layer=3");

/// See [`super::MillParse`].
#[derive(Default)]
pub struct MillParse {
    /// What was chosen, once it was.
    chosen: Mutex<Option<&'static str>>,
}

/// The parser for caps, and the form it is asked for.
fn parser(caps: &gst::StructureRef) -> Option<(&'static str, &'static str)> {
    if caps.name() == "audio/mpeg" {
        return match caps.get::<i32>("mpegversion").ok()? {
            2 | 4 => Some(AAC),
            1 => Some(MP3),
            _ => None,
        };
    }
    let mut parsers = PARSERS.iter();
    parsers.find_map(|(name, parser, form)| (caps.name() == *name).then_some((*parser, *form)))
}

impl MillParse {
    /// Puts the parser for these caps in place. What comes with another codec later is for its pads to refuse.
    fn choose(&self, caps: &gst::CapsRef) -> Result<(), String> {
        let mut chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        let structure = caps.structure(0).ok_or("its caps are empty")?;
        let Some((factory, form)) = parser(structure) else {
            return Err(format!(
                "a stream cannot carry {}; decode it and encode it anew",
                structure.name()
            ));
        };
        match *chosen {
            Some(before) if before == factory => return Ok(()),
            Some(before) => {
                return Err(format!(
                    "what was for {before} is for {factory} now; start the pipeline anew"
                ));
            }
            None => {}
        }
        let failed = |error: glib::BoolError| format!("{factory}: {error}");
        let parse = gst::ElementFactory::make(factory).build().map_err(failed)?;
        let form = form.parse::<gst::Caps>().map_err(failed)?;
        let filter = gst::ElementFactory::make("capsfilter")
            .property("caps", form)
            .build()
            .map_err(failed)?;
        let bin = self.obj();
        bin.add_many([&parse, &filter]).map_err(failed)?;
        parse.link(&filter).map_err(failed)?;
        for (ghost, element, pad) in [("src", &filter, "src"), ("sink", &parse, "sink")] {
            let ghost = bin
                .static_pad(ghost)
                .and_downcast::<gst::GhostPad>()
                .ok_or("it has lost a pad")?;
            ghost.set_target(element.static_pad(pad).as_ref()).map_err(failed)?;
        }
        for element in [&filter, &parse] {
            element.sync_state_with_parent().map_err(failed)?;
        }
        *chosen = Some(factory);
        Ok(())
    }
}

#[glib::object_subclass]
impl ObjectSubclass for MillParse {
    const NAME: &'static str = "MillParse";
    type Type = super::MillParse;
    type ParentType = gst::Bin;
}

impl ObjectImpl for MillParse {
    fn constructed(&self) {
        self.parent_constructed();
        let (bin, templates) = (self.obj(), Self::pad_templates());
        for template in templates {
            let pad = gst::GhostPad::builder_from_template(template);
            let pad = match template.direction() {
                gst::PadDirection::Sink => pad.event_function(|pad, parent, event| {
                    let refused = |text: String| {
                        if let Some(parent) = parent {
                            let this = parent.downcast_ref::<super::MillParse>();
                            if let Some(this) = this {
                                gst::element_error!(this, gst::StreamError::WrongType, ("{}", text));
                            }
                        }
                        false
                    };
                    if let gst::EventView::Caps(caps) = event.view() {
                        let this = parent.and_then(|parent| parent.downcast_ref::<super::MillParse>());
                        let chosen = this.map_or(Ok(()), |this| this.imp().choose(caps.caps()));
                        if let Err(text) = chosen {
                            return refused(text);
                        }
                    }
                    gst::Pad::event_default(pad, parent, event)
                }),
                _ => pad,
            };
            // A pad of a template of ours, of whose name there is no other.
            let _ = bin.add_pad(&pad.build());
        }
    }
}

impl GstObjectImpl for MillParse {}

impl ElementImpl for MillParse {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "streammill parser",
                "Codec/Parser",
                "Brings coded media of any codec into the form that millsink takes",
                env!("CARGO_PKG_NAME"),
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let any = gst::Caps::new_any();
            let pad = |name, direction| gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &any).ok();
            [pad("sink", gst::PadDirection::Sink), pad("src", gst::PadDirection::Src)]
                .into_iter()
                .flatten()
                .collect()
        });
        &TEMPLATES
    }

    fn change_state(&self, transition: gst::StateChange) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        let changed = self.parent_change_state(transition)?;
        if transition == gst::StateChange::PausedToReady {
            // What comes after may be of another codec.
            let bin = self.obj();
            for element in bin.children() {
                let _ = element.set_state(gst::State::Null);
                let _ = bin.remove(&element);
            }
            *self.chosen.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Ok(changed)
    }
}

impl BinImpl for MillParse {}
