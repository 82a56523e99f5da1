//! A stream of server-sent events as one JSON list of their data, piece by piece: what Gemini's clients get that do not
//! ask for events.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use bytes::Bytes;
use tollgate_formats::sse::{Action, Splitter};

/// A body as a list.
struct Listed<B> {
    body: B,
    /// Finds events; `None` where the body is one object, which becomes the only item.
    splitter: Option<Splitter>,
    has_items: bool,
    ended: bool,
}

/// An answer as a list; events are at most `max_event` bytes. An object that is compressed stays alone: nothing can be
/// put around it any more.
#[must_use]
pub fn list(response: HttpResponse, max_event: usize) -> HttpResponse {
    if response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let is_events = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let mut response = response.map_body(|_, body| {
        let splitter = is_events.then(|| Splitter::new(max_event));
        BoxBody::new(Listed { body, splitter, has_items: false, ended: false })
    });
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
    response
}

impl<B> Listed<B> {
    /// What these bytes come to in the list; white space keeps it alive where they are no event.
    fn take(&mut self, chunk: Bytes) -> io::Result<Bytes> {
        let Self { splitter, has_items, .. } = self;
        let Some(splitter) = splitter else {
            let first = !std::mem::replace(has_items, true);
            return Ok(if first { [&b"["[..], &chunk].concat().into() } else { chunk });
        };
        let mut out = Vec::with_capacity(chunk.len() + 2);
        let is_comment = chunk.starts_with(b":");
        let split = splitter.push(chunk, |event| {
            out.extend_from_slice(if std::mem::replace(has_items, true) { b",\r\n" } else { b"[" });
            out.extend_from_slice(event.data.as_bytes());
            Action::Drop
        });
        split.map_err(io::Error::other)?;
        if out.is_empty() && is_comment {
            out.push(b'\n');
        }
        Ok(out.into())
    }
}

impl<B: MessageBody + Unpin> MessageBody for Listed<B> {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        while !self.ended {
            match std::task::ready!(Pin::new(&mut self.body).poll_next(cx)) {
                Some(Ok(chunk)) => match self.take(chunk) {
                    Ok(out) if out.is_empty() => {}
                    Ok(out) => return Poll::Ready(Some(Ok(out))),
                    Err(error) => {
                        self.ended = true;
                        return Poll::Ready(Some(Err(error.into())));
                    }
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => {
                    self.ended = true;
                    let end: &[u8] = if self.has_items { b"]" } else { b"[]" };
                    return Poll::Ready(Some(Ok(Bytes::from_static(end))));
                }
            }
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use futures_util::stream;

    use super::*;

    async fn listed(kind: &'static str, chunks: &'static [&'static str]) -> (String, String) {
        let body = stream::iter(chunks).map(|chunk| Ok::<_, io::Error>(Bytes::from_static(chunk.as_bytes())));
        let response = HttpResponse::Ok().content_type(kind).streaming(body);
        let response = list(response, 64);
        let kind = response.headers().get(CONTENT_TYPE).unwrap().to_str().unwrap().to_owned();
        let body = to_bytes(response.into_body()).await.map(|body| String::from_utf8(body.to_vec()).unwrap());
        (kind, body.unwrap_or_else(|error| error.to_string()))
    }

    use futures_util::StreamExt as _;

    #[actix_rt::test]
    async fn events_become_items_however_they_are_cut() {
        let chunks = &[
            ": keep-alive\n\n",
            "data: {\"a\"",
            ":1}\r\n\r\ndata: {}\n\n",
            ": keep-alive\n\n",
            "data: [2]\n\n",
        ];
        let (kind, body) = listed("text/event-stream; charset=utf-8", chunks).await;
        assert_eq!(body, "\n[{\"a\":1},\r\n{}\n,\r\n[2]]");
        assert_eq!(kind, "application/json; charset=UTF-8");
    }

    #[actix_rt::test]
    async fn an_object_is_the_only_item_and_nothing_is_an_empty_list() {
        assert_eq!(listed("application/json", &["{\"error\"", ":{}}"]).await.1, "[{\"error\":{}}]");
        assert_eq!(listed("text/event-stream", &[]).await.1, "[]");
    }

    #[actix_rt::test]
    async fn what_is_compressed_is_not_touched() {
        let response = HttpResponse::Ok().insert_header((CONTENT_ENCODING, "gzip")).body("packed");
        let body = to_bytes(list(response, 64).into_body()).await;
        assert_eq!(body.unwrap_or_default(), "packed");
    }

    #[actix_rt::test]
    async fn an_event_without_end_breaks_the_list() {
        let long =
            &["data: 0123456789012345678901234567890123456789", "0123456789012345678901234567890123456789"];
        assert!(listed("text/event-stream", long).await.1.contains("larger than 64 bytes"));
    }
}
