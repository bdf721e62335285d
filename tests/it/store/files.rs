//! The SQLite file.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use doorward::config::Backend;
use doorward::store::Store;

use super::Db;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn the_file_its_log_and_its_folder_are_for_our_user_alone() {
    let db = Db::sqlite().await;
    db.user("ann").await;
    let file = db.sqlite_file();
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    assert_eq!(mode(&file), 0o600);
    for suffix in ["-wal", "-shm"] {
        assert_eq!(
            mode(&file.with_file_name(format!("doorward.db{suffix}"))),
            0o600,
            "{suffix}"
        );
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_the_store_is_closed_and_opened() {
    let db = Db::sqlite().await;
    let ann = db.user("ann").await;
    db.store.close().await;
    assert!(
        !db.sqlite_file().with_file_name("doorward.db-wal").exists(),
        "the log is written back"
    );
    assert!(db.store.user_by_id(ann.id).await.is_err());
    assert!(db.replica().await.user_by_id(ann.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_path_that_is_no_database_is_refused() {
    let db = Db::sqlite().await;
    for (n, content) in ["not a database, but long enough to have a header: ".repeat(100)]
        .iter()
        .enumerate()
    {
        let mut config = db.config.clone();
        let file = db.sqlite_file().with_file_name(format!("other{n}"));
        std::fs::write(&file, content).unwrap();
        config.backend = Backend::Sqlite(file);
        assert!(Store::connect(&config).await.is_err());
    }
    let mut config = db.config.clone();
    config.backend = Backend::Sqlite(db.sqlite_file().parent().unwrap().to_owned());
    assert!(Store::connect(&config).await.is_err(), "a folder is not a file");
}
