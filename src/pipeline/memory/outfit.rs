//! The outfit: what of a kit is there for a text.

use std::collections::BTreeSet;

use streammill_media::Codec;

use super::{
    super::packages,
    graph::Node,
    kits::{Kit, Pattern},
};

/// The part of a kit that is there.
pub(super) struct Outfit<'a> {
    pub(super) kit: &'a Kit,
    pub(super) device: Option<String>,
    pub(super) roles: BTreeSet<String>,
    pub(super) decoder: Result<String, String>,
    pub(super) scaler: Result<String, String>,
    pub(super) upload: Option<String>,
    pub(super) download: Option<String>,
}

impl<'a> Outfit<'a> {
    /// `Err` if pictures could not be got back.
    pub(super) fn of(
        kit: &'a Kit,
        device: Option<String>,
        roles: BTreeSet<String>,
        codec: Codec,
        is_present: impl Fn(&str) -> bool,
    ) -> Result<Self, String> {
        let first = |patterns: &[Pattern]| {
            let mut names = patterns.iter().map(|pattern| pattern.on(device.as_deref()));
            names.find(|name| is_present(name))
        };
        let or_missing =
            |patterns: &[Pattern]| first(patterns).ok_or_else(|| missing(kit, patterns, device.as_deref()));
        let decoder = match kit.decoders(codec) {
            [] => Err(format!("the kit {} has no decoder for {codec:?}", kit.name)),
            decoders => or_missing(decoders),
        };
        let download = first(&kit.download);
        if download.is_none() && !kit.download.is_empty() {
            return Err(missing(kit, &kit.download, device.as_deref()));
        }
        Ok(Self {
            decoder,
            scaler: or_missing(&kit.scalers),
            upload: first(&kit.upload),
            download,
            kit,
            roles,
            device,
        })
    }

    /// Why the kit's scaler cannot stand in for one of the text.
    pub(super) fn misfit(&self, node: &Node, set: &BTreeSet<&str>) -> Option<String> {
        let mut own = node.properties.iter().filter(|(name, _)| name != "name");
        if let Some((_, word)) = own.find(|(name, _)| !self.kit.keeps.contains(name)) {
            return Some(format!(
                "{} {word} has no counterpart in the kit {}",
                node.factory, self.kit.name
            ));
        }
        let name = node.name().filter(|name| set.contains(name))?;
        Some(format!(
            "a parameter sets {} {name}, which only that element takes",
            node.factory
        ))
    }
}

/// That none of these is there, and where to get them.
pub(super) fn missing(kit: &Kit, patterns: &[Pattern], device: Option<&str>) -> String {
    let names: Vec<_> = patterns.iter().map(|pattern| pattern.on(device)).collect();
    let hint = match &kit.package {
        Some(package) => format!("; on Debian and Ubuntu: apt install {package}"),
        None => packages::hint(names.iter().map(String::as_str)),
    };
    match names.as_slice() {
        [] => format!("the kit {} has no such element", kit.name),
        names => format!(
            "no {} is installed, or its device is not there{hint}",
            names.join(" or ")
        ),
    }
}
