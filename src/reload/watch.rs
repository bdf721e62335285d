//! [`Watch`]: notices when the configuration, or a file that it names, is another one.
//!
//! By content, whatever it is read through: a file that is written in place, one that is renamed into place, and a symlink
//! that is turned to another folder (as Kubernetes does) are alike. A change counts when it is read twice in a row, one
//! interval apart, so that a file that is being written is left alone until it is done.

use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};

/// How much of a file is read, in bytes. More than any that a configuration names should have.
const MOST: u64 = 16 * 1024 * 1024;

/// Looks at files from time to time.
#[derive(Debug)]
pub struct Watch {
    every: Option<Duration>,
    files: Vec<PathBuf>,
    /// What was there when it was last taken, or refused.
    known: Print,
    /// What was there a moment ago, where that is something else.
    seen: Option<Print>,
}

/// What files hold, or that they can't be read, in short.
type Print = [u8; 32];

impl Watch {
    /// Watches nothing, until told to [follow](Self::follow).
    #[must_use]
    pub const fn new() -> Self {
        Self {
            every: None,
            files: Vec::new(),
            known: [0; 32],
            seen: None,
        }
    }

    /// From now on looks at these files so often, if at all. What they hold now is known, unless they were watched before;
    /// whether it is.
    pub async fn follow(&mut self, every: Option<Duration>, files: Vec<PathBuf>) -> bool {
        if (self.every, &self.files) == (every, &files) {
            // What has changed since it was read is still to be noticed.
            return false;
        }
        self.every = every;
        self.seen = None;
        if every.is_some() {
            self.known = print(files.clone()).await;
        }
        self.files = files;
        every.is_some()
    }

    /// Waits until the files are others than those known, which they are then: it is told once of each change. May be given
    /// up and called again.
    pub async fn changed(&mut self) {
        loop {
            let Some(every) = self.every else {
                return std::future::pending().await;
            };
            tokio::time::sleep(every).await;
            let now = print(self.files.clone()).await;
            if now == self.known {
                self.seen = None;
            } else if self.seen == Some(now) {
                self.known = now;
                self.seen = None;
                return;
            } else {
                self.seen = Some(now);
            }
        }
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

async fn print(files: Vec<PathBuf>) -> Print {
    let printed = tokio::task::spawn_blocking(move || {
        let mut hash = Context::new(&SHA256);
        for file in files {
            let (kind, content) = match read(&file) {
                Ok(content) => (1, content),
                Err(_) => (0, Vec::new()),
            };
            hash.update(&[kind]);
            hash.update(&content.len().to_be_bytes());
            hash.update(&content);
        }
        let mut print = [0; 32];
        print.copy_from_slice(hash.finish().as_ref());
        print
    });
    // Only a runtime that ends gives none.
    printed.await.unwrap_or([0; 32])
}

fn read(file: &std::path::Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut content = Vec::new();
    std::fs::File::open(file)?.take(MOST).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    const EVERY: Duration = Duration::from_secs(2);

    async fn watch(files: &[&Path]) -> Watch {
        let mut watch = Watch::new();
        let files = files.iter().map(|file| file.to_path_buf()).collect();
        watch.follow(Some(EVERY), files).await;
        watch
    }

    /// Whether a change is noticed within so many looks. Time stands still but for these.
    async fn notices(watch: &mut Watch, looks: u32) -> bool {
        tokio::time::timeout(EVERY * looks + EVERY / 2, watch.changed())
            .await
            .is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_told_once_when_it_was_read_twice() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "one").unwrap();
        let mut watch = watch(&[&file]).await;
        assert!(!notices(&mut watch, 3).await);
        fs::write(&file, "two").unwrap();
        assert!(!notices(&mut watch, 1).await, "it may be half of it");
        assert!(notices(&mut watch, 1).await);
        assert!(!notices(&mut watch, 3).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_grows_is_left_alone_until_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let mut watch = watch(&[&file]).await;
        for length in 1..10 {
            fs::write(&file, "x".repeat(length)).unwrap();
            assert!(!notices(&mut watch, 1).await);
        }
        assert!(notices(&mut watch, 1).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_there_before_is_no_change_when_it_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "one").unwrap();
        let mut watch = watch(&[&file]).await;
        fs::remove_file(&file).unwrap();
        assert!(!notices(&mut watch, 1).await);
        fs::write(&file, "one").unwrap();
        assert!(!notices(&mut watch, 3).await);
        fs::remove_file(&file).unwrap();
        assert!(notices(&mut watch, 2).await, "that it is gone is a change");
    }

    #[tokio::test(start_paused = true)]
    async fn a_symlink_that_is_turned_is_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for (version, text) in [("v1", "one"), ("v2", "two")] {
            fs::create_dir(path(version)).unwrap();
            fs::write(path(version).join("file"), text).unwrap();
        }
        symlink(path("v1"), path("data")).unwrap();
        symlink(path("data").join("file"), path("file")).unwrap();
        let mut watch = watch(&[&path("file")]).await;
        symlink(path("v2"), path("data.next")).unwrap();
        fs::rename(path("data.next"), path("data")).unwrap();
        assert!(notices(&mut watch, 2).await);
    }
}
