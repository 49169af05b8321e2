//! gRPC clients over one HTTP/2 connection, which whoever opened it drives.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use tonic::body::Body;
use tonic::codegen::Service;

/// The sending end of a connection.
#[derive(Debug, Clone)]
pub struct Channel(SendRequest<Body>);

impl Channel {
    /// Over a connection that was opened.
    pub const fn new(sender: SendRequest<Body>) -> Self {
        Self(sender)
    }

    /// Whether nothing can be asked over it any more.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    /// A connection that broke says so in the exchange: of what is said here, `tonic` keeps no cause, so that it would pass for
    /// what the other side said.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx).map(|_| Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
