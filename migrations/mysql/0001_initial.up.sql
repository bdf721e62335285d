-- Times are Unix milliseconds, ids are the 16 bytes of a UUID.
-- MySQL can't undo DDL: every statement may run again after it ran, so that a migration that stopped can be resumed.

CREATE TABLE IF NOT EXISTS users (
    id BINARY(16) NOT NULL,
    email VARCHAR(254) NOT NULL,
    name VARCHAR(100) NOT NULL,
    password_hash VARCHAR(255) NOT NULL,
    roles TEXT NOT NULL,
    disabled_at BIGINT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY users_email (email)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS sessions (
    id BINARY(16) NOT NULL,
    user_id BINARY(16) NOT NULL,
    gen BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT NULL,
    ip VARCHAR(45) NULL,
    user_agent VARCHAR(256) NULL,
    PRIMARY KEY (id),
    KEY sessions_user (user_id),
    KEY sessions_expires (expires_at),
    KEY sessions_ended (ended_at),
    CONSTRAINT sessions_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS refresh_tokens (
    hash BINARY(32) NOT NULL,
    session_id BINARY(16) NOT NULL,
    consumed_at BIGINT NULL,
    successor BINARY(32) NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (hash),
    KEY refresh_tokens_session (session_id),
    KEY refresh_tokens_expires (expires_at),
    CONSTRAINT refresh_tokens_session FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- kind 1: an access token by its jti; kind 2: a session by its sid, up to and including gen.
-- No foreign key: a revocation outlives its session.
CREATE TABLE IF NOT EXISTS blocked_tokens (
    seq BIGINT NOT NULL AUTO_INCREMENT,
    kind BIGINT NOT NULL,
    value BINARY(16) NOT NULL,
    gen BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    blocked_at BIGINT NOT NULL,
    PRIMARY KEY (seq),
    KEY blocked_tokens_expires (expires_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS signing_keys (
    kid VARCHAR(64) NOT NULL,
    algorithm VARCHAR(16) NOT NULL,
    private_sealed BLOB NOT NULL,
    public_jwk TEXT NULL,
    not_before BIGINT NOT NULL,
    retires_at BIGINT NULL,
    deleted_at BIGINT NULL,
    PRIMARY KEY (kid)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- A row here is updated by whoever does what only one may do at a time; Galera has no GET_LOCK.
CREATE TABLE IF NOT EXISTS turns (
    name VARCHAR(64) NOT NULL,
    taken BIGINT NOT NULL,
    PRIMARY KEY (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT IGNORE INTO turns (name, taken) VALUES ('first_key', 0);
