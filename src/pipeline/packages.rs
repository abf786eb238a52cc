//! Which Debian package has an element.

/// The elements that templates use most, by package.
const PACKAGES: &[(&str, &[&str])] = &[
    (
        "gstreamer1.0-plugins-base",
        &[
            "videoconvert",
            "videoconvertscale",
            "videoscale",
            "videorate",
            "videotestsrc",
            "audiotestsrc",
            "audioconvert",
            "audioresample",
            "audiorate",
            "decodebin",
            "decodebin3",
            "opusenc",
            "opusdec",
            "parsebin",
            "uridecodebin",
            "urisourcebin",
        ],
    ),
    (
        "gstreamer1.0-plugins-good",
        &[
            "mp4mux",
            "flvmux",
            "flvdemux",
            "qtdemux",
            "aacparse",
            "splitmuxsink",
            "deinterlace",
            "vp9enc",
            "gdkpixbufoverlay",
            "jpegenc",
            "pulsesrc",
            "rtspsrc",
            "souphttpsrc",
            "v4l2src",
            "ximagesrc",
        ],
    ),
    ("gstreamer1.0-plugins-ugly", &["x264enc"]),
    (
        "gstreamer1.0-plugins-bad",
        &[
            "h264parse",
            "h265parse",
            "openh264enc",
            "openh264dec",
            "fdkaacenc",
            "voaacenc",
            "faad",
            "mpegtsmux",
            "hlssink2",
            "rtmp2sink",
            "rtmp2src",
            "srtsink",
            "srtsrc",
            "tsdemux",
            "av1parse",
            "vp9parse",
            "opusparse",
            "x265enc",
            "av1enc",
            "nvh264enc",
            "vah264enc",
        ],
    ),
    (
        "gstreamer1.0-libav",
        &["avdec_h264", "avdec_aac", "avenc_aac", "avdec_h265"],
    ),
    ("gstreamer1.0-gl", &["glimagesink"]),
    (
        "gstreamer1.0-x",
        &[
            "clockoverlay",
            "timeoverlay",
            "textoverlay",
            "ximagesink",
            "xvimagesink",
        ],
    ),
];

/// A clause that says what to install for these elements; empty if it is not known.
pub fn hint<'a>(elements: impl Iterator<Item = &'a str>) -> String {
    let mut packages: Vec<_> = elements.filter_map(package).collect();
    packages.sort_unstable();
    packages.dedup();
    match packages.is_empty() {
        true => String::new(),
        false => format!("; on Debian and Ubuntu: apt install {}", packages.join(" ")),
    }
}

fn package(element: &str) -> Option<&'static str> {
    let has = |(_, elements): &&(&str, &[&str])| elements.contains(&element);
    PACKAGES.iter().find(has).map(|(package, _)| *package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_of_a_well_known_element_is_named() {
        let missing = ["x264enc", "avdec_h264", "unheardof"];
        assert_eq!(
            hint(missing.into_iter()),
            "; on Debian and Ubuntu: apt install gstreamer1.0-libav gstreamer1.0-plugins-ugly"
        );
        assert_eq!(hint(["unheardof"].into_iter()), "");
    }
}
