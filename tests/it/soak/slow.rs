//! Clients that are slow, each in a way by chance: those that bring what they promise get their own answer, the others are cut.

use std::time::Duration;

use super::ask::{Asked, Route};
use super::http1::{Pipe, judge};
use super::site::Site;
use crate::support::random::Random;

/// How it is counted.
const HOW: &str = "slow client";
/// How long a slow client pauses.
const PAUSE: Duration = Duration::from_millis(50);
/// What is more than the buffers between an upstream and a client hold.
const LARGE: usize = 2 * 1024 * 1024;

/// One slow client after the other, until the run is over.
pub(super) async fn load(site: &Site, mut random: Random) {
    while !site.is_over() {
        let user = &site.users[random.below(site.users.len())];
        let mut asked = Asked::with(user.current(), Route::Steady);
        let mut pipe = Pipe::open(site).await;
        let done = match random.below(6) {
            0 => no_whole_head(site, &mut pipe, &asked).await,
            1 => drips(&mut pipe, asked.head() + "\r\n", "").await,
            2 => {
                asked.body = 300;
                drips(&mut pipe, asked.head() + "\r\n", &"b".repeat(300)).await
            }
            3 => sips(&mut pipe, &mut asked).await,
            4 => goes_away(site, &mut pipe, &mut asked).await,
            _ => idles(site, &mut pipe, &asked).await,
        };
        match done {
            Ok(true) => match pipe.answer().await {
                Ok(answer) => judge(site, HOW, &asked, &answer),
                Err(why) => asked.broken(site, HOW, &why),
            },
            Ok(false) => {}
            Err(why) => site.tally.wrong(format!("{HOW}: {why}")),
        }
        drop(pipe);
        site.rest(random.between(Duration::ZERO, 4 * PAUSE)).await;
    }
}

/// Sends half of a head and no more: it is told so, or cut, and never let through.
async fn no_whole_head(site: &Site, pipe: &mut Pipe, asked: &Asked) -> Result<bool, String> {
    pipe.send(asked.head().as_bytes()).await?;
    match pipe.answer().await {
        Ok(answer) if answer.status == 408 => site.tally.seen("half a head", "408"),
        Ok(answer) => return Err(format!("an answer to half a head: {answer:?}")),
        Err(_) => site.tally.seen("half a head", "cut"),
    }
    Ok(false)
}

/// Sends everything in small pieces.
async fn drips(pipe: &mut Pipe, head: String, body: &str) -> Result<bool, String> {
    for bytes in [head.as_bytes(), body.as_bytes()] {
        for piece in bytes.chunks(bytes.len().div_ceil(6).max(1)) {
            tokio::time::sleep(PAUSE).await;
            pipe.send(piece).await?;
        }
    }
    Ok(true)
}

/// Takes a large answer in small pieces.
async fn sips(pipe: &mut Pipe, asked: &mut Asked) -> Result<bool, String> {
    asked.size = LARGE;
    pipe.send((asked.head() + "\r\n").as_bytes()).await?;
    for _ in 0..20 {
        tokio::time::sleep(PAUSE).await;
        pipe.read(4096).await;
    }
    Ok(true)
}

/// Goes away within a large answer.
async fn goes_away(site: &Site, pipe: &mut Pipe, asked: &mut Asked) -> Result<bool, String> {
    asked.size = LARGE;
    pipe.send((asked.head() + "\r\n").as_bytes()).await?;
    pipe.read(4096).await;
    site.tally.seen("gone within an answer", "done");
    Ok(false)
}

/// Asks once, and then says nothing until it is shown the door.
async fn idles(site: &Site, pipe: &mut Pipe, asked: &Asked) -> Result<bool, String> {
    pipe.send((asked.head() + "\r\n").as_bytes()).await?;
    let answer = pipe.answer().await?;
    judge(site, HOW, asked, &answer);
    if pipe.read(1).await {
        return Err("something on an idle connection".to_owned());
    }
    site.tally.seen("idle connection", "closed");
    Ok(false)
}
