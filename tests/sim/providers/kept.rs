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
            if works && store.look() {
                store.set_status(id, "completed");
                response["status"] = json!("completed");
            } else if works {
                response["status"] = json!("in_progress");
            }
            Ok(without_output(response))
        }
        Action::Delete => {
            store.delete(id);
            Ok(json!({ "id": id, "object": "response", "deleted": true }))
        }
        Action::Cancel if response["background"] != json!(true) => {
            Err(Refusal::new(400, "Cannot cancel a synchronous response."))
        }
        Action::Cancel => {
            if works {
                store.set_status(id, "cancelled");
                response["status"] = json!("cancelled");
            }
            Ok(without_output(response))
        }
        Action::InputItems => Ok(
            json!({ "object": "list", "data": input, "has_more": false, "first_id": null, "last_id": null }),
        ),
    }
}

/// A response that has not come to its end has no output and no usage.
fn without_output(mut response: Value) -> Value {
    if matches!(response["status"].as_str(), Some("queued" | "in_progress" | "cancelled")) {
        response["output"] = json!([]);
        response["usage"] = Value::Null;
    }
    response
}
