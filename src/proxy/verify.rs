//! Forward-auth: whether a request that another proxy has got may pass, by the same table, tokens and policy that decide about
//! requests of our own.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, header};

use super::authorize::Authorized;
use super::{Exchange, Proxy, Refused, ResponseBody, Trace};

impl Proxy {
    /// Answers a proxy that asks about the request for `original`: 200 with the identity headers, or why not. `parts` is the
    /// question: the token in it is the client's. `original` is the target of the exchange.
    pub async fn verify(
        &self,
        mut parts: Parts,
        method: &Method,
        original: &Exchange<'_>,
        trace: &mut Trace,
    ) -> Result<Response<ResponseBody>, Refused> {
        let Authorized {
            route,
            token,
            permit,
            standings,
        } = self.authorize(&mut parts.headers, method, original, trace).await?;
        let now = original.moment.now;
        let mut response = Response::new(ResponseBody::whole(Bytes::new()));
        let headers = response.headers_mut();
        self.identity.answer(headers, &permit);
        if let (Some(token), Some(audience)) = (&token, &route.assert_to)
            && let Some(assertion) = self.tokens.assert(&permit, token, audience, now)?
        {
            self.identity.set_assertion(headers, assertion);
        }
        self.limiter.tell(&standings, headers);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}
