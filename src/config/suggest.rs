//! The nearest known name to one that is not known.

/// The candidate that `word` most likely stands for, where one is near enough to be worth saying.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // What nobody could have meant is not compared: the comparison is quadratic in the length.
    if word.len() > 200 {
        return None;
    }
    let word = fold(word);
    let (distance, best) = candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &fold(candidate)), candidate))
        .min_by_key(|(distance, _)| *distance)?;
    let longest = word.chars().count().max(best.chars().count());
    // A third of the letters may be wrong; one may be in the shortest words.
    (distance <= (longest / 3).max(1)).then_some(best)
}

/// Case, and the choice between `-` and `_`, are the most common slips: they cost nothing.
fn fold(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_recognised_and_nonsense_is_not() {
        let known = ["listen", "max_header_bytes", "workers", "drain"];
        for (word, meant) in [
            ("lisen", Some("listen")),
            ("Listen", Some("listen")),
            ("max-header-bytes", Some("max_header_bytes")),
            ("max_headers_byte", Some("max_header_bytes")),
            ("worker", Some("workers")),
            ("brain", Some("drain")),
            ("frobnicate", None),
            ("", None),
            (&"listen".repeat(100), None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
        assert_eq!(nearest("x", []), None);
    }
}
