//! The service behind the layer, with a request for it.

use std::future::poll_fn;

use http::Request;
use tower_service::Service;

/// A request that has not been sent, and the service that it is for. The service may be ready:
/// then it holds what readiness costs, such as a permit.
pub(crate) struct Upstream<S, R> {
    service: S,
    request: Request<R>,
}

impl<S, R> Upstream<S, R>
where
    S: Service<Request<R>> + Clone,
{
    pub(crate) fn new(service: S, request: Request<R>) -> Self {
        Self { service, request }
    }

    /// Gives back what readiness costs, while somebody else's answer is waited for.
    pub(crate) fn yield_readiness(&mut self) {
        self.service = self.service.clone();
    }

    /// Sends the request, after readiness.
    pub(crate) async fn send(mut self) -> Result<S::Response, S::Error> {
        // A service that is ready already says so again.
        poll_fn(|context| self.service.poll_ready(context)).await?;
        self.service.call(self.request).await
    }
}
