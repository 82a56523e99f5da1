//! Path and verb → handler, in one table.

use actix_web::Resource;
use actix_web::web::{self, ServiceConfig};
use tollgate_formats::openai_media::MediaKind;

use crate::api::{count_tokens, gemini, model_calls, models, passthrough, responses};

/// The path that OpenAI's and Anthropic's SDKs append to their host by default.
const DEFAULT_BASE: &str = "/v1";
/// Where Azure OpenAI's undated API is.
const AZURE_BASE: &str = "/openai/v1";
/// The version that Google's SDKs append to their host, and the one of other clients in its place.
const GOOGLE_VERSION: &str = "/v1beta";
const VERSION: &str = "/v1";

/// The model API below `/v1`, below Azure's paths and below the configured base path; everything else may belong to
/// an API that is passed through.
pub fn model_api(config: &mut ServiceConfig, base_path: &str) {
    let mut bases = vec![DEFAULT_BASE, AZURE_BASE];
    if !bases.contains(&base_path) {
        bases.push(base_path);
    }
    for base in bases {
        let at = |path: &str| resource(&format!("{base}{path}"));
        config
            .service(at("/chat/completions").route(web::post().to(model_calls::chat)))
            .service(at("/completions").route(web::post().to(model_calls::completions)))
            .service(at("/embeddings").route(web::post().to(model_calls::embeddings)))
            .service(at("/responses").route(web::post().to(model_calls::responses)))
            .service(
                at("/responses/{id}")
                    .route(web::get().to(responses::get))
                    .route(web::delete().to(responses::delete)),
            )
            .service(at("/responses/{id}/cancel").route(web::post().to(responses::cancel)))
            .service(at("/responses/{id}/input_items").route(web::get().to(responses::input_items)))
            .service(at("/messages").route(web::post().to(model_calls::messages)))
            .service(at("/messages/count_tokens").route(web::post().to(count_tokens::post)))
            .service(at("/models").route(web::get().to(models::list)))
            .service(
                at("/models/{model:.*}")
                    .route(web::get().to(models::get))
                    .route(web::post().to(gemini::post)),
            );
        for kind in MediaKind::ALL {
            let post = move |request, payload, worker| model_calls::media(request, payload, worker, kind);
            config.service(at(kind.path()).route(web::post().to(post)));
        }
    }
    google_api(config, base_path);
    let azure = |path: &str| resource(&format!("/openai/deployments/{{alias}}{path}"));
    config
        .service(azure("/chat/completions").route(web::post().to(model_calls::azure_chat)))
        .service(azure("/completions").route(web::post().to(model_calls::azure_completions)))
        .service(azure("/embeddings").route(web::post().to(model_calls::azure_embeddings)))
        .default_service(web::to(passthrough::any));
}

/// Gemini's API below its own version, at the host and beside the configured base path.
fn google_api(config: &mut ServiceConfig, base_path: &str) {
    let mut bases = vec![GOOGLE_VERSION.to_owned()];
    let beside = format!("{}{GOOGLE_VERSION}", base_path.strip_suffix(VERSION).unwrap_or(base_path));
    if !bases.contains(&beside) {
        bases.push(beside);
    }
    for base in bases {
        let at = |path: &str| resource(&format!("{base}{path}"));
        config.service(at("/models").route(web::get().to(models::list))).service(
            at("/models/{model:.*}").route(web::get().to(models::get)).route(web::post().to(gemini::post)),
        );
    }
}

fn resource(path: &str) -> Resource {
    web::resource(path).default_service(web::to(models::wrong_method))
}
