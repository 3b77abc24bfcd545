//! Prose that a reader understands at once: the rules of comments and documents that a program can
//! check.
//!
//! - A doc comment opens with a noun or a verb, never with a relative or a possessive word.
//! - The doc comment of a public item has at least three words.
//! - Prose in Markdown is at most 100 columns wide; tables, code and links may be wider.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::PathBuf;
use tallow_testing::sources::sources;

/// Words that no doc comment opens with: they stand for a noun that the reader does not have yet.
const BANNED_OPENERS: [&str; 10] =
    ["What", "Whose", "Which", "That of", "Those", "Its", "Likewise", "The same", "Where", "How"];
/// The fewest words in the doc comment of a public item.
const MIN_WORDS: usize = 3;
/// The widest line of prose, in columns.
const MAX_COLUMNS: usize = 100;

/// Returns the files of the repository whose names end with one of `endings`.
fn files(endings: &[&str]) -> Vec<(PathBuf, String)> {
    let is_asked_for = |path: &PathBuf| {
        let name = path.to_string_lossy();
        endings.iter().any(|ending| name.ends_with(ending))
    };
    sources().into_iter().filter(|(path, _)| is_asked_for(path)).collect()
}

/// A doc comment: the number of its first line, its lines without the marks, and the line of code
/// below.
#[derive(Debug, PartialEq)]
struct DocComment<'a> {
    line: usize,
    text: Vec<&'a str>,
    item: &'a str,
}

impl DocComment<'_> {
    /// Returns the first line of each paragraph.
    fn openers(&self) -> impl Iterator<Item = &str> {
        let is_first = |index: usize| index == 0 || self.text[index - 1].is_empty();
        self.text.iter().enumerate().filter(move |(index, _)| is_first(*index)).map(|(_, line)| *line)
    }

    fn words(&self) -> usize {
        self.text.iter().flat_map(|line| line.split_whitespace()).count()
    }

    /// Returns whether the comment documents an item that other crates may name.
    fn is_of_public_item(&self) -> bool {
        self.item.starts_with("pub ")
    }
}

/// Returns the doc comments (`//!`, `///`) of a Rust file.
fn rust_comments(text: &str) -> Vec<DocComment<'_>> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let content = |line: &'_ str| -> Option<usize> {
        let marks = ["///", "//!"].into_iter().find(|marks| line.starts_with(marks))?;
        (!line[marks.len()..].starts_with('/')).then_some(marks.len())
    };
    let mut comments = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let start = at;
        let mut text = Vec::new();
        while let Some(marks) = lines.get(at).and_then(|line| content(line)) {
            text.push(lines[at][marks..].trim());
            at += 1;
        }
        if text.is_empty() {
            at += 1;
            continue;
        }
        let item = lines[at..].iter().find(|line| !line.starts_with("#[")).copied().unwrap_or_default();
        comments.push(DocComment { line: start + 1, text, item });
    }
    comments
}

/// Returns the doc comments (`/** … */`) of a TypeScript file.
fn typescript_comments(text: &str) -> Vec<DocComment<'_>> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut comments = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let start = at;
        at += 1;
        let Some(first) = lines[start].strip_prefix("/**") else { continue };
        let mut text = vec![first.trim_end_matches("*/").trim()];
        let mut line = lines[start];
        while !line.ends_with("*/") && at < lines.len() {
            line = lines[at];
            text.push(line.trim_start_matches('*').trim_end_matches("*/").trim());
            at += 1;
        }
        if text[0].is_empty() {
            text.remove(0);
        }
        comments.push(DocComment { line: start + 1, text, item: lines.get(at).copied().unwrap_or_default() });
    }
    comments
}

fn opens_with_banned_word(line: &str) -> bool {
    BANNED_OPENERS.iter().any(|opener| {
        line.strip_prefix(opener).is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
    })
}

/// Returns the numbers of the lines of prose in a Markdown text that are too wide.
fn wide_lines(text: &str) -> Vec<usize> {
    let mut in_code = false;
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code && line.chars().count() > MAX_COLUMNS {
            let may_be_wide = line.trim_start().starts_with('|') || line.contains("](");
            if !may_be_wide {
                found.push(index + 1);
            }
        }
    }
    found
}

fn all_comments(check: impl Fn(&DocComment<'_>) -> Option<String>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut seen = 0;
    for (path, text) in files(&[".rs", ".ts"]) {
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        let comments = if is_rust { rust_comments(&text) } else { typescript_comments(&text) };
        seen += comments.len();
        problems.extend(comments.iter().filter_map(|comment| {
            check(comment).map(|problem| format!("{}:{}: {problem}", path.display(), comment.line))
        }));
    }
    assert!(seen > 1000, "only {seen} doc comments were found");
    problems
}

#[test]
fn a_doc_comment_opens_with_a_noun_or_a_verb() {
    let problems = all_comments(|comment| {
        comment.openers().find(|line| opens_with_banned_word(line)).map(str::to_owned)
    });
    assert!(problems.is_empty(), "doc comments with a banned opener:\n{}", problems.join("\n"));
}

#[test]
fn the_documentation_of_a_public_item_says_something() {
    let problems = all_comments(|comment| {
        let is_empty = comment.is_of_public_item() && comment.words() < MIN_WORDS;
        is_empty.then(|| comment.text.join(" "))
    });
    assert!(problems.is_empty(), "doc comments under {MIN_WORDS} words:\n{}", problems.join("\n"));
}

#[test]
fn prose_in_markdown_is_at_most_a_hundred_columns_wide() {
    let files = files(&[".md"]);
    assert!(files.len() > 5, "only {} documents were found", files.len());
    let problems: Vec<String> = files
        .iter()
        .flat_map(|(path, text)| {
            wide_lines(text).into_iter().map(move |line| format!("{}:{line}", path.display()))
        })
        .collect();
    assert!(problems.is_empty(), "lines wider than {MAX_COLUMNS} columns:\n{}", problems.join("\n"));
}

#[test]
fn the_checks_find_what_they_are_for() {
    let text = "/// Whose candle.\npub symbol: Symbol,\n/// Whoever asks.\n\n    /// Open.\n    ///\n    /// How so.\n    #[x]\n    pub fn f() {}\n";
    let comments = rust_comments(text);
    let bad: Vec<usize> = comments
        .iter()
        .filter(|comment| comment.openers().any(opens_with_banned_word))
        .map(|comment| comment.line)
        .collect();
    assert_eq!(bad, [1, 5]);
    let short: Vec<bool> =
        comments.iter().map(|comment| comment.is_of_public_item() && comment.words() < MIN_WORDS).collect();
    assert_eq!(short, [true, false, false]);

    let typescript = typescript_comments(
        "/** Its price. */\nlet price;\n/**\n * The price.\n *\n * Its unit.\n */\nlet a;\n",
    );
    assert!(typescript.iter().all(|comment| comment.openers().any(opens_with_banned_word)));

    let wide = "x".repeat(MAX_COLUMNS + 1);
    let markdown = format!("{wide}\n| {wide} |\n[{wide}](there)\n```\n{wide}\n```\n{wide}");
    assert_eq!(wide_lines(&markdown), [1, 7]);
}
