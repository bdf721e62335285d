//! Whether the endpoints answer.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// That somebody is there.
#[derive(Serialize, ToSchema)]
#[schema(as = Pong)]
pub(super) struct PongBody {
    #[schema(example = "ok")]
    status: &'static str,
}

/// Ping
///
/// Says that the endpoints answer. It asks neither the database nor an upstream: for that there is `/readyz` on the admin
/// listener.
#[utoipa::path(
    get,
    path = "/ping",
    operation_id = "ping",
    responses((status = 200, description = "The endpoints answer.", body = PongBody)),
)]
pub(super) async fn ping() -> Json<PongBody> {
    Json(PongBody { status: "ok" })
}
