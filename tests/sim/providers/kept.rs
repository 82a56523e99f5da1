//! What can be done with a response of the Responses API later.

use serde_json::{Value, json};

use super::openai::store::{Kept, Store};
use super::refuse::Refusal;
use super::route::Action;

/// Does it.
pub(super) fn serve(id: &str, action: Action, store: &Store) -> Result<Value, Refusal> {
    let gone = || Refusal::new(404, format!("Response with id '{id}' not found."));
    let Kept { mut response, input, .. } = store.get(id).ok_or_else(gone)?;
    let works = matches!(response["status"].as_str(), Some("queued" | "in_progress"));
    match action {
        Action::Get => {
            if works {
                store.set_status(id, "completed");
                response["status"] = json!("completed");
            }
            Ok(response)
        }
        Action::Delete => {
            store.delete(id);
            Ok(json!({ "id": id, "object": "response", "deleted": true }))
        }
        Action::Cancel if response["background"] != json!(true) => {
            Err(Refusal::new(400, "Cannot cancel a synchronous response."))
        }
        Action::Cancel => {
            store.set_status(id, "cancelled");
            response["status"] = json!("cancelled");
            Ok(response)
        }
        Action::InputItems => Ok(
            json!({ "object": "list", "data": input, "has_more": false, "first_id": null, "last_id": null }),
        ),
    }
}
