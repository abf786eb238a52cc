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
        amf::decode(&[5, 0x11]).unwrap_err().to_string(),
        "AMF0 at byte 2: type marker 17 is not supported"
    );
}
