//! Path and verb → handler, in one table.

use actix_web::web::{self, ServiceConfig};

use crate::api::{chat_completions, models};

/// The path that OpenAI SDKs append to their host by default.
const OPENAI_BASE: &str = "/v1";

/// The model API below `/v1` and below the configured base path.
pub fn model_api(config: &mut ServiceConfig, base_path: &str) {
    for base in [OPENAI_BASE, base_path] {
        config
            .service(
                web::resource(format!("{base}/chat/completions"))
                    .route(web::post().to(chat_completions::post))
                    .default_service(web::to(models::wrong_method)),
            )
            .service(
                web::resource(format!("{base}/models"))
                    .route(web::get().to(models::list))
                    .default_service(web::to(models::wrong_method)),
            )
            .service(
                web::resource(format!("{base}/models/{{model:.*}}"))
                    .route(web::get().to(models::get))
                    .default_service(web::to(models::wrong_method)),
            );
        if base_path == OPENAI_BASE {
            break;
        }
    }
    config.default_service(web::to(models::nothing_here));
}
