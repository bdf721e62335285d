//! [`MasterKey`]: what private keys are sealed with before they go to the store.

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::config::Algorithm;
use crate::id::KeyId;

/// The first byte of a sealed key: how it is sealed. 1 is AES-256-GCM, then the nonce, the ciphertext and the tag.
const FORMAT: u8 = 1;

/// Why a key was not sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// There is no master key file.
    #[error("no master key at {}", .0.display())]
    Missing(PathBuf),
    /// The file can't be read or made.
    #[error("master key {} is not accessible", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Everybody may read the file, or its group may write it.
    #[error("master key {} is open to others (mode {mode:04o}): chmod 600", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file does not hold 32 bytes in hex or base64.
    #[error("master key {} is not 32 bytes in hex (64 digits) or base64", .0.display())]
    Malformed(PathBuf),
    /// Sealing failed: there is no randomness.
    #[error("sealing failed")]
    Seal,
    /// The bytes were not sealed with this master key for this key id and algorithm, or have been changed since.
    #[error("sealed key does not open with this master key")]
    Open,
}

/// A secret of 256 bits that never leaves the machine it was put on. Without it, the keys in the store are of no use.
pub struct MasterKey(RandomizedNonceKey);

impl MasterKey {
    /// Reads the file: 32 bytes in hex or base64, blanks around them ignored. Refuses a file that is open to others.
    pub fn load(path: &Path) -> Result<Self, SealError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => SealError::Missing(path.into()),
            _ => SealError::Io {
                path: path.into(),
                source,
            },
        };
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
        // A group may read it: that is how orchestrators hand secrets to a process that is not root.
        if mode & 0o027 != 0 {
            return Err(SealError::Exposed {
                path: path.into(),
                mode,
            });
        }
        let text = Zeroizing::new(fs::read(path).map_err(failed)?);
        let bytes = parse(&text).ok_or_else(|| SealError::Malformed(path.into()))?;
        Self::from_bytes(&bytes)
    }

    /// Reads the file, or makes it with a new random key: mode 0600, its directory 0700. Of several processes that do
    /// so at once, one makes the key and all read the same.
    pub fn load_or_create(path: &Path) -> Result<Self, SealError> {
        match Self::load(path) {
            Err(SealError::Missing(_)) => {
                create(path).map_err(|source| SealError::Io {
                    path: path.into(),
                    source,
                })?;
                Self::load(path)
            }
            loaded => loaded,
        }
    }

    /// A master key of these bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SealError> {
        RandomizedNonceKey::new(&AES_256_GCM, bytes)
            .map(Self)
            .map_err(|_| SealError::Seal)
    }

    /// Seals a private key. What comes out opens only for the same id and algorithm, so that nobody who can write to
    /// the store can make one key pass for another.
    pub fn seal(&self, kid: &KeyId, algorithm: Algorithm, private: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut text = private.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(context(kid, algorithm)), &mut text)
            .map_err(|_| SealError::Seal)?;
        Ok([&[FORMAT], nonce.as_ref().as_slice(), &text].concat())
    }

    /// Opens what [`MasterKey::seal`] made.
    pub fn open(&self, kid: &KeyId, algorithm: Algorithm, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let [FORMAT, rest @ ..] = sealed else {
            return Err(SealError::Open);
        };
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or(SealError::Open)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Open)?;
        let mut text = Zeroizing::new(text.to_vec());
        let opened = self
            .0
            .open_in_place(nonce, Aad::from(context(kid, algorithm)), &mut text)
            .map_err(|_| SealError::Open)?
            .len();
        text.truncate(opened);
        Ok(text)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey([secret])")
    }
}

/// What a sealed key is bound to. Neither part can hold a space.
fn context(kid: &KeyId, algorithm: Algorithm) -> String {
    format!("doorward signing key {algorithm} {kid}", algorithm = algorithm.as_str())
}

fn parse(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let text = text.trim_ascii();
    let mut key = Zeroizing::new([0; 32]);
    if text.len() == 64 {
        for (byte, digits) in key.iter_mut().zip(text.chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).ok().filter(|d| !d.starts_with('+'))?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
    } else {
        let bytes = STANDARD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok()?;
        let bytes = Zeroizing::new(bytes);
        if bytes.len() != 32 {
            return None;
        }
        key.copy_from_slice(&bytes);
    }
    Some(key)
}

/// Writes a new key beside `path` and links it into place, which fails when somebody else was faster: a reader sees no
/// file or a whole one.
fn create(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut key = Zeroizing::new([0; 32]);
    rand::fill(key.as_mut_slice()).map_err(|_| io::Error::other("no randomness"))?;
    let mut text = Zeroizing::new(STANDARD.encode(*key));
    text.push('\n');

    let mut suffix = [0; 8];
    rand::fill(&mut suffix).map_err(|_| io::Error::other("no randomness"))?;
    let draft = directory.join(format!(".master-key-{}", URL_SAFE_NO_PAD.encode(suffix)));
    let linked = write_new(&draft, text.as_bytes()).and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Some file systems know no hard links. Then a second process that starts in the same instant may see half a
        // key, and says so.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
            ) =>
        {
            write_new(path, text.as_bytes())
        }
        Err(error) => Err(error),
        Ok(()) => removed.and_then(|()| fs::File::open(directory)?.sync_all()),
    }
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kid(text: &str) -> KeyId {
        text.parse().unwrap()
    }

    #[test]
    fn what_was_sealed_opens_for_the_same_key_alone() {
        let master = MasterKey::from_bytes(&[7; 32]).unwrap();
        let sealed = master.seal(&kid("a"), Algorithm::EdDsa, b"private").unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"private"));
        assert_eq!(*master.open(&kid("a"), Algorithm::EdDsa, &sealed).unwrap(), b"private");

        let other = MasterKey::from_bytes(&[8; 32]).unwrap();
        assert!(matches!(
            other.open(&kid("a"), Algorithm::EdDsa, &sealed),
            Err(SealError::Open)
        ));
        assert!(matches!(
            master.open(&kid("b"), Algorithm::EdDsa, &sealed),
            Err(SealError::Open)
        ));
        assert!(matches!(
            master.open(&kid("a"), Algorithm::Hs256, &sealed),
            Err(SealError::Open)
        ));
    }

    #[test]
    fn a_changed_or_cut_seal_does_not_open() {
        let master = MasterKey::from_bytes(&[7; 32]).unwrap();
        let sealed = master.seal(&kid("a"), Algorithm::EdDsa, b"private").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(
                matches!(master.open(&kid("a"), Algorithm::EdDsa, &changed), Err(SealError::Open)),
                "{at}"
            );
            assert!(
                matches!(
                    master.open(&kid("a"), Algorithm::EdDsa, &sealed[..at]),
                    Err(SealError::Open)
                ),
                "{at}"
            );
        }
    }

    #[test]
    fn two_seals_of_the_same_key_differ() {
        let master = MasterKey::from_bytes(&[7; 32]).unwrap();
        let seal = || master.seal(&kid("a"), Algorithm::EdDsa, b"private").unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn a_missing_master_key_is_made_once_with_tight_permissions() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data/deeper/master.key");
        assert!(matches!(MasterKey::load(&path), Err(SealError::Missing(_))));
        let sealed = MasterKey::load_or_create(&path)
            .unwrap()
            .seal(&kid("a"), Algorithm::EdDsa, b"x")
            .unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777,
            0o700
        );
        let again = MasterKey::load_or_create(&path).unwrap();
        assert!(again.open(&kid("a"), Algorithm::EdDsa, &sealed).is_ok());
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "no draft is left behind"
        );
    }

    #[test]
    fn processes_that_start_at_once_agree_on_one_master_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        let keys: Vec<MasterKey> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| MasterKey::load_or_create(&path).unwrap()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let sealed = keys[0].seal(&kid("a"), Algorithm::EdDsa, b"x").unwrap();
        assert!(
            keys.iter()
                .all(|key| key.open(&kid("a"), Algorithm::EdDsa, &sealed).is_ok())
        );
    }

    #[test]
    fn a_master_key_is_hex_or_base64_of_32_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        let load = |text: &str| {
            let _ = fs::remove_file(&path);
            write_new(&path, text.as_bytes()).unwrap();
            MasterKey::load(&path)
        };
        let sealed = MasterKey::from_bytes(&[0xab; 32])
            .unwrap()
            .seal(&kid("a"), Algorithm::EdDsa, b"x")
            .unwrap();
        for good in [
            "ab".repeat(32),
            format!(" {}\n", "AB".repeat(32)),
            format!("{}\n", STANDARD.encode([0xab; 32])),
        ] {
            assert!(
                load(&good).unwrap().open(&kid("a"), Algorithm::EdDsa, &sealed).is_ok(),
                "{good}"
            );
        }
        for bad in [
            "",
            "ab",
            &"ab".repeat(31),
            &"ag".repeat(32),
            &"+b".repeat(32),
            &STANDARD.encode([1; 31]),
        ] {
            let error = load(bad).unwrap_err();
            assert!(matches!(error, SealError::Malformed(_)), "{bad}");
            assert!(bad.is_empty() || !error.to_string().contains(bad));
        }
    }

    #[test]
    fn a_master_key_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        MasterKey::load_or_create(&path).unwrap();
        for (mode, fine) in [
            (0o644, false),
            (0o604, false),
            (0o620, false),
            (0o640, true),
            (0o400, true),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(MasterKey::load(&path).is_ok(), fine, "{mode:o}");
        }
    }
}
