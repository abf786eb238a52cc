//! The encoders that are installed, in a table.

use std::{fmt::Write as _, time::Instant};

use super::ReportError;
use crate::{
    config::Config,
    pipeline::{
        self,
        encoder::{Equipment, probe::Prober, status::EncodersStatus, survey},
        memory::status::KitStatus,
    },
};

/// Tries every encoder, and lists what works with what the configuration allows of it.
pub async fn encoders(config: &Config, json: bool) -> Result<String, ReportError> {
    pipeline::start()?;
    let equipment = Equipment::new(&config.encoders).map_err(|problems| config.invalid(problems))?;
    let prober = Prober::own(config.encoders.probe_timeout.0);
    prober.probe_all(&equipment.bench, equipment.to_probe).await;
    let status = EncodersStatus::new(
        equipment.bench.snapshot(Instant::now()),
        &equipment.kits,
        survey::is_present,
    );
    if json {
        return Ok(serde_json::to_string_pretty(&status)? + "\n");
    }
    let mut text = table(&status)?;
    for kit in &status.kits {
        writeln!(text, "{}", line(kit))?;
    }
    let missing = equipment.map.iter().map(|encoder| encoder.element.as_str());
    let missing: Vec<_> = missing.filter(|element| !survey::is_present(element)).collect();
    if !missing.is_empty() {
        writeln!(text, "\nnot installed, or without a device: {}", missing.join(", "))?;
    }
    Ok(text)
}

/// Whether pictures stay in a device's memory.
fn line(kit: &KitStatus) -> String {
    let device = kit
        .device
        .as_ref()
        .map_or_else(String::new, |device| format!(" on {device}"));
    let decodes = match kit.decodes.as_slice() {
        [] => "decodes nothing".to_owned(),
        codecs => format!("decodes {}", codecs.join(", ")),
    };
    let scales = match &kit.scaler {
        Some(scaler) => format!("scales with {scaler}"),
        None => "does not scale, so pictures are copied to system memory for that".to_owned(),
    };
    let package = kit.package.as_ref().map(|package| format!(" (package {package})"));
    let missing = match kit.missing.as_slice() {
        [] => String::new(),
        missing => format!(
            "; not installed, or not for this device: {}{}",
            missing.join(", "),
            package.unwrap_or_default()
        ),
    };
    format!(
        "{}{device}: {} in {}; {decodes}; {scales}{missing}",
        kit.kit,
        kit.encoders.join(", "),
        kit.memory
    )
}

fn table(status: &EncodersStatus) -> Result<String, std::fmt::Error> {
    let mut rows = vec![["ELEMENT", "DEVICE", "CODEC", "CLASS", "SESSIONS", "STATE"].map(str::to_owned)];
    for encoder in &status.encoders {
        let allowed = encoder.sessions_allowed.map(|allowed| format!(" of {allowed}"));
        let state = match &encoder.message {
            Some(message) => format!("{}: {}", encoder.state, message.replace('\n', " ")),
            None => encoder.state.to_owned(),
        };
        rows.push([
            encoder.element.clone(),
            encoder.device.clone().unwrap_or_else(|| "-".to_owned()),
            encoder.codec.to_owned(),
            encoder.class.to_owned(),
            format!("{}{}", encoder.sessions, allowed.unwrap_or_default()),
            state,
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..5).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            write!(text, "{cell:width$}  ")?;
        }
        writeln!(text, "{}", row[5])?;
    }
    let most = status
        .software_sessions_allowed
        .map(|most| format!(", {most} sessions"));
    writeln!(
        text,
        "\nsoftware may encode pictures with {:.1} cores{}",
        status.software_cores_allowed,
        most.unwrap_or_default()
    )?;
    Ok(text)
}
