//! How revocations lie in Redis: the names of keys, the text of values, and the scripts that change them.
//!
//! One key each, `{doorward}:KIND:ID`, which Redis forgets by itself; the stream `{doorward}:stream`, which tells of each
//! as it is written; `{doorward}:epoch`, which is there as long as Redis loses nothing; and `{doorward}:repairing`, who is
//! writing back what was lost. The braces keep all of it in one slot of a cluster.

use std::time::Duration;

use ::redis::{Cmd, cmd};

use super::reader::Lease;
use crate::id::SessionId;
use crate::store::{Revocation, Revoked};
use crate::time::Timestamp;

/// Clocks differ: Redis remembers a revocation a little longer than needed.
const GRACE: Duration = Duration::from_mins(1);

/// About how many revocations the stream reaches back. Who missed more reads everything again.
const STREAM_LENGTH: u32 = 100_000;

/// Writes revocations and tells of them, all or none. What is known is never weakened, and not told of again where
/// nothing changes. A replica refuses, also where there is nothing to write: that is what the write that changes nothing is
/// for. It comes last, as Redis lets a script that has written exceed its memory. Answers how many were not there at all.
///
/// KEYS: the stream, then one each. ARGV: the stream's length, what precedes the name of one, then for each its
/// generation, its expiry, and for how long Redis keeps it, in milliseconds.
const WRITE: &str = r"
local absent = 0
local base = tonumber(ARGV[2])
for i = 2, #KEYS do
  local up_to, expires, keep = tonumber(ARGV[3 * i - 3]), tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1])
  local known = redis.call('GET', KEYS[i])
  local known_up_to, known_expires, left
  if known then
    known_up_to, known_expires = string.match(known, '^(%d+) (%-?%d+)$')
  end
  if known_up_to then
    known_up_to, known_expires, left = tonumber(known_up_to), tonumber(known_expires), redis.call('PTTL', KEYS[i])
  end
  if not known_up_to or known_up_to < up_to or known_expires < expires or (left ~= -1 and left + 30000 < keep) then
    if not known_up_to then
      absent = absent + 1
    else
      up_to, expires, keep = math.max(up_to, known_up_to), math.max(expires, known_expires), math.max(keep, left)
    end
    local value = string.format('%.0f %.0f', up_to, expires)
    redis.call('SET', KEYS[i], value, 'PX', string.format('%.0f', keep))
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'r', string.sub(KEYS[i], base + 1) .. ' ' .. value)
  end
end
redis.call('ZREM', string.sub(KEYS[1], 1, base) .. 'repairing', '')
return absent
";

/// Makes a new epoch where there is none, or where it began in another run of Redis: one that was restarted, or promoted,
/// may have lost what was written last. Says which epoch it is, what time, and how many gateways write back what they
/// know. Who may not read `INFO` knows of no run, and takes each for the same. The stream is never empty, so that what was
/// read last can be looked for in it.
///
/// KEYS: the epoch, the stream, who is writing back. ARGV: a name for a new epoch, who asks, and for how many milliseconds
/// that one will be writing back: 0 when done, -1 to change nothing.
const ENTER: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local at = string.format('%.0f', now)
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or '-'
local epoch = redis.call('GET', KEYS[1])
local began = epoch and string.match(epoch, '^%w+ ([%w-]+) %d+$')
if not began or (began ~= run and began ~= '-' and run ~= '-') then
  epoch = ARGV[1] .. ' ' .. run .. ' ' .. at
  redis.call('SET', KEYS[1], epoch)
end
if redis.call('EXISTS', KEYS[2]) == 0 or redis.call('XLEN', KEYS[2]) == 0 then
  redis.call('XADD', KEYS[2], '*', 'epoch', epoch)
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', at)
if tonumber(ARGV[3]) > 0 then
  redis.call('ZADD', KEYS[3], string.format('%.0f', now + tonumber(ARGV[3])), ARGV[2])
elseif tonumber(ARGV[3]) == 0 then
  redis.call('ZREM', KEYS[3], ARGV[2])
end
return {epoch, at, redis.call('ZCARD', KEYS[3])}
";

/// The epoch, if this Redis is one that others write to. One that has become a replica would go on answering over the
/// connections that it has, and be the last to learn what is written elsewhere: so it is asked for a write that changes
/// nothing. Any other reason to take none (`MISCONF`, `NOREPLICAS`) holds for who revokes as well.
///
/// KEYS: the epoch, who is writing back.
const STILL: &str = r"
local taken = redis.pcall('ZREM', KEYS[2], '')
if type(taken) == 'table' and taken.err and string.find(taken.err, 'READONLY', 1, true) then
  return redis.error_reply('READONLY it has become a replica')
end
return redis.call('GET', KEYS[1])
";

/// The names of the keys.
#[derive(Debug)]
pub(super) struct Layout {
    /// `{doorward}:`
    base: String,
    pub(super) stream: String,
    pub(super) epoch: String,
    repairing: String,
}

impl Layout {
    pub(super) fn new(prefix: &str) -> Self {
        let base = format!("{{{prefix}}}:");
        Self {
            stream: format!("{base}stream"),
            epoch: format!("{base}epoch"),
            repairing: format!("{base}repairing"),
            base,
        }
    }

    /// What the keys of revocations look like, for `SCAN`.
    pub(super) fn pattern(&self) -> String {
        format!("{}?:*", self.base)
    }

    fn key(&self, target: &Revoked) -> String {
        format!("{}{}", self.base, name(target))
    }

    /// The command that writes these.
    pub(super) fn write(&self, revocations: &[Revocation], now: Timestamp) -> Cmd {
        let mut command = cmd("EVAL");
        command.arg(WRITE).arg(revocations.len() + 1).arg(&self.stream);
        for revocation in revocations {
            command.arg(self.key(&revocation.target));
        }
        command.arg(STREAM_LENGTH).arg(self.base.len());
        for revocation in revocations {
            let keep = revocation.expires_at + GRACE;
            command
                .arg(revocation.target.generation())
                .arg(revocation.expires_at.unix_ms())
                // Not a moment by Redis' clock, which may be another. At least 1: Redis takes no less.
                .arg(keep.since(now).as_millis().clamp(1, 1 << 50).to_string());
        }
        command
    }

    /// The command that looks at the epoch, or makes one of this name, as [`ENTER`] says.
    pub(super) fn enter(&self, new_epoch: &str, who: &str, lease: Lease) -> Cmd {
        let mut command = cmd("EVAL");
        command
            .arg(ENTER)
            .arg(3)
            .arg(&self.epoch)
            .arg(&self.stream)
            .arg(&self.repairing)
            .arg(new_epoch)
            .arg(who)
            .arg(match lease {
                Lease::Unchanged => "-1".to_owned(),
                Lease::For(duration) => duration.as_millis().to_string(),
                Lease::Over => "0".to_owned(),
            });
        command
    }

    /// The command that reads the epoch, as [`STILL`] says.
    pub(super) fn still(&self) -> Cmd {
        let mut command = cmd("EVAL");
        command.arg(STILL).arg(2).arg(&self.epoch).arg(&self.repairing);
        command
    }

    /// The command that reads the revocation of a session.
    pub(super) fn session(&self, id: SessionId) -> Cmd {
        let mut command = cmd("GET");
        command.arg(self.key(&Revoked::Session { id, up_to: 0 }));
        command
    }

    /// The revocation of this key and value. `None`: it is none that this version writes.
    pub(super) fn read(&self, key: &str, value: &str) -> Option<Revocation> {
        read(key.strip_prefix(&self.base)?, value)
    }
}

/// The revocation that the stream tells of so. `None`: it is none that this version writes.
pub(super) fn read_told(text: &str) -> Option<Revocation> {
    let (name, value) = text.split_once(' ')?;
    read(name, value)
}

/// `2:0197ab…`: the kind and 32 hex digits.
fn name(target: &Revoked) -> String {
    use std::fmt::Write;
    let mut name = format!("{}:", target.kind());
    for byte in target.value() {
        // Writing to a string can't fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

fn read(name: &str, value: &str) -> Option<Revocation> {
    let (kind, hex) = name.split_once(':')?;
    if hex.len() != 32 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let id = u128::from_str_radix(hex, 16).ok()?.to_be_bytes();
    let (up_to, expires_at) = value.split_once(' ')?;
    Some(Revocation {
        target: Revoked::from_parts(kind.parse().ok()?, id, up_to.parse().ok()?)?,
        expires_at: Timestamp::from_unix_ms(expires_at.parse().ok()?),
    })
}

/// The last generation that a value refuses.
pub(super) fn up_to(value: &str) -> Option<u32> {
    value.split_once(' ')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{KeyDigest, TokenId};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(kind in 1_i64..4, id: [u8; 16], up_to: u32, expires in 0_i64..1 << 50) {
            let target = match kind {
                1 => Revoked::Token(TokenId::from_bytes(id)),
                2 => Revoked::Session { id: SessionId::from_bytes(id), up_to },
                _ => Revoked::Key(KeyDigest::from_bytes(id)),
            };
            let revocation = Revocation { target, expires_at: Timestamp::from_unix_ms(expires) };
            let layout = Layout::new("a:b");
            let value = format!("{} {expires}", target.generation());
            prop_assert_eq!(layout.read(&layout.key(&target), &value), Some(revocation));
            prop_assert_eq!(read_told(&format!("{} {value}", name(&target))), Some(revocation));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,60}|[0-9]:[0-9a-f]{30,34} [0-9]{0,12} ?[0-9-]{0,22}") {
            let _ = (read_told(&text), up_to(&text), Layout::new("a").read(&text, &text));
        }
    }

    #[test]
    fn all_keys_of_a_prefix_lie_in_one_slot_of_a_cluster() {
        let layout = Layout::new("gate");
        let id = SessionId::from_bytes([0xab; 16]);
        let key = layout.key(&Revoked::Session { id, up_to: 3 });
        assert_eq!(key, format!("{{gate}}:2:{}", "ab".repeat(16)));
        for name in [&layout.stream, &layout.epoch, &layout.repairing] {
            assert!(name.starts_with("{gate}:"), "{name}");
        }
    }
}
