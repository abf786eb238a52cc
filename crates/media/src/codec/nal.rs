//! What H.264 and HEVC have in common: NAL units and the way their parameter sets tell time.

/// Above this a `time_scale` is a timer's, not a camera's.
const MAX_FRAME_RATE: u64 = 1_000;

/// Drops the 3 of every 00 00 03 (ITU-T H.264 §7.3.1, H.265 §7.3.1.1).
pub(super) fn without_emulation_prevention(payload: &[u8]) -> Vec<u8> {
    let mut rbsp = Vec::with_capacity(payload.len());
    let mut zeros = 0;
    for &byte in payload {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        rbsp.push(byte);
    }
    rbsp
}

/// Frames a second in lowest terms, where a frame lasts `units` of `scale` a second; `None` if that is not plausible.
pub(super) fn frame_rate(units: u64, scale: u64) -> Option<(u32, u32)> {
    if units == 0 || scale == 0 || scale / units > MAX_FRAME_RATE {
        return None;
    }
    let divisor = gcd(scale, units);
    Some((
        u32::try_from(scale / divisor).ok()?,
        u32::try_from(units / divisor).ok()?,
    ))
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
