//! Ends what is under way when the token that let it in is not good any more: while an answer is waited for, here; while it
//! is streamed, in [`ResponseBody`](super::ResponseBody).

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::Refused;
use crate::token::Leash;

/// When waiting for an answer is not a matter of a moment any more.
pub(super) const SOON: Duration = Duration::from_millis(250);

/// Waits for an answer for as long as the token is good. The token is not watched before the answer has been waited for a
/// second time, which is after [`SOON`] at the latest: most answers are there by then.
pub(super) async fn tied<T>(
    leash: Option<&mut Leash>,
    mut answer: Pin<&mut impl Future<Output = Result<T, Refused>>>,
) -> Result<T, Refused> {
    let Some(leash) = leash else { return answer.await };
    let mut waited = false;
    poll_fn(|cx| {
        if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
            return Poll::Ready(answer);
        }
        if std::mem::replace(&mut waited, true)
            && let Poll::Ready(why) = leash.poll_ended(cx)
        {
            return Poll::Ready(Err(Refused::Token(why)));
        }
        Poll::Pending
    })
    .await
}
