//! Files as they are on the disk at one moment.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use zeroize::Zeroizing;

use super::error::{TlsError, Why};

/// The largest file that is read, in bytes.
pub(super) const MAX_BYTES: usize = 4 * 1024 * 1024;

/// What a file holds.
pub(super) type Contents = Zeroizing<Vec<u8>>;

/// Reads the file that `key` names.
pub(super) fn read(key: &str, path: &Path) -> Result<Contents, TlsError> {
    let wrong = |why| TlsError::file(key, path, why);
    // Never grown, so that no copy of a private key stays behind.
    let mut bytes = Zeroizing::new(Vec::new());
    let file = File::open(path).map_err(|error| wrong(Why::Read(error)))?;
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    bytes.reserve_exact(usize::try_from(length).unwrap_or(0).min(MAX_BYTES) + 1);
    let read = file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| wrong(Why::Read(error)))?;
    match bytes.len() {
        0 => Err(wrong(Why::Empty)),
        1..=MAX_BYTES => Ok(bytes),
        _ => Err(wrong(Why::TooLarge)),
    }
}

/// By what one sees that one of the files has changed.
pub(super) fn digest<'a>(contents: impl Iterator<Item = &'a Contents>) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for bytes in contents {
        context.update(&bytes.len().to_le_bytes());
        context.update(bytes);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
