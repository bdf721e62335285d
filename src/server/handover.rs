//! Handing the listening sockets to the process that takes over: an upgrade that turns nobody away.
//!
//! A gateway with `server.handover` listens on a Unix socket. Another one of the same user that is started with the same
//! setting connects to it, is passed the listening sockets themselves, and says so once it serves. Then the first one stops
//! accepting and drains. Both share the kernel's queues all the while, so that no connection is refused, reset or late.
//! Where the second one does not come up, nothing has happened.

use std::fs;
use std::io::{self, BufRead, BufReader, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use rustix::process::getuid;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::private::Private;
use super::{Inherited, Running, StartError};

/// How long the one side waits for the other to take or give a socket.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the process that takes over may take until it serves.
const START: Duration = Duration::from_mins(10);
/// How long its word of what it took may be, in bytes.
const WORD: u64 = 64 * 1024;
/// What comes with a socket.
const SOCKET: u8 = b's';
/// What comes after the last one.
const END: u8 = b'e';
/// What comes in place of sockets where another process is about to take over, or has.
const BUSY: u8 = b'b';

/// The sockets of one listener.
pub(super) type Sockets = Arc<Vec<TcpListener>>;

/// Our sockets, for whoever takes over. Dropping it withdraws the offer.
#[derive(Debug)]
pub(super) struct Offer {
    path: PathBuf,
    /// Device and inode of our Unix socket: another process may have put its own in its place.
    identity: (u64, u64),
    sockets: Arc<Mutex<Vec<Sockets>>>,
    taken: watch::Receiver<Option<Vec<SocketAddr>>>,
    task: JoinHandle<()>,
}

impl Offer {
    /// Offers these at the path, in place of whoever offers there.
    pub(super) fn new(path: &Path, sockets: Vec<Sockets>) -> io::Result<Self> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".{}", std::process::id()));
        let aside = PathBuf::from(aside);
        // Left by a process that had our number once.
        let _ = fs::remove_file(&aside);
        let listener = UnixListener::bind(&aside)?;
        let placed = fs::set_permissions(&aside, fs::Permissions::from_mode(0o600));
        let placed = placed.and_then(|()| fs::symlink_metadata(&aside));
        let placed = placed.and_then(|meta| fs::rename(&aside, path).map(|()| meta));
        let meta = placed.inspect_err(|_| drop(fs::remove_file(&aside)))?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let sockets = Arc::new(Mutex::new(sockets));
        let (told, taken) = watch::channel(None);
        Ok(Self {
            path: path.to_owned(),
            identity: (meta.dev(), meta.ino()),
            task: tokio::spawn(answer(listener, Arc::clone(&sockets), told)),
            sockets,
            taken,
        })
    }

    /// Offers these instead.
    pub(super) fn replace(&self, sockets: Vec<Sockets>) {
        *self.sockets.lock().unwrap_or_else(PoisonError::into_inner) = sockets;
    }

    /// Waits until another process serves with them.
    pub(super) async fn until_taken(&self) {
        if self.taken.clone().wait_for(Option::is_some).await.is_err() {
            // Nobody can take over any more.
            std::future::pending::<()>().await;
        }
    }

    /// The addresses that another process serves by now.
    pub(super) fn taken(&self) -> Vec<SocketAddr> {
        self.taken.borrow().clone().unwrap_or_default()
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.task.abort();
        self.replace(Vec::new());
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|meta| (meta.dev(), meta.ino()) == self.identity);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Answers those who want to take over, of whom one at a time may: two that were given the sockets would both serve, and only
/// one of them be relieved by the next.
async fn answer(
    listener: tokio::net::UnixListener,
    sockets: Arc<Mutex<Vec<Sockets>>>,
    told: watch::Sender<Option<Vec<SocketAddr>>>,
) {
    let turn = Arc::new(tokio::sync::Mutex::new(()));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "nobody can take over");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (sockets, told) = (Arc::clone(&sockets), told.clone());
        let turn = Arc::clone(&turn).try_lock_owned().ok();
        tokio::task::spawn_blocking(move || {
            let stream = stream
                .into_std()
                .and_then(|stream| stream.set_nonblocking(false).map(|()| stream));
            let turn = turn.filter(|_| told.borrow().is_none());
            let handed = stream.and_then(|stream| match turn {
                Some(_) => hand_over(&stream, &sockets),
                None => refuse(&stream),
            });
            match handed {
                Ok(addresses) => drop(told.send_replace(Some(addresses))),
                Err(error) => {
                    drop(turn);
                    tracing::warn!(%error, "a process wanted to take over and did not");
                }
            }
        });
    }
}

/// Sends the sockets, and waits for the word that the other side serves: at these addresses.
fn hand_over(stream: &UnixStream, sockets: &Mutex<Vec<Sockets>>) -> io::Result<Vec<SocketAddr>> {
    check_peer(stream)?;
    tracing::info!("another process takes over");
    stream.set_write_timeout(Some(PATIENCE))?;
    // Not held beyond this: a socket closes when nobody holds it.
    let offered = sockets.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for socket in offered.iter().flat_map(|sockets| sockets.iter()) {
        send(stream, SOCKET, Some(socket.as_fd()))?;
    }
    drop(offered);
    send(stream, END, None)?;
    stream.set_read_timeout(Some(START))?;
    let mut word = String::new();
    BufReader::new(stream.take(WORD)).read_line(&mut word)?;
    let Some(addresses) = word.strip_prefix("serving").and_then(|rest| rest.strip_suffix('\n')) else {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "it ended before it served",
        ));
    };
    let parse = |text: &str| text.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
    addresses.split_whitespace().map(parse).collect()
}

/// Sends word that it is another's turn.
fn refuse(stream: &UnixStream) -> io::Result<Vec<SocketAddr>> {
    check_peer(stream)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    send(stream, BUSY, None)?;
    Err(io::Error::new(
        io::ErrorKind::ResourceBusy,
        "another one is taking over",
    ))
}

fn send(stream: &UnixStream, what: u8, socket: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let sockets = socket.as_slice();
    if !sockets.is_empty() && !control.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    sendmsg(stream, &[IoSlice::new(&[what])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// A gateway that is taken over from.
#[derive(Debug)]
pub(super) struct Predecessor(UnixStream);

impl Predecessor {
    /// Whoever offers sockets at the path, if anybody does, and the sockets.
    pub(super) fn find(path: &Path) -> io::Result<Option<(Self, Vec<TcpListener>)>> {
        let stream = match UnixStream::connect(path) {
            Ok(stream) => stream,
            // Nothing is there, or what a process has left that is gone.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        check_peer(&stream)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut sockets = Vec::new();
        while let Some(socket) = receive(&stream)? {
            sockets.push(socket);
        }
        Ok(Some((Self(stream), sockets)))
    }

    /// Tells it that these addresses are served here from now on.
    pub(super) fn relieve(mut self, addresses: &[SocketAddr]) -> io::Result<()> {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        self.0.set_write_timeout(Some(PATIENCE))?;
        self.0
            .write_all(format!("serving {}\n", addresses.join(" ")).as_bytes())
    }
}

/// The next socket; `None` after the last.
fn receive(stream: &UnixStream) -> io::Result<Option<TcpListener>> {
    let mut what = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let iov = &mut [IoSliceMut::new(&mut what)];
    let received = recvmsg(stream, iov, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let socket = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    match (received.bytes, what, socket) {
        (1, [SOCKET], Some(socket)) => Ok(Some(socket.into())),
        (1, [END], None) => Ok(None),
        (1, [BUSY], None) => Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another process is taking over; when it serves, it can be taken over from in turn",
        )),
        _ => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "no whole set of sockets came",
        )),
    }
}

/// Nobody but the same user, or root, is given sockets or believed to have ours.
fn check_peer(stream: &UnixStream) -> io::Result<()> {
    let peer = socket_peercred(stream)?.uid;
    if peer == getuid() || peer.is_root() {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "it belongs to another user",
        ))
    }
}

/// What is offered at the path, if there is one and something is.
pub(super) async fn find(path: Option<PathBuf>) -> Result<Option<(Predecessor, Inherited)>, StartError> {
    let Some(path) = path else { return Ok(None) };
    let at = path.clone();
    let found = tokio::task::spawn_blocking(move || {
        let found = Predecessor::find(&at)?;
        let inherit = |(predecessor, sockets)| Inherited::new(sockets, false).map(|sockets| (predecessor, sockets));
        found.map(inherit).transpose()
    });
    let found = found.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    found.map_err(|source| StartError::Handover { path, source })
}

impl Running {
    /// Offers the sockets to whoever takes over, where the configuration says where.
    pub(super) fn offer_for_takeover(&mut self) -> Result<(), StartError> {
        if let Some(path) = self.config.server.handover.clone() {
            let offer = Offer::new(&path, self.sockets());
            self.offer = Some(offer.map_err(|source| StartError::Handover { path, source })?);
        }
        Ok(())
    }

    /// Offers those that are there now.
    pub(super) fn offer_sockets(&self) {
        if let Some(offer) = &self.offer {
            offer.replace(self.sockets());
        }
    }

    fn sockets(&self) -> Vec<Sockets> {
        let private = self.private.as_ref().and_then(Private::sockets);
        self.listeners.sockets().chain(private).collect()
    }

    /// Tells the one that is taken over from that it may go.
    pub(super) async fn relieve(&self, predecessor: Predecessor) {
        let mut addresses = self.addresses();
        addresses.extend(self.admin_address());
        let told = tokio::task::spawn_blocking(move || predecessor.relieve(&addresses));
        match told.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(()) => tracing::info!("took over from another process"),
            // It is gone, or believes that we are: both serve then, until it is told to stop.
            Err(error) => tracing::warn!(%error, "the process taken over from can't be told so"),
        }
    }

    /// Whether another process serves in place of this one.
    #[must_use]
    pub fn is_taken_over(&self) -> bool {
        self.offer.as_ref().is_some_and(|offer| !offer.taken().is_empty())
    }

    /// Waits until another process has taken over: it is time to [drain](Running::drain).
    pub async fn until_taken_over(&self) {
        match &self.offer {
            Some(offer) => offer.until_taken().await,
            None => std::future::pending().await,
        }
    }
}
