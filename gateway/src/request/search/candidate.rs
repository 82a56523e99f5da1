//! A target that is about to be called: admitted, with the request in its API format.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::Uri;
use smallvec::SmallVec;
use tollgate_admission::Permit;
use tollgate_backends::InFlight;
use tollgate_crossing::crossing::{Outgoing, Policy};
use tollgate_crossing::{Crossing, WayBack, Wire};
use tollgate_formats::TargetModel;
use tollgate_formats::view::Change;
use tollgate_runtime::snapshot::Target;

use crate::error::GatewayError;
use crate::policies::shared_account;
use crate::request::model_request::ModelRequest;
use crate::request::several::Several;
use crate::request::stored_answers;

/// A target that may be called now.
pub(super) struct Candidate<'a> {
    pub(super) callee: Callee<'a>,
    /// Admission by its circuit.
    pub(super) in_flight: InFlight,
    /// Its place among the requests that run at its backend, where those are bounded.
    pub(super) permit: Option<Permit>,
}

/// What is called, and with what.
pub(super) struct Callee<'a> {
    pub(super) target: &'a Target,
    /// What the client and the backend speak.
    pub(super) crossing: Crossing,
    pub(super) uri: Uri,
    pub(super) body: Bytes,
    /// Parameters that were left out.
    pub(super) dropped: Vec<Cow<'static, str>>,
    /// What its answer's way back must know.
    pub(super) way_back: WayBack,
    /// Calls that go before this one.
    pub(super) several: Option<Rc<Several>>,
}

impl<'a> Candidate<'a> {
    /// Brings the request into the target's format.
    ///
    /// # Errors
    /// When its backend has no such API, its format cannot carry the request, or the request names what a shared
    /// account keeps.
    pub(super) fn prepare(
        request: &ModelRequest<'_>,
        target: &'a Target,
        in_flight: InFlight,
        permit: Option<Permit>,
    ) -> Result<Self, GatewayError> {
        let client = request.context.format;
        let backend = &target.backend;
        let unserved = || GatewayError::UnsupportedOperation {
            model: Arc::clone(&request.model.alias),
            operation: client.as_str(),
        };
        let wire = Wire::of(backend.format, client, target.conversations, request.view, &target.traits);
        let wire = wire.ok_or_else(unserved)?;
        let crossing = Crossing { client, wire };
        let uri = target.endpoints.uri(wire, request.view.stream).ok_or_else(unserved)?.clone();
        let mut extra: SmallVec<[Change; 1]> = SmallVec::new();
        if crossing.is_native() {
            extra.extend(request.continues.map(stored_answers::change));
        }
        let Outgoing { body, dropped, way_back, embeddings } = crossing.request(
            request.view,
            request.body,
            TargetModel { name: &target.model, origin: &target.origin, traits: &target.traits },
            Policy { on_unmappable: request.model.on_unmappable, marks_prompt: request.model.marks_prompt },
            extra,
            &request.betas(),
        )?;
        shared_account::check(wire, backend.tenant.as_deref(), &request.events.payer.tenant, &body)?;
        let several = embeddings.map(|embeddings| Rc::new(Several::new(embeddings)));
        let callee = Callee { target, crossing, uri, body, dropped, way_back, several };
        Ok(Self { callee, in_flight, permit })
    }
}
