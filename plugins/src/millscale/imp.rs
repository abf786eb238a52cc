//! The element behind [`super::MillScale`].

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use gst::{glib, subclass::prelude::*};
use gst_base::{prelude::*, subclass::prelude::*};
use gst_video::{VideoFormat, VideoFrameRef, subclass::prelude::*};

use super::{
    caps::{MAX_SIDE, of_any_size, settle, shape_of},
    scaling::Scaling,
};

/// See [`super::MillScale`].
#[derive(Default)]
pub struct MillScale {
    scaling: Mutex<Option<Scaling>>,
}

impl MillScale {
    /// A poisoned lock holds tables that are whole or not there yet.
    fn scaling(&self) -> MutexGuard<'_, Option<Scaling>> {
        self.scaling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[glib::object_subclass]
impl ObjectSubclass for MillScale {
    const NAME: &'static str = "MillScale";
    type Type = super::MillScale;
    type ParentType = gst_video::VideoFilter;
}

impl ObjectImpl for MillScale {}

impl GstObjectImpl for MillScale {}

impl ElementImpl for MillScale {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "streammill scaler",
                "Filter/Converter/Video/Scaler",
                "Scales pictures to the size that is asked for",
                env!("CARGO_PKG_NAME"),
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = gst_video::VideoCapsBuilder::new()
                .format_list([VideoFormat::I420, VideoFormat::Nv12, VideoFormat::I42010le])
                .width_range(1..=MAX_SIDE)
                .height_range(1..=MAX_SIDE)
                .build();
            let pad = |name, direction| gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps).ok();
            [pad("sink", gst::PadDirection::Sink), pad("src", gst::PadDirection::Src)]
                .into_iter()
                .flatten()
                .collect()
        });
        &TEMPLATES
    }
}

impl BaseTransformImpl for MillScale {
    const MODE: gst_base::subclass::BaseTransformMode = gst_base::subclass::BaseTransformMode::NeverInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    /// Proposes nothing, neither memory of ours nor lines of any length. A decoder of libav's that is offered either hands out
    /// pictures that it still refers to; GStreamer then copies each into fresh memory, and that costs more than the copy
    /// that the decoder makes otherwise, into memory that is used again.
    fn propose_allocation(
        &self,
        _decide_query: Option<&gst::query::Allocation>,
        _query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *self.scaling() = None;
        Ok(())
    }

    fn transform_caps(
        &self,
        _direction: gst::PadDirection,
        caps: &gst::Caps,
        filter: Option<&gst::Caps>,
    ) -> Option<gst::Caps> {
        let any_size = of_any_size(caps);
        Some(match filter {
            Some(filter) => filter.intersect_with_mode(&any_size, gst::CapsIntersectMode::First),
            None => any_size,
        })
    }

    fn fixate_caps(&self, _direction: gst::PadDirection, caps: &gst::Caps, othercaps: gst::Caps) -> gst::Caps {
        let mut fixed = othercaps;
        fixed.truncate();
        if let (Some(from), Some(to)) = (caps.structure(0).and_then(shape_of), fixed.make_mut().structure_mut(0)) {
            settle(from, to);
        }
        fixed.fixate();
        fixed
    }
}

impl VideoFilterImpl for MillScale {
    fn set_info(
        &self,
        _incaps: &gst::Caps,
        in_info: &gst_video::VideoInfo,
        _outcaps: &gst::Caps,
        out_info: &gst_video::VideoInfo,
    ) -> Result<(), gst::LoggableError> {
        let scaling = Scaling::of(in_info, out_info)
            .filter(|_| in_info.format() == out_info.format())
            .ok_or_else(|| gst::loggable_error!(gst::CAT_RUST, "these formats are not scaled"))?;
        self.obj().set_passthrough(scaling.changes_nothing());
        *self.scaling() = Some(scaling);
        Ok(())
    }

    fn transform_frame(
        &self,
        inframe: &VideoFrameRef<&gst::BufferRef>,
        outframe: &mut VideoFrameRef<&mut gst::BufferRef>,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut scaling = self.scaling();
        let scaling = scaling.as_mut().ok_or(gst::FlowError::NotNegotiated)?;
        scaling.scale(inframe, outframe).map_err(|error| {
            gst::element_imp_error!(self, gst::StreamError::Format, ["{}", error]);
            gst::FlowError::Error
        })?;
        Ok(gst::FlowSuccess::Ok)
    }
}
