//! The plan: what becomes of a text, and why what is not done on a device is not.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use streammill_media::Codec;

use super::{
    super::encoder::{Chosen, Encoder, setting::Setting},
    graph::{Graph, Kind, Node},
    kits::{Kit, Kits},
    outfit::{Outfit, missing},
    placement::{Abilities, place},
    reasons::reasons,
    rewrite::{Parts, rewrite},
};

/// What of pictures stays in a device's memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemoryPlan {
    /// The kit that is used.
    pub kit: Option<String>,
    /// The names of the elements of it that are, and what is set on them, as far as they take it.
    pub elements: BTreeMap<String, Vec<Setting>>,
    /// Why something is in system memory: of [`DECODE`], and of encoders by their names.
    pub why: BTreeMap<String, String>,
}

/// The decoder, in [`MemoryPlan::why`].
pub const DECODE: &str = "decode";

/// What there is besides a text.
pub struct Surroundings<'a, P> {
    /// The kits that may be used.
    pub kits: &'a Kits,
    /// The encoders of its roles.
    pub chosen: &'a Chosen,
    /// Elements that are given values by parameters.
    pub set: &'a BTreeSet<&'a str>,
    /// Whether an element is installed.
    pub is_present: P,
}

/// What a text becomes whose `decoder` gets this coding, if it changes, and why it does not do more.
pub fn plan(
    text: &str,
    codec: Codec,
    around: &Surroundings<'_, impl Fn(&str) -> bool>,
) -> (Option<String>, MemoryPlan) {
    let mut plan = MemoryPlan::default();
    let Some(graph) = Graph::read(text, around.kits) else {
        return (None, plan);
    };
    let encoders = encoders(&graph, around.chosen);
    let Some((kit, device, roles)) = best(around.kits, &encoders) else {
        return (None, plan);
    };
    let mut outfit = match Outfit::of(kit, device, roles, codec, &around.is_present) {
        Ok(outfit) => outfit,
        Err(why) => return (None, refused(&graph, &why)),
    };
    if let Some(node) = graph.decoded().into_iter().find(|node| leads_away(&graph.nodes[*node])) {
        let why = format!("{} leads to a part that all tracks share", graph.nodes[node].factory);
        return (None, refused(&graph, &why));
    }
    let stands_in = (0..graph.nodes.len()).filter(|node| outfit.misfit(&graph.nodes[*node], around.set).is_none());
    let mut able = Abilities {
        decodes: outfit.decoder.is_ok(),
        scales: outfit.scaler.is_ok(),
        stands_in: stands_in.collect(),
        roles: outfit.roles.clone(),
    };
    let mut on = place(&graph, &able);
    if !kit.upload.is_empty() && outfit.upload.is_none() && arrives(&graph, &on) {
        outfit.scaler = Err(missing(kit, &kit.upload, outfit.device.as_deref()));
        able.scales = false;
        on = place(&graph, &able);
    }
    plan.why = reasons(&graph, &on, &outfit, &encoders, around.set);
    if !on.contains(&true) {
        return (None, plan);
    }
    let parts = Parts {
        decoder: outfit.decoder.as_deref().unwrap_or_default(),
        scaler: outfit.scaler.as_deref().unwrap_or_default(),
        upload: outfit.upload.as_deref(),
        download: outfit.download.as_deref(),
        keeps: &kit.keeps,
        memory: kit.in_caps.then_some(kit.memory.as_str()),
    };
    let rewritten = rewrite(text, &graph, &on, &parts);
    plan.kit = Some(kit.name.clone());
    let elements = rewritten.elements.into_iter();
    let settings = |factory: &str| kit.settings(factory, outfit.device.as_deref());
    plan.elements = elements.map(|(name, factory)| (name, settings(&factory))).collect();
    (Some(rewritten.text), plan)
}

impl MemoryPlan {
    /// The kit that is to blame for a failure: one of its elements reports it, or it came before anything did and no other
    /// element that could be exchanged is to blame. `elements` are the names of the element it began in and of those around it.
    pub fn blamed(&self, elements: &[String], is_encoder: bool, had_output: bool) -> Option<&str> {
        let is_own = elements.iter().any(|name| self.elements.contains_key(name));
        self.kit.as_deref().filter(|_| is_own || (!is_encoder && !had_output))
    }

    /// Takes in what is planned for another text. `rename` gives the name that an element of it has in the whole.
    pub fn add(&mut self, other: Self, rename: impl Fn(&str) -> String) {
        self.kit = self.kit.take().or(other.kit);
        let elements = other.elements.into_iter();
        self.elements.extend(elements.map(|(name, sets)| (rename(&name), sets)));
        let why = other.why.into_iter();
        self.why.extend(why.map(|(place, why)| match place.as_str() {
            DECODE => (place, why),
            role => (rename(role), why),
        }));
    }
}

fn refused(graph: &Graph, why: &str) -> MemoryPlan {
    let roles = graph.nodes.iter().filter_map(|node| match &node.kind {
        Kind::Decoder => Some(DECODE.to_owned()),
        Kind::Encoder(role) => Some(role.clone()),
        _ => None,
    });
    MemoryPlan {
        why: roles.map(|role| (role, why.to_owned())).collect(),
        ..MemoryPlan::default()
    }
}

/// The encoders that the decoder's pictures come to, by role.
fn encoders<'a>(graph: &Graph, chosen: &'a Chosen) -> BTreeMap<String, &'a Encoder> {
    let decoded = graph.decoded().into_iter();
    let roles = decoded.filter_map(|node| match &graph.nodes[node].kind {
        Kind::Encoder(role) => Some(role),
        _ => None,
    });
    roles
        .filter_map(|role| Some((role.clone(), chosen.get(role)?)))
        .collect()
}

/// The kit and the device that most of the encoders share; of several the first kit.
fn best<'a>(
    kits: &'a Kits,
    encoders: &BTreeMap<String, &Encoder>,
) -> Option<(&'a Kit, Option<String>, BTreeSet<String>)> {
    let mut found: Option<(&Kit, Option<String>, BTreeSet<String>)> = None;
    for kit in kits.iter() {
        let mut by_device: BTreeMap<Option<&str>, BTreeSet<String>> = BTreeMap::new();
        for (role, encoder) in encoders.iter().filter(|(_, encoder)| kit.feeds(encoder)) {
            let device = encoder.device_in(&encoder.element);
            by_device.entry(device).or_default().insert(role.clone());
        }
        for (device, roles) in by_device {
            if found.as_ref().is_none_or(|(.., most)| roles.len() > most.len()) {
                found = Some((kit, device.map(str::to_owned), roles));
            }
        }
    }
    found
}

fn leads_away(node: &Node) -> bool {
    node.leads_out && !matches!(node.kind, Kind::Encoder(_))
}

/// Whether pictures are brought to the device somewhere.
fn arrives(graph: &Graph, on: &[bool]) -> bool {
    let nodes = graph.nodes.iter().enumerate();
    let mut there = nodes.filter(|(index, _)| on[*index]);
    there.any(|(_, node)| node.inputs.iter().any(|input| !on[*input]) && node.kind == Kind::Scaler)
}
