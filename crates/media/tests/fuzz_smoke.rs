//! The fuzz bodies on stable Rust: real data, damaged in the same thousands of ways at every run.

use streammill_media::fuzz;

const ROUNDS: usize = 20_000;

/// Marsaglia's xorshift64: good enough to pick bytes, and always the same.
struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// A few bytes changed, a piece repeated, or the end cut off.
    fn damage(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut data = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(data.len());
            match self.below(8) {
                0 => data.truncate(at),
                1 => data.insert(at, self.next() as u8),
                2 => {
                    let end = at + self.below(data.len() - at);
                    let piece = data[at..end].to_vec();
                    data.splice(at..at, piece);
                }
                3 => data[at..].iter_mut().take(4).for_each(|byte| *byte = 0xff),
                4 => data[at..].iter_mut().take(4).for_each(|byte| *byte = 0),
                _ => data[at..]
                    .iter_mut()
                    .take(1)
                    .for_each(|byte| *byte ^= 1 << (self.0 >> 40 & 7)),
            }
            if data.is_empty() {
                break;
            }
        }
        data
    }
}

fn smoke(seeds: &[&[u8]], target: fn(&[u8])) {
    let mut random = Xorshift(0x9e37_79b9_7f4a_7c15);
    seeds.iter().for_each(|seed| target(seed));
    for _ in 0..ROUNDS {
        let seed = seeds[random.below(seeds.len())];
        target(&random.damage(seed));
    }
}

#[test]
fn damaged_tags_do_no_harm() {
    let h264_aac: &[u8] = include_bytes!("data/h264_aac.flv");
    let flv1_mp3: &[u8] = include_bytes!("data/flv1_mp3.flv");
    let enhanced: &[u8] = b"\x97\x02abc\x01av01\x96\x21Opus\x00";
    let avc: &[u8] = b"\x27\x01\xff\xff\xfepicture";
    smoke(
        &[
            // From the first tag on (behind the header that the target supplies), and from the metadata's body on.
            &h264_aac[13..4_000],
            &flv1_mp3[13..2_000],
            &h264_aac[24..400],
            enhanced,
            avc,
            b"\x17\x00\0\0\0\x01",
            b"\xaf\x01\x21\x10",
            b"\x2f\xff\xfb\x90\x64",
        ],
        fuzz::flv_tag,
    );
}

#[test]
fn damaged_configurations_do_no_harm() {
    let avcc: &[u8] =
        b"\x01\x7a\x00\x1f\xff\xe1\x00\x1b\x67\x7a\x00\x1f\xb6\xcb\x40\x52\x17\xf1\x13\xe0\x22\x00\x00\x03\x00\
        \x02\x00\x00\x03\x00\xc8\x1e\x30\x65\x40\x01\x00\x04\x68\xce\x0f\xc8\xfe\xfa\xfa\x00";
    let hrd: &[u8] =
        b"\x67\x42\xc0\x20\xda\x01\x40\x16\xec\x06\xd4\x04\x04\x06\x94\x00\x00\x0f\xa4\x00\x07\x53\x01\x89\x80\
        \x03\xd0\x90\x00\x7a\x13\x93\x4a\x01\xe3\x06\x54";
    smoke(
        &[
            avcc,
            hrd,
            b"\x12\x10\x56\xe5\x00",
            b"\x13\x08\x56\xe5\x9d\x48\x80",
            b"\xeb\x09\x88\x00",
            b"\x11\x80\x04\xc8\x44\x20\x20\xc0\x02hi",
            b"\xff\xfb\x90\x64\x00\x00",
        ],
        fuzz::codec_config,
    );
}
