//! all-MiniLM-L6-v2 in this process, on the ONNX runtime that the set-up script installs.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;
use parking_lot::Mutex;
use tokenizers::Tokenizer;

use super::{EmbedError, Embedder};

/// Tokens that the model was trained to read at once.
const MAX_TOKENS: usize = 256;
const DIMENSIONS: usize = 384;
const NAME: &str = "all-MiniLM-L6-v2";

/// The runtime is loaded once per process: the first path that works is the one that counts.
static RUNTIME: OnceLock<Environment> = OnceLock::new();

/// The model with its sessions.
#[derive(Debug)]
pub struct MiniLm {
    tokenizer: Tokenizer,
    unknown: u32,
    sessions: Vec<Mutex<Session>>,
    turn: AtomicUsize,
}

/// Why the model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file is not there.
    #[error("{0} is missing; deploy/setup/minilm installs it")]
    Missing(PathBuf),
    /// The ONNX runtime does not load or does not accept the model.
    #[error("the ONNX runtime failed: {0}")]
    Runtime(String),
    /// The tokenizer's file cannot be understood.
    #[error("the tokenizer cannot be read: {0}")]
    Tokenizer(String),
}

impl MiniLm {
    /// Loads `model.onnx` and `tokenizer.json` from `model_dir` into `sessions` sessions of one thread each
    /// (about 100 MB a session). Takes a quarter of a second; blocks.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(model_dir: &Path, onnxruntime: &Path, sessions: usize) -> Result<Self, LoadError> {
        let (model, tokenizer) = (model_dir.join("model.onnx"), model_dir.join("tokenizer.json"));
        for file in [&model, &tokenizer, &onnxruntime.to_path_buf()] {
            if !file.is_file() {
                return Err(LoadError::Missing(file.clone()));
            }
        }
        let mut tokenizer =
            Tokenizer::from_file(&tokenizer).map_err(|error| LoadError::Tokenizer(error.to_string()))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| LoadError::Tokenizer(error.to_string()))?;
        let unknown = tokenizer.token_to_id("[UNK]").unwrap_or(u32::MAX);
        let runtime = runtime(onnxruntime)?;
        let sessions = (0..sessions.max(1))
            .map(|_| {
                session(runtime, &model)
                    .map(Mutex::new)
                    .map_err(|error| LoadError::Runtime(error.to_string()))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { tokenizer, unknown, sessions, turn: AtomicUsize::new(0) })
    }

    /// Token ids of a text that the model can see whole.
    fn tokens(&self, text: &str) -> Result<Vec<i64>, EmbedError> {
        let encoding =
            self.tokenizer.encode_fast(text, true).map_err(|error| EmbedError::Failed(error.to_string()))?;
        let ids = encoding.get_ids();
        if ids.len() > MAX_TOKENS {
            return Err(EmbedError::Unsuitable("it is too long"));
        }
        // Every word that the vocabulary cannot spell is the same token: two texts that differ in one look equal.
        if ids.contains(&self.unknown) {
            return Err(EmbedError::Unsuitable("it has words that the model does not know"));
        }
        Ok(ids.iter().map(|id| i64::from(*id)).collect())
    }

    fn run(&self, ids: &[i64]) -> Result<Vec<f32>, ort::Error> {
        let mask = vec![1i64; ids.len()];
        let inputs = ort::inputs![
            "input_ids" => TensorRef::from_array_view(([1, ids.len()], ids))?,
            "attention_mask" => TensorRef::from_array_view(([1, ids.len()], mask.as_slice()))?,
        ];
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.sessions.len();
        let free = self.sessions.iter().find_map(Mutex::try_lock);
        let mut session = free.unwrap_or_else(|| self.sessions[turn].lock());
        let outputs = session.run(inputs)?;
        let (_, vector) = outputs[0].try_extract_tensor::<f32>()?;
        Ok(vector.to_vec())
    }
}

impl Embedder for MiniLm {
    fn name(&self) -> &str {
        NAME
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    fn embed(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
        let ids = self.tokens(text)?;
        let vector = self.run(&ids).map_err(|error| EmbedError::Failed(error.to_string()))?;
        if vector.len() != DIMENSIONS {
            return Err(EmbedError::Failed(format!("the model gave {} components", vector.len())));
        }
        super::normalized(vector).ok_or(EmbedError::Unsuitable("it has no meaning to the model"))
    }
}

fn runtime(library: &Path) -> Result<&'static Environment, LoadError> {
    if let Some(loaded) = RUNTIME.get() {
        return Ok(loaded);
    }
    let builder = ort::init_from(library).map_err(|error| LoadError::Runtime(error.to_string()))?;
    let environment = builder.build().map_err(|error| LoadError::Runtime(error.to_string()))?;
    Ok(RUNTIME.get_or_init(|| environment))
}

fn session(runtime: &Environment, model: &Path) -> Result<Session, ort::Error> {
    Session::builder(runtime)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .commit_from_file(model)
}
