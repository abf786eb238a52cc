#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::codec::bits::BitWriter;

fn hex(text: &str) -> Bytes {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// (what x264 was told to make, its avcC, what ffprobe reads from it)
struct Golden {
    name: &'static str,
    avcc: &'static str,
    profile_and_level: (u8, u8),
    size: (u32, u32),
    sample_aspect: (u32, u32),
    frame_rate: (u32, u32),
    chroma_and_depth: (u8, u8),
    interlaced: bool,
}

const GOLDEN: [Golden; 11] = [
    Golden {
        name: "1080 lines cropped from 1088",
        avcc: "0142c028ffe100176742c028da01e0089f97011000003e90000ea600f1832a01000468ce0fc8",
        profile_and_level: (66, 40),
        size: (1920, 1080),
        sample_aspect: (1, 1),
        frame_rate: (30_000, 1001),
        chroma_and_depth: (1, 8),
        interlaced: false,
    },
    Golden {
        name: "interlaced SD with a wide sample aspect",
        avcc: "014d401effe10018674d401ef405a126c104000003000400000300c87c50aa8001000468de0fc8",
        profile_and_level: (77, 30),
        size: (720, 576),
        sample_aspect: (16, 11),
        frame_rate: (25, 1),
        chroma_and_depth: (1, 8),
        interlaced: true,
    },
    Golden {
        name: "1080i at 50 fields a second: crop units are doubled",
        avcc: "014d4029ffe10019674d4029f403c0227ef011000003000100000300321f162ea001000468de0fc8",
        profile_and_level: (77, 41),
        size: (1920, 1080),
        sample_aspect: (1, 1),
        frame_rate: (25, 1),
        chroma_and_depth: (1, 8),
        interlaced: true,
    },
    Golden {
        name: "a width that is no multiple of 16",
        avcc: "0142c01effe100176742c01eda0360f79bc04400000fa40002ee003c58ba8001000468ce0fc8",
        profile_and_level: (66, 30),
        size: (854, 480),
        sample_aspect: (1, 1),
        frame_rate: (24_000, 1001),
        chroma_and_depth: (1, 8),
        interlaced: false,
    },
    Golden {
        name: "High 4:2:2, 10 bits",
        avcc: "017a001fffe1001b677a001fb6cb405217f113e022000003000200000300c81e30654001000468ce0fc8fefafa00",
        profile_and_level: (122, 31),
        size: (642, 362),
        sample_aspect: (1, 1),
        frame_rate: (50, 1),
        chroma_and_depth: (2, 10),
        interlaced: false,
    },
    Golden {
        name: "High 4:4:4 Predictive",
        avcc: "01f40015ffe1001767f4001591968141fb0110000003001000000780f162ea01000568ce0f1920fff8f800",
        profile_and_level: (244, 21),
        size: (320, 240),
        sample_aspect: (1, 1),
        frame_rate: (60, 1),
        chroma_and_depth: (3, 8),
        interlaced: false,
    },
    Golden {
        name: "monochrome",
        avcc: "0164000cffe1001b6764000cf2d02a10f1f1f80b64000003000400000300783c50aa8001000468ce0fc8fcf8f800",
        profile_and_level: (100, 12),
        size: (322, 242),
        sample_aspect: (1, 1),
        frame_rate: (15, 1),
        chroma_and_depth: (0, 8),
        interlaced: false,
    },
    Golden {
        name: "High with scaling matrices in the PPS",
        avcc: "0164001effe1001a6764001eacd940a02ff970110000030001000003003c0f162d9601000768ebe3cb3002c0fdf8f800",
        profile_and_level: (100, 30),
        size: (640, 360),
        sample_aspect: (1, 1),
        frame_rate: (30, 1),
        chroma_and_depth: (1, 8),
        interlaced: false,
    },
    Golden {
        name: "Constrained Baseline",
        avcc: "0142c01effe100196742c01ed900a02ff970110000030001000003003c0f162e4801000568cb83cb20",
        profile_and_level: (66, 30),
        size: (640, 360),
        sample_aspect: (1, 1),
        frame_rate: (30, 1),
        chroma_and_depth: (1, 8),
        interlaced: false,
    },
    Golden {
        name: "overscan, colours, chroma location and HRD in the VUI",
        avcc: "0142c020ffe100256742c020da014016ec06d40404069400000fa400075301898003d090007a13934a01e3065401000468ce3c80",
        profile_and_level: (66, 32),
        size: (1280, 720),
        sample_aspect: (1, 1),
        frame_rate: (60_000, 1001),
        chroma_and_depth: (1, 8),
        interlaced: false,
    },
    Golden {
        name: "a sample aspect outside the table",
        avcc: "0142c01effe1001a6742c01eda02c0f6ffc009400a4400000fa40003a9803c58ba8001000468ce0fc8",
        profile_and_level: (66, 30),
        size: (704, 480),
        sample_aspect: (37, 41),
        frame_rate: (30_000, 1001),
        chroma_and_depth: (1, 8),
        interlaced: false,
    },
];

#[test]
fn records_of_x264_say_what_it_was_told() {
    for golden in GOLDEN {
        let avc = AvcConfig::parse(&hex(golden.avcc)).unwrap();
        assert_eq!(
            (avc.nal_length_size, avc.sps.len(), avc.pps.len()),
            (4, 1, 1),
            "{}",
            golden.name
        );
        let sps = Sps::parse(&avc.sps[0]).unwrap();
        assert_eq!((sps.profile, sps.level), golden.profile_and_level, "{}", golden.name);
        assert_eq!(
            (avc.profile, avc.constraints, avc.level),
            (sps.profile, sps.constraints, sps.level)
        );
        assert_eq!((sps.width, sps.height), golden.size, "{}", golden.name);
        assert_eq!(sps.sample_aspect, Some(golden.sample_aspect), "{}", golden.name);
        assert_eq!(sps.frame_rate, Some(golden.frame_rate), "{}", golden.name);
        assert_eq!(
            (sps.chroma_format, sps.bit_depth),
            golden.chroma_and_depth,
            "{}",
            golden.name
        );
        assert_eq!(sps.interlaced, golden.interlaced, "{}", golden.name);
    }
}

#[test]
fn a_record_cut_anywhere_is_an_error() {
    for golden in &GOLDEN {
        let record = hex(golden.avcc);
        let avc = AvcConfig::parse(&record).unwrap();
        let used = 7 + 2 + avc.sps[0].len() + 2 + avc.pps[0].len();
        for len in 0..used {
            assert!(matches!(
                AvcConfig::parse(&record.slice(..len)),
                Err(ConfigError::Truncated { .. })
            ));
        }
        assert_eq!(
            AvcConfig::parse(&record.slice(..used)).unwrap(),
            avc,
            "what follows the PPS is optional"
        );
    }
}

#[test]
fn a_record_of_another_kind_is_an_error() {
    let annex_b = AvcConfig::parse(&hex("0000000167"));
    assert_eq!(
        annex_b,
        Err(ConfigError::Invalid {
            record: "avcC",
            field: "configurationVersion",
            value: 0
        })
    );
    let three = AvcConfig::parse(&hex("0164001efee0"));
    assert_eq!(
        three,
        Err(ConfigError::Invalid {
            record: "avcC",
            field: "lengthSizeMinusOne",
            value: 2
        })
    );
}

#[test]
fn a_cut_parameter_set_keeps_its_size_if_that_was_reached() {
    let sps = hex("6742c028da01e0089f97011000003e90000ea600f1832a");
    let whole = Sps::parse(&sps).unwrap();
    assert_eq!(
        Sps::parse(&sps[..14]).unwrap(),
        Sps {
            frame_rate: None,
            ..whole
        }
    );
    assert!(matches!(
        Sps::parse(&sps[..6]),
        Err(ConfigError::Truncated { record: "SPS", .. })
    ));
    assert!(matches!(Sps::parse(&[]), Err(ConfigError::Truncated { .. })));
    let pps = Sps::parse(&hex("68ce0fc8"));
    assert_eq!(
        pps,
        Err(ConfigError::Invalid {
            record: "SPS",
            field: "nal_unit_type",
            value: 8
        })
    );
}

/// Everything an SPS can say that changes how it is read.
#[derive(Clone, Debug)]
struct Model {
    profile: u32,
    chroma_format: u32,
    separate_planes: bool,
    bit_depth: u32,
    scaling_lists: Option<Vec<Option<Vec<i32>>>>,
    poc: Poc,
    width_mbs: u32,
    height_map_units: u32,
    interlaced: bool,
    crop: Option<[u32; 4]>,
    vui: Option<VuiModel>,
}

#[derive(Clone, Debug)]
enum Poc {
    Lsb(u32),
    Cycle(Vec<i32>),
    Output,
}

#[derive(Clone, Debug)]
struct VuiModel {
    aspect: Option<(u32, u32, u32)>,
    overscan: Option<bool>,
    colour: Option<Option<u32>>,
    chroma_location: Option<u32>,
    timing: Option<(u32, u32)>,
}

impl Model {
    fn has_chroma(&self) -> bool {
        self.profile >= 100
    }

    fn nal(&self) -> Vec<u8> {
        let mut w = BitWriter::default();
        w.bits(8, self.profile).bits(8, 0x40).bits(8, 31).ue(0);
        if self.has_chroma() {
            w.ue(self.chroma_format);
            if self.chroma_format == 3 {
                w.flag(self.separate_planes);
            }
            w.ue(self.bit_depth - 8)
                .ue(0)
                .flag(false)
                .flag(self.scaling_lists.is_some());
            for (n, list) in self.scaling_lists.iter().flatten().enumerate() {
                if n < if self.chroma_format == 3 { 12 } else { 8 } {
                    w.flag(list.is_some());
                    write_scaling_list(&mut w, list.as_deref(), if n < 6 { 16 } else { 64 });
                }
            }
        }
        w.ue(0);
        match &self.poc {
            Poc::Lsb(log2) => w.ue(0).ue(*log2),
            Poc::Cycle(offsets) => {
                w.ue(1).flag(true).se(-3).se(4).ue(offsets.len() as u32);
                offsets.iter().for_each(|offset| _ = w.se(*offset));
                &mut w
            }
            Poc::Output => w.ue(2),
        };
        w.ue(4)
            .flag(false)
            .ue(self.width_mbs - 1)
            .ue(self.height_map_units - 1)
            .flag(!self.interlaced);
        if self.interlaced {
            w.flag(true);
        }
        w.flag(true).flag(self.crop.is_some());
        self.crop.iter().flatten().for_each(|crop| _ = w.ue(*crop));
        w.flag(self.vui.is_some());
        if let Some(vui) = &self.vui {
            vui.write(&mut w);
        }
        w.bits(1, 1);
        let mut nal = vec![0x67];
        let mut zeros = 0;
        for byte in w.bytes() {
            if zeros == 2 && byte <= 3 {
                nal.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            nal.push(byte);
        }
        nal
    }

    fn expected(&self) -> Option<Sps> {
        let (chroma_format, bit_depth) = if self.has_chroma() {
            (self.chroma_format, self.bit_depth)
        } else {
            (1, 8)
        };
        let fields = 1 + u32::from(self.interlaced);
        let (unit_x, unit_y) = [(1, 1), (2, 2), (2, 1), (1, 1)][chroma_format as usize];
        let [left, right, top, bottom] = self.crop.unwrap_or_default();
        let width = (self.width_mbs * 16)
            .checked_sub((left + right) * unit_x)
            .filter(|w| *w > 0)?;
        let height = (self.height_map_units * 16 * fields).checked_sub((top + bottom) * unit_y * fields);
        Some(Sps {
            profile: self.profile as u8,
            constraints: 0x40,
            level: 31,
            chroma_format: chroma_format as u8,
            bit_depth: bit_depth as u8,
            width,
            height: height.filter(|h| *h > 0)?,
            interlaced: self.interlaced,
            sample_aspect: self
                .vui
                .as_ref()
                .and_then(|vui| vui.aspect)
                .and_then(|(idc, width, height)| match idc {
                    255 => (width > 0 && height > 0).then_some((width, height)),
                    1 => Some((1, 1)),
                    14 => Some((4, 3)),
                    _ => None,
                }),
            frame_rate: self.vui.as_ref().and_then(|vui| vui.timing).and_then(|(units, scale)| {
                let fps = f64::from(scale) / f64::from(units) / 2.0;
                (units > 0 && scale > 0 && fps < 1001.0).then(|| lowest_terms(scale.into(), 2 * u64::from(units)))
            }),
        })
    }
}

fn lowest_terms(a: u64, b: u64) -> (u32, u32) {
    let divisor = (1..=a.min(b))
        .rev()
        .find(|d| a.is_multiple_of(*d) && b.is_multiple_of(*d))
        .unwrap();
    ((a / divisor) as u32, (b / divisor) as u32)
}

/// Scales as they are meant; writing stops where the rest repeats (a zero scale says so).
fn write_scaling_list(w: &mut BitWriter, scales: Option<&[i32]>, size: usize) {
    let Some(scales) = scales else { return };
    let mut last = 8;
    for scale in scales.iter().take(size) {
        let delta = (scale - last + 128).rem_euclid(256) - 128;
        w.se(delta);
        if *scale == 0 {
            return;
        }
        last = *scale;
    }
}

impl VuiModel {
    fn write(&self, w: &mut BitWriter) {
        w.flag(self.aspect.is_some());
        if let Some((idc, width, height)) = self.aspect {
            w.bits(8, idc);
            if idc == 255 {
                w.bits(16, width).bits(16, height);
            }
        }
        w.flag(self.overscan.is_some());
        self.overscan.iter().for_each(|overscan| _ = w.flag(*overscan));
        w.flag(self.colour.is_some());
        if let Some(description) = self.colour {
            w.bits(4, 0b1010).flag(description.is_some());
            description.iter().for_each(|colours| _ = w.bits(24, *colours));
        }
        w.flag(self.chroma_location.is_some());
        self.chroma_location
            .iter()
            .for_each(|location| _ = w.ue(*location).ue(*location));
        w.flag(self.timing.is_some());
        if let Some((units, scale)) = self.timing {
            w.bits(32, units).bits(32, scale).flag(true);
        }
        w.flag(false).flag(false).flag(false).flag(false);
    }
}

fn scaling_lists() -> impl Strategy<Value = Vec<Option<Vec<i32>>>> {
    let list = prop::collection::vec(prop_oneof![9 => 1..256, 1 => Just(0)], 64);
    prop::collection::vec(prop::option::of(list), 12)
}

fn vui() -> impl Strategy<Value = VuiModel> {
    (
        prop::option::of((
            prop_oneof![Just(0_u32), Just(1), Just(14), Just(17), Just(255)],
            0..4_u32,
            0..4_u32,
        )),
        any::<Option<bool>>(),
        prop::option::of(prop::option::of(0..0x100_0000_u32)),
        prop::option::of(0..6_u32),
        prop::option::of((
            prop_oneof![0..3_u32, Just(1001)],
            prop_oneof![0..121_u32, Just(60_000), Just(24_000)],
        )),
    )
        .prop_map(|(aspect, overscan, colour, chroma_location, timing)| VuiModel {
            aspect,
            overscan,
            colour,
            chroma_location,
            timing,
        })
}

fn model() -> impl Strategy<Value = Model> {
    let poc = prop_oneof![
        (0..13_u32).prop_map(Poc::Lsb),
        prop::collection::vec(any::<i16>().prop_map(i32::from), 0..256).prop_map(Poc::Cycle),
        Just(Poc::Output),
    ];
    let size = (
        1..300_u32,
        1..150_u32,
        any::<bool>(),
        prop::option::of(prop::array::uniform4(0..9_u32)),
    );
    let profile = prop_oneof![
        Just(66_u32),
        Just(77),
        Just(88),
        Just(100),
        Just(110),
        Just(122),
        Just(244),
        Just(118)
    ];
    (
        profile,
        0..4_u32,
        any::<bool>(),
        8..15_u32,
        prop::option::of(scaling_lists()),
        poc,
        size,
        prop::option::of(vui()),
    )
        .prop_map(
            |(profile, chroma_format, separate_planes, bit_depth, scaling_lists, poc, size, vui)| Model {
                profile,
                chroma_format,
                separate_planes,
                bit_depth,
                scaling_lists,
                poc,
                width_mbs: size.0,
                height_map_units: size.1,
                interlaced: size.2,
                crop: size.3,
                vui,
            },
        )
}

proptest! {
    #[test]
    fn a_parameter_set_says_what_was_written(model in model()) {
        prop_assert_eq!(Sps::parse(&model.nal()).ok(), model.expected());
    }
}

#[test]
fn absurd_sizes_are_refused_without_overflow() {
    let base = Model {
        profile: 66,
        chroma_format: 1,
        separate_planes: false,
        bit_depth: 8,
        scaling_lists: None,
        poc: Poc::Output,
        width_mbs: 10,
        height_map_units: 10,
        interlaced: true,
        crop: None,
        vui: None,
    };
    let field = |model: Model| match Sps::parse(&model.nal()) {
        Err(ConfigError::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        field(Model {
            width_mbs: u32::MAX,
            ..base.clone()
        }),
        "pic_width_in_mbs_minus1"
    );
    assert_eq!(
        field(Model {
            width_mbs: 1_056,
            ..base.clone()
        }),
        "pic_width_in_mbs_minus1"
    );
    assert_eq!(
        field(Model {
            height_map_units: 0x1000_0000,
            ..base.clone()
        }),
        "pic_height_in_map_units_minus1"
    );
    let huge = u32::MAX - 1;
    assert_eq!(
        field(Model {
            crop: Some([huge, huge, 0, 0]),
            ..base.clone()
        }),
        "frame_crop_right_offset"
    );
    assert_eq!(
        field(Model {
            crop: Some([0, 0, 80, 0]),
            ..base
        }),
        "frame_crop_bottom_offset"
    );
}
