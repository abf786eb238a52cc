//! `milldrop`: fewer pictures.

mod imp;

use gst::prelude::*;

glib::wrapper! {
    /// Lets every Nth picture pass and drops the others.
    ///
    /// `videorate` goes by time: which pictures it drops depends on when they come, so two renditions of one source drift apart.
    /// This one counts. What is asked to be a key frame always passes, and counting begins anew with it.
    ///
    /// With `interval` set a picture passes only that long after the one before it: for stills.
    pub struct MillDrop(ObjectSubclass<imp::MillDrop>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "milldrop", gst::Rank::NONE, MillDrop::static_type())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn start(text: &str) -> gst::Pipeline {
        gst::init().unwrap();
        crate::plugin_register_static().unwrap();
        gst::parse::launch(text).unwrap().downcast().unwrap()
    }

    /// The times of the pictures that pass, in milliseconds. `mark` are the numbers of those that have to be key frames.
    fn passed(keep_every: u32, mark: &'static [usize]) -> (Vec<u64>, gst::Caps) {
        let pipeline = start(&format!(
            "videotestsrc num-buffers=20 ! video/x-raw,width=16,height=16,framerate=25/1 ! identity name=mark ! \
             milldrop keep-every={keep_every} ! appsink name=out sync=false"
        ));
        let mark_at = pipeline.by_name("mark").unwrap().static_pad("src").unwrap();
        let count = std::sync::atomic::AtomicUsize::new(0);
        mark_at.add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if mark.contains(&number) {
                pad.push_event(gst_video::DownstreamForceKeyUnitEvent::builder().build());
            }
            gst::PadProbeReturn::Ok
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        let sink = pipeline.by_name("out").unwrap();
        let mut times = Vec::new();
        let mut caps = None;
        while let Some(sample) = sink.emit_by_name::<Option<gst::Sample>>("pull-sample", &[]) {
            times.push(sample.buffer().unwrap().pts().unwrap().mseconds());
            caps = sample.caps_owned();
        }
        pipeline.set_state(gst::State::Null).unwrap();
        (times, caps.unwrap())
    }

    #[test]
    fn every_nth_picture_passes_at_its_own_time_and_the_rate_is_told() {
        let (times, caps) = passed(5, &[]);
        assert_eq!(times, [0, 200, 400, 600]);
        assert!(caps.to_string().contains("framerate=(fraction)5/1"), "{caps}");
        let (times, caps) = passed(1, &[]);
        assert_eq!(times.len(), 20);
        assert!(caps.to_string().contains("framerate=(fraction)25/1"), "{caps}");
    }

    #[test]
    fn what_has_to_be_a_key_frame_passes_and_counting_begins_anew() {
        assert_eq!(passed(5, &[7]).0, [0, 200, 280, 480, 680]);
    }

    #[test]
    fn with_an_interval_a_picture_passes_once_in_a_while() {
        let pipeline = start(
            "videotestsrc num-buffers=50 ! video/x-raw,width=16,height=16,framerate=25/1 ! milldrop interval=500000000 ! \
             appsink name=out sync=false",
        );
        pipeline.set_state(gst::State::Playing).unwrap();
        let sink = pipeline.by_name("out").unwrap();
        let mut times = Vec::new();
        while let Some(sample) = sink.emit_by_name::<Option<gst::Sample>>("pull-sample", &[]) {
            times.push(sample.buffer().unwrap().pts().unwrap().mseconds());
        }
        pipeline.set_state(gst::State::Null).unwrap();
        assert_eq!(times, [0, 520, 1040, 1560]);
    }

    #[test]
    fn a_rate_that_is_not_known_stays_so() {
        let pipeline = start(
            "videotestsrc num-buffers=4 ! video/x-raw,width=16,height=16,framerate=25/1 ! \
             capssetter caps=video/x-raw,framerate=0/1 ! milldrop keep-every=2 ! appsink name=out sync=false",
        );
        pipeline.set_state(gst::State::Playing).unwrap();
        let sink = pipeline.by_name("out").unwrap();
        let sample: Option<gst::Sample> = sink.emit_by_name("pull-sample", &[]);
        let caps = sample.unwrap().caps_owned().unwrap();
        assert!(caps.to_string().contains("framerate=(fraction)0/1"), "{caps}");
        pipeline.set_state(gst::State::Null).unwrap();
    }
}
