use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Redirect {
    pub(in crate::config) to: Option<String>,
    pub(in crate::config) status: u16,
}
