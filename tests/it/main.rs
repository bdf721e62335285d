//! Behaviour, over real sockets and real databases.
