//! Relative links in Markdown: the file must be there, and the heading in it.

use std::path::Path;

/// The links of one page that lead nowhere. `page` is its path on disk.
pub(crate) fn broken_links(page: &Path, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for link in links(text) {
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        let target = if file.is_empty() {
            page.to_owned()
        } else {
            page.with_file_name("").join(file)
        };
        if !target.exists() {
            broken.push(format!("{}: {link}: no such file", page.display()));
            continue;
        }
        if heading.is_empty() || target.extension().is_none_or(|suffix| suffix != "md") {
            continue;
        }
        let other = std::fs::read_to_string(&target).unwrap_or_default();
        if !headings(&other).any(|there| there == heading) {
            broken.push(format!("{}: {link}: no such heading", page.display()));
        }
    }
    broken
}

/// Targets of `[text](target)` and `![text](target)` outside code, those that lead out of the repository left out.
fn links(text: &str) -> impl Iterator<Item = &str> {
    prose(text)
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split([')', ' ']).next())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

/// The headings' anchors: lower case, spaces to dashes, punctuation dropped.
fn headings(text: &str) -> impl Iterator<Item = String> {
    prose(text).filter(|line| line.starts_with('#')).map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

/// The lines outside fenced code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        !fenced && !is_fence
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_must_lead_to_a_file_and_a_heading() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("other.md"), "# A title, with a comma\n").expect("written");
        let page = folder.path().join("page.md");
        let good =
            "[a](other.md) ![b](other.md#a-title-with-a-comma) [c](https://example.com/x)\n```\n[d](gone.md)\n```\n";
        std::fs::write(&page, good).expect("written");
        assert_eq!(broken_links(&page, good), [""; 0]);
        assert_eq!(broken_links(&page, "[a](gone.md)").len(), 1);
        assert_eq!(broken_links(&page, "[a](other.md#gone)").len(), 1);
        assert_eq!(broken_links(&page, "[a](#gone)").len(), 1);
    }
}
