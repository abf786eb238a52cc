//! The elements behind [`super::Upload`] and [`super::Download`].

use std::sync::LazyLock;

use gst::{prelude::*, subclass::prelude::*};

use super::{MEMORY, anywhere, here, there};

/// What one way differs by from the other.
trait Way: ElementImpl {
    /// The other pad of the element.
    fn across(&self, pad: &gst::Pad) -> Option<gst::Pad> {
        let name = if pad.name() == "sink" { "src" } else { "sink" };
        self.obj().static_pad(name)
    }

    /// What comes out, of what comes in.
    fn out(caps: &gst::CapsRef) -> gst::Caps;

    /// What may come in, so that this comes out.
    fn into(caps: &gst::CapsRef) -> gst::Caps;

    fn event(&self, pad: &gst::Pad, event: gst::Event) -> bool {
        let Some(other) = self.across(pad) else { return false };
        let event = match event.view() {
            gst::EventView::Caps(caps) => gst::event::Caps::builder(&Self::out(caps.caps()))
                .seqnum(event.seqnum())
                .build(),
            _ => event,
        };
        other.push_event(event)
    }

    fn query(&self, pad: &gst::Pad, parent: Option<&impl IsA<gst::Object>>, query: &mut gst::QueryRef) -> bool {
        let is_sink = pad.name() == "sink";
        match query.view_mut() {
            gst::QueryViewMut::Caps(caps) => {
                let Some(other) = self.across(pad) else { return false };
                let (to, back): (Moving, Moving) = match is_sink {
                    true => (Self::out, Self::into),
                    false => (Self::into, Self::out),
                };
                let asked = caps.filter().map(to);
                let mut found = back(&other.peer_query_caps(asked.as_ref())).intersect(&pad.pad_template_caps());
                if let Some(filter) = caps.filter() {
                    found = filter.intersect_with_mode(&found, gst::CapsIntersectMode::First);
                }
                caps.set_result(&found);
                true
            }
            // Each side brings memory of its own.
            gst::QueryViewMut::Allocation(_) => false,
            _ => gst::Pad::query_default(pad, parent, query),
        }
    }
}

/// From the caps of one side to those of the other.
type Moving = fn(&gst::CapsRef) -> gst::Caps;

/// The same pictures elsewhere.
fn moved(caps: &gst::CapsRef, memory: Option<&str>) -> gst::Caps {
    if caps.is_any() {
        return gst::Caps::new_any();
    }
    let mut moved = gst::Caps::new_empty();
    for structure in caps.iter() {
        let features = match memory {
            Some(memory) => gst::CapsFeatures::new([memory]),
            None => gst::CapsFeatures::new_empty(),
        };
        let whole = moved.make_mut();
        whole.append_structure_full(structure.to_owned(), Some(features));
    }
    moved
}

macro_rules! way {
    ($name:ident, $type:literal, $long:literal, $sink:expr, $src:expr, $out:expr, $into:expr) => {
        /// See the element of this name.
        #[derive(Default)]
        pub struct $name;

        impl Way for $name {
            fn out(caps: &gst::CapsRef) -> gst::Caps {
                $out(caps)
            }

            fn into(caps: &gst::CapsRef) -> gst::Caps {
                $into(caps)
            }
        }

        #[glib::object_subclass]
        impl ObjectSubclass for $name {
            const NAME: &'static str = $type;
            type Type = super::$name;
            type ParentType = gst::Element;
        }

        impl ObjectImpl for $name {
            fn constructed(&self) {
                self.parent_constructed();
                let obj = self.obj();
                let templates = obj
                    .class()
                    .pad_template("sink")
                    .zip(obj.class().pad_template("src"));
                let Some((sink, src)) = templates else { return };
                let sink = gst::Pad::builder_from_template(&sink)
                    .chain_function(|_, parent, buffer| {
                        let src = parent.and_then(|parent| parent.downcast_ref::<super::$name>()?.static_pad("src"));
                        src.ok_or(gst::FlowError::Error)?.push(buffer)
                    })
                    .event_function(|pad, parent, event| {
                        Self::catch_panic_pad_function(parent, || false, |this| Way::event(this, pad, event))
                    })
                    .query_function(|pad, parent, query| {
                        Self::catch_panic_pad_function(parent, || false, |this| Way::query(this, pad, parent, query))
                    })
                    .build();
                let src = gst::Pad::builder_from_template(&src)
                    .query_function(|pad, parent, query| {
                        Self::catch_panic_pad_function(parent, || false, |this| Way::query(this, pad, parent, query))
                    })
                    .build();
                // They have other names.
                let _ = (obj.add_pad(&sink), obj.add_pad(&src));
            }
        }

        impl GstObjectImpl for $name {}

        impl ElementImpl for $name {
            fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
                static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
                    gst::subclass::ElementMetadata::new($long, "Filter/Video/Hardware", $long, "streammill")
                });
                Some(&METADATA)
            }

            fn pad_templates() -> &'static [gst::PadTemplate] {
                static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
                    let template = |name, direction, caps: gst::Caps| {
                        gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps)
                    };
                    let both = [
                        template("sink", gst::PadDirection::Sink, $sink),
                        template("src", gst::PadDirection::Src, $src),
                    ];
                    both.into_iter().flatten().collect()
                });
                &TEMPLATES
            }
        }
    };
}

way!(
    Upload,
    "FakeUpload",
    "Upload to no device",
    here(),
    there(),
    |caps| moved(caps, Some(MEMORY)),
    |caps| moved(caps, None)
);
way!(
    Download,
    "FakeDownload",
    "Download from no device",
    anywhere(),
    here(),
    |caps| moved(caps, None),
    |caps| {
        let mut either = moved(caps, Some(MEMORY));
        either.merge(moved(caps, None));
        either
    }
);
