//! The sender's part.

use lftp_transport::{Runtime, Stream, unblock};

use super::walk::Walk;
use crate::blocks::Prefix;
use crate::hearing::Hearing;
use crate::link::{self, LinkError};
use crate::message::{self, Answer, Failed, Head, MessageError, Page, Want};
use crate::resume;
use crate::store::{Source, StoreError};
use crate::transfer::{SendError, send_file};

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
        for want in answer.want {
            walk = send_one(runtime, stream, walk, &page, want, heard).await?;
        }
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
    let (walk, page) = unblock(runtime, move || {
        let page = walk.page();
        (walk, page)
    })
    .await;
    let page = page.map_err(SendError::Store)?;
    let message = message::encode(&page).map_err(LinkError::from)?;
    link::write(stream, message).await?;
    Ok((walk, page))
}

async fn send_one(
    runtime: &dyn Runtime,
    stream: &mut Stream,
    walk: Walk,
    page: &Page,
    want: Want,
    heard: &mut Hearing<'_>,
) -> Result<Walk, SendError> {
    let index = want.index;
    let entry = page.entries.get(index).filter(|entry| entry.size.is_some());
    let Some(entry) = entry else {
        let error = MessageError::OutOfPlace("a file that was not offered");
        return Err(LinkError::from(error).into());
    };
    let path = entry.path.clone();
    let opened = unblock(runtime, {
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
            // Gone, or not to be read: the others are carried all the same.
            let head = Head {
                index,
                size: None,
                resume: false,
                failed: Some(Failed {
                    path,
                    code: error.code(),
                    reason: error.to_string(),
                }),
            };
            link::write(stream, message::encode(&head).map_err(LinkError::from)?).await?;
            return Ok(walk);
        }
    };
    let head = Head {
        index,
        size: Some(source.size()),
        resume: prefix.bytes() > 0,
        failed: None,
    };
    link::write(stream, message::encode(&head).map_err(LinkError::from)?).await?;
    send_file(runtime, stream, source, prefix, heard).await?;
    Ok(walk)
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
