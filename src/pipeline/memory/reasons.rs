//! Reasons: why pictures are in system memory although an encoder is a device's.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::encoder::Encoder,
    graph::{Graph, Kind},
    outfit::Outfit,
    plan::DECODE,
};

/// Why the decoder works in system memory, and why encoders get their pictures from there.
pub(super) fn reasons(
    graph: &Graph,
    on: &[bool],
    outfit: &Outfit<'_>,
    encoders: &BTreeMap<String, &Encoder>,
    set: &BTreeSet<&str>,
) -> BTreeMap<String, String> {
    let mut why = BTreeMap::new();
    for index in graph.decoded() {
        match &graph.nodes[index].kind {
            Kind::Decoder if !on[index] => {
                why.extend(outfit.decoder.clone().err().map(|why| (DECODE.to_owned(), why)));
            }
            Kind::Encoder(role) if !on[index] => {
                let reason = match encoders.get(role) {
                    Some(encoder) if !outfit.roles.contains(role) => foreign(encoder, outfit),
                    _ => obstacle(graph, on, index, outfit, set),
                };
                why.insert(role.clone(), reason);
            }
            _ => {}
        }
    }
    why
}

fn foreign(encoder: &Encoder, outfit: &Outfit<'_>) -> String {
    match outfit.kit.feeds(encoder) {
        true => format!("{} is on another device than the others", encoder.element),
        false if encoder.is_software() => format!("{} takes pictures from system memory", encoder.element),
        false => format!("{} takes no pictures from {}", encoder.element, outfit.kit.memory),
    }
}

/// What lies nearest before an encoder that its device cannot do.
fn obstacle(graph: &Graph, on: &[bool], encoder: usize, outfit: &Outfit<'_>, set: &BTreeSet<&str>) -> String {
    let (mut at, mut seen) = (encoder, BTreeSet::new());
    while let Some(before) = graph.nodes[at]
        .inputs
        .first()
        .copied()
        .filter(|before| seen.insert(*before))
    {
        let node = &graph.nodes[before];
        match &node.kind {
            Kind::Scaler if !on[before] => {
                let misfit = outfit.misfit(node, set).or_else(|| outfit.scaler.clone().err());
                return misfit.unwrap_or_else(|| format!("{} works in system memory", node.factory));
            }
            Kind::Decoder => return outfit.decoder.clone().err().unwrap_or_default(),
            Kind::Other => return format!("{} works in system memory", node.factory),
            _ => at = before,
        }
    }
    "its pictures come from system memory".to_owned()
}
