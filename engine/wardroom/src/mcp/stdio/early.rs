//! Calls that are over before the library has heard of them.
//!
//! The library makes a task of each request and takes its answer from a queue; both
//! together cost as much as most calls of an exposed function or task. So these are
//! begun where they were read. One that is over then is answered there. Any other
//! goes on as the library's request, with what was begun: it is cancelled, drained
//! and answered like all that it has.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientNotification, ClientRequest, JsonRpcMessage, JsonRpcRequest, ProtocolVersion,
    RequestMetaObject, ServerConfig, ServerResult,
};
use rmcp::service::{NotificationContext, Peer, RequestContext, RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::{ErrorData, Service};
use tokio::task::coop::unconstrained;
use tokio_util::sync::CancellationToken;

use super::super::{Server, tool};
use crate::execution::caught;

/// A server of one client, whose calls may be begun before the library has them.
#[derive(Clone)]
pub(super) struct Early {
    server: Arc<Server>,
    /// Once it has said who it is; the library has everything until then.
    client: Arc<OnceLock<Peer<RoleServer>>>,
}

/// What became of a call.
pub(super) enum Start {
    /// It is over: this is its answer.
    Over(TxJsonRpcMessage<RoleServer>),
    /// It is the library's.
    Open(RxJsonRpcMessage<RoleServer>),
}

impl Start {
    /// The library has it from its beginning.
    pub(super) fn open(call: JsonRpcRequest<CallToolRequest>) -> Self {
        Self::Open(JsonRpcMessage::Request(JsonRpcRequest::new(call.id, ClientRequest::CallToolRequest(call.request))))
    }
}

type Answered = Result<ServerResult, ErrorData>;

/// What goes on in a request of the library's.
struct Begun {
    answer: BoxFuture<'static, Answered>,
    /// Of the context that it was begun in.
    cancelled: CancellationToken,
}

/// As a request carries it: once.
#[derive(Clone)]
struct Carried(Arc<Mutex<Option<Begun>>>);

impl Early {
    pub(super) fn new(server: Server) -> Self {
        Self { server: Arc::new(server), client: Arc::default() }
    }

    /// From now on its calls are begun early.
    pub(super) fn meet(&self, client: Peer<RoleServer>) {
        drop(self.client.set(client));
    }

    /// Begins a call, if it is of a typed tool: those end at once or elsewhere, and
    /// ask the client for nothing.
    pub(super) fn begin(&self, call: JsonRpcRequest<CallToolRequest>, waiting: &mut Context<'_>) -> Start {
        let Some(client) = self.client.get().filter(|_| tool::is_typed(&call.request.params.name)) else { return Start::open(call) };
        let JsonRpcRequest { id, request: mut call, .. } = call;
        let mut context = RequestContext::new(id.clone(), client.clone());
        context.extensions = std::mem::take(&mut call.extensions);
        context.meta = context.extensions.remove::<RequestMetaObject>().unwrap_or_default();
        let (server, cancelled) = (self.server.clone(), context.ct.clone());
        let mut answer: BoxFuture<'static, Answered> = Box::pin(async move {
            // Many calls may have their turn in one of the library's.
            let answer = unconstrained(server.handle_request(ClientRequest::CallToolRequest(call), context));
            caught(answer).await.unwrap_or_else(|failure| Err(ErrorData::internal_error(failure.message, None)))
        });
        match answer.as_mut().poll(waiting) {
            Poll::Ready(Ok(result)) => Start::Over(JsonRpcMessage::response(result, id)),
            Poll::Ready(Err(error)) => Start::Over(JsonRpcMessage::error(error, Some(id))),
            Poll::Pending => {
                // What it asks for is in what was begun.
                let mut request = CallToolRequest::new(CallToolRequestParams::new(""));
                request.extensions.insert(Carried(Arc::new(Mutex::new(Some(Begun { answer, cancelled })))));
                Start::open(JsonRpcRequest::new(id, request))
            }
        }
    }
}

impl Begun {
    /// Goes on; it is cancelled where the request is that it goes on in.
    async fn go_on(mut self, request: CancellationToken) -> Answered {
        tokio::select! {
            biased;
            answered = &mut self.answer => return answered,
            () = request.cancelled() => self.cancelled.cancel(),
        }
        self.answer.await
    }
}

impl Service<RoleServer> for Early {
    async fn handle_request(&self, request: ClientRequest, mut context: RequestContext<RoleServer>) -> Answered {
        let carried = context.extensions.remove::<Carried>();
        match carried.and_then(|Carried(begun)| begun.lock().unwrap_or_else(PoisonError::into_inner).take()) {
            Some(begun) => begun.go_on(context.ct).await,
            // The library moves a request several times: it stays small.
            None => Box::pin(self.server.handle_request(request, context)).await,
        }
    }

    async fn handle_notification(
        &self,
        notification: ClientNotification,
        context: NotificationContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Box::pin(self.server.handle_notification(notification, context)).await
    }

    fn get_info(&self) -> ServerConfig {
        Service::get_info(&*self.server)
    }

    fn supported_protocol_versions(&self) -> std::borrow::Cow<'static, [ProtocolVersion]> {
        Service::supported_protocol_versions(&*self.server)
    }
}
