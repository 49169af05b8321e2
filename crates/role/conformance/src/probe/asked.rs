//! One request each, with a deadline.

use std::future::Future;

use tokio::time::timeout;
use tonic::codec::Streaming;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

use crate::Options;
use crate::seen::Answer;

/// The security header (SPIFFE_Workload_Endpoint.md §3).
const HEADER: &str = "workload.spiffe.io";
/// Most messages of one stream that are looked at.
const MAX_MESSAGES: usize = 16;

/// A request as it should be.
pub(super) fn request<T>(message: T) -> Request<T> {
    with_header(message, Some("true"))
}

/// A request with this security header, or without one.
pub(super) fn with_header<T>(message: T, value: Option<&'static str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(value) = value {
        request.metadata_mut().insert(HEADER, MetadataValue::from_static(value));
    }
    request
}

pub(super) async fn unary<T>(options: &Options, call: impl Future<Output = Result<Response<T>, Status>>) -> Answer<T> {
    match timeout(options.within, call).await {
        Ok(Ok(response)) => Answer::Said(response.into_inner()),
        Ok(Err(status)) => refused(&status),
        Err(_) => Answer::Late,
    }
}

/// The messages of a stream until it ends, or is silent for long enough.
pub(super) async fn streamed<T>(
    options: &Options,
    call: impl AsyncFnOnce() -> Result<Response<Streaming<T>>, Status>,
) -> Answer<Vec<T>> {
    let opened = async {
        let mut stream = call().await?.into_inner();
        match stream.message().await? {
            Some(first) => Ok((stream, first)),
            None => Err(Status::cancelled("the stream ended without a message")),
        }
    };
    let (mut stream, first) = match timeout(options.within, opened).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(status)) => return refused(&status),
        Err(_) => return Answer::Late,
    };
    let mut messages = vec![first];
    while let Ok(Ok(Some(more))) = timeout(options.settled, stream.message()).await {
        messages.push(more);
        if messages.len() == MAX_MESSAGES {
            break;
        }
    }
    Answer::Said(messages)
}

fn refused<T>(status: &Status) -> Answer<T> {
    Answer::Refused { code: status.code(), message: status.message().to_owned() }
}
