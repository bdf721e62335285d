//! Who a client is, and how much of the gateway it may take.

mod proxy_protocol;
mod rates;
