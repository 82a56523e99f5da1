//! Images, documents, sound; answers of a given form; marks of the prompt cache.

use crate::group::{group, words};

words! {
    /// How the end of a cached beginning is marked.
    CacheMarks {
        /// Not at all: caching is automatic or absent, and marks are refused.
        None,
        /// `cache_control` on tools, system text and content.
        CacheControl,
        /// Blocks `cachePoint`.
        CachePoint,
        /// `prompt_cache_breakpoint` on parts of content.
        Breakpoint,
    }
}

group! {
    /// Images, documents, sound.
    Media, MediaOverrides {
        /// Whether images are taken.
        images: bool = true,
        /// Whether an image may be the address of one.
        image_urls: bool = true,
        /// Media types of images, like `image/png`; any when empty.
        image_types: Vec<String> = Vec::new(),
        /// Most bytes of an image.
        image_bytes: Option<u64> = None,
        /// Most images of a request.
        images_most: Option<u32> = None,
        /// Whether PDF documents are taken.
        pdf: bool = true,
        /// Whether documents may be addresses.
        document_urls: bool = true,
        /// Whether documents of plain text are taken.
        text_documents: bool = true,
        /// Most bytes of a document.
        document_bytes: Option<u64> = None,
        /// Most documents of a request.
        documents_most: Option<u32> = None,
        /// Whether a document needs a text beside it.
        document_needs_text: bool = false,
        /// Whether sound is taken.
        audio: bool = true,
        /// Whether results of tools may hold images.
        result_images: bool = false,
        /// Whether results of tools may hold documents.
        result_documents: bool = false,
        /// Whether answers may hold images.
        images_out: bool = false,
    }
}

group! {
    /// Answers of a given form.
    Structured, StructuredOverrides {
        /// Whether a JSON Schema is taken.
        json_schema: bool = true,
        /// Whether JSON without a schema is taken.
        json_object: bool = true,
        /// Whether a message must hold the word "json" for it.
        json_word: bool = false,
        /// Whether a form is taken together with tools.
        with_tools: bool = true,
        /// Whether a form is taken while the model thinks.
        while_thinking: bool = true,
        /// Whether each object of the schema needs `additionalProperties: false`.
        closed_objects: bool = false,
    }
}

group! {
    /// Marks of the prompt cache.
    Cache, CacheOverrides {
        /// How the end of a cached beginning is marked.
        marks: CacheMarks = CacheMarks::None,
        /// Most marks of a request.
        most: u32 = 0,
        /// Fewest tokens that are cached.
        smallest: Option<u32> = None,
        /// Words for how long a mark holds, from the shortest; none can be said when empty.
        ttls: Vec<String> = Vec::new(),
        /// Whether tools can be marked.
        on_tools: bool = true,
        /// Whether results of tools can be marked, or come before a mark.
        on_results: bool = true,
        /// Whether `prompt_cache_key` is taken.
        key: bool = true,
        /// Words of `prompt_cache_retention`; refused when empty.
        retention: Vec<String> = Vec::new(),
    }
}
