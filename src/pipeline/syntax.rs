//! Syntax: the words of a launch text.
//!
//! GStreamer parses launch texts; here they are only read as far as the server has to know them: which words stand for
//! something else, which elements there are and what they are told. What is in quotes is one word and never looked into.

use std::collections::BTreeSet;

/// A word and where it begins in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// As it is written, quotes and all.
    pub text: &'a str,
    /// Bytes before it.
    pub at: usize,
}

/// An element of a launch text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// What makes it: a factory's name, or a word that stands for one.
    pub factory: Word<'a>,
    /// What it is told.
    pub properties: Vec<Property<'a>>,
}

/// A property in a launch text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property<'a> {
    /// The whole of it.
    pub word: Word<'a>,
    /// Its name.
    pub name: &'a str,
    /// Its value, without quotes.
    pub value: String,
}

impl Element<'_> {
    /// The name it is given.
    pub fn name(&self) -> Option<&str> {
        let named = self.properties.iter().find(|property| property.name == "name");
        named.map(|property| property.value.as_str())
    }
}

/// The words of a text. `!` is one, with or without space around it.
pub fn words(text: &str) -> impl Iterator<Item = Word<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += text[at..].find(|c: char| !c.is_whitespace())?;
        let length = word_length(&text[at..]);
        let word = Word {
            text: &text[at..at + length],
            at,
        };
        at += length;
        Some(word)
    })
}

/// The length of the word that a text begins with.
fn word_length(text: &str) -> usize {
    if text.starts_with('!') {
        return 1;
    }
    let (mut quote, mut escaped) = (None, false);
    for (at, c) in text.char_indices() {
        match (c, quote) {
            _ if escaped => escaped = false,
            ('\\', _) => escaped = true,
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (c, None) if c == '!' || c.is_whitespace() => return at,
            _ => {}
        }
    }
    text.len()
}

/// Replaces words. `replace` is given a word and the one behind it; where it has no answer the word stays.
pub fn map_words(text: &str, mut replace: impl FnMut(&str, Option<&str>) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let (mut copied, mut words) = (0, words(text).peekable());
    while let Some(word) = words.next() {
        let next = words.peek().map(|next| next.text);
        if let Some(replaced) = replace(word.text, next) {
            out.push_str(&text[copied..word.at]);
            out.push_str(&replaced);
            copied = word.at + word.text.len();
        }
    }
    out.push_str(&text[copied..]);
    out
}

/// The elements of a text. Caps between elements are none, and neither is what an element is linked to by name.
pub fn elements(text: &str) -> Vec<Element<'_>> {
    let mut found: Vec<Element<'_>> = Vec::new();
    // Whether a property here belongs to the last element.
    let mut is_open = false;
    for word in words(text) {
        match property(word) {
            Some(property) => {
                if let Some(element) = found.last_mut().filter(|_| is_open) {
                    element.properties.push(property);
                }
            }
            None => {
                is_open = is_factory(word.text);
                if is_open {
                    found.push(Element {
                        factory: word,
                        properties: Vec::new(),
                    });
                }
            }
        }
    }
    found
}

/// The names that a text gives to its elements.
pub fn names(text: &str) -> BTreeSet<&str> {
    words(text).filter_map(|word| word.text.strip_prefix("name=")).collect()
}

/// The names that a text gives to elements which `encoder` stands for: the roles.
pub fn roles(text: &str) -> impl Iterator<Item = &str> {
    let mut words = words(text).peekable();
    std::iter::from_fn(move || {
        loop {
            let word = words.next()?;
            if word.text == "encoder"
                && let Some(name) = words.peek().and_then(|next| next.text.strip_prefix("name="))
            {
                return Some(name);
            }
        }
    })
}

/// The property that a word sets.
pub(super) fn property(word: Word<'_>) -> Option<Property<'_>> {
    let (name, value) = word.text.split_once('=')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':');
    (!name.is_empty() && name.chars().all(is_name)).then(|| Property {
        word,
        name,
        value: unquoted(value),
    })
}

/// Whether a word that is no property can be an element's. Caps have a slash, links a dot, bins a bracket.
pub(super) fn is_factory(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// As GStreamer reads it: without the quotes around it, and without the backslashes before characters.
fn unquoted(value: &str) -> String {
    let inner = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(value);
    let (mut out, mut escaped) = (String::with_capacity(inner.len()), false);
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(c);
            escaped = false;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        words(text).map(|word| word.text).collect()
    }

    #[test]
    fn quoted_text_is_one_word() {
        assert_eq!(texts("a !b c=\"x ! y\""), ["a", "!", "b", "c=\"x ! y\""]);
        assert_eq!(texts("a b='it \"is\" x' !c"), ["a", "b='it \"is\" x'", "!", "c"]);
        assert_eq!(texts("a b=\"x\\\" y\" c=d\\ e"), ["a", "b=\"x\\\" y\"", "c=d\\ e"]);
        assert_eq!(texts("  \n"), [""; 0]);
        assert_eq!(texts("a \"open"), ["a", "\"open"]);
    }

    #[test]
    fn elements_are_told_from_caps_and_links() {
        let text = "in.video ! parser ! queue name=q max-size-buffers=\"3\" ! video/x-raw,format=I420 ! mux.video_0  \
                    mux name=m x::y=1 ( a ) ! filesink location='/a b'";
        let shown: Vec<_> = elements(text)
            .iter()
            .map(|element| {
                let told = element.properties.iter();
                let told: Vec<_> = told.map(|told| format!("{}={}", told.name, told.value)).collect();
                format!("{} {}", element.factory.text, told.join(" "))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "parser ",
                "queue name=q max-size-buffers=3",
                "mux name=m x::y=1",
                "a ",
                "filesink location=/a b"
            ]
        );
    }

    #[test]
    fn what_stands_behind_caps_is_no_property_of_the_element_before_them() {
        let found = elements("a x=1 ! video/x-raw,y=2 z=3 ! b");
        assert_eq!(
            found.iter().map(|element| element.properties.len()).collect::<Vec<_>>(),
            [1, 0]
        );
    }

    #[test]
    fn roles_are_the_names_behind_the_word_encoder() {
        let found: Vec<_> =
            roles("x !encoder  name=v ! my-encoder name=w \"encoder name=q\" encoder bitrate=1 name=z").collect();
        assert_eq!(found, ["v"]);
    }

    #[test]
    fn words_are_replaced_where_they_stand() {
        let replaced = map_words("a  !b c=\"b\" b", |word, next| match (word, next) {
            ("b", Some(_)) => Some("first".to_owned()),
            ("b", None) => Some("last".to_owned()),
            _ => None,
        });
        assert_eq!(replaced, "a  !first c=\"b\" last");
    }
}
