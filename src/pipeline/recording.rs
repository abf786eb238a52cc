//! Where a recording goes.

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{config::RecordFormat, hub::StreamKey};

/// The file of a recording: `DIR/NAME-YYYYMMDD-hhmmss.mmm.EXT` in UTC, where the name is percent-encoded to one path
/// component. What a client calls its stream can so neither leave the directory nor become a format string.
pub fn recording_path(dir: &Path, key: &StreamKey, started: SystemTime, format: RecordFormat) -> PathBuf {
    // A clock before 1970 is not set; the name then says so.
    let since_epoch = started.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since_epoch.as_secs() / 86_400, since_epoch.as_secs() % 86_400);
    let (year, month, day) = civil_date(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let millis = since_epoch.subsec_millis();
    let stem = key.file_stem();
    let suffix = format.as_str();
    dir.join(format!(
        "{stem}-{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}.{millis:03}.{suffix}"
    ))
}

/// Year, month and day of the Gregorian calendar, counting days in years that begin with March, so that the leap day is
/// the last of its year.
fn civil_date(days_since_1970: u64) -> (u64, u64, u64) {
    const DAYS_0000_03_01_TO_1970: u64 = 719_468;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days_since_1970 + DAYS_0000_03_01_TO_1970;
    let (era, day_of_era) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// A file to be made.
pub struct NewFile {
    wanted: PathBuf,
}

impl NewFile {
    /// For a recording that begins now.
    pub fn of(dir: &Path, key: &StreamKey, started: SystemTime, format: RecordFormat) -> Self {
        Self {
            wanted: recording_path(dir, key, started, format),
        }
    }

    /// Makes the directory, and the file under the first name that is free.
    pub fn create(self) -> Result<PathBuf, String> {
        /// Recordings that begin in one millisecond under one name.
        const TRIES: u32 = 100;
        let fail = |error: std::io::Error| format!("cannot record to {}: {error}", self.wanted.display());
        if let Some(dir) = self.wanted.parent() {
            std::fs::create_dir_all(dir).map_err(fail)?;
        }
        let stem = self
            .wanted
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let suffix = self
            .wanted
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        for n in 1..=TRIES {
            let path = match n {
                1 => self.wanted.clone(),
                n => self.wanted.with_file_name(format!("{stem}-{n}.{suffix}")),
            };
            match std::fs::File::create_new(&path) {
                Ok(_) => return Ok(path),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(fail(error)),
            }
        }
        Err(format!(
            "cannot record to {}: every name is taken",
            self.wanted.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    fn name(stream: &str, seconds: u64) -> String {
        let key = StreamKey::new("live", stream).unwrap();
        let started = UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 7);
        let path = recording_path(Path::new("/rec"), &key, started, RecordFormat::Mp4);
        assert_eq!(path.parent(), Some(Path::new("/rec")), "{path:?} left the directory");
        path.file_name().unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn names_tell_stream_and_start() {
        assert_eq!(name("x", 0), "x-19700101-000000.007.mp4");
        assert_eq!(name("x", 951_782_400), "x-20000229-000000.007.mp4");
        assert_eq!(name("x", 1_735_689_599), "x-20241231-235959.007.mp4");
    }

    #[test]
    fn a_name_from_the_network_stays_one_component_without_format_characters() {
        assert!(name("a/b", 0).starts_with("a%2Fb-"));
        assert!(name(".x", 0).starts_with("%2Ex-"));
        assert!(name("%n%s", 0).starts_with("%25n%25s-"));
        assert!(name("x ! filesink location=/tmp/x", 0).starts_with("x%20%21%20filesink"));
    }
}
