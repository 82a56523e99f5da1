//! The client's headers, as the rest of the gateway reads them.

use actix_web::http::header::HeaderMap;
use tollgate_base::headers::Headers;

/// Headers as the server has them.
pub struct ClientHeaders<'a>(pub &'a HeaderMap);

impl Headers for ClientHeaders<'_> {
    fn for_each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8])) {
        for (name, value) in self.0 {
            visit(name.as_str(), value.as_bytes());
        }
    }

    fn first(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(|value| value.as_bytes())
    }
}
