//! Placement: which elements of a text work on a device. A plain function of plain values.

use std::collections::BTreeSet;

use super::graph::{Graph, Kind, Node};

/// What can be done on a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Its decoder is there.
    pub decodes: bool,
    /// Its scaler is there.
    pub scales: bool,
    /// The scalers of the text that its own can stand in for.
    pub stands_in: BTreeSet<usize>,
    /// The roles whose encoders run on it.
    pub roles: BTreeSet<String>,
}

/// For each element of the text whether it works on the device.
///
/// Decoding is done there in any case: nothing saves the processor more. Pictures stay there as far as elements go; they are
/// brought there again where what follows is scaling for an encoder of the device, and nowhere else, since encoders take
/// system memory by themselves. For an encoder in software they are scaled there too, so that less has to be copied.
pub fn place(graph: &Graph, able: &Abilities) -> Vec<bool> {
    let nodes = &graph.nodes;
    let decoded = graph.decoded();
    let can = |index: usize, node: &Node| match &node.kind {
        Kind::Decoder => able.decodes,
        Kind::Scaler => able.scales && able.stands_in.contains(&index),
        Kind::Filter | Kind::Passing => true,
        Kind::Encoder(role) => able.roles.contains(role),
        Kind::Other => false,
    };
    let can: Vec<_> = nodes.iter().enumerate().map(|(index, node)| can(index, node)).collect();
    // Whether pictures that are there stay there as far as an encoder of the device, or as far as any.
    let is_device = |node: usize| matches!(nodes[node].kind, Kind::Encoder(_)) && can[node];
    let is_any = |node: usize| matches!(nodes[node].kind, Kind::Encoder(_));
    let stays = reach(graph, &can, is_device);
    let ends = reach(graph, &can, is_any);
    let mut on = vec![false; nodes.len()];
    loop {
        let mut changed = false;
        for index in 0..nodes.len() {
            let node = &nodes[index];
            let fed = !node.inputs.is_empty() && node.inputs.iter().all(|input| on[*input]);
            let is_on = decoded.contains(&index)
                && can[index]
                && match node.kind {
                    Kind::Decoder => true,
                    Kind::Scaler => stays[index] || (fed && ends[index]),
                    _ => fed,
                };
            changed |= is_on != on[index];
            on[index] = is_on;
        }
        // Elements are only ever added, so this comes to its end.
        if !changed {
            return on;
        }
    }
}

/// Which elements lead to an end over others that can do it.
fn reach(graph: &Graph, can: &[bool], is_end: impl Fn(usize) -> bool) -> Vec<bool> {
    let mut reached: Vec<_> = (0..graph.nodes.len()).map(&is_end).collect();
    loop {
        let mut changed = false;
        for index in 0..reached.len() {
            if !reached[index] && can[index] && graph.outputs(index).any(|output| reached[output]) {
                (reached[index], changed) = (true, true);
            }
        }
        if !changed {
            return reached;
        }
    }
}
