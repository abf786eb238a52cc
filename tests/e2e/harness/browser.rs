//! A browser as a viewer: Chromium without a screen, driven over WebDriver.
//!
//! Frames count only when the browser has decoded them, and the picture is read back from a canvas: a black or a frozen
//! one is no picture.

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Process, poll_until, program, seconds};

/// What a viewer without hands may do; `--disable-…` keeps the browser from talking to its maker.
const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--window-size=1280,900",
];

/// A browser with a fresh profile, closed when it is dropped.
pub(crate) struct Browser {
    runtime: Runtime,
    client: Option<Client>,
    driver: Process,
    _profile: TempDir,
}

impl Browser {
    pub(crate) fn start() -> Self {
        let driver = Process::start("chromedriver", program("chromedriver --port=0"));
        let port = poll_until(seconds(20), "chromedriver to listen", || {
            let log = driver.log();
            let line = log.iter().find(|line| line.contains("started successfully on port"))?;
            Some(line.split_once(" port ")?.1.trim_end_matches('.').to_owned())
        });
        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let capabilities = json!({ "goog:chromeOptions": { "args": flags } });
        let Value::Object(capabilities) = capabilities else {
            unreachable!("it is written as an object")
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let client = runtime.block_on(async {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities);
            builder.connect(&format!("http://127.0.0.1:{port}")).await
        });
        Self {
            runtime,
            client: Some(client.expect("chromium starts")),
            driver,
            _profile: profile,
        }
    }

    fn client(&self) -> &Client {
        self.client.as_ref().expect("it is open until it is dropped")
    }

    pub(crate) fn open(&self, url: &str) {
        self.runtime.block_on(self.client().goto(url)).expect("the page loads");
    }

    /// What `script` returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        let answer = self.runtime.block_on(self.client().execute(script, Vec::new()));
        answer.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    pub(crate) fn number(&self, expression: &str) -> f64 {
        let value = self.run(&format!("return {expression}"));
        value.as_f64().unwrap_or_else(|| panic!("{expression} is {value}"))
    }

    /// What the page says it does.
    fn state(&self) -> String {
        let state = self.run("return document.documentElement.dataset.state");
        state.as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn wait_for_state(&self, wanted: &str) {
        poll_until(seconds(30), &format!("the page to be {wanted}"), || {
            let state = self.state();
            let words = self.run("return document.getElementById('veil-text').textContent");
            assert!(state != "error" || wanted == "error", "the page says: {words}");
            (state == wanted).then_some(())
        });
    }

    /// The browser decodes and shows frames of a moving picture that is not black, for a second and more.
    pub(crate) fn assert_it_moves(&self) {
        self.wait_for_state("playing");
        let frames = || self.number("document.getElementById('video').getVideoPlaybackQuality().totalVideoFrames");
        let time = || self.number("document.getElementById('video').currentTime");
        let (first_frame, first_time) = (frames(), time());
        let first_picture = self.picture();
        poll_until(seconds(20), "25 more frames and a second of time", || {
            (frames() >= first_frame + 25.0 && time() >= first_time + 1.0).then_some(())
        });
        let picture = self.picture();
        let brightest = picture.iter().max().copied().unwrap_or(0);
        let darkest = picture.iter().min().copied().unwrap_or(0);
        assert!(
            brightest > 100 && brightest - darkest > 60,
            "no picture: {darkest}…{brightest}"
        );
        assert_ne!(first_picture, picture, "the picture stands still");
        assert_eq!(self.state(), "playing");
    }

    /// The picture's brightness, 32 by 18 samples.
    fn picture(&self) -> Vec<u64> {
        let samples = self.run(
            "const canvas = document.createElement('canvas'); canvas.width = 32; canvas.height = 18;
             const context = canvas.getContext('2d');
             context.drawImage(document.getElementById('video'), 0, 0, 32, 18);
             const data = context.getImageData(0, 0, 32, 18).data, samples = [];
             for (let i = 0; i < data.length; i += 4) samples.push(data[i] + data[i + 1] + data[i + 2]);
             return samples;",
        );
        let samples = samples.as_array().expect("samples");
        samples
            .iter()
            .map(|sample| sample.as_u64().expect("a number"))
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            // The driver ends the browser if the browser does not.
            let _ = self.runtime.block_on(client.close());
        }
        if self.driver.is_running() {
            self.driver.signal("TERM");
        }
    }
}
