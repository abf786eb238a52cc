//! The element behind [`super::MillDrop`].

use std::sync::{
    LazyLock, Mutex, PoisonError,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use gst::{glib, prelude::*, subclass::prelude::*};
use gst_base::subclass::prelude::*;

/// See [`super::MillDrop`].
pub struct MillDrop {
    keep_every: AtomicU32,
    /// Nanoseconds.
    interval: AtomicU64,
    /// Pictures since the last one that passed.
    count: AtomicU32,
    /// When the last one that passed is shown.
    last: Mutex<Option<gst::ClockTime>>,
}

impl Default for MillDrop {
    fn default() -> Self {
        Self {
            keep_every: AtomicU32::new(1),
            interval: AtomicU64::new(0),
            count: AtomicU32::new(0),
            last: Mutex::new(None),
        }
    }
}

impl MillDrop {
    fn keep_every(&self) -> u32 {
        self.keep_every.load(Ordering::Relaxed).max(1)
    }

    /// Whether a picture comes too soon behind the last one that passed. One that goes back in time does not.
    fn is_soon(&self, pts: Option<gst::ClockTime>) -> bool {
        let interval = gst::ClockTime::from_nseconds(self.interval.load(Ordering::Relaxed));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let since = pts.zip(*last).and_then(|(pts, last)| pts.checked_sub(last));
        if since.is_some_and(|since| since < interval) {
            return true;
        }
        *last = pts;
        false
    }
}

#[glib::object_subclass]
impl ObjectSubclass for MillDrop {
    const NAME: &'static str = "MillDrop";
    type Type = super::MillDrop;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for MillDrop {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecUInt::builder("keep-every")
                    .nick("Keep every")
                    .blurb("Of so many pictures one passes")
                    .minimum(1)
                    .maximum(1000)
                    .default_value(1)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("interval")
                    .nick("Interval")
                    .blurb("Shortest time between two pictures that pass, in nanoseconds")
                    .default_value(0)
                    .mutable_playing()
                    .build(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        // GObject has checked types and bounds.
        match pspec.name() {
            "interval" => self.interval.store(value.get().unwrap_or(0), Ordering::Relaxed),
            _ => self.keep_every.store(value.get().unwrap_or(1), Ordering::Relaxed),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            "interval" => self.interval.load(Ordering::Relaxed).to_value(),
            _ => self.keep_every().to_value(),
        }
    }
}

impl GstObjectImpl for MillDrop {}

impl ElementImpl for MillDrop {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "streammill frame dropper",
                "Filter/Effect/Video",
                "Lets every Nth picture pass, or one in a while",
                env!("CARGO_PKG_NAME"),
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let any = gst::Caps::builder_full()
                .structure_with_any_features(gst::Structure::new_empty("video/x-raw"))
                .build();
            let pad = |name, direction| gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &any).ok();
            [pad("sink", gst::PadDirection::Sink), pad("src", gst::PadDirection::Src)]
                .into_iter()
                .flatten()
                .collect()
        });
        &TEMPLATES
    }
}

impl BaseTransformImpl for MillDrop {
    const MODE: gst_base::subclass::BaseTransformMode = gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = true;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        self.count.store(0, Ordering::Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    fn transform_caps(
        &self,
        direction: gst::PadDirection,
        caps: &gst::Caps,
        filter: Option<&gst::Caps>,
    ) -> Option<gst::Caps> {
        let keep_every = self.keep_every();
        let mut other = caps.clone();
        if keep_every > 1 {
            for structure in other.make_mut().iter_mut() {
                let rate = structure.get::<gst::Fraction>("framerate").ok();
                match rate.and_then(|rate| across(rate, keep_every, direction)) {
                    Some(rate) => structure.set("framerate", rate),
                    // A range, or a rate beyond what a fraction holds: anything may come.
                    None => structure.remove_field("framerate"),
                }
            }
        }
        Some(match filter {
            Some(filter) => filter.intersect_with_mode(&other, gst::CapsIntersectMode::First),
            None => other,
        })
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        if gst_video::ForceKeyUnitEvent::is(&event) {
            self.count.store(0, Ordering::Relaxed);
        }
        self.parent_sink_event(event)
    }

    fn transform_ip(&self, buffer: &mut gst::BufferRef) -> Result<gst::FlowSuccess, gst::FlowError> {
        let keep_every = self.keep_every();
        let count = self.count.load(Ordering::Relaxed);
        self.count.store((count + 1) % keep_every, Ordering::Relaxed);
        if count != 0 || self.is_soon(buffer.pts()) {
            return Ok(gst_base::BASE_TRANSFORM_FLOW_DROPPED);
        }
        if keep_every > 1
            && let Some(duration) = buffer.duration()
        {
            buffer.set_duration(duration.checked_mul(u64::from(keep_every)));
        }
        Ok(gst::FlowSuccess::Ok)
    }
}

/// The rate on the other side; that of the source pad is the lower one.
fn across(rate: gst::Fraction, keep_every: u32, from: gst::PadDirection) -> Option<gst::Fraction> {
    let keep_every = i32::try_from(keep_every).ok()?;
    let (numerator, denominator) = (rate.numer(), rate.denom());
    if numerator == 0 {
        return Some(rate);
    }
    Some(match from {
        gst::PadDirection::Sink => gst::Fraction::new(numerator, denominator.checked_mul(keep_every)?),
        _ => gst::Fraction::new(numerator.checked_mul(keep_every)?, denominator),
    })
}
