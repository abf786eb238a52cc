//! Workload: what a pipeline will ask of its encoders, known before it is built.
//!
//! How large the pictures are is settled when caps are negotiated, which is too late to say no. So it is read from where
//! templates put it: the caps in front of the encoder, and the parameters that set them; else they are the source's.

use std::collections::{BTreeMap, BTreeSet};

use streammill_media::{Format, Track};

use super::{
    super::{
        assembly::used,
        params::{Fraction, Place, Value, Values},
        template::{Fitted, Launch, Template},
    },
    codec::EncoderCodec,
    map::Encoder,
    role::Tune,
};

/// What is to be encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Need {
    /// Into what.
    pub codec: EncoderCodec,
    /// By how many elements.
    pub sessions: u32,
    /// Width and height.
    pub size: (u32, u32),
    /// Pictures a second.
    pub fps: f64,
    /// What it is tuned for.
    pub tune: Tune,
    /// Elements that are not to be taken: they have failed here.
    pub exclude: BTreeSet<String>,
}

/// Size and rate of pictures where neither the stream nor the template tells.
const UNKNOWN: Picture = Picture {
    width: None,
    height: None,
    fps: None,
};
const USUAL_SIZE: (u32, u32) = (1920, 1080);
const USUAL_RATE: f64 = 30.0;
/// Pixels a second that the map's figures are for.
const MEASURED: f64 = 1920.0 * 1080.0 * 30.0;

/// More threads than this gain nothing for one picture at a time.
const MOST_THREADS: f64 = 8.0;

impl Need {
    /// One session of pictures of a usual size.
    pub fn of(codec: EncoderCodec) -> Self {
        Self {
            codec,
            sessions: 1,
            size: USUAL_SIZE,
            fps: USUAL_RATE,
            tune: Tune::LowLatency,
            exclude: BTreeSet::new(),
        }
    }

    /// The threads that one session should have of an encoder on the processor: enough that each is busy about half of the time.
    pub fn threads(&self, encoder: &Encoder) -> u32 {
        let cores = self.cores(encoder) / f64::from(self.sessions.max(1));
        // In bounds before it is converted.
        (cores * 2.0).ceil().clamp(1.0, MOST_THREADS) as u32
    }

    /// The cores that it takes of an encoder, if that runs on the processor. Time goes with the number of pixels, nearly.
    pub fn cores(&self, encoder: &Encoder) -> f64 {
        if !encoder.is_software() || !encoder.codec.is_video() {
            return 0.0;
        }
        let [low_latency, quality] = encoder.cores;
        let measured = match self.tune {
            Tune::LowLatency => low_latency,
            Tune::Quality => quality,
        };
        let (width, height) = self.size;
        let pixels = f64::from(width) * f64::from(height) * self.fps;
        measured * pixels / MEASURED * f64::from(self.sessions)
    }
}

/// What a template's roles need for the stream with these tracks that it was fitted to. Roles that are not in use are left
/// out.
pub fn needs(fitted: &Fitted, tracks: &[Track]) -> BTreeMap<String, Need> {
    let (template, values, launch) = (&fitted.template, &fitted.values, fitted.launch());
    let source = source_picture(tracks);
    let mut needs = BTreeMap::new();
    for (text, copies) in texts_in_use(launch, tracks) {
        for (name, picture) in encoders(text, template, values) {
            let Some(role) = template.encoders.get(name) else {
                continue;
            };
            let demand = role.demand(values);
            let keep_every = template.keep_every.get(name).map_or(1.0, |number| f64::from(*number));
            let most = demand.max_fps.map_or(f64::MAX, Fraction::as_f64);
            let need = needs.entry(name.to_owned()).or_insert_with(|| Need {
                sessions: 0,
                size: picture.size(source),
                fps: (picture.fps.or(source.fps).unwrap_or(USUAL_RATE) / keep_every).min(most),
                tune: demand.tune,
                ..Need::of(role.codec)
            });
            need.sessions += copies;
        }
    }
    needs
}

/// The texts of a launch that a stream with these tracks makes use of, and how often.
fn texts_in_use<'a>(launch: &'a Launch, tracks: &[Track]) -> Vec<(&'a str, u32)> {
    let whole = launch
        .source
        .iter()
        .chain(&launch.shared)
        .map(|text| (text.as_str(), 1));
    let mut texts: Vec<_> = whole.collect();
    for track in used(launch, tracks) {
        let Some(text) = launch.track(track.kind()) else {
            continue;
        };
        match texts.iter_mut().find(|(known, _)| *known == text) {
            Some((_, copies)) => *copies += 1,
            None => texts.push((text, 1)),
        }
    }
    texts
}

/// What is known of pictures at a place.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Picture {
    width: Option<u32>,
    height: Option<u32>,
    fps: Option<f64>,
}

impl Picture {
    /// Its size, with what is missing taken from the source and its shape.
    fn size(self, source: Self) -> (u32, u32) {
        let whole = source
            .width
            .zip(source.height)
            .filter(|(width, height)| *width > 0 && *height > 0);
        let (wide, high) = whole.unwrap_or(USUAL_SIZE);
        let scale = |length: u32, to: u32, from: u32| {
            let scaled = u64::from(length) * u64::from(to) / u64::from(from);
            u32::try_from(scaled).unwrap_or(u32::MAX)
        };
        match (self.width, self.height) {
            (Some(width), Some(height)) => (width, height),
            (Some(width), None) => (width, scale(width, high, wide)),
            (None, Some(height)) => (scale(height, wide, high), height),
            (None, None) => (wide, high),
        }
    }

    /// Takes over what a word of a launch text fixes.
    fn read(&mut self, word: &str, template: &Template, values: &Values) {
        if let Some(name) = word.strip_prefix("name=") {
            for (param, field) in template.params.iter().flat_map(|(param, declared)| {
                let targets = declared.sets.0.iter().filter(move |target| target.element == name);
                targets.filter_map(move |target| match &target.place {
                    Place::CapsField(field) => Some((param, field.as_str())),
                    Place::Property(_) => None,
                })
            }) {
                match (field, values.get(param)) {
                    ("width", Some(Value::Int(number))) => self.width = u32::try_from(*number).ok().or(self.width),
                    ("height", Some(Value::Int(number))) => self.height = u32::try_from(*number).ok().or(self.height),
                    ("framerate", Some(Value::Fraction(rate))) => self.fps = Some(rate.as_f64()),
                    _ => {}
                }
            }
            return;
        }
        for part in word.split(',') {
            let part = part.trim_matches(['"', '\'', ';']);
            let Some((field, value)) = part.split_once('=') else {
                continue;
            };
            let value = value.rsplit(')').next().unwrap_or(value);
            match field {
                "width" => self.width = value.parse().ok().or(self.width),
                "height" => self.height = value.parse().ok().or(self.height),
                "framerate" => self.fps = fraction(value).or(self.fps),
                _ => {}
            }
        }
    }
}

fn fraction(text: &str) -> Option<f64> {
    let (numerator, denominator) = text.split_once('/')?;
    let (numerator, denominator) = (numerator.parse::<u32>().ok()?, denominator.parse::<u32>().ok()?);
    (numerator > 0 && denominator > 0).then(|| f64::from(numerator) / f64::from(denominator))
}

/// The `encoder name=ROLE` of a text, each with what the words before it fix.
fn encoders<'a>(text: &'a str, template: &Template, values: &Values) -> Vec<(&'a str, Picture)> {
    let (mut found, mut picture, mut before) = (Vec::new(), UNKNOWN, "");
    let mut tees = BTreeMap::new();
    for word in text.split_whitespace() {
        match word.strip_prefix("name=") {
            Some(role) if before == "encoder" => found.push((role, picture)),
            Some(name) if before == "tee" => drop(tees.insert(name, picture)),
            _ => picture.read(word, template, values),
        }
        // `tee.` begins a branch; what was said of another branch is not said of this one, but what was said before it is.
        if before != "!"
            && !word.contains(['=', '/'])
            && let Some((element, _)) = word.split_once('.')
        {
            picture = tees.get(element).copied().unwrap_or(UNKNOWN);
        }
        before = word;
    }
    found
}

fn source_picture(tracks: &[Track]) -> Picture {
    let video = tracks.iter().find_map(|track| match track.format {
        Format::Video(video) => Some(video),
        Format::Audio(_) => None,
    });
    video.map_or(UNKNOWN, |video| Picture {
        width: Some(video.width).filter(|width| *width > 0),
        height: Some(video.height).filter(|height| *height > 0),
        fps: video
            .frame_rate
            .filter(|(numerator, denominator)| *numerator > 0 && *denominator > 0)
            .map(|(numerator, denominator)| f64::from(numerator) / f64::from(denominator)),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::{
        super::{super::clip::Clip, map::Map},
        *,
    };

    fn template(text: &str) -> Template {
        Template::parse(Path::new("t.toml"), text).unwrap()
    }

    const ONE: &str = r#"
summary = "s"
output = "stream"
[params]
height = { type = "int", default = 360, sets = "size.caps:height" }
[encoders.v]
codec = "h264"
[encoders.a]
codec = "aac"
[launch]
video = "in.video ! parser ! decoder ! capsfilter name=size caps=\"video/x-raw,format=I420\" ! encoder name=v ! out.video"
audio = "in.audio ! encoder name=a ! out.audio"
"#;

    #[test]
    fn the_size_comes_from_the_parameter_that_sets_the_caps_before_the_encoder() {
        let clip = Clip::canned().unwrap();
        let values = Values::from([("height".to_owned(), Value::Int(360))]);
        let needs = needs(&template(ONE).fit(&values, &clip.tracks), &clip.tracks);
        // The clip is 160x90 at 15 pictures a second.
        assert_eq!(
            (needs["v"].size, needs["v"].fps, needs["v"].sessions),
            ((640, 360), 15.0, 1)
        );
        assert_eq!(needs["a"].codec, EncoderCodec::Aac);
    }

    #[test]
    fn roles_of_tracks_that_are_not_there_need_nothing() {
        let clip = Clip::canned().unwrap().only(&[streammill_media::MediaKind::Audio]);
        let needs = needs(&template(ONE).fit(&Values::new(), &clip.tracks), &clip.tracks);
        assert_eq!(needs.keys().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn each_rung_of_a_ladder_has_its_own_size() {
        let ladder = r#"
summary = "s"
output = "stream"
[encoders.high]
codec = "h264"
tune = "quality"
[encoders.low]
codec = "h264"
[encoders.same]
codec = "h264"
[launch]
video = """
in.video ! parser ! decoder ! videorate ! video/x-raw,framerate=50/1 ! tee name=t
t. ! queue ! videoscale ! video/x-raw,width=(int)1280,height=(int)720,framerate=(fraction)25/1 ! encoder name=high ! out.video
t. ! queue ! videoscale ! capsfilter caps="video/x-raw,height=45" ! encoder name=low ! out.video
t. ! queue ! encoder name=same ! out.video
"""
"#;
        let clip = Clip::canned().unwrap();
        let needs = needs(&template(ladder).fit(&Values::new(), &clip.tracks), &clip.tracks);
        assert_eq!((needs["high"].size, needs["high"].fps), ((1280, 720), 25.0));
        assert_eq!((needs["low"].size, needs["low"].fps), ((80, 45), 50.0));
        assert_eq!((needs["same"].size, needs["same"].fps), ((160, 90), 50.0));
        assert_eq!(
            (needs["high"].tune, needs["low"].tune),
            (Tune::Quality, Tune::LowLatency)
        );
    }

    #[test]
    fn cores_go_with_pixels_and_only_software_takes_any() {
        let map = Map::built_in();
        let x264 = map.find("x264enc").unwrap();
        let mut need = Need::of(EncoderCodec::H264);
        let whole = need.cores(&x264);
        assert_eq!(whole, x264.cores[0]);
        (need.size, need.fps) = ((1280, 720), 60.0);
        assert!((need.cores(&x264) - whole * 8.0 / 9.0).abs() < 1e-9);
        need.tune = Tune::Quality;
        assert!(need.cores(&x264) > whole);
        assert_eq!(need.cores(&map.find("nvh264enc").unwrap()), 0.0);
        let threads = |size, fps| {
            Need {
                size,
                fps,
                ..Need::of(EncoderCodec::H264)
            }
            .threads(&x264)
        };
        let of = [
            threads((640, 360), 60.0),
            threads((1920, 1080), 30.0),
            threads((3840, 2160), 30.0),
            threads((7680, 4320), 60.0),
        ];
        assert_eq!(of, [1, 2, 5, 8]);
        assert_eq!(Need::of(EncoderCodec::Aac).cores(&map.find("avenc_aac").unwrap()), 0.0);
    }
}
