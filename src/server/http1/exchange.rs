//! [`Exchange`]: one request and its answer, on a connection of HTTP/1.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Response;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Alone;
use super::answer::Answer;
use super::ending::Ending;
use super::interims::Interims;
use super::line::Line;
use super::status::Asked;
use super::upload::Upload;
use crate::gateway::Body;

/// The tunnel that a connection becomes.
pub(super) type Tunnel = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One request and its answer.
pub(super) struct Exchange<H> {
    stage: Stage<H>,
    upload: Option<Upload>,
    asked: Asked,
}

enum Stage<H> {
    /// There is no answer yet.
    Handled(Pin<Box<H>>),
    Answered(Box<Answer>),
    /// The answer is on its way, and is the last word of HTTP.
    Switched(Option<Tunnel>),
}

/// What follows an exchange.
pub(super) enum After {
    /// The next request.
    Next,
    /// Nothing. Whether the client may still be sending.
    Close { is_unread: bool },
    /// Another protocol.
    Tunnel(Tunnel),
}

impl<H: Future<Output = Response<Body<Alone>>>> Exchange<H> {
    pub(super) fn new(handling: Pin<Box<H>>, upload: Option<Upload>, asked: Asked) -> Self {
        Self {
            stage: Stage::Handled(handling),
            upload,
            asked,
        }
    }

    /// Goes on until the answer is out. An error: the connection can't be used any more.
    pub(super) fn poll<S, F>(
        &mut self,
        line: &mut Line<S>,
        interims: &Interims,
        ending: &mut Ending<'_, F>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<After>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        F: Future<Output = Duration>,
    {
        loop {
            if let Stage::Handled(handling) = &mut self.stage {
                if let Poll::Ready(response) = handling.as_mut().poll(cx) {
                    ending.poll(cx);
                    self.begin(response, line, interims, ending.has_begun());
                } else {
                    if interims.wait() {
                        line.out.text().extend_from_slice(&interims.hear());
                    }
                    // Whether it can be written or not, whoever handles the request goes on.
                    let _ = line.poll_flush(cx)?;
                }
            }
            if let Poll::Ready(after) = self.poll_answer(line, cx)? {
                return Poll::Ready(Ok(after));
            }
            let is_answered = !matches!(self.stage, Stage::Handled(_));
            match &mut self.upload {
                Some(upload) if !upload.has_ended() => ready!(upload.poll(line, is_answered, cx)),
                Some(_) | None => return self.poll_hang_up(line, cx).map(Err),
            }
        }
    }

    /// Takes the answer, and writes its head behind what came before it.
    fn begin<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        mut response: Response<Body<Alone>>,
        line: &mut Line<S>,
        interims: &Interims,
        is_last: bool,
    ) {
        line.out.text().extend_from_slice(&interims.settle());
        let tunnel = response.body_mut().tunnel();
        let answer = Box::new(Answer::begin(response, self.asked, is_last, &mut line.out));
        self.stage = match tunnel {
            Some(tunnel) => Stage::Switched(Some(Box::pin(tunnel))),
            None => Stage::Answered(answer),
        };
    }

    fn poll_answer<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        line: &mut Line<S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<After>> {
        match &mut self.stage {
            Stage::Handled(_) => Poll::Pending,
            Stage::Answered(answer) => {
                ready!(answer.poll(line, cx))?;
                let is_unread = self.upload.as_ref().is_some_and(|upload| !upload.has_ended());
                Poll::Ready(Ok(if answer.keeps && !is_unread {
                    After::Next
                } else {
                    let is_unread = is_unread || !line.is_drained();
                    After::Close { is_unread }
                }))
            }
            Stage::Switched(tunnel) => {
                ready!(line.poll_flush(cx))?;
                Poll::Ready(Ok(match tunnel.take() {
                    Some(tunnel) => After::Tunnel(tunnel),
                    None => After::Close { is_unread: false },
                }))
            }
        }
    }

    /// All of the request was read: what comes now is another, which waits, or the end of the client, who then wants no answer.
    fn poll_hang_up<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        line: &mut Line<S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Error> {
        if !line.is_drained() {
            return Poll::Pending;
        }
        match ready!(line.poll_read(cx)) {
            Ok(1..) => Poll::Pending,
            Ok(0) => {
                let said = match self.stage {
                    Stage::Handled(_) => "the client hung up before it had its answer",
                    Stage::Answered(_) | Stage::Switched(_) => "the client hung up within its answer",
                };
                Poll::Ready(io::Error::new(io::ErrorKind::UnexpectedEof, said))
            }
            Err(error) => Poll::Ready(error),
        }
    }
}

#[cfg(test)]
mod tests;
