//! The fast passes give what the plain ones give, and pairs what two planes give.

#![allow(clippy::unwrap_used)]

use super::{
    Depth,
    plane::{PlaneScaler, Samples},
    taps::Axis,
};

/// Noise in the range of `depth`, and now and then its ends.
fn noise(depth: Depth, samples: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let most = (1 << depth.bits()) - 1;
        match state % 5 {
            0 => 0,
            1 => most,
            _ => (state >> 8) as u16 & most,
        }
    };
    (0..samples)
        .flat_map(|_| next().to_le_bytes().into_iter().take(depth.bytes()))
        .collect()
}

fn axis(from: usize, to: usize, phase: f64) -> Axis {
    let step = from as f64 / to as f64;
    Axis { from, to, step, phase }
}

fn scaled(mut scaler: PlaneScaler, source: &[u8], from: usize, to: (usize, usize)) -> Vec<u8> {
    let mut target = vec![0; to.0 * to.1];
    scaler.scale(source, from, &mut target, to.0).unwrap();
    target
}

#[test]
fn fast_passes_and_plain_ones_agree_to_the_bit() {
    // Halves with and without a rest, between, below half, upwards, and too small for any fast loop.
    for (from, to) in [
        (256, 128),
        (254, 127),
        (200, 133),
        (200, 199),
        (300, 100),
        (301, 37),
        (90, 170),
        (3, 2),
        (1, 9),
    ] {
        for (depth, phase) in [
            (Depth::Eight, 0.5),
            (Depth::Eight, 0.25),
            (Depth::Ten, 0.5),
            (Depth::Ten, 0.75),
        ] {
            let (x, y) = (axis(from, to, phase), axis(40, 27, 0.5));
            let source = noise(depth, from * 40);
            let (from, to) = (from * depth.bytes(), (to * depth.bytes(), 27));
            let fast = scaled(PlaneScaler::new(depth, Samples::Single, x, y), &source, from, to);
            let plain = scaled(PlaneScaler::portable(depth, Samples::Single, x, y), &source, from, to);
            assert!(fast == plain, "{depth:?}, {x:?}");
        }
    }
}

#[test]
fn samples_that_take_turns_are_scaled_like_two_planes() {
    let (x, y) = (axis(100, 64, 0.25), axis(60, 40, 0.5));
    let planes = [noise(Depth::Eight, 6000), noise(Depth::Eight, 7000)[1000..].to_vec()];
    let paired: Vec<u8> = planes[0].iter().zip(&planes[1]).flat_map(|(a, b)| [*a, *b]).collect();
    let together = scaled(
        PlaneScaler::new(Depth::Eight, Samples::Paired, x, y),
        &paired,
        200,
        (128, 40),
    );
    let [first, second] = planes.map(|plane| {
        scaled(
            PlaneScaler::new(Depth::Eight, Samples::Single, x, y),
            &plane,
            100,
            (64, 40),
        )
    });
    let expected: Vec<u8> = first.into_iter().zip(second).flat_map(|(a, b)| [a, b]).collect();
    assert!(together == expected);
}

#[test]
fn a_plane_that_is_too_short_is_an_error_and_not_a_panic() {
    let mut scaler = PlaneScaler::new(Depth::Eight, Samples::Single, axis(64, 32, 0.5), axis(4, 2, 0.5));
    let (source, mut target) = ([0; 64 * 4], [0; 32 * 2]);
    scaler.scale(&source, 64, &mut target, 32).unwrap();
    let error = scaler.scale(&source[1..], 64, &mut target, 32).unwrap_err();
    assert_eq!(error.to_string(), "a plane has 255 bytes, and 256 are needed");
    scaler.scale(&source, 63, &mut target, 32).unwrap_err();
    scaler.scale(&source, usize::MAX, &mut target, 32).unwrap_err();
    scaler.scale(&source, 64, &mut target[1..], 32).unwrap_err();
    scaler.scale(&[], 0, &mut [], 0).unwrap_err();
}
