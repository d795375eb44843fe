//! The sender's part.

use std::collections::VecDeque;

use lftp_transport::{Runtime, Stream, spawn_blocking};

use super::small::{Ahead, failed};
use super::walk::Walk;
use crate::protocol::blocks::Prefix;
use crate::protocol::channel::{self, LinkError};
use crate::protocol::{self, Answer, Head, MessageError, Page, Want};
use crate::store::{Source, StoreError};
use crate::transfer::error::SendError;
use crate::transfer::message_reader::Hearing;
use crate::transfer::resume;
use crate::transfer::send::send_file;

/// Sends the files of a tree that the receiver wants. Standstill is for the caller to notice.
/// `on_page` hears of every page and what of it is wanted.
pub(crate) async fn send_tree(
    runtime: &dyn Runtime,
    stream: &mut Stream,
    mut walk: Walk,
    heard: &mut Hearing<'_>,
    on_page: &(dyn Fn(&Page, &Answer) + Sync),
) -> Result<Walk, SendError> {
    let mut page;
    (walk, page) = next_page(runtime, stream, walk).await?;
    loop {
        // The next page is on its way before anybody waits for an answer to this one.
        let mut next = None;
        if !page.last {
            let following;
            (walk, following) = next_page(runtime, stream, walk).await?;
            next = Some(following);
        }
        let answer = heard.answer(stream).await?;
        on_page(&page, &answer);
        send_wanted(runtime, stream, &walk, &page, answer.want.into(), heard).await?;
        match next {
            Some(following) => page = following,
            None => return Ok(walk),
        }
    }
}

async fn next_page(
    runtime: &dyn Runtime,
    stream: &mut Stream,
    mut walk: Walk,
) -> Result<(Walk, Page), SendError> {
    let (walk, page) = spawn_blocking(runtime, move || {
        let page = walk.page();
        (walk, page)
    })
    .await;
    let page = page.map_err(SendError::Store)?;
    let message = protocol::encode(&page).map_err(LinkError::from)?;
    channel::write(stream, message).await?;
    Ok((walk, page))
}

/// Sends what is wanted of a page; small files many at once, the next of them read meanwhile.
async fn send_wanted(
    runtime: &dyn Runtime,
    stream: &mut Stream,
    walk: &Walk,
    page: &Page,
    mut wants: VecDeque<Want>,
    heard: &mut Hearing<'_>,
) -> Result<(), SendError> {
    let read = |wants: &VecDeque<Want>| {
        let ahead = Ahead::new(walk, page, wants);
        async move {
            let batch = spawn_blocking(runtime, move || ahead.read()).await;
            batch.map_err(|error| SendError::from(LinkError::from(error)))
        }
    };
    let mut batch = read(&wants).await?;
    while !wants.is_empty() {
        if batch.files == 0 {
            if let Some(want) = wants.pop_front() {
                send_one(runtime, stream, walk, page, want, heard).await?;
            }
            batch = read(&wants).await?;
            continue;
        }
        wants.drain(..batch.files);
        let write = async {
            channel::write(stream, batch.wire).await?;
            Ok(heard.listen(stream)?)
        };
        ((), batch) = tokio::try_join!(write, read(&wants))?;
    }
    Ok(())
}

async fn send_one(
    runtime: &dyn Runtime,
    stream: &mut Stream,
    walk: &Walk,
    page: &Page,
    want: Want,
    heard: &mut Hearing<'_>,
) -> Result<(), SendError> {
    let index = want.index;
    let entry = page.entries.get(index).filter(|entry| entry.size.is_some());
    let Some(entry) = entry else {
        let error = MessageError::OutOfPlace("a file that was not offered");
        return Err(LinkError::from(error).into());
    };
    let path = entry.path.clone();
    let opened = spawn_blocking(runtime, {
        let (store, name) = (walk.store().clone(), walk.name(&path));
        move || store.open(&name?)
    })
    .await;
    let placed = match opened {
        Ok(source) => place(runtime, source, &want, entry.source.as_deref()).await,
        Err(error) => Err(error),
    };
    let (source, prefix) = match placed {
        Ok(placed) => placed,
        Err(error) => {
            let head = failed(index, path, &error);
            channel::write(stream, protocol::encode(&head).map_err(LinkError::from)?).await?;
            return Ok(());
        }
    };
    let head = Head {
        index,
        size: Some(source.size()),
        resume: prefix.bytes() > 0,
        failed: None,
    };
    channel::write(stream, protocol::encode(&head).map_err(LinkError::from)?).await?;
    send_file(runtime, stream, source, prefix, heard).await?;
    Ok(())
}

/// The source behind what the receiver holds.
async fn place(
    runtime: &dyn Runtime,
    source: Box<dyn Source>,
    want: &Want,
    fingerprint: Option<&str>,
) -> Result<(Box<dyn Source>, Prefix), StoreError> {
    match &want.held {
        Some(held) if source.fingerprint().as_deref() == fingerprint => {
            resume::go_on(runtime, source, held).await
        }
        _ => Ok((source, Prefix::default())),
    }
}
