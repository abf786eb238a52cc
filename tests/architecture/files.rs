//! Size, names and markers of source files.

/// Longest file that needs no reason.
const MOST_LINES: usize = 800;

/// Names that say nothing about their subject.
const EMPTY_NAMES: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "types", "manager", "misc", "define", "defines",
];

/// Words that mark unfinished work. Spelled in halves, or this file would report itself.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];

/// What is wrong with one source file.
pub(crate) fn complaints(file: &str, source: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let lines = source.lines().count();
    let has_reason = source
        .lines()
        .take(10)
        .any(|line| line.contains("Over 800 lines because"));
    if lines > MOST_LINES && !has_reason {
        wrong.push(format!(
            "{file}: {lines} lines; split it by subject, or say `Over 800 lines because …` at its top"
        ));
    }
    let names = file.trim_end_matches(".rs").split('/');
    for name in names.filter(|name| EMPTY_NAMES.contains(name)) {
        wrong.push(format!("{file}: `{name}` names no subject"));
    }
    for (number, line) in source.lines().enumerate() {
        for mark in UNFINISHED.iter().filter(|mark| line.contains(**mark)) {
            wrong.push(format!("{file}:{}: {mark}", number + 1));
        }
    }
    let is_module = !file.ends_with("/tests.rs") && !file.contains("/tests/") && !file.ends_with("build.rs");
    if is_module && !source.starts_with("//!") {
        wrong.push(format!("{file}: does not begin by saying what it is (`//! …`)"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_needs_a_reason() {
        let long = format!("//! Long.\n{}", "fn f() {}\n".repeat(MOST_LINES));
        assert_eq!(complaints("src/hub/live.rs", &long).len(), 1);
        let reasoned = format!("//! Long.\n// Over 800 lines because it is one table.\n{long}");
        assert!(complaints("src/hub/live.rs", &reasoned).is_empty());
    }

    #[test]
    fn a_module_is_named_after_its_subject() {
        for file in ["src/hub/utils.rs", "src/common/mod.rs", "crates/rtmp/src/types.rs"] {
            assert_eq!(complaints(file, "//! Something.").len(), 1, "{file}");
        }
        assert!(complaints("src/hub/key.rs", "//! Keys.").is_empty());
    }

    #[test]
    fn unfinished_work_and_silent_modules_are_reported() {
        let marked = format!("//! Keys.\n// {}: later", UNFINISHED[0]);
        assert_eq!(complaints("src/hub/key.rs", &marked).len(), 1);
        assert_eq!(complaints("src/hub/key.rs", "fn f() {}").len(), 1);
        assert!(complaints("src/hub/tests.rs", "use super::*;").is_empty());
    }
}
