//! `millparse`: coded media in the form that streams carry, whatever its codec.

mod imp;

use gst::prelude::*;

glib::wrapper! {
    /// Brings coded media into the form that `millsink` takes.
    ///
    /// What a camera or a file sends is not known before it comes, and each codec has a parser of its own. This element looks
    /// at the first caps and puts the right one in its place. A codec that no stream carries is an error that says so.
    pub struct MillParse(ObjectSubclass<imp::MillParse>)
        @extends gst::Bin, gst::Element, gst::Object, @implements gst::ChildProxy;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "millparse", gst::Rank::NONE, MillParse::static_type())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// What leaves it behind this text: the caps of the first sample, or what went wrong.
    fn parsed(text: &str) -> Result<String, String> {
        gst::init().unwrap();
        crate::plugin_register_static().unwrap();
        let text = format!("{text} ! millparse ! appsink name=out sync=false");
        let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let sink = pipeline.by_name("out").unwrap();
        let bus = pipeline.bus().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let (sample, error) = loop {
            let wait = gst::ClockTime::from_mseconds(50).nseconds();
            let sample: Option<gst::Sample> = sink.emit_by_name("try-pull-sample", &[&wait]);
            let error = bus
                .pop_filtered(&[gst::MessageType::Error])
                .map(|message| match message.view() {
                    gst::MessageView::Error(error) => error.error().to_string(),
                    _ => String::new(),
                });
            if sample.is_some() || error.is_some() || std::time::Instant::now() > deadline {
                break (sample, error);
            }
        };
        pipeline.set_state(gst::State::Null).unwrap();
        match (sample, error) {
            (Some(sample), None) => Ok(sample.caps().unwrap().to_string()),
            (_, error) => Err(error.unwrap_or_else(|| "nothing came".to_owned())),
        }
    }

    const PICTURES: &str = "videotestsrc num-buffers=30 ! video/x-raw,format=I420,width=64,height=64";

    #[test]
    fn each_codec_leaves_in_the_form_that_streams_carry() {
        for (text, form) in [
            (
                format!("{PICTURES} ! x264enc ! video/x-h264,stream-format=byte-stream"),
                "stream-format=(string)avc",
            ),
            (
                format!("{PICTURES} ! x264enc ! video/x-h264,stream-format=avc"),
                "codec_data",
            ),
            (
                "audiotestsrc num-buffers=30 ! avenc_aac ! aacparse ! audio/mpeg,stream-format=adts".to_owned(),
                "stream-format=(string)raw",
            ),
            ("audiotestsrc num-buffers=30 ! opusenc".to_owned(), "audio/x-opus"),
            (format!("{PICTURES} ! vp8enc deadline=1"), "video/x-vp8"),
        ] {
            let caps = parsed(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(caps.contains(form), "{text}: {caps}");
        }
    }

    #[test]
    fn what_no_stream_carries_is_named() {
        let error = parsed(&format!("{PICTURES} ! jpegenc")).unwrap_err();
        assert!(error.contains("a stream cannot carry image/jpeg"), "{error}");
    }
}
