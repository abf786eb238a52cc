//! `millscale` gives pictures the size that is asked for, in the right colours and proportions, and refuses what it cannot.

#![allow(clippy::unwrap_used)]

use std::sync::Once;

use gst::prelude::*;
use gst_video::{
    VideoChromaSite, VideoFormat, VideoFrameFlags, VideoFrameRef, VideoInfo, VideoInterlaceMode, prelude::*,
};

const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(20);

/// `appsrc` and `appsink` with a scaler between them.
struct Bench {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    sink: gst_app::AppSink,
}

impl Bench {
    /// One whose pictures leave as `caps` say.
    fn with(caps: &str) -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            gst::init().unwrap();
            gststreammill::plugin_register_static().unwrap();
        });
        let text = format!("appsrc name=in format=time ! millscale ! video/x-raw,{caps} ! appsink name=out sync=false");
        let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
        let source = pipeline.by_name("in").unwrap().downcast().unwrap();
        let sink = pipeline.by_name("out").unwrap().downcast().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        Self { pipeline, source, sink }
    }

    fn push(&self, info: &VideoInfo, buffer: gst::Buffer) {
        self.source.set_caps(Some(&info.to_caps().unwrap()));
        // What is wrong with a buffer shows on the bus.
        let _ = self.source.push_buffer(buffer);
    }

    fn pull(&self) -> gst::Sample {
        let sample = self.sink.try_pull_sample(PATIENCE);
        sample.unwrap_or_else(|| panic!("no picture; the bus says {:?}", self.complaint()))
    }

    fn complaint(&self) -> Option<String> {
        let bus = self.pipeline.bus().unwrap();
        let message = bus.timed_pop_filtered(PATIENCE, &[gst::MessageType::Error])?;
        match message.view() {
            gst::MessageView::Error(error) => Some(format!("{} {:?}", error.error(), error.debug())),
            _ => None,
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.pipeline.set_state(gst::State::Null).unwrap();
    }
}

fn info(format: VideoFormat, width: u32, height: u32) -> VideoInfo {
    VideoInfo::builder(format, width, height).fps((30, 1)).build().unwrap()
}

/// A picture in which `value(component, x, y)` is the sample at that place of the component's own plane.
fn picture(info: &VideoInfo, value: impl Fn(u32, u32, u32) -> u16) -> gst::Buffer {
    let mut buffer = gst::Buffer::with_size(info.size()).unwrap();
    let mut frame = VideoFrameRef::from_buffer_ref_writable(buffer.get_mut().unwrap(), info).unwrap();
    let bytes = if frame.comp_depth(0) > 8 { 2 } else { 1 };
    for component in 0..3 {
        let (width, height) = (frame.comp_width(component), frame.comp_height(component));
        let (step, stride) = (
            frame.comp_pstride(component) as usize,
            frame.comp_stride(component) as usize,
        );
        let offset = frame.comp_poffset(component) as usize;
        let plane = frame.comp_plane(component);
        let data = frame.plane_data_mut(plane).unwrap();
        for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
            let at = y as usize * stride + x as usize * step + offset;
            data[at..at + bytes].copy_from_slice(&value(component, x, y).to_le_bytes()[..bytes]);
        }
    }
    drop(frame);
    buffer
}

/// The samples of a component, line after line.
fn samples(sample: &gst::Sample, component: u32) -> Vec<Vec<u16>> {
    let info = VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
    let frame = VideoFrameRef::from_buffer_ref_readable(sample.buffer().unwrap(), &info).unwrap();
    let data = frame.plane_data(frame.comp_plane(component)).unwrap();
    let (step, stride) = (
        frame.comp_pstride(component) as usize,
        frame.comp_stride(component) as usize,
    );
    let offset = frame.comp_poffset(component) as usize;
    let wide = frame.comp_depth(component) > 8;
    let at = |x: u32, y: u32| {
        let at = y as usize * stride + x as usize * step + offset;
        if wide {
            u16::from_le_bytes([data[at], data[at + 1]])
        } else {
            data[at].into()
        }
    };
    let line = |y| (0..frame.comp_width(component)).map(|x| at(x, y)).collect();
    (0..frame.comp_height(component)).map(line).collect()
}

fn size(sample: &gst::Sample) -> (u32, u32, gst::Fraction) {
    let info = VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
    (info.width(), info.height(), info.par())
}

/// Eight upright bars, of which each component has values of its own.
fn bar(component: u32, x: u32, width: u32) -> u16 {
    const BARS: [[u16; 8]; 3] = [
        [180, 162, 131, 112, 84, 65, 35, 16],
        [128, 44, 156, 72, 184, 100, 212, 128],
        [128, 142, 44, 58, 198, 212, 114, 128],
    ];
    BARS[component as usize][(x * 8 / width) as usize]
}

#[test]
fn colours_are_at_their_places_in_every_format_and_size() {
    for format in [VideoFormat::I420, VideoFormat::Nv12, VideoFormat::I42010le] {
        let scale = if format == VideoFormat::I42010le { 4 } else { 1 };
        // Half, between half and all, less than half, and larger.
        for (width, height) in [(320, 180), (400, 238), (160, 90), (1280, 720), (642, 358)] {
            let bench = Bench::with(&format!("width={width},height={height},pixel-aspect-ratio=1/1"));
            let info = info(format, 640, 360);
            let of = |component: u32| if component == 0 { 640 } else { 320 };
            bench.push(
                &info,
                picture(&info, |component, x, _| bar(component, x, of(component)) * scale),
            );
            let scaled = bench.pull();
            assert_eq!(size(&scaled), (width, height, gst::Fraction::new(1, 1)));
            for component in 0..3 {
                let lines = samples(&scaled, component);
                let wide = lines[0].len() as u32;
                for (line, number) in lines.iter().flat_map(|line| (0..8).map(move |number| (line, number))) {
                    let middle = (2 * number + 1) * wide / 16;
                    let is = line[middle as usize];
                    assert_eq!(
                        is,
                        bar(component, middle, wide) * scale,
                        "{format:?} {width}x{height} {component}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_slope_keeps_its_place_to_a_quarter_of_a_pixel() {
    // Chroma stands at the left of its two pixels unless the stream says that it stands between them.
    for (site, shift) in [(VideoChromaSite::MPEG2, 1), (VideoChromaSite::JPEG, 2)] {
        for format in [VideoFormat::I420, VideoFormat::Nv12] {
            let bench = Bench::with("width=64,height=36");
            let info = VideoInfo::builder(format, 128, 72).chroma_site(site).build().unwrap();
            bench.push(
                &info,
                picture(
                    &info,
                    |component, x, _| if component == 0 { 2 * x } else { 4 * x } as u16,
                ),
            );
            let scaled = bench.pull();
            let middle = 3..29;
            let luma = &samples(&scaled, 0)[18];
            assert!(
                middle.clone().all(|x| luma[x] as usize == 4 * x + 1),
                "luma of {format:?}: {luma:?}"
            );
            for component in [1, 2] {
                let chroma = &samples(&scaled, component)[9];
                assert!(
                    middle.clone().all(|x| chroma[x] as usize == 8 * x + shift),
                    "{site:?} {format:?}: {chroma:?}"
                );
            }
        }
    }
}

#[test]
fn one_side_decides_the_other() {
    for (caps, expected) in [
        ("height=360", (640, 360, (1, 1))),
        ("height=480", (854, 480, (1, 1))),
        ("width=320", (320, 180, (1, 1))),
        (
            "width=(int)[1,640],height=(int)[1,640],pixel-aspect-ratio=1/1",
            (640, 360, (1, 1)),
        ),
        ("width=720,height=576", (720, 576, (64, 45))),
    ] {
        let bench = Bench::with(caps);
        let info = info(VideoFormat::I420, 1280, 720);
        bench.push(&info, picture(&info, |_, _, _| 100));
        let (width, height, pixel) = expected;
        assert_eq!(
            size(&bench.pull()),
            (width, height, gst::Fraction::new(pixel.0, pixel.1)),
            "{caps}"
        );
    }
}

#[test]
fn pixels_become_square_where_that_is_asked_for() {
    let bench = Bench::with("height=288,pixel-aspect-ratio=1/1");
    let info = VideoInfo::builder(VideoFormat::Nv12, 720, 576)
        .par(gst::Fraction::new(64, 45))
        .build()
        .unwrap();
    bench.push(&info, picture(&info, |_, _, _| 100));
    assert_eq!(size(&bench.pull()), (512, 288, gst::Fraction::new(1, 1)));
}

#[test]
fn a_picture_of_the_right_size_goes_through_untouched() {
    for caps in [
        "width=320,height=180",
        "height=180,pixel-aspect-ratio=1/1",
        "format=I420",
    ] {
        let bench = Bench::with(caps);
        let info = info(VideoFormat::I420, 320, 180);
        let buffer = picture(&info, |component, x, y| ((component + x * y) % 251) as u16);
        let sent = buffer.peek_memory(0).as_ptr();
        bench.push(&info, buffer);
        let got = bench.pull();
        assert_eq!(got.buffer().unwrap().peek_memory(0).as_ptr(), sent, "{caps}");
    }
}

#[test]
fn a_size_may_change_in_mid_stream() {
    let bench = Bench::with("width=320,height=180,pixel-aspect-ratio=1/1");
    let sizes = [(1280, 720), (320, 180), (640, 480), (160, 90), (1280, 720)];
    for (number, (width, height)) in sizes.into_iter().enumerate() {
        let (info, value) = (info(VideoFormat::I420, width, height), 40 * number as u16 + 20);
        bench.push(&info, picture(&info, |_, _, _| value));
        let scaled = bench.pull();
        assert_eq!(size(&scaled), (320, 180, gst::Fraction::new(1, 1)));
        assert!(samples(&scaled, 0).iter().flatten().all(|sample| *sample == value));
    }
}

#[test]
fn one_colour_stays_that_colour_in_sizes_that_nobody_has() {
    let sides = [
        (1, 1),
        (2, 2),
        (3, 1),
        (1, 3),
        (5, 7),
        (37, 23),
        (853, 479),
        (4099, 2),
        (2, 4099),
        (9001, 1),
    ];
    for format in [VideoFormat::I420, VideoFormat::Nv12, VideoFormat::I42010le] {
        for (from, to) in sides.iter().flat_map(|from| sides.iter().map(move |to| (*from, *to))) {
            let bench = Bench::with(&format!("width={},height={}", to.0, to.1));
            let info = info(format, from.0, from.1);
            let colour = [181, 90, 33];
            bench.push(&info, picture(&info, |component, _, _| colour[component as usize]));
            let scaled = bench.pull();
            for component in 0..3 {
                let all = samples(&scaled, component);
                let right = all.iter().flatten().all(|sample| *sample == colour[component as usize]);
                assert!(
                    right,
                    "{format:?} {from:?} to {to:?}, component {component}: {:?}",
                    all[0]
                );
            }
        }
    }
}

#[test]
fn the_fields_of_an_interlaced_picture_are_not_mixed() {
    let bench = Bench::with("width=32,height=32");
    let info = VideoInfo::builder(VideoFormat::I420, 64, 64)
        .interlace_mode(VideoInterlaceMode::Interleaved)
        .build()
        .unwrap();
    let mut buffer = picture(&info, |_, _, y| if y % 2 == 0 { 50 } else { 200 });
    buffer
        .get_mut()
        .unwrap()
        .set_video_flags(gst_video::VideoBufferFlags::INTERLACED);
    bench.push(&info, buffer);
    let scaled = bench.pull();
    for component in 0..3 {
        for (y, line) in samples(&scaled, component).iter().enumerate() {
            assert!(
                line.iter().all(|sample| *sample == if y % 2 == 0 { 50 } else { 200 }),
                "{component} {y}"
            );
        }
    }
}

/// A buffer whose lines are `stride` bytes apart and begin `before` bytes into it, all else being `noise`.
fn cut_out(info: &VideoInfo, stride: usize, before: usize, value: u8, noise: u8) -> gst::Buffer {
    let (width, height) = (info.width() as usize, info.height() as usize);
    let planes = [
        (before, width, height),
        (before + stride * height, width / 2, height / 2),
    ];
    let planes = [
        planes[0],
        planes[1],
        (planes[1].0 + stride * height / 2, width / 2, height / 2),
    ];
    let mut bytes = vec![noise; planes[2].0 + stride * (height / 2 - 1) + width / 2];
    for (offset, width, height) in planes {
        for line in 0..height {
            bytes[offset + line * stride..][..width].fill(value);
        }
    }
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    let offsets = planes.map(|plane| plane.0);
    let flags = VideoFrameFlags::empty();
    let strides = [stride as i32; 3];
    let (buffer_ref, format) = (buffer.get_mut().unwrap(), info.format());
    gst_video::VideoMeta::add_full(
        buffer_ref,
        flags,
        format,
        info.width(),
        info.height(),
        &offsets,
        &strides,
    )
    .unwrap();
    buffer
}

#[test]
fn a_picture_cut_out_of_a_larger_one_does_not_show_its_surroundings() {
    let bench = Bench::with("width=50,height=30");
    let info = info(VideoFormat::I420, 100, 60);
    bench.push(&info, cut_out(&info, 177, 13, 90, 255));
    let scaled = bench.pull();
    for component in 0..3 {
        assert!(
            samples(&scaled, component).iter().flatten().all(|sample| *sample == 90),
            "{component}"
        );
    }
}

#[test]
fn a_picture_that_is_not_in_its_buffer_is_an_error() {
    let bench = Bench::with("width=50,height=30");
    let info = info(VideoFormat::I420, 100, 60);
    let mut buffer = cut_out(&info, 177, 13, 90, 255);
    let short = buffer.size() - 1;
    buffer.get_mut().unwrap().set_size(short);
    bench.push(&info, buffer);
    let complaint = bench.complaint().unwrap();
    assert!(complaint.contains("larger than its buffer"), "{complaint}");
}

#[test]
fn what_is_not_scaled_is_refused_at_once() {
    let bench = Bench::with("width=50,height=30");
    let info = info(VideoFormat::Rgb, 100, 60);
    let buffer = gst::Buffer::with_size(info.size()).unwrap();
    bench.push(&info, buffer);
    assert!(bench.complaint().unwrap().contains("not-negotiated"));
}
