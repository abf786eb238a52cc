//! The shipped templates that draw: into the pictures of a stream, and stills of it.

use std::{path::Path, process::Command};

use bytes::Bytes;
use streammill::hub::StreamKey;
use streammill_media::MediaKind;

use crate::mill::{Clip, Mill, PATIENCE, until};

/// The mean of each of red, green and blue in a part of an image's first picture: `crop` is ffmpeg's.
fn mean(file: &Path, crop: &str) -> [u8; 3] {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(file)
        .args(["-vf", &format!("crop={crop},scale=1:1:flags=area"), "-frames:v", "1"])
        .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.try_into().unwrap()
}

/// A file made by ffmpeg.
fn ffmpeg(arguments: &str, file: &Path) {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments.split_whitespace())
        .arg(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn is_jpeg(data: &Bytes) -> bool {
    data.starts_with(b"\xff\xd8\xff") && data.ends_with(b"\xff\xd9")
}

/// A stream of grey pictures.
fn grey() -> Clip {
    Clip::made(
        "-f lavfi -i color=gray:size=640x360:rate=25 -f lavfi -i sine -t 4 -c:v libx264 -preset ultrafast -g 25 \
         -pix_fmt yuv420p -c:a aac",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logo_a_line_and_a_clock_are_in_the_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let logo = dir.path().join("logo with 100% \" ! quotes.png");
    ffmpeg("-f lavfi -i color=red:size=100x100 -frames:v 1", &logo);
    let mill = Mill::start(&format!(
        "[apps.live]\n\
         [[apps.live.pipelines]]\ntemplate = 'overlay'\npublish_to = 'new/{{name}}'\n\
         params = {{ logo = {logo:?}, logo_x = 20, logo_y = 20, text = 'Hello <b>there</b> & there', clock = '%H:%M' }}\n\
         [apps.new]\n\
         [[apps.new.pipelines]]\ntemplate = 'thumbnail'\nparams = {{ from = 'all', height = 360, interval = '100ms', quality = 95 }}"
    ));
    let mut door = mill.publish("live/a");
    grey().send(&mut door, 0);
    let key = StreamKey::parse("new/a").unwrap();
    let picture = mill.services.pictures.wait(&key, PATIENCE).await.unwrap();
    assert!(is_jpeg(&picture.data));
    let file = dir.path().join("picture.jpg");
    std::fs::write(&file, &picture.data).unwrap();
    let [red, green, blue] = mean(&file, "80:80:30:30");
    assert!(red > 180 && green < 60 && blue < 60, "the logo is {red} {green} {blue}");
    let plain = mean(&file, "100:100:270:130");
    assert!(
        plain.iter().all(|level| (110..145).contains(level)),
        "beside it {plain:?}"
    );
    // White letters with a black edge are neither as bright nor as even as what they stand on.
    for (what, crop) in [("text", "300:30:170:310"), ("clock", "120:40:500:20")] {
        let deviation = deviation(&file, crop);
        assert!(deviation > 15.0, "{what}: {deviation}");
    }
    assert!(deviation(&file, "100:100:270:130") < 3.0);
    drop(door);
    mill.stop().await;
}

/// How far the brightness of a part of an image is from even.
fn deviation(file: &Path, crop: &str) -> f64 {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(file)
        .args([
            "-vf",
            &format!("crop={crop}"),
            "-frames:v",
            "1",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "gray",
            "-",
        ])
        .output()
        .unwrap();
    let levels: Vec<f64> = output.stdout.iter().map(|level| f64::from(*level)).collect();
    let mean = levels.iter().sum::<f64>() / levels.len() as f64;
    (levels.iter().map(|level| (level - mean).powi(2)).sum::<f64>() / levels.len() as f64).sqrt()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_still_is_drawn_every_few_seconds_and_goes_with_its_stream() {
    for from in ["key-frames", "all"] {
        let mill = Mill::start(&format!(
            "[apps.live]\npipelines = [{{ template = 'thumbnail', params = {{ from = '{from}', interval = '2s', height = 90 }} }}]"
        ));
        let mut door = mill.publish("live/a");
        Clip::seconds(9, "320x180").only(MediaKind::Video).send(&mut door, 0);
        let key = StreamKey::parse("live/a").unwrap();
        let pictures = mill.services.pictures.clone();
        let first = pictures.wait(&key, PATIENCE).await.unwrap();
        assert!(is_jpeg(&first.data), "{from}");
        // Each is a new picture.
        until("another picture", || {
            let newest = pictures.newest(&key)?;
            (newest.number >= first.number + 2 && newest.data != first.data).then_some(())
        })
        .await;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("still.jpg");
        std::fs::write(&file, &first.data).unwrap();
        let size = Command::new("ffprobe")
            .args([
                "-v",
                "error",
                "-show_entries",
                "stream=codec_name,width,height",
                "-of",
                "csv=p=0",
            ])
            .arg(&file)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&size.stdout).trim(), "mjpeg,160,90", "{from}");
        drop(door);
        until("end of the pictures", || pictures.newest(&key).is_none().then_some(())).await;
        mill.stop().await;
    }
}
