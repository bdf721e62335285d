//! HTTP/2 on clients' connections: its own clients, its own attacks, and the rules that hold as they do on HTTP/1.

mod attacks;
mod clients;
mod connect;
mod floods;
mod identity;
mod interim;
pub(crate) mod play;
mod streams;
mod websocket;
