//! [`Pulse`]: whether every worker still turns.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::Running;
use super::worker::Order;

/// Asks the workers for signs of life.
#[derive(Clone, Debug)]
pub struct Pulse(Vec<UnboundedSender<Order>>);

impl Running {
    /// For whoever watches over the gateway.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        Pulse(self.orders.clone())
    }
}

impl Pulse {
    /// Whether each worker answers within this time: one that hangs, or is gone, does not. Workers that drain do not answer.
    pub async fn beats(&self, within: Duration) -> bool {
        let asked: Vec<_> = self.0.iter().map(ask).collect();
        let all = async {
            for answer in asked {
                if answer.await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(within, all).await.unwrap_or(false)
    }
}

fn ask(worker: &UnboundedSender<Order>) -> oneshot::Receiver<()> {
    let (to, answer) = oneshot::channel();
    // Where the worker is gone, so is the sender, which the receiver tells.
    let _ = worker.send(Order::Answer(to));
    answer
}
