-- Times are Unix milliseconds, ids are the 16 bytes of a UUID. The whole file is one transaction.

CREATE TABLE users (
    id BLOB NOT NULL PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    roles TEXT NOT NULL,
    disabled_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id BLOB NOT NULL PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    gen INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER,
    ip TEXT,
    user_agent TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expires ON sessions (expires_at);
CREATE INDEX sessions_ended ON sessions (ended_at);

CREATE TABLE refresh_tokens (
    hash BLOB NOT NULL PRIMARY KEY,
    session_id BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    consumed_at INTEGER,
    successor BLOB,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_expires ON refresh_tokens (expires_at);

-- kind 1: an access token by its jti; kind 2: a session by its sid, up to and including gen.
-- No foreign key: a revocation outlives its session. AUTOINCREMENT: a number is never given twice.
CREATE TABLE blocked_tokens (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind INTEGER NOT NULL,
    value BLOB NOT NULL,
    gen INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    blocked_at INTEGER NOT NULL
) STRICT;

CREATE INDEX blocked_tokens_expires ON blocked_tokens (expires_at);

CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    algorithm TEXT NOT NULL,
    private_sealed BLOB NOT NULL,
    public_jwk TEXT,
    not_before INTEGER NOT NULL,
    retires_at INTEGER,
    deleted_at INTEGER
) STRICT, WITHOUT ROWID;

-- A row here is updated by whoever does what only one may do at a time.
CREATE TABLE turns (
    name TEXT NOT NULL PRIMARY KEY,
    taken INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO turns (name, taken) VALUES ('first_key', 0);
