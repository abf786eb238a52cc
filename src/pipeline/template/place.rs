//! Places: the line in a template's file that a key or a word stands on.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// The line that a word stands on in the value of a dotted key, in which a number is a place in a list; the key's own line if
/// the word is not there, and that of the last part of the key that is there if the key is not.
pub(in crate::pipeline) fn line_of_word(text: &str, key: &str, word: Option<&str>) -> usize {
    let (at, value) = find(text, key);
    let within = word.and_then(|word| text.get(value.clone())?.find(word));
    line_at(text, within.map_or(at, |offset| value.start + offset))
}

/// The line that a word stands on in the value of this very key.
pub(in crate::pipeline) fn line_of_word_in(text: &str, key: &str, word: &str) -> Option<usize> {
    let (_, value) = find(text, key);
    let offset = text.get(value.clone())?.find(word)?;
    Some(line_at(text, value.start + offset))
}

/// The line that a word stands on in one of a file's fragments.
pub(in crate::pipeline) fn line_in_fragments(text: &str, word: &str) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let DeValue::Table(fragments) = table.get_ref().get("fragments")?.get_ref() else {
        return None;
    };
    let mut spans = fragments.values().map(toml::Spanned::span);
    spans.find_map(|span| {
        let offset = text.get(span.clone())?.find(word)?;
        Some(line_at(text, span.start + offset))
    })
}

/// Where a key stands, and its value.
fn find(text: &str, key: &str) -> (usize, Range<usize>) {
    let Ok(table) = DeTable::parse(text) else {
        return (0, 0..0);
    };
    let (mut at, mut found) = (0, 0..0);
    let mut values = Some(Inside::Table(table.get_ref()));
    for part in key.split('.') {
        let here = match values {
            Some(Inside::Table(table)) => {
                let named = table.iter().find(|(name, _)| name.get_ref() == part);
                named.map(|(name, value)| (name.span().start, value))
            }
            Some(Inside::List(list)) => {
                let numbered = part.parse().ok().and_then(|number: usize| list.get(number));
                numbered.map(|value| (value.span().start, value))
            }
            None => None,
        };
        let Some((start, value)) = here else { break };
        (at, found) = (start, value.span());
        values = match value.get_ref() {
            DeValue::Table(table) => Some(Inside::Table(table)),
            DeValue::Array(list) => Some(Inside::List(list)),
            _ => None,
        };
    }
    (at, found)
}

enum Inside<'a, 'b> {
    Table(&'a DeTable<'b>),
    List(&'a [toml::Spanned<DeValue<'b>>]),
}

fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    1 + before.filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a = 1\n[b.c]\nd = { e = 1 }\n[[f]]\ng = 1\n[[f]]\ng = '''\nx\n  y z'''\nh = 'q'\n";

    #[test]
    fn a_key_is_found_in_tables_and_lists() {
        for (key, line) in [
            ("a", 1),
            ("b.c", 2),
            ("b.c.d", 3),
            ("b.c.d.e", 3),
            ("b.c.x", 2),
            ("f.0.g", 5),
            ("f.1", 6),
            ("f.1.g", 7),
            ("nowhere", 1),
        ] {
            assert_eq!(line_of_word(TEXT, key, None), line, "{key}");
        }
        assert_eq!(line_of_word("no = toml =", "no", None), 1);
    }

    #[test]
    fn a_word_is_found_in_the_value_of_its_key_only() {
        assert_eq!(line_of_word(TEXT, "f.1.g", Some("y")), 9);
        assert_eq!(line_of_word(TEXT, "f.1.g", Some("q")), 7);
        assert_eq!(line_of_word(TEXT, "f.0.g", None), 5);
        assert_eq!(line_of_word_in(TEXT, "f.1.g", "y"), Some(9));
        assert_eq!(line_of_word_in(TEXT, "f.1.g", "q"), None);
    }

    #[test]
    fn a_word_is_found_in_a_fragment() {
        let text = "x = 'b'\n[fragments]\na = 'c'\nd = \"\"\"\nqueue\nb\"\"\"\n";
        assert_eq!(line_in_fragments(text, "b"), Some(6));
        assert_eq!(line_in_fragments(text, "x"), None);
    }
}
