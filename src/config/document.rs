//! The text of the config file: which line a place is in, and how that line may be shown.

use std::ops::Range;

use super::mask;

/// The longest part of a line, or of a value, that is shown, in characters.
const SHOWN: usize = 160;

/// The config file's text.
pub(super) struct Document {
    /// The file's path, as given.
    pub(super) name: String,
    text: String,
    hidden: Vec<Range<usize>>,
}

impl Document {
    /// The text of the file at the path `name`.
    pub(super) fn new(name: String, text: String) -> Self {
        Self {
            name,
            text,
            hidden: Vec::new(),
        }
    }

    /// The text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Never shows these bytes.
    pub(super) fn hide(&mut self, ranges: impl IntoIterator<Item = Range<usize>>) {
        self.hidden.extend(ranges);
        self.hidden.sort_unstable_by_key(|range| range.start);
    }

    /// The number of the line that holds the byte `at`, from 1.
    pub(super) fn line_number(&self, at: usize) -> usize {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        before.split(|byte| *byte == b'\n').count()
    }

    /// The line that holds the byte `at`, without what is hidden.
    pub(super) fn line(&self, at: usize) -> String {
        let at = at.min(self.text.len());
        let bytes = self.text.as_bytes();
        let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |n| n + 1);
        let end = bytes[at..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(bytes.len(), |n| at + n);
        let mut shown = String::new();
        let mut next = start;
        for range in &self.hidden {
            let (from, to) = (range.start.max(next), range.end.min(end));
            if from < to {
                shown.push_str(self.text.get(next..from).unwrap_or_default());
                if !shown.ends_with(mask::MASK) {
                    shown.push_str(mask::MASK);
                }
                next = to;
            }
        }
        shown.push_str(self.text.get(next..end).unwrap_or_default());
        printable(&mask::mask_userinfo(&shown))
    }
}

/// The text as it may be written to a terminal: no control characters, not too long.
pub(super) fn printable(text: &str) -> String {
    let text = text.trim_end();
    let mut shown = String::new();
    for c in text.chars().take(SHOWN) {
        match c {
            '\t' => shown.push(' '),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => shown.extend(c.escape_unicode()),
            _ if c.is_control() => shown.extend(c.escape_default()),
            _ => shown.push(c),
        }
    }
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_by_line() {
        let document = Document::new("f".into(), "a\r\nb = 1\n\nc".into());
        let shown: Vec<_> = [0, 3, 7, 9, 10, 11, 99]
            .map(|at| (document.line_number(at), document.line(at)))
            .into();
        let expected = [
            (1, "a"),
            (2, "b = 1"),
            (2, "b = 1"),
            (3, ""),
            (4, "c"),
            (4, "c"),
            (4, "c"),
        ];
        assert_eq!(shown, expected.map(|(number, line)| (number, line.to_owned())));
    }

    #[test]
    fn what_is_hidden_is_not_shown() {
        let text = "x = { a = \"one\", b = \"two\" }\nthree";
        let mut document = Document::new("f".into(), text.into());
        document.hide([10..15, 21..35]);
        assert_eq!(document.line(0), "x = { a = [secret], b = [secret]");
        assert_eq!(document.line(31), "[secret]");
    }

    #[test]
    fn a_line_cannot_steer_the_terminal_or_fill_it() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}"), "a\\u{1b}[2Jb\\u{202e}");
        assert_eq!(printable(&"x".repeat(500)).chars().count(), SHOWN + 1);
    }
}
