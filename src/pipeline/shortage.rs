//! Shortage: what a pipeline does without when there is not enough to encode with.
//!
//! A template says in which order: fewer pictures, fewer rungs of its ladder. Plain functions on plain values; whoever
//! takes encoders asks for the next smaller thing until it gets them, and says what is missing.

use serde::Deserialize;
use streammill_media::{Format, Track};

use super::{
    encoder::Role,
    ladder,
    params::{Fraction, Rung, Value, Values},
    template::Template,
};

/// Something to do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Saving {
    /// Half of the pictures, twice at most.
    LowerFrameRate,
    /// The highest rung of a ladder.
    DropRung,
}

/// Pictures a second that are left at least: below that nobody calls it moving.
const SLOWEST: f64 = 12.0;
/// The rate of pictures whose configuration does not tell.
const USUAL_RATE: (u32, u32) = (30, 1);

/// Values for less work, and what is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduced {
    /// The values.
    pub values: Values,
    /// What is gone, for people.
    pub without: String,
}

impl Template {
    /// What it does without when encoders are short, in this order.
    pub fn savings(&self) -> &[Saving] {
        match &self.shortage {
            Some(savings) => savings,
            None if self.ladder().is_some() => &[Saving::DropRung],
            None => &[],
        }
    }

    /// The next smaller thing for a stream with these tracks; `None` if nothing is left to do without.
    pub fn reduce(&self, values: &Values, tracks: &[Track]) -> Option<Reduced> {
        self.savings().iter().find_map(|saving| match saving {
            Saving::LowerFrameRate => self.slower(values, tracks),
            Saving::DropRung => self.lower(values, tracks),
        })
    }

    /// The values after so many steps.
    pub fn reduced(&self, values: &Values, tracks: &[Track], steps: usize) -> Values {
        let step = |values: Values, _| match self.reduce(&values, tracks) {
            Some(reduced) => reduced.values,
            None => values,
        };
        (0..steps).fold(values.clone(), step)
    }

    /// With half of the pictures.
    fn slower(&self, values: &Values, tracks: &[Track]) -> Option<Reduced> {
        let (numerator, denominator) = picture(tracks).1;
        let source = Fraction::new(numerator, denominator)?;
        let mut reduced = values.clone();
        let mut rate = None;
        let mut note = |half: Fraction| rate = Some(half);
        if let Some((name, rungs)) = self.rungs(values) {
            let slower: Option<Vec<Rung>> = rungs
                .iter()
                .map(|rung| {
                    let half = half(least(rung.fps.unwrap_or(source), source))?;
                    Some(Rung {
                        fps: Some(half),
                        ..*rung
                    })
                })
                .collect();
            let slower = slower?;
            slower.first().and_then(|rung| rung.fps).into_iter().for_each(&mut note);
            reduced.insert(name.clone(), Value::Ladder(slower));
        }
        for name in self.encoders.values().filter_map(Role::max_fps_param) {
            let most = match values.get(name) {
                Some(Value::Fraction(most)) => least(*most, source),
                _ => continue,
            };
            let half = half(most)?;
            note(half);
            reduced.insert(name.to_owned(), Value::Fraction(half));
        }
        Some(Reduced {
            without: format!("it makes {} pictures a second", rate?.as_f64()),
            values: reduced,
        })
    }

    /// Without the highest rung.
    fn lower(&self, values: &Values, tracks: &[Track]) -> Option<Reduced> {
        let (name, rungs) = self.rungs(values)?;
        let height = picture(tracks).0;
        let top = ladder::steps(rungs, height, None).first()?.rung.height;
        let left = ladder::without_top(rungs, height)?;
        let mut values = values.clone();
        values.insert(name.clone(), Value::Ladder(left));
        Some(Reduced {
            values,
            without: format!("it makes no {top} lines"),
        })
    }

    fn rungs<'a>(&'a self, values: &'a Values) -> Option<(&'a String, &'a [Rung])> {
        let (name, _) = self.ladder()?;
        match values.get(name) {
            Some(Value::Ladder(rungs)) => Some((name, rungs)),
            _ => None,
        }
    }
}

/// Lines and rate of the pictures.
fn picture(tracks: &[Track]) -> (Option<u32>, (u32, u32)) {
    let video = tracks.iter().find_map(|track| match track.format {
        Format::Video(video) => Some(video),
        Format::Audio(_) => None,
    });
    let rate = video.and_then(|video| video.frame_rate);
    (video.map(|video| video.height), rate.unwrap_or(USUAL_RATE))
}

fn least(one: Fraction, other: Fraction) -> Fraction {
    match one.as_f64() <= other.as_f64() {
        true => one,
        false => other,
    }
}

/// Half of a rate, if that is not too slow.
fn half(rate: Fraction) -> Option<Fraction> {
    let half = Fraction::new(rate.numerator, rate.denominator.checked_mul(2)?)?;
    (half.as_f64() >= SLOWEST).then_some(half)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::{
        super::{clip::Clip, params},
        *,
    };

    fn template(shortage: &str) -> Template {
        let text = format!(
            "summary = 's'\noutput = 'stream'\n{shortage}\n\
             [params.ladder]\ntype = 'ladder'\ndefault = [{{ height = 90, bitrate = '1M' }}, {{ height = 44, bitrate = '100k' }}]\n\
             height_sets = 'size.caps:height'\nkeep_every_sets = 'rate:keep-every'\n\
             [encoders.v]\ncodec = 'h264'\n\
             [launch]\nvideo = 'in.video ! decoder ! tee name=top'\n\
             rung = 'above. ! queue ! capsfilter name=size caps=video/x-raw ! tee name=this  this. ! milldrop name=rate ! encoder name=v ! out.video'"
        );
        Template::parse(Path::new("t.toml"), &text).unwrap()
    }

    /// What is gone, step by step.
    fn steps(template: &Template, tracks: &[Track]) -> Vec<String> {
        let mut values = params::resolve(&template.params, &params::Given::new()).unwrap();
        let mut steps = Vec::new();
        while let Some(reduced) = template.reduce(&values, tracks) {
            values = reduced.values;
            steps.push(reduced.without);
        }
        steps
    }

    /// The clip's pictures, 160x90 at 15 a second, at another rate.
    fn pictures(frames_per_second: u32) -> Vec<Track> {
        let mut tracks = Clip::canned().unwrap().tracks;
        for track in &mut tracks {
            if let Format::Video(video) = &mut track.format {
                video.frame_rate = Some((frames_per_second, 1));
            }
        }
        tracks
    }

    #[test]
    fn a_ladder_loses_its_highest_rung_and_keeps_the_last() {
        assert_eq!(steps(&template(""), &pictures(30)), ["it makes no 90 lines"]);
        assert_eq!(steps(&template("shortage = []"), &pictures(30)), [""; 0]);
    }

    #[test]
    fn what_is_done_without_first_is_the_templates_to_say() {
        let both = template("shortage = ['lower-frame-rate', 'drop-rung']");
        let slower = |rate| format!("it makes {rate} pictures a second");
        let all = [slower("30"), slower("15"), "it makes no 90 lines".to_owned()];
        assert_eq!(steps(&both, &pictures(60)), all);
        assert_eq!(steps(&both, &pictures(20)), all[2..], "10 a second would be too few");
        assert_eq!(steps(&both, &[]), all[1..], "30 where it is not known");
    }

    #[test]
    fn a_rate_that_is_a_parameter_is_halved_from_what_comes_in() {
        let text = "summary = 's'\noutput = 'stream'\nshortage = ['lower-frame-rate']\n\
                    [params]\nmax_fps = { type = 'fraction', default = '120', sets = 'rate:max-rate' }\n\
                    [encoders.v]\ncodec = 'h264'\nmax_fps = { param = 'max_fps' }\n\
                    [launch]\nvideo = 'in.video ! decoder ! videorate name=rate ! encoder name=v ! out.video'";
        let template = Template::parse(Path::new("t.toml"), text).unwrap();
        assert_eq!(
            steps(&template, &pictures(50)),
            ["it makes 25 pictures a second", "it makes 12.5 pictures a second"]
        );
    }
}
