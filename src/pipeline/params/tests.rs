#![allow(clippy::unwrap_used)]

use super::*;

fn param(text: &str) -> Param {
    toml::from_str(text).unwrap()
}

fn text(text: &str) -> toml::Value {
    toml::Value::String(text.to_owned())
}

const HOSTILE: [&str; 8] = [
    "x\" ! filesink location=/tmp/x",
    "-5",
    "99999999999",
    "NULL",
    "",
    "1e9",
    "inf",
    "0x10",
];

#[test]
fn hostile_values_are_no_numbers_within_bounds() {
    let height = param("type = 'int'\ndefault = 360\nmin = 64\nmax = 4320");
    let bitrate = param("type = 'bitrate'\ndefault = '800k'\nmin = '32k'\nmax = '100M'");
    for hostile in HOSTILE {
        assert!(height.read(&text(hostile)).is_err(), "{hostile:?} became a height");
        assert!(bitrate.read(&text(hostile)).is_err(), "{hostile:?} became a bit rate");
    }
    for number in [-5, 63, 4321, 99_999_999_999, i64::MIN, i64::MAX] {
        assert!(height.read(&toml::Value::Integer(number)).is_err(), "{number}");
    }
}

#[test]
fn an_enum_takes_only_what_it_lists_and_names_the_nearest() {
    let format = param("type = 'enum'\nvalues = ['mp4', 'flv']\ndefault = 'mp4'");
    assert_eq!(format.read(&text("flv")), Ok(Value::Choice("flv".to_owned())));
    assert_eq!(
        format.read(&text("mp3")).unwrap_err(),
        "\"mp3\" is not one of mp4, flv; did you mean \"mp4\"?"
    );
    for hostile in HOSTILE {
        assert!(format.read(&text(hostile)).is_err(), "{hostile:?}");
    }
}

#[test]
fn units_are_read() {
    let bitrate = param("type = 'bitrate'\ndefault = 0");
    for (written, bits) in [
        ("800k", 800_000),
        ("2.5M", 2_500_000),
        ("96000", 96_000),
        ("1G", 1_000_000_000),
    ] {
        assert_eq!(bitrate.read(&text(written)), Ok(Value::Bitrate(bits)), "{written}");
    }
    let duration = param("type = 'duration'\ndefault = '2s'\nmax = '1m'");
    assert_eq!(
        duration.read(&text("250ms")),
        Ok(Value::Duration(std::time::Duration::from_millis(250)))
    );
    assert_eq!(duration.read(&text("2m")).unwrap_err(), "120s is above 60s");
}

#[test]
fn an_unknown_parameter_is_an_error_with_the_nearest_name() {
    let declared = BTreeMap::from([("height".to_owned(), param("type = 'int'\ndefault = 1"))]);
    let given = BTreeMap::from([("heigth".to_owned(), toml::Value::Integer(1))]);
    let error = resolve(&declared, &given).unwrap_err().to_string();
    assert_eq!(error, "there is no parameter 'heigth'; did you mean 'height'?");
    assert_eq!(resolve(&declared, &BTreeMap::new()).unwrap()["height"], Value::Int(1));
}

#[test]
fn declarations_that_contradict_themselves_are_found() {
    for wrong in [
        "type = 'enum'\ndefault = 'x'",
        "type = 'int'\ndefault = 5\nmin = 6",
        "type = 'int'\ndefault = 5\nmax = 'many'",
        "type = 'int'\ndefault = 5\nunit = 'kbit/s'",
        "type = 'bool'\ndefault = true\nmax = 1",
        "type = 'int'\ndefault = 5\nvalues = ['5']",
        "type = 'int'\ndefault = 5\nmax_length = 5",
        "type = 'string'\ndefault = 'four'\nmax_length = 3",
        "type = 'fraction'\ndefault = '30'\nmax = '25'",
        "type = 'int'\ndefault = 5\nheight_sets = 'size.caps:height'",
        "type = 'ladder'\ndefault = [{ height = 720, bitrate = '1M' }]\nsets = 'size.caps:height'",
        "type = 'ladder'\ndefault = []",
    ] {
        assert!(param(wrong).contradiction().is_some(), "{wrong}");
    }
}

#[test]
fn targets_are_elements_with_a_property_or_a_caps_field() {
    let param = param("type = 'int'\ndefault = 1\nsets = ['size.caps:height', 'v:bitrate']");
    let shown: Vec<_> = param.sets.0.iter().map(Target::to_string).collect();
    assert_eq!(shown, ["size.caps:height", "v:bitrate"]);
    for wrong in ["height", "a b:c", ":x", "x:", "x ! y:z"] {
        assert!(Target::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_text_is_no_longer_than_it_may_be() {
    let name = param("type = 'string'\ndefault = ''");
    assert_eq!(name.read(&text(&"ö".repeat(256))), Ok(Value::Text("ö".repeat(256))));
    assert_eq!(
        name.read(&text(&"ö".repeat(257))).unwrap_err(),
        "a text of 257 characters is longer than 256"
    );
    let short = param("type = 'string'\ndefault = ''\nmax_length = 3");
    assert!(short.read(&text("four")).is_err());
    assert!(short.read(&text("a\0")).is_err());
}

#[test]
fn a_fraction_is_read_and_bounded() {
    let rate = param("type = 'fraction'\ndefault = '30000/1001'\nmin = 1\nmax = '60'");
    let fraction = |numerator, denominator| Ok(Value::Fraction(Fraction::new(numerator, denominator).unwrap()));
    assert_eq!(rate.read(&text("30000/1001")), fraction(30_000, 1001));
    assert_eq!(rate.read(&toml::Value::Integer(25)), fraction(25, 1));
    assert_eq!(rate.read(&text("1/2")).unwrap_err(), "1/2 is below 1/1");
    assert_eq!(rate.read(&text("61")).unwrap_err(), "61/1 is above 60/1");
    for hostile in HOSTILE {
        assert!(rate.read(&text(hostile)).is_err(), "{hostile:?}");
    }
}

fn ladder(rungs: &str) -> Result<Value, String> {
    let table: toml::Table = toml::from_str(&format!("rungs = {rungs}")).unwrap();
    param("type = 'ladder'\ndefault = [{ height = 240, bitrate = '300k' }]").read(&table["rungs"])
}

#[test]
fn a_ladder_has_its_rungs_from_the_top() {
    let rung = |height, bitrate, fps| Rung { height, bitrate, fps };
    assert_eq!(
        ladder("[{ height = 360, bitrate = '800k' }, { height = 720, bitrate = 2500000, fps = '50' }]"),
        Ok(Value::Ladder(vec![
            rung(720, 2_500_000, Fraction::new(50, 1)),
            rung(360, 800_000, None)
        ]))
    );
}

#[test]
fn a_ladder_that_nobody_can_climb_is_refused() {
    let nine: Vec<_> = (1..=9)
        .map(|n| format!("{{ height = {}, bitrate = '1M' }}", n * 100))
        .collect();
    for (rungs, reason) in [
        ("[]", "a ladder needs a rung"),
        ("'720'", "\"720\" is not a list of rungs"),
        ("[720]", "rung 1: it is no table"),
        (&format!("[{}]", nine.join(", ")), "a ladder of 9 rungs has more than 8"),
        (
            "[{ height = 720, bitrate = '1M' }, { height = 720, bitrate = '2M' }]",
            "two rungs have 720 lines",
        ),
        ("[{ height = 720 }]", "rung 1: it has no bitrate"),
        ("[{ bitrate = '1M' }]", "rung 1: it has no height"),
        (
            "[{ height = 719, bitrate = '1M' }]",
            "719 is no even number between 16 and 8640",
        ),
        ("[{ height = -2, bitrate = '1M' }]", "height: -2 is no even number"),
        (
            "[{ height = 720, bitrate = '1' }]",
            "bitrate: 1 bit/s is not between 8000",
        ),
        (
            "[{ height = 720, bitrate = '1M', fps = '1000' }]",
            "rung 1: fps: 1000/1 is not between 1 and 240",
        ),
        (
            "[{ height = 720, bitrate = '1M', name = 'x ! filesink' }]",
            "'name' is none of height, bitrate, fps",
        ),
    ] {
        let error = ladder(rungs).unwrap_err();
        assert!(error.contains(reason), "{rungs}: {error}");
    }
}

#[test]
fn a_url_is_of_the_right_scheme_and_shown_without_its_key() {
    let url = param("type = 'url'\nschemes = ['rtmp', 'rtmps']");
    let value = url.read(&text("rtmp://a.example/live/key-1234")).unwrap();
    assert_eq!(value.to_string(), "rtmp://a.example/***");
    assert!(!format!("{value:?}").contains("1234"));
    let error = url.read(&text("http://a.example/live")).unwrap_err();
    assert_eq!(error, "an address that begins with rtmp:// or rtmps:// is needed");
    for hostile in HOSTILE {
        assert!(url.read(&text(hostile)).is_err(), "{hostile:?}");
    }
}

#[test]
fn a_secret_is_shown_to_nobody_even_when_it_is_wrong() {
    let secret = param("type = 'string'\nsecret = true\nmax_length = 8");
    assert_eq!(secret.read(&text("hush")).unwrap().to_string(), "***");
    let error = secret.read(&text("hush-hush-hush")).unwrap_err();
    assert_eq!(error, "this is no text of at most 8 characters");
}

#[test]
fn only_the_operator_names_files() {
    let declared = BTreeMap::from([("logo".to_owned(), param("type = 'file'\ndefault = ''"))]);
    let given = Given::from([("logo".to_owned(), text("/etc/passwd"))]);
    assert!(resolve(&declared, &given).is_ok());
    assert_eq!(
        change(&declared, &Values::new(), &given).unwrap_err(),
        ParamError::Reserved {
            name: "logo".to_owned()
        }
    );
}

#[test]
fn what_has_no_default_has_to_be_given() {
    let declared = BTreeMap::from([("url".to_owned(), param("type = 'url'\nsummary = 'Where to'"))]);
    let error = resolve(&declared, &Given::new()).unwrap_err();
    assert_eq!(error.to_string(), "parameter 'url' is needed: Where to");
    for text in ["type = 'int'", "type = 'enum'\nvalues = ['a']", "type = 'ladder'"] {
        assert_eq!(
            param(text).contradiction().as_deref(),
            Some("a `default` is needed"),
            "{text}"
        );
    }
    for kind in ["url", "file", "string"] {
        let param = param(&format!("type = '{kind}'"));
        assert_eq!(param.contradiction(), None);
        assert!(param.read(&param.sample().unwrap()).is_ok(), "{kind}");
    }
}

#[test]
fn an_address_for_every_stream_becomes_one_for_each() {
    let url = param("type = 'url'")
        .read(&text("rtmp://a.example/{app}/{name}"))
        .unwrap();
    let values = Values::from([("url".to_owned(), url)]);
    assert_eq!(first_pattern(&values), Some("url"));
    let values = of_stream(&values, "live", "a");
    assert_eq!(first_pattern(&values), None);
    assert_eq!(
        values["url"],
        param("type = 'url'").read(&text("rtmp://a.example/live/a")).unwrap()
    );
}
