//! A name server that says what the test says (RFC 1035), over UDP.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// What the name server says, whatever name it is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// These addresses, for so many seconds.
    Addresses(Vec<Ipv4Addr>, u32),
    /// There is no such name.
    NoSuchName,
    /// It has failed.
    Failure,
    /// Nothing.
    Silence,
}

/// The name server. It stops when dropped.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    says: Arc<Mutex<(Says, usize)>>,
    task: JoinHandle<()>,
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl NameServer {
    /// One that says this until it is told to say something else.
    pub(crate) async fn start(says: Says) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("a bound socket has an address");
        let says = Arc::new(Mutex::new((says, 0)));
        let shared = Arc::clone(&says);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
                let says = {
                    let mut shared = shared.lock().unwrap();
                    shared.1 += 1;
                    shared.0.clone()
                };
                if let Some(answer) = answer(&buffer[..length], &says) {
                    let _ = socket.send_to(&answer, client).await;
                }
            }
        });
        Self { address, says, task }
    }

    /// From now on it says this.
    pub(crate) fn say(&self, says: Says) {
        self.says.lock().unwrap().0 = says;
    }

    /// How many questions it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.says.lock().unwrap().1
    }
}

fn answer(question: &[u8], says: &Says) -> Option<Vec<u8>> {
    const A: u16 = 1;
    let name_ends = 12 + question.get(12..)?.iter().position(|byte| *byte == 0)? + 1;
    let asked = question.get(12..name_ends + 4)?;
    let kind = u16::from_be_bytes([question[name_ends], question[name_ends + 1]]);
    let (code, addresses, ttl) = match says {
        Says::Addresses(addresses, ttl) if kind == A => (0, addresses.as_slice(), *ttl),
        Says::Addresses(_, ttl) => (0, &[][..], *ttl),
        Says::NoSuchName => (3, &[][..], 0),
        Says::Failure => (2, &[][..], 0),
        Says::Silence => return None,
    };
    let mut answer = question[..2].to_vec();
    // An answer, with recursion desired and available.
    answer.extend([
        0x81,
        0x80 | code,
        0,
        1,
        0,
        u8::try_from(addresses.len()).ok()?,
        0,
        0,
        0,
        0,
    ]);
    answer.extend(asked);
    for address in addresses {
        answer.extend([0xC0, 12, 0, 1, 0, 1]);
        answer.extend(ttl.to_be_bytes());
        answer.extend([0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}
