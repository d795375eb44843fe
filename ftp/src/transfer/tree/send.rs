//! The sender of a tree.

use std::collections::VecDeque;

use lftp_transport::{Runtime, Stream, spawn_blocking};

use super::small::{SmallFiles, failed};
use super::walk::Walk;
use crate::protocol::channel::{self, ChannelError};
use crate::protocol::{self, Answer, FileHeader, MessageError, Page, WantedEntry};
use crate::store::{Source, StoreError};
use crate::transfer::error::SendError;
use crate::transfer::message_reader::MessageReader;
use crate::transfer::resume;
use crate::transfer::send::send_file;

/// Sends the wanted files of a tree. `on_page` is called with every page and the answer to it.
/// Never times out; the caller watches for a stall.
pub(crate) async fn send_tree(
    runtime: &dyn Runtime,
    stream: &mut Stream,
    mut walk: Walk,
    messages: &mut MessageReader<'_>,
    on_page: &(dyn Fn(&Page, &Answer) + Sync),
) -> Result<Walk, SendError> {
    let mut page;
    (walk, page) = next_page(runtime, stream, walk).await?;
    loop {
        // The next page is sent before the answer to this one is waited for, so that the answers
        // cost no round trip but the first.
        let mut next = None;
        if !page.last {
            let following;
            (walk, following) = next_page(runtime, stream, walk).await?;
            next = Some(following);
        }
        let answer = messages.answer(stream).await?;
        on_page(&page, &answer);
        send_wanted(runtime, stream, &walk, &page, answer.want.into(), messages).await?;
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
    let message = protocol::encode(&page).map_err(ChannelError::from)?;
    channel::write(stream, message).await?;
    Ok((walk, page))
}

/// Sends the wanted files of a page: small ones many at once, the next batch being read while
/// one is sent.
async fn send_wanted(
    runtime: &dyn Runtime,
    stream: &mut Stream,
    walk: &Walk,
    page: &Page,
    mut wants: VecDeque<WantedEntry>,
    messages: &mut MessageReader<'_>,
) -> Result<(), SendError> {
    let read = |wants: &VecDeque<WantedEntry>| {
        let files = SmallFiles::new(walk, page, wants);
        async move {
            let batch = spawn_blocking(runtime, move || files.read()).await;
            batch.map_err(|error| SendError::from(ChannelError::from(error)))
        }
    };
    let mut batch = read(&wants).await?;
    while !wants.is_empty() {
        // The next file is not small: it is sent by itself, as a file of known length.
        if batch.files == 0 {
            if let Some(want) = wants.pop_front() {
                send_one(runtime, stream, walk, page, want, messages).await?;
            }
            batch = read(&wants).await?;
            continue;
        }
        wants.drain(..batch.files);
        let write = async {
            channel::write(stream, batch.wire).await?;
            messages.poll_messages(stream)
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
    want: WantedEntry,
    messages: &mut MessageReader<'_>,
) -> Result<(), SendError> {
    let index = want.index;
    // The index is the peer's, and folders cannot be asked for.
    let entry = page.entries.get(index).filter(|entry| entry.size.is_some());
    let Some(entry) = entry else {
        let error = MessageError::OutOfPlace("a file that was not offered");
        return Err(ChannelError::from(error).into());
    };
    let path = entry.path.clone();
    let opened = spawn_blocking(runtime, {
        let (store, name) = (walk.store().clone(), walk.name(&path));
        move || store.open(&name?)
    })
    .await;
    let positioned = match opened {
        Ok(source) => seek(runtime, source, &want).await,
        Err(error) => Err(error),
    };
    let (source, held) = match positioned {
        Ok(positioned) => positioned,
        Err(error) => {
            // One file that cannot be read does not end the tree: its header says why, and the next
            // follows.
            let head = failed(index, path, &error);
            channel::write(stream, protocol::encode(&head).map_err(ChannelError::from)?).await?;
            return Ok(());
        }
    };
    let head = FileHeader {
        index,
        size: Some(source.size()),
        resume: held > 0,
        failed: None,
    };
    channel::write(stream, protocol::encode(&head).map_err(ChannelError::from)?).await?;
    send_file(runtime, stream, source, held, messages).await?;
    Ok(())
}

/// Positions the source behind what the receiver holds.
async fn seek(
    runtime: &dyn Runtime,
    source: Box<dyn Source>,
    want: &WantedEntry,
) -> Result<(Box<dyn Source>, u64), StoreError> {
    match &want.held {
        Some(held) => resume::seek_to_held(runtime, source, held).await,
        None => Ok((source, 0)),
    }
}
