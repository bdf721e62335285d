//! Who a client is, and how much of the gateway it may take.

mod caps;
mod crowd;
mod parked;
mod proxy_protocol;
mod rates;
mod shared;
mod slow;
