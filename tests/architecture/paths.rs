//! The paths that a Rust source names: `use` trees taken apart, and paths written out in code.
//!
//! A lexer and a small parser, no more: comments, strings and lifetimes are told from code, and what a macro would
//! expand to is not seen. That is enough, because a module has to be named somewhere before it can be used.

/// One path as it was written.
#[derive(Debug, PartialEq)]
pub(crate) struct Path {
    pub(crate) line: usize,
    /// Names from left to right; a glob is `*`.
    pub(crate) segments: Vec<String>,
    /// Written with a leading `::`, so the first segment is a crate.
    pub(crate) global: bool,
    /// Comes from a `use` item.
    pub(crate) import: bool,
    /// The inline modules around it, outermost first.
    pub(crate) inside: Vec<String>,
}

/// Every path in `source`.
pub(crate) fn paths(source: &str) -> Vec<Path> {
    let tokens = lex(source);
    let mut found = Vec::new();
    let mut modules: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while let Some((token, line)) = tokens.get(at) {
        let inside = || modules.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        match token {
            Token::Punct('{') => depth += 1,
            Token::Punct('}') => {
                depth -= 1;
                modules.retain(|(_, opened)| *opened <= depth);
            }
            Token::Name(word) if word == "mod" => {
                if let (Some(Token::Name(name)), Some(Token::Punct('{'))) =
                    (kind(&tokens, at + 1), kind(&tokens, at + 2))
                {
                    depth += 1;
                    modules.push((name.clone(), depth));
                    at += 2;
                }
            }
            Token::Name(word) if word == "use" && !matches!(kind(&tokens, at + 1), Some(Token::Punct('<'))) => {
                let inside = inside();
                let global = kind(&tokens, at + 1) == Some(&Token::Separator);
                let mut leaves = Vec::new();
                at = use_tree(&tokens, at + 1 + usize::from(global), &[], &mut leaves);
                found.extend(leaves.into_iter().map(|(segments, line)| Path {
                    line,
                    segments,
                    global,
                    import: true,
                    inside: inside.clone(),
                }));
                continue;
            }
            Token::Name(word) if word == "extern" && kind(&tokens, at + 1) == Some(&Token::Name("crate".into())) => {
                if let Some(Token::Name(name)) = kind(&tokens, at + 2) {
                    found.push(Path {
                        line: *line,
                        segments: vec![name.clone()],
                        global: true,
                        import: true,
                        inside: inside(),
                    });
                }
                at += 2;
            }
            Token::Name(first) if kind(&tokens, at + 1) == Some(&Token::Separator) => {
                let global = at > 0 && tokens[at - 1].0 == Token::Separator;
                let mut segments = vec![first.clone()];
                while let (Some(Token::Separator), Some(Token::Name(next))) =
                    (kind(&tokens, at + 1), kind(&tokens, at + 2))
                {
                    segments.push(next.clone());
                    at += 2;
                }
                found.push(Path {
                    line: *line,
                    segments,
                    global,
                    import: false,
                    inside: inside(),
                });
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads one use tree from `at` on, appends its leaves, and returns the place behind it.
fn use_tree(
    tokens: &[(Token, usize)],
    mut at: usize,
    prefix: &[String],
    leaves: &mut Vec<(Vec<String>, usize)>,
) -> usize {
    let mut path = prefix.to_vec();
    let mut line = tokens.get(at).map_or(0, |(_, line)| *line);
    while let Some((token, here)) = tokens.get(at) {
        match token {
            Token::Name(word) if word == "as" => at += 1,
            Token::Name(word) => {
                path.push(word.clone());
                line = *here;
            }
            Token::Separator => {}
            Token::Punct('*') => path.push("*".into()),
            Token::Punct('{') => {
                at += 1;
                while !matches!(kind(tokens, at), None | Some(Token::Punct('}'))) {
                    at = use_tree(tokens, at, &path, leaves);
                    if kind(tokens, at) == Some(&Token::Punct(',')) {
                        at += 1;
                    }
                }
                return at + 1;
            }
            Token::Punct(_) => break,
        }
        at += 1;
    }
    if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
        path.pop();
    }
    leaves.push((path, line));
    at
}

#[derive(Debug, PartialEq)]
enum Token {
    Name(String),
    Separator,
    Punct(char),
}

fn kind(tokens: &[(Token, usize)], at: usize) -> Option<&Token> {
    tokens.get(at).map(|(token, _)| token)
}

fn lex(source: &str) -> Vec<(Token, usize)> {
    let text: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut at = 0;
    while at < text.len() {
        let start = at;
        let next = text.get(at + 1).copied();
        match text[at] {
            '/' if next == Some('/') => at = position(&text, at, |c| c == '\n'),
            '/' if next == Some('*') => at = block_comment_end(&text, at),
            '"' => at = string_end(&text, at),
            '\'' => {
                // A lifetime is a quote and a name with no quote behind it.
                let name_end = position(&text, at + 1, |c| !is_name(c));
                let is_lifetime = name_end > at + 1 && text.get(name_end) != Some(&'\'');
                at = if is_lifetime { name_end } else { char_end(&text, at) };
            }
            c if is_name(c) => {
                let end = position(&text, at, |c| !is_name(c));
                let name: String = text[at..end].iter().collect();
                let hashes = position(&text, end, |c| c != '#') - end;
                let opens_string = text.get(end + hashes) == Some(&'"');
                at = match name.as_str() {
                    "r" | "br" | "cr" if opens_string => raw_string_end(&text, end + hashes, hashes),
                    "b" | "c" if hashes == 0 && opens_string => string_end(&text, end),
                    "b" if text.get(end) == Some(&'\'') => char_end(&text, end),
                    "r" if hashes == 1 => end + 1,
                    _ => {
                        tokens.push((Token::Name(name), line));
                        end
                    }
                };
            }
            ':' if next == Some(':') => {
                tokens.push((Token::Separator, line));
                at += 2;
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push((Token::Punct(c), line));
                }
                at += 1;
            }
        }
        at = at.min(text.len());
        line += text[start..at].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn position(text: &[char], from: usize, found: impl Fn(char) -> bool) -> usize {
    (from..text.len()).find(|at| found(text[*at])).unwrap_or(text.len())
}

fn string_end(text: &[char], mut at: usize) -> usize {
    at += 1;
    while at < text.len() && text[at] != '"' {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn raw_string_end(text: &[char], quote: usize, hashes: usize) -> usize {
    let closes = |at: &usize| text[*at] == '"' && text[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
    (quote + 1..text.len())
        .find(closes)
        .map_or(text.len(), |at| at + 1 + hashes)
}

fn char_end(text: &[char], quote: usize) -> usize {
    let body = if text.get(quote + 1) == Some(&'\\') {
        quote + 3
    } else {
        quote + 2
    };
    position(text, body, |c| c == '\'') + 1
}

fn block_comment_end(text: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(source: &str) -> Vec<String> {
        paths(source).iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn a_use_tree_is_taken_apart_into_its_leaves() {
        let source = "pub(crate) use std::{self, io::{Read as _, Write}, time::*};\nuse gst;";
        assert_eq!(
            written(source),
            ["std", "std::io::Read", "std::io::Write", "std::time::*", "gst"]
        );
    }

    #[test]
    fn a_path_in_code_is_seen_and_knows_its_line() {
        let found = paths("fn f() {\n    let x: ::warp::Reply = crate::hub::open::<u8>();\n}");
        assert_eq!(found[0].segments, ["warp", "Reply"]);
        assert!(found[0].global);
        assert_eq!(found[1].segments, ["crate", "hub", "open"]);
        assert_eq!(found[1].line, 2);
    }

    #[test]
    fn comments_strings_and_lifetimes_are_not_code() {
        let source = r##"
            // use gst::Pipeline;
            /* use gst::A; /* nested */ use gst::B; */
            fn f<'gst>(x: &'gst str) { g("use gst::C;", r#"gst::"D"#, b"gst::E", '"', b'\'', '\u{7f}'); }
            use after::all;
        "##;
        assert_eq!(written(source), ["after::all"]);
    }

    #[test]
    fn a_path_knows_the_inline_modules_around_it() {
        let found = paths("mod outer { mod tests { use super::a; } fn f() {} use self::b; } use c;");
        assert_eq!(found[0].inside, ["outer", "tests"]);
        assert_eq!(found[1].inside, ["outer"]);
        assert!(found[2].inside.is_empty());
    }
}
