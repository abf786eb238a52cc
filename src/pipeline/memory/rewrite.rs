//! Rewriting: a text with the elements of a kit in it.

use std::ops::Range;

use super::graph::{Graph, Kind, Node};

/// The elements that are put in.
pub(super) struct Parts<'a> {
    pub(super) decoder: &'a str,
    pub(super) scaler: &'a str,
    pub(super) upload: Option<&'a str>,
    pub(super) download: Option<&'a str>,
    /// Properties of scalers that are taken over.
    pub(super) keeps: &'a [String],
    /// The memory, where caps name it.
    pub(super) memory: Option<&'a str>,
}

/// A text that was changed.
pub(super) struct Rewritten {
    pub(super) text: String,
    /// The names of the elements that were put in, and what makes them.
    pub(super) elements: Vec<(String, String)>,
}

/// The text in which what is `on` the device is done by these.
pub(super) fn rewrite(text: &str, graph: &Graph, on: &[bool], parts: &Parts<'_>) -> Rewritten {
    let mut writer = Writer {
        text,
        graph,
        on,
        parts,
        elements: Vec::new(),
    };
    let mut out = String::with_capacity(text.len() * 2);
    let mut copied = 0;
    for (index, node) in graph.nodes.iter().enumerate() {
        let Some((range, new)) = writer.edit(index, node) else {
            continue;
        };
        out.push_str(&text[copied..range.start]);
        out.push_str(&new);
        copied = range.end;
    }
    out.push_str(&text[copied..]);
    Rewritten {
        text: out,
        elements: writer.elements,
    }
}

struct Writer<'a> {
    text: &'a str,
    graph: &'a Graph,
    on: &'a [bool],
    parts: &'a Parts<'a>,
    elements: Vec<(String, String)>,
}

impl Writer<'_> {
    /// What is written in place of an element, and of how much of the text.
    fn edit(&mut self, index: usize, node: &Node) -> Option<(Range<usize>, String)> {
        // What comes out of an encoder is in system memory.
        let from_device = |input: &usize| self.on[*input] && !matches!(self.graph.nodes[*input].kind, Kind::Encoder(_));
        let all_from_device = node.inputs.iter().all(from_device);
        if !self.on[index] {
            let download = self.parts.download.filter(|_| node.inputs.iter().any(from_device))?;
            let download = self.element(download, index, None);
            return Some((node.at.start..node.at.start, format!("{download} ! ")));
        }
        match &node.kind {
            Kind::Decoder => {
                let word = node.at.start..node.at.start + node.factory.len();
                Some((word, self.element(self.parts.decoder, index, node.name())))
            }
            Kind::Filter => Some((
                node.at.clone(),
                in_memory(&self.text[node.at.clone()], self.parts.memory?),
            )),
            Kind::Scaler => {
                // One scales and converts; what was done by two in a row is done by the first.
                if let Some(before) = merged_into(self.graph, self.on, index) {
                    return Some((self.graph.nodes[before].at.end..node.at.end, String::new()));
                }
                let upload = self.parts.upload.filter(|_| !all_from_device);
                let upload = upload.map(|upload| format!("{} ! ", self.element(upload, index, None)));
                let mut scaler = self.element(self.parts.scaler, index, node.name());
                for (name, word) in &node.properties {
                    if name == "name" || self.parts.keeps.contains(name) {
                        scaler.push(' ');
                        scaler.push_str(word);
                    }
                }
                Some((node.at.clone(), upload.unwrap_or_default() + &scaler))
            }
            Kind::Passing | Kind::Encoder(_) | Kind::Other => None,
        }
    }

    /// An element of the kit, with a name unless the text gives it one: it is known by that when it fails.
    fn element(&mut self, factory: &str, index: usize, name: Option<&str>) -> String {
        let own = format!("{factory}-{index}");
        let known = name.unwrap_or(&own).to_owned();
        self.elements.push((known, factory.to_owned()));
        match name {
            Some(_) => factory.to_owned(),
            None => format!("{factory} name={own}"),
        }
    }
}

/// The scaler that does the work of one that stands right behind it and is nothing but its kind.
fn merged_into(graph: &Graph, on: &[bool], index: usize) -> Option<usize> {
    let node = &graph.nodes[index];
    let before = match node.inputs.as_slice() {
        [before] => *before,
        _ => return None,
    };
    let is_next = before + 1 == index && graph.outputs(before).count() == 1;
    let is_scaler = graph.nodes[before].kind == Kind::Scaler && on[before];
    (is_next && is_scaler && node.properties.is_empty()).then_some(before)
}

/// Caps of pictures, in a device's memory.
fn in_memory(caps: &str, memory: &str) -> String {
    caps.replace("video/x-raw", &format!("video/x-raw(memory:{memory})"))
}
