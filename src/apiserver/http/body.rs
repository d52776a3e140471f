//! The bodies of answers.
//!
//! In: bytes that are ready, or a subscription. Out: frames for hyper. A watch takes everything that waits into one
//! frame, so that a burst costs one write, and sends at once what there is.

use crate::apiserver::http::watch::WatchBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of an answer.
pub(crate) enum AnswerBody {
    /// Nothing, or nothing more.
    Empty,
    /// All of it.
    Whole(Bytes),
    /// Events until the end of the watch. Boxed: what hyper keeps per idle stream is as large as this enum.
    Watch(Box<WatchBody>),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Watch(watch) => watch.poll(cx).map(|events| events.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Watch(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Watch(_) => SizeHint::default(),
        }
    }
}
