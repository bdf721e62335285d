//! How a Redis or Valkey is reached, and what is said of one that fails: for the rooms that keep something in one, each with
//! connections of its own.

use ::redis::{
    Client, ConnectionAddr, ErrorKind, IntoConnectionInfo, RedisConnectionInfo, RedisError, RedisResult,
    TlsCertificates,
};

use crate::config::{self, RedisTls};

/// What connections are made by; nothing is connected yet. The error says what can't be read or used, and nothing secret.
pub fn client(config: &config::Redis) -> Result<Client, String> {
    let (host, port) = (config.host.clone(), config.port);
    let mut login = RedisConnectionInfo::default()
        .set_db(config.database.into())
        .set_skip_set_lib_name();
    if let Some(user) = &config.user {
        login = login.set_username(user);
    }
    if let Some(password) = &config.password {
        login = login.set_password(password.expose());
    }
    let made = |address: ConnectionAddr| {
        let info = address.into_connection_info()?;
        RedisResult::Ok(info.set_redis_settings(login))
    };
    let over_tls = |host| ConnectionAddr::TcpTls {
        host,
        port,
        insecure: false,
        tls_params: None,
    };
    let root_cert = match &config.tls {
        RedisTls::Off => {
            let info = made(ConnectionAddr::Tcp(host, port));
            return info.and_then(Client::open).map_err(|error| describe(&error));
        }
        RedisTls::System => None,
        RedisTls::Authority(file) => {
            let pem = std::fs::read(file);
            Some(pem.map_err(|error| format!("the authority {} can't be read: {error}", file.display()))?)
        }
    };
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert,
    };
    made(over_tls(host))
        .and_then(|info| Client::build_with_tls(info, certificates))
        .map_err(|error| describe(&error))
}

/// What Redis or its driver said. Neither repeats a password or a value.
#[must_use]
pub fn describe(error: &RedisError) -> String {
    match error.code() {
        Some("WRONGPASS" | "NOAUTH") => "it refused the user or the password".to_owned(),
        _ if error.kind() == ErrorKind::AuthenticationFailed => "it refused the user or the password".to_owned(),
        _ => error.to_string(),
    }
}
