use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Limiter {
    pub(in crate::config) capacity: usize,
    pub(in crate::config) headers: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Limit {
    pub(in crate::config) name: Option<String>,
    pub(in crate::config) rate: Option<String>,
    pub(in crate::config) burst: Option<u32>,
    pub(in crate::config) by: String,
}
