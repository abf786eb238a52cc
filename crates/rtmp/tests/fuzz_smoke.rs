//! The fuzz bodies on stable Rust: conversations and messages, damaged in the same thousands of ways at every run.

use proptest::{collection::vec, prelude::*, test_runner::RngSeed};
use streammill_rtmp::fuzz;

/// A connect and a publish as chunks, the most a stranger can say without an answer.
const WORDS: &[u8] = b"\x03\x00\x00\x00\x00\x00\x29\x14\x00\x00\x00\x00\
    \x02\x00\x07connect\x00\x3f\xf0\x00\x00\x00\x00\x00\x00\x03\x00\x03app\x02\x00\x04live\x00\x00\x09\
    \x43\x00\x00\x00\x00\x00\x19\x14\x02\x00\x0ccreateStream\x00\x40\x00\x00\x00\x00\x00\x00\x00\x05\
    \x02\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00\x00\x00\x00\x40\
    \x04\x00\x00\x00\x00\x00\x22\x14\x01\x00\x00\x00\
    \x02\x00\x07publish\x00\x40\x08\x00\x00\x00\x00\x00\x00\x05\x02\x00\x04name\x02\x00\x04live\
    \x06\xff\xff\xff\x00\x00\x05\x09\x01\x00\x00\x00\x01\x00\x00\x00\x17\x01\x00\x00\x00";

/// A handshake costs as much as a thousand chunks, so whatever begins with one is tried less often.
const CONVERSATIONS: u32 = 200;

/// Any bytes, or the words above with some of them changed, doubled or cut off.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let damage = vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let damaged = (any::<u8>(), damage, any::<prop::sample::Index>(), 0..4_u8).prop_map(|(cut, changes, at, how)| {
        let mut words = WORDS.to_vec();
        for (place, byte) in changes {
            let place = place.index(words.len());
            words[place] = byte;
        }
        let at = at.index(words.len());
        match how {
            0 => words.truncate(at),
            1 => words.extend_from_within(at..),
            _ => {}
        }
        words.insert(0, cut);
        words
    });
    prop_oneof![3 => damaged, 1 => vec(any::<u8>(), 0..600)]
}

fn smoke(cases: u32, target: fn(&[u8])) {
    let config = ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(data in input())| target(&data));
}

#[test]
fn damaged_chunks_do_no_harm() {
    smoke(3000, fuzz::chunk_reader);
}

#[test]
fn chunks_of_any_message_are_read_back() {
    smoke(3000, fuzz::chunk_roundtrip);
}

#[test]
fn damaged_values_do_no_harm() {
    smoke(3000, fuzz::amf);
}

#[test]
fn a_client_that_says_anything_does_no_harm() {
    smoke(CONVERSATIONS, fuzz::server_session);
}

#[test]
fn two_sessions_understand_each_other_whatever_they_do() {
    smoke(CONVERSATIONS, fuzz::session_ops);
}
