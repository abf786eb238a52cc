//! Inspection: whether the elements of a launch text are installed, and take what the text tells them.
//!
//! GStreamer's own parser would only print a warning about a number that is out of range, and go on with the default.

use super::{
    packages, set,
    syntax::{self, Property},
};

/// Words that stand for elements which are chosen later.
const STANDING_IN: [&str; 3] = ["parser", "decoder", "encoder"];

/// Something in a launch text that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The word that is wrong.
    pub word: String,
    /// Why.
    pub reason: String,
}

/// Looks at every element of a text. Loads plugins from disk, so it is not for async workers.
pub fn launch_text(text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for element in syntax::elements(text) {
        let name = element.factory.text;
        if STANDING_IN.contains(&name) {
            continue;
        }
        let made = gst::ElementFactory::find(name).map(|factory| factory.create().build());
        let finding = |reason| Finding {
            word: name.to_owned(),
            reason,
        };
        match made {
            Some(Ok(made)) => found.extend(element.properties.iter().filter_map(|property| check(&made, property))),
            Some(Err(error)) => found.push(finding(format!("element {name} cannot be made: {error}"))),
            None => {
                let hint = packages::hint(std::iter::once(name));
                found.push(finding(format!("element {name} is not installed{hint}")));
            }
        }
    }
    found
}

fn check(element: &gst::Element, property: &Property<'_>) -> Option<Finding> {
    // Pads' and children's properties belong to what may not be there yet.
    if property.name == "name" || property.name.contains("::") {
        return None;
    }
    let reason = set::check_text(element, property.name, &property.value).err()?;
    Some(Finding {
        word: property.word.text.to_owned(),
        reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(text: &str) -> Vec<String> {
        crate::pipeline::start().expect("GStreamer starts");
        launch_text(text).into_iter().map(|finding| finding.reason).collect()
    }

    #[test]
    fn what_elements_take_passes() {
        let text = "in.video ! parser ! decoder ! queue name=q max-size-time=0 leaky=downstream ! encoder name=v ! \
                    video/x-raw,width=99999999999 ! capsfilter caps=\"video/x-raw, format=(string){I420,NV12}\" ! \
                    videorate max-rate=30 ! identity sleep-time=0x10 silent=TRUE ! mp4mux sink_0::trak-timescale=3 ! \
                    splitmuxsink muxer=\"mp4mux fragment-duration=1000\" location='/a b' ! out.video";
        assert_eq!(reasons(text), [""; 0]);
    }

    #[test]
    fn what_they_do_not_take_is_named() {
        for (text, reason) in [
            (
                "queue max-size-buffers=-5",
                "queue max-size-buffers: -5 is not between 0 and 4294967295",
            ),
            (
                "queue max-size-bytes=99999999999",
                "99999999999 is not between 0 and 4294967295",
            ),
            (
                "queue max-size-buffers=many",
                "queue max-size-buffers: \"many\" is not accepted",
            ),
            ("queue leaky=sideways", "queue leaky: \"sideways\" is not accepted"),
            ("queue max-bufers=1", "queue has no property 'max-bufers'; did you mean"),
            (
                "queue current-level-bytes=1",
                "property 'current-level-bytes' of queue cannot be set",
            ),
            ("videotestsrc is-live=perhaps", "\"perhaps\" is not accepted"),
            ("volume volume=11", "11 is not between 0 and 10"),
            ("nvh264dek", "element nvh264dek is not installed"),
            (
                "nvh264enc",
                "element nvh264enc is not installed; on Debian and Ubuntu: apt install gstreamer1.0-plugins-bad",
            ),
        ] {
            let found = reasons(text);
            assert!(found.len() == 1 && found[0].contains(reason), "{text}: {found:?}");
        }
    }
}
