//! OpenAI's APIs around media: images, audio, moderations (API reference, "Images", "Audio", "Moderations").
//!
//! Nothing is translated here: a request keeps its bytes but for the model's name, an answer keeps all of them.
//! Requests come as JSON or as forms with files ([`multipart`]); [`usage`] is read where an answer has it.

pub mod multipart;
pub mod usage;
pub mod view;

/// What is asked of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Images from a text.
    ImageGeneration,
    /// Images from images and a text.
    ImageEdit,
    /// Images like an image.
    ImageVariation,
    /// Audio from a text.
    Speech,
    /// The text of audio.
    Transcription,
    /// The text of audio, in English.
    Translation,
    /// Whether texts or images are harmful.
    Moderation,
}

impl MediaKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::ImageGeneration,
        Self::ImageEdit,
        Self::ImageVariation,
        Self::Speech,
        Self::Transcription,
        Self::Translation,
        Self::Moderation,
    ];

    /// Its path below the base of an API.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::ImageGeneration => "/images/generations",
            Self::ImageEdit => "/images/edits",
            Self::ImageVariation => "/images/variations",
            Self::Speech => "/audio/speech",
            Self::Transcription => "/audio/transcriptions",
            Self::Translation => "/audio/translations",
            Self::Moderation => "/moderations",
        }
    }

    /// Its name in events and errors.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ImageGeneration => "openai.images.generations",
            Self::ImageEdit => "openai.images.edits",
            Self::ImageVariation => "openai.images.variations",
            Self::Speech => "openai.audio.speech",
            Self::Transcription => "openai.audio.transcriptions",
            Self::Translation => "openai.audio.translations",
            Self::Moderation => "openai.moderations",
        }
    }

    /// Whether images are made.
    #[must_use]
    pub const fn makes_images(self) -> bool {
        matches!(self, Self::ImageGeneration | Self::ImageEdit | Self::ImageVariation)
    }
}
