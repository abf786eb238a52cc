//! MP3: the frame header (ISO/IEC 11172-3 §2.4.1.3, 13818-3 §2.4.2.3), its only configuration.

use super::ConfigError;
use crate::AudioFormat;

const HEADER: &str = "MP3 frame header";
/// Sampling rates of MPEG-1; MPEG-2 halves them, the unofficial MPEG-2.5 halves them again.
const SAMPLE_RATES: [u32; 3] = [44_100, 48_000, 32_000];
const LAYER_3: u32 = 1;
const SINGLE_CHANNEL: u32 = 3;

/// Reads the header at the start of a frame.
pub fn parse_header(frame: &[u8]) -> Result<AudioFormat, ConfigError> {
    let &header = frame.first_chunk().ok_or(ConfigError::Truncated {
        record: HEADER,
        field: "header",
        bit: frame.len() * 8,
    })?;
    let header = u32::from_be_bytes(header);
    let invalid = |field, value| {
        Err(ConfigError::Invalid {
            record: HEADER,
            field,
            value,
        })
    };
    if header >> 21 != 0x7ff {
        return invalid("syncword", header >> 21);
    }
    let (halvings, samples_per_frame) = match header >> 19 & 3 {
        3 => (0, 1152),
        2 => (1, 576),
        0 => (2, 576),
        reserved => return invalid("ID", reserved),
    };
    let layer = header >> 17 & 3;
    if layer != LAYER_3 {
        return invalid("layer", layer);
    }
    let rate_index = header >> 10 & 3;
    let Some(rate) = SAMPLE_RATES.get(rate_index as usize) else {
        return invalid("sampling_frequency", rate_index);
    };
    Ok(AudioFormat {
        sample_rate: rate >> halvings,
        channels: if header >> 6 & 3 == SINGLE_CHANNEL { 1 } else { 2 },
        // MPEG-4 audio object type "Layer-3".
        profile: 34,
        samples_per_frame,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_set_rate_and_frame_length() {
        let parse = |bytes: [u8; 4]| parse_header(&bytes).map(|f| (f.sample_rate, f.channels, f.samples_per_frame));
        assert_eq!(parse([0xff, 0xfb, 0x90, 0x64]), Ok((44_100, 2, 1152)));
        assert_eq!(parse([0xff, 0xfb, 0x94, 0xc4]), Ok((48_000, 1, 1152)));
        assert_eq!(parse([0xff, 0xf3, 0x80, 0x64]), Ok((22_050, 2, 576)));
        assert_eq!(parse([0xff, 0xe3, 0x88, 0xc4]), Ok((8_000, 1, 576)));
    }

    #[test]
    fn what_is_no_layer_3_frame_is_refused_by_field() {
        let field = |bytes: &[u8]| match parse_header(bytes) {
            Err(ConfigError::Invalid { field, .. } | ConfigError::Truncated { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(b"ID3\x04"), "syncword");
        assert_eq!(field(&[0xff, 0xeb, 0x90, 0x64]), "ID");
        assert_eq!(field(&[0xff, 0xfd, 0x90, 0x64]), "layer");
        assert_eq!(field(&[0xff, 0xfb, 0x9c, 0x64]), "sampling_frequency");
        assert_eq!(field(&[0xff, 0xfb]), "header");
    }
}
