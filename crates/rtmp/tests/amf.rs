//! What AMF0 promises: what is written is read back, and hostile input costs an error.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use streammill_rtmp::amf::{self, Value};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<f64>()
            .prop_filter("NaN equals nothing", |number| !number.is_nan())
            .prop_map(Value::Number),
        any::<bool>().prop_map(Value::Boolean),
        ".{0,40}".prop_map(Value::String),
        Just(Value::Null),
        Just(Value::Undefined),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        let properties = proptest::collection::vec(("[a-z]{1,8}", inner.clone()), 0..6);
        prop_oneof![
            properties.clone().prop_map(Value::Object),
            properties.prop_map(Value::EcmaArray),
            proptest::collection::vec(inner, 0..6).prop_map(Value::StrictArray),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(values in proptest::collection::vec(value(), 0..5)) {
        prop_assert_eq!(amf::decode(&amf::encode(&values)).unwrap(), values);
    }

    #[test]
    fn a_cut_anywhere_is_an_error_or_fewer_values(values in proptest::collection::vec(value(), 1..4), cut in 0.0..1.0f64) {
        let bytes = amf::encode(&values);
        let cut = (bytes.len() as f64 * cut) as usize;
        if let Ok(read) = amf::decode(&bytes[..cut]) {
            prop_assert!(read.len() < values.len());
        }
    }
}

#[test]
fn long_strings_are_written_long() {
    let text = Value::string("x".repeat(70_000));
    assert_eq!(amf::decode(&amf::encode(std::slice::from_ref(&text))).unwrap(), [text]);
}

#[test]
fn deep_nesting_is_refused() {
    let nested: Vec<u8> = std::iter::repeat_n([3, 0, 1, b'a'], 10_000).flatten().collect();
    assert!(amf::decode(&nested).unwrap_err().to_string().contains("nested deeper"));
}

#[test]
fn an_array_that_claims_more_than_there_is_takes_no_memory_for_it() {
    assert!(amf::decode(&[10, 0xff, 0xff, 0xff, 0xff]).is_err());
    let mut nulls = vec![10, 0xff, 0xff, 0xff, 0xff];
    nulls.extend([5; 100_000]);
    assert!(amf::decode(&nulls).unwrap_err().to_string().contains("more than"));
}

#[test]
fn an_unknown_type_is_an_error_that_says_where() {
    assert_eq!(
        amf::decode(&[5, 0x12]).unwrap_err().to_string(),
        "AMF at byte 2: type marker 18 is not supported"
    );
}

/// One value of AMF3 behind the marker of AMF0.
fn amf3(bytes: &[u8]) -> Result<Value, amf::AmfError> {
    amf::decode(&[&[0x11], bytes].concat()).map(|mut values| values.remove(0))
}

#[test]
fn plain_values_of_amf3_are_read() {
    for (bytes, value) in [
        (&[0][..], Value::Undefined),
        (&[1], Value::Null),
        (&[2], Value::Boolean(false)),
        (&[3], Value::Boolean(true)),
        (&[4, 0x05], Value::Number(5.0)),
        (&[4, 0x87, 0x68], Value::Number(1000.0)),
        (&[4, 0xff, 0xff, 0xff, 0xff], Value::Number(-1.0)),
        (&[5, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], Value::Number(1.5)),
        (&[6, 0x07, b'c', b'a', b'm'], Value::string("cam")),
        (&[8, 0x01, 0x40, 0, 0, 0, 0, 0, 0, 0], Value::Date(2.0)),
        (&[12, 0x05, 1, 2], Value::Undefined),
        (&[13, 0x03, 0, 0, 0, 0, 7], Value::Undefined),
    ] {
        assert_eq!(amf3(bytes).unwrap(), value, "{bytes:?}");
    }
}

#[test]
fn objects_arrays_and_references_of_amf3_are_read() {
    // { live: true, "app": "live" }: one sealed member and one dynamic, the string by reference.
    let object = [
        10, 0x1b, 0x01, 0x09, b'l', b'i', b'v', b'e', 3, 0x07, b'a', b'p', b'p', 6, 0x00, 0x01,
    ];
    let expected = Value::Object(vec![
        ("live".to_owned(), Value::Boolean(true)),
        ("app".to_owned(), Value::string("live")),
    ]);
    assert_eq!(amf3(&object).unwrap(), expected);
    // [5, <that very array>]
    assert_eq!(
        amf3(&[9, 0x05, 0x01, 4, 5, 9, 0x00]).unwrap(),
        Value::StrictArray(vec![Value::Number(5.0), Value::Undefined])
    );
    // The same object twice in one message: the second one by reference, its traits too.
    let twice = [&[0x11][..], &object, &[0x11, 10, 0x00], &[0x11, 10, 0x01, 2, 0x01]].concat();
    let again = Value::Object(vec![("live".to_owned(), Value::Boolean(false))]);
    assert_eq!(amf::decode(&twice).unwrap(), [expected.clone(), expected, again]);
}

#[test]
fn hostile_amf3_costs_an_error() {
    for (bytes, expected) in [
        (&[6, 0x00][..], "not there before"),
        (&[10, 0x00], "not there before"),
        (&[10, 0x07, 0x01], "only its own class"),
        (&[0x12], "AMF3 type marker 18"),
        (&[6, 0xff, 0xff, 0xff, 0xff], "ends early"),
        (&[13, 0xff, 0xff, 0xff, 0xff], "ends early"),
    ] {
        let error = amf3(bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{bytes:?}: {error}");
    }
    let deep: Vec<u8> = std::iter::repeat_n([9, 0x03, 0x01], 10_000).flatten().collect();
    assert!(amf3(&deep).unwrap_err().to_string().contains("nested deeper"));
    // A long string, and an array of references to it.
    let mut copies = vec![9, 0xff, 0xff, 0xff, 0xff, 0x01, 6, 0x81, 0x80, 0x01];
    copies.extend([b'x'; 8192]);
    copies.extend([6, 0x00].repeat(10_000));
    assert!(amf3(&copies).unwrap_err().to_string().contains("more than"));
}

#[test]
fn references_of_amf3_nest_no_deeper_than_what_is_spelled_out() {
    // [], and then arrays of one element each: the array before. None is deep on the wire, the last one is when read.
    let nested = |arrays: u8| {
        let first = [0x11, 9, 0x01, 0x01];
        let next = (0..arrays).flat_map(|before| [0x11, 9, 0x03, 0x01, 9, before << 1]);
        first.into_iter().chain(next).collect::<Vec<u8>>()
    };
    let allowed = amf::decode(&nested(16)).unwrap();
    assert_eq!(amf::decode(&amf::encode(&allowed)).unwrap(), allowed);
    let error = amf::decode(&nested(17)).unwrap_err().to_string();
    assert!(error.contains("nested deeper"), "{error}");
}

#[test]
fn a_key_too_long_for_amf0_is_cut_between_characters() {
    let key = "é".repeat(40_000);
    let written = amf::encode(&[Value::Object(vec![(key.clone(), Value::Null)])]);
    let cut = Value::Object(vec![(key[..65_534].to_owned(), Value::Null)]);
    assert_eq!(amf::decode(&written).unwrap(), [cut]);
}
