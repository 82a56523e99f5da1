//! Kinds of calls and their phases.

use tollgate_formats::openai_media::MediaKind;

use super::*;

#[test]
fn only_chat_is_cached_and_media_are_estimated() {
    use ClientFormat::{Chat, Completions, Embeddings, Media, Messages, Responses};
    let cached = |format| ModelPhases::of(format).cache;
    assert!(cached(Chat));
    for format in [Completions, Responses, Messages, Embeddings, Media(MediaKind::Speech)] {
        assert!(!cached(format), "{format:?}");
    }
    let reserved = |format| ModelPhases::of(format).reserve_by;
    assert_eq!(reserved(Media(MediaKind::Moderation)), ReserveBy::Estimate);
    assert_eq!(reserved(Embeddings), ReserveBy::Prompt);
}
