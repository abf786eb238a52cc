//! Status: what of the kits is there, as the API and the command line show it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use streammill_media::{Codec, MediaKind};

use super::{
    super::encoder::Encoder,
    kits::{Kit, Kits, Pattern},
};

/// A kit of which an encoder is installed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct KitStatus {
    /// Its name.
    pub kit: String,
    /// Its device, as encoders' names tell it; `null` is the first.
    pub device: Option<String>,
    /// Its memory.
    pub memory: String,
    /// The encoders that take pictures from there.
    pub encoders: Vec<String>,
    /// What it can decode.
    pub decodes: Vec<String>,
    /// What scales.
    pub scaler: Option<String>,
    /// What is not installed, and makes pictures go through system memory.
    pub missing: Vec<String>,
    /// The Debian package that has it.
    pub package: Option<String>,
}

/// The kits of these encoders. `is_present` tells whether an element is installed.
pub fn statuses<'a>(
    kits: &Kits,
    encoders: impl Iterator<Item = &'a Encoder>,
    is_present: impl Fn(&str) -> bool,
) -> Vec<KitStatus> {
    let encoders: Vec<_> = encoders.collect();
    let mut found = Vec::new();
    for kit in kits.iter() {
        let mut by_device: BTreeMap<Option<&str>, Vec<String>> = BTreeMap::new();
        for encoder in encoders.iter().filter(|encoder| kit.feeds(encoder)) {
            let device = encoder.device_in(&encoder.element);
            by_device.entry(device).or_default().push(encoder.element.clone());
        }
        for (device, encoders) in by_device {
            found.push(KitStatus {
                encoders,
                ..status(kit, device, &is_present)
            });
        }
    }
    found
}

fn status(kit: &Kit, device: Option<&str>, is_present: impl Fn(&str) -> bool) -> KitStatus {
    let mut missing = BTreeSet::new();
    let mut find = |patterns: &[Pattern]| {
        let names: Vec<_> = patterns.iter().map(|pattern| pattern.on(device)).collect();
        let there = names.iter().find(|name| is_present(name)).cloned();
        if there.is_none() {
            missing.extend(names.into_iter().next());
        }
        there
    };
    let pictures = Codec::ALL.into_iter().filter(|codec| codec.kind() == MediaKind::Video);
    let decodes = pictures.filter(|codec| find(kit.decoders(*codec)).is_some());
    let decodes = decodes.map(|codec| format!("{codec:?}").to_lowercase()).collect();
    let scaler = find(&kit.scalers);
    // What there is none of in the kit is not missing.
    let _ = (find(&kit.upload), find(&kit.download));
    KitStatus {
        kit: kit.name.clone(),
        device: device.map(str::to_owned),
        memory: kit.memory.clone(),
        encoders: Vec::new(),
        decodes,
        scaler,
        package: kit.package.clone().filter(|_| !missing.is_empty()),
        missing: missing.into_iter().collect(),
    }
}
