//! [`judge`]: whether a password is good enough to be chosen.

use zxcvbn::{Score, zxcvbn};

use super::Password;
use crate::id::{Email, UserName};

/// A name or local part shorter than this is found in too many passwords by chance.
const TELLING: usize = 4;

/// Why a password is not good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// Fewer characters than asked for.
    #[error("expected at least {min} characters")]
    TooShort {
        /// How many are asked for.
        min: usize,
    },
    /// It is the e-mail address or the name, or little more than that.
    #[error("too much like the e-mail address or the name")]
    TooSimilar,
    /// A guesser finds it in less than a million tries.
    #[error("too easy to guess: it is a common password, word, date or pattern")]
    TooCommon,
}

/// Judges a password that somebody wants to have: at least `min_length` characters, not made of the owner's e-mail address
/// or name (as far as these are known), and not among the first million guesses by zxcvbn's estimate.
///
/// Takes up to a few milliseconds for the longest passwords.
pub fn judge(
    password: &Password,
    email: Option<&Email>,
    name: Option<&UserName>,
    min_length: usize,
) -> Result<(), Weakness> {
    let text = password.expose();
    if text.chars().count() < min_length {
        return Err(Weakness::TooShort { min: min_length });
    }
    let lower = text.to_lowercase();
    if email.is_some_and(|email| lower.contains(email.as_str())) {
        return Err(Weakness::TooSimilar);
    }
    let own = [email.map(Email::local), name.map(UserName::as_str)];
    if own
        .iter()
        .flatten()
        .any(|own| is_little_more_than(&lower, own, min_length))
    {
        return Err(Weakness::TooSimilar);
    }
    let known: Vec<&str> = email
        .iter()
        .map(|email| email.as_str())
        .chain(own.into_iter().flatten())
        .chain(name.iter().flat_map(|name| name.as_str().split_whitespace()))
        .chain(["doorward"])
        .collect();
    if zxcvbn(text, &known).score() < Score::Two {
        return Err(Weakness::TooCommon);
    }
    Ok(())
}

/// Whether `lower` is `own`, or `own` with less around it than a password of its own would need.
fn is_little_more_than(lower: &str, own: &str, min_length: usize) -> bool {
    let own = own.to_lowercase();
    if lower == own {
        return true;
    }
    own.chars().count() >= TELLING && lower.contains(&own) && lower.replace(&own, "").chars().count() < min_length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn verdict(text: &str) -> Result<(), Weakness> {
        let password = Password::parse(Secret::new(text.to_owned())).unwrap();
        let email = "annabel.lee@example.com".parse().unwrap();
        let name = "Annabel Lee".parse().unwrap();
        judge(&password, Some(&email), Some(&name), 8)
    }

    #[test]
    fn a_passphrase_is_good_enough() {
        for good in [
            "correct horse battery staple",
            "vK9#qwe!",
            "tr0mbone-Kettle",
            "übergrößenträger",
        ] {
            assert_eq!(verdict(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn length_counts_characters_not_bytes() {
        assert_eq!(verdict("vK9#qw!"), Err(Weakness::TooShort { min: 8 }));
        assert_eq!(verdict("éééàààü"), Err(Weakness::TooShort { min: 8 }));
    }

    #[test]
    fn common_passwords_are_refused() {
        for common in [
            "password",
            "12345678",
            "qwertyuiop",
            "Passw0rd",
            "iloveyou1",
            "aaaaaaaaaaaa",
            "19841984",
        ] {
            assert_eq!(verdict(common), Err(Weakness::TooCommon), "{common}");
        }
    }

    #[test]
    fn the_email_and_the_name_are_no_passwords() {
        for own in [
            "annabel.lee@example.com",
            "x-Annabel.Lee@Example.COM-2026",
            "Annabel Lee",
            "annabel lee!1",
            "ANNABEL.LEE",
            "annabel.lee77",
        ] {
            assert_eq!(verdict(own), Err(Weakness::TooSimilar), "{own}");
        }
    }

    #[test]
    fn a_long_passphrase_may_hold_the_name_by_chance() {
        assert_eq!(verdict("many kettles for annabel lee tonight"), Ok(()));
    }

    #[test]
    fn a_password_is_judged_without_a_valid_email_or_name_too() {
        let password = Password::parse(Secret::new("password".to_owned())).unwrap();
        assert_eq!(judge(&password, None, None, 8), Err(Weakness::TooCommon));
    }

    #[test]
    fn the_longest_password_is_judged_in_milliseconds() {
        let start = crate::time::monotonic();
        for worst in [
            "aB3$".repeat(18),
            "password".repeat(9),
            "qazwsxedc".repeat(8),
            "1a2s3d4f".repeat(9),
        ] {
            let _ = verdict(&worst);
        }
        // It takes about 10 ms; an estimate that grows out of hand takes seconds.
        assert!(start.elapsed().as_millis() < 1000, "{:?}", start.elapsed());
    }
}
