//! The graph: what pictures pass on their way from their decoder, as a launch text says it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::{super::syntax, kits::Kits};

/// The elements of a text, and where each has its pictures from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// In the order of the text.
    pub nodes: Vec<Node>,
}

/// An element, or caps between two.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it does.
    pub kind: Kind,
    /// Where it is in the text, with its properties.
    pub at: Range<usize>,
    /// What it is called there.
    pub factory: String,
    /// Its properties, as they are written.
    pub properties: Vec<(String, String)>,
    /// What leads to it.
    pub inputs: Vec<usize>,
    /// It leads to an element of another text.
    pub leads_out: bool,
}

/// What an element does with pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It makes them.
    Decoder,
    /// It scales or converts them.
    Scaler,
    /// It says what form they have.
    Filter,
    /// It passes them on as they are.
    Passing,
    /// It encodes them, for this role.
    Encoder(String),
    /// Something else, which wants them in system memory.
    Other,
}

impl Node {
    /// The name it is given.
    pub fn name(&self) -> Option<&str> {
        let named = self.properties.iter().find(|(name, _)| name == "name");
        named.and_then(|(_, word)| word.strip_prefix("name="))
    }
}

impl Graph {
    /// Reads a text. `None` if it has something in it that is not understood, such as bins.
    pub fn read(text: &str, kits: &Kits) -> Option<Self> {
        let mut reader = Reader::default();
        for word in syntax::words(text) {
            reader.take(word, kits)?;
        }
        Some(reader.finish())
    }

    /// Those that an element leads to.
    pub fn outputs(&self, node: usize) -> impl Iterator<Item = usize> {
        let nodes = self.nodes.iter().enumerate();
        nodes
            .filter(move |(_, other)| other.inputs.contains(&node))
            .map(|(index, _)| index)
    }

    /// Those that the decoder's pictures come by, as far as the encoders.
    pub fn decoded(&self) -> BTreeSet<usize> {
        let is_decoder = |(_, node): &(usize, &Node)| node.kind == Kind::Decoder;
        let mut waiting: Vec<_> = self
            .nodes
            .iter()
            .enumerate()
            .filter(is_decoder)
            .map(|(index, _)| index)
            .collect();
        let mut found = BTreeSet::new();
        while let Some(node) = waiting.pop() {
            if found.insert(node) && !matches!(self.nodes[node].kind, Kind::Encoder(_)) {
                waiting.extend(self.outputs(node));
            }
        }
        found
    }
}

/// One end of a link: a node, or the name of one.
#[derive(Clone, Debug)]
enum End {
    Node(usize),
    Named(String),
}

#[derive(Default)]
struct Reader {
    graph: Graph,
    /// What was read last.
    last: Option<End>,
    /// A link has begun behind it.
    linking: bool,
    links: Vec<(End, End)>,
}

impl Reader {
    fn take(&mut self, word: syntax::Word<'_>, kits: &Kits) -> Option<()> {
        let text = word.text;
        if text == "!" {
            self.linking = true;
        } else if let Some(property) = syntax::property(word) {
            // One behind caps or a name belongs to nothing that is known.
            let Some(End::Node(node)) = self.last.clone().filter(|_| !self.linking) else {
                return None;
            };
            let node = &mut self.graph.nodes[node];
            node.at.end = word.at + text.len();
            node.properties.push((property.name.to_owned(), text.to_owned()));
        } else if syntax::is_factory(text) {
            self.add(word, kind_of(text, kits));
        } else if text.starts_with("video/x-raw") && !text.starts_with("video/x-raw(") {
            self.add(word, Kind::Filter);
        } else if text.contains('/') {
            self.add(word, Kind::Other);
        } else {
            let (name, _) = text.split_once('.')?;
            self.meet(End::Named(name.to_owned()));
        }
        Some(())
    }

    fn add(&mut self, word: syntax::Word<'_>, kind: Kind) {
        self.graph.nodes.push(Node {
            kind,
            at: word.at..word.at + word.text.len(),
            factory: word.text.to_owned(),
            properties: Vec::new(),
            inputs: Vec::new(),
            leads_out: false,
        });
        self.meet(End::Node(self.graph.nodes.len() - 1));
    }

    fn meet(&mut self, end: End) {
        if let Some(last) = self.last.take().filter(|_| self.linking) {
            self.links.push((last, end.clone()));
        }
        self.linking = false;
        self.last = Some(end);
    }

    fn finish(self) -> Graph {
        let Self { mut graph, links, .. } = self;
        for node in &mut graph.nodes {
            node.settle();
        }
        let named = graph.nodes.iter().enumerate();
        let named: BTreeMap<_, _> = named
            .filter_map(|(index, node)| Some((node.name()?.to_owned(), index)))
            .collect();
        let node = |end: End| match end {
            End::Node(node) => Some(node),
            End::Named(name) => named.get(&name).copied(),
        };
        for (from, to) in links {
            match (node(from), node(to)) {
                (Some(from), Some(to)) => graph.nodes[to].inputs.push(from),
                (Some(from), None) => graph.nodes[from].leads_out = true,
                (None, _) => {}
            }
        }
        graph
    }
}

impl Node {
    /// What only its properties tell.
    fn settle(&mut self) {
        if self.kind == Kind::Encoder(String::new()) {
            self.kind = match self.name() {
                Some(role) => Kind::Encoder(role.to_owned()),
                None => Kind::Other,
            };
        }
        if self.factory == "capsfilter" {
            let caps = self.properties.iter().find(|(name, _)| name == "caps");
            let is_plain =
                |(_, word): &(String, String)| word.contains("video/x-raw") && !word.contains("video/x-raw(");
            self.kind = match caps.is_some_and(is_plain) {
                true => Kind::Filter,
                false => Kind::Other,
            };
        }
    }
}

fn kind_of(factory: &str, kits: &Kits) -> Kind {
    match factory {
        "decoder" => Kind::Decoder,
        // Its role comes behind it.
        "encoder" => Kind::Encoder(String::new()),
        factory if kits.scales(factory) => Kind::Scaler,
        factory if kits.passes(factory) => Kind::Passing,
        _ => Kind::Other,
    }
}
