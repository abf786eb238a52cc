//! AMF0: a `connect` command and an `onMetaData`, read and written.

use divan::black_box;
use streammill_rtmp::amf::{self, Value};

fn main() {
    divan::main();
}

fn connect() -> Vec<Value> {
    let text = |key: &str, value: &str| (key.to_owned(), Value::string(value));
    vec![
        Value::string("connect"),
        Value::Number(1.0),
        Value::Object(vec![
            text("app", "live"),
            text("type", "nonprivate"),
            text("flashVer", "FMLE/3.0 (compatible; FMSc/1.0)"),
            text("tcUrl", "rtmp://127.0.0.1:1935/live"),
        ]),
    ]
}

fn metadata() -> Vec<Value> {
    let numbers = [
        "width",
        "height",
        "framerate",
        "videocodecid",
        "videodatarate",
        "audiocodecid",
        "audiosamplerate",
    ];
    let properties = numbers.map(|key| (key.to_owned(), Value::Number(640.0)));
    vec![Value::string("onMetaData"), Value::EcmaArray(properties.to_vec())]
}

#[divan::bench]
fn decode_connect(bencher: divan::Bencher<'_, '_>) {
    let bytes = amf::encode(&connect());
    bencher.bench(|| amf::decode(black_box(&bytes)));
}

#[divan::bench]
fn decode_metadata(bencher: divan::Bencher<'_, '_>) {
    let bytes = amf::encode(&metadata());
    bencher.bench(|| amf::decode(black_box(&bytes)));
}

#[divan::bench]
fn encode_metadata(bencher: divan::Bencher<'_, '_>) {
    let values = metadata();
    bencher.bench(|| amf::encode(black_box(&values)));
}
