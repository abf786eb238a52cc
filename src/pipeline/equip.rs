//! Equipping: the encoders for an instance, and what it does without where there are not enough.

use std::{collections::BTreeSet, time::Instant};

use streammill_media::Track;

use super::{
    encoder::{EncoderBench, Refused, leases::Leases},
    params::Values,
    template::{Fitted, Template},
};

/// A template for a stream, with encoders for all of it.
#[derive(Debug)]
pub struct Equipped {
    /// What is left of the template.
    pub fitted: Fitted,
    /// Its encoders.
    pub leases: Leases,
    /// How many steps were made to do with fewer; see [`Template::reduce`].
    pub steps: usize,
    /// What it does without, and why, for people; nothing if it has all it asked for.
    pub without: Option<String>,
}

/// Takes encoders for a template, or for as much of it as there are encoders for. `failed` are elements that have failed in
/// this pipeline; where every other one is taken, one of them may have recovered.
pub fn equip(
    bench: &EncoderBench,
    template: &Template,
    values: &Values,
    tracks: &[Track],
    failed: &mut BTreeSet<String>,
    now: Instant,
) -> Result<Equipped, Refused> {
    let (mut values, mut gone) = (values.clone(), Vec::new());
    let mut first_refusal: Option<Refused> = None;
    // Each step halves a rate or drops a rung, so there are few.
    loop {
        let fitted = template.fit(&values, tracks);
        let refused = match Leases::acquire(bench, &fitted, tracks, failed, now) {
            Err(_) if !failed.is_empty() => {
                failed.clear();
                Leases::acquire(bench, &fitted, tracks, failed, now)
            }
            leases => leases,
        };
        let refused = match refused {
            Ok(leases) => {
                let why = first_refusal.map(|refused| format!("{}; {refused}", gone.join(", ")));
                return Ok(Equipped {
                    fitted,
                    leases,
                    steps: gone.len(),
                    without: why,
                });
            }
            Err(refused) => refused,
        };
        let reduced = template.reduce(&values, tracks).filter(|_| refused.is_shortage());
        // What was missing for the whole of it says most.
        let refused = first_refusal.take().unwrap_or(refused);
        let Some(reduced) = reduced else { return Err(refused) };
        first_refusal = Some(refused);
        values = reduced.values;
        gone.push(reduced.without);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::{
        super::{
            clip::Clip,
            encoder::{Map, Policy},
            params::{self, Value},
        },
        *,
    };
    use crate::config::Encoders;

    const LADDER: &str = "summary = 's'\noutput = 'stream'\n\
        [params.ladder]\ntype = 'ladder'\ndefault = [{ height = 88, bitrate = '1M' }, { height = 66, bitrate = '1M' }, { height = 44, bitrate = '100k' }]\n\
        height_sets = 'size.caps:height'\n\
        [encoders.v]\ncodec = 'h264'\n\
        [launch]\nvideo = 'in.video ! decoder ! tee name=top'\n\
        rung = 'above. ! queue ! capsfilter name=size caps=video/x-raw ! tee name=this  this. ! encoder name=v ! out.video'";

    fn bench(config: &str) -> EncoderBench {
        let map = Map::built_in();
        let config: Encoders = toml::from_str(config).unwrap();
        let policy = Policy::new(&config, &map, 4).unwrap();
        let installed = vec![map.find("nvh264enc").unwrap()];
        EncoderBench::new(policy, installed, map.iter().cloned())
    }

    fn equip_ladder(bench: &EncoderBench) -> Result<Equipped, Refused> {
        let template = Template::parse(Path::new("t.toml"), LADDER).unwrap();
        let values = params::resolve(&template.params, &params::Given::new()).unwrap();
        let tracks = Clip::canned().unwrap().tracks;
        equip(bench, &template, &values, &tracks, &mut BTreeSet::new(), Instant::now())
    }

    #[test]
    fn a_ladder_has_as_many_rungs_as_there_are_sessions() {
        let bench = bench("limits = { nvh264enc = 2 }");
        let first = equip_ladder(&bench).unwrap();
        assert_eq!(
            first.leases.iter().map(|(role, _)| role).collect::<Vec<_>>(),
            ["v_44", "v_66"]
        );
        let without = first.without.unwrap();
        assert!(
            without.starts_with("it makes no 88 lines; no h264 encoder is free: nvh264enc: 2 of 2 sessions"),
            "{without}"
        );
        let refused = equip_ladder(&bench).unwrap_err().to_string();
        assert!(
            refused.contains("2 of 2 sessions"),
            "the last rung is not given up: {refused}"
        );
        drop(first.leases);
        assert!(equip_ladder(&bench).is_ok());
    }

    #[test]
    fn with_enough_of_them_nothing_is_missing() {
        let equipped = equip_ladder(&bench("")).unwrap();
        assert_eq!(equipped.without, None);
        let Some(Value::Int(height)) = equipped.fitted.values.get("ladder.88.height") else {
            panic!("{:?}", equipped.fitted.values)
        };
        assert_eq!(*height, 88);
    }

    #[test]
    fn what_no_less_work_would_help_is_refused_at_once() {
        let refused = equip_ladder(&bench("forbid = ['nvh264enc']")).unwrap_err();
        assert!(!refused.is_shortage());
    }
}
