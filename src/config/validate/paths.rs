//! Plain paths: those that every program reads alike.

/// Whether the path is `/` and one or more segments of `A-Z a-z 0-9 - . _ ~`, none of them `.` or `..`.
pub(super) fn is_plain(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let is_segment =
        |segment: &str| !segment.is_empty() && segment.bytes().all(plain) && !matches!(segment, "." | "..");
    path.len() <= 256
        && path
            .strip_prefix('/')
            .is_some_and(|segments| segments.split('/').all(is_segment))
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn a_plain_path_reads_in_one_way() {
        for good in ["/auth", "/a/b", "/v1.0/~x_y-z"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in [
            "", "/", "auth", "/auth/", "//a", "/a//b", "/.", "/a/..", "/a%62", "/ä", "/a b", "/{a}", "/a;b", "/a?b",
        ] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
