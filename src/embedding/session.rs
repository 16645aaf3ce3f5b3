//! The ONNX session: ONNX Runtime's library loaded, the graph mapped, one text a run, many runs at once.
//!
//! ```text
//! libonnxruntime.so  ->  Runtime          once a process
//! model file         ->  MappedFile       pages come in as they are touched; nothing is copied
//! both               ->  TextSession      run(&[token id]) -> [dimensions] floats
//! ```
//!
//! A model that this project made has operators of its own (`crates/operators`), which take their weights where they are
//! mapped. For any other graph their registration changes nothing.
//!
//! Of `src/` this is the only module with `unsafe`, besides PDFium's and one function of `main` that turns telemetry off
//! before any thread runs; a lint denies it elsewhere. There are three reasons for it:
//! - A file is mapped, and a mapping is only sound while nobody truncates the file.
//! - ONNX Runtime uses the weights where they are mapped, so the mapping must outlive the session. One struct holds
//!   both, the session first.
//! - One session runs on several threads at once. ONNX Runtime documents `Run` as safe to call concurrently on its CPU
//!   provider; `ort` asks for `&mut` because of other providers, which this program never registers. It also calls our
//!   operators with `&mut` from several threads; they only read themselves (`crates/operators`). Sessions share the
//!   mapping; of ONNX Runtime's own matrix products each session packs the weights for itself.

use std::ffi::CString;
use std::fs::File;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;

use operators::InstructionSet;
use ort::AsPointer;
use ort::environment::{Environment, ThreadManager};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{DynValue, TensorElementType, TensorRef, ValueType};

use crate::error::{Error, Result};

/// The version of ONNX Runtime that this program is built and measured with.
pub const ORT_VERSION: &str = "1.31";

/// ONNX Runtime, loaded. There is one a process, because the library cannot be loaded twice.
#[derive(Clone)]
pub struct Runtime(Environment);

impl Runtime {
    /// Loads the library at `path`; later calls return what the first one loaded.
    ///
    /// # Errors
    /// [`Error::Library`], naming the file, what is wrong with it and the command that brings a good one.
    pub fn load(path: &Path) -> Result<Self> {
        static LOADED: OnceLock<Runtime> = OnceLock::new();
        static LOADING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = LOADING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(runtime) = LOADED.get() {
            return Ok(runtime.clone());
        }
        let remedy = "`make runtime` brings it, EMBED_ORT_LIB names another place";
        let unusable = |message| Error::Library { message };
        if !path.is_file() {
            return Err(unusable(format!("ONNX Runtime's library is not at {}; {remedy}", path.display())));
        }
        let builder = ort::init_from(path).map_err(|cause| match cause {
            ort::LoadDynamicError::BadVersion { version_str, .. } => unusable(format!(
                "{} is ONNX Runtime {version_str}, this program needs {ORT_VERSION} or later; {remedy}",
                path.display()
            )),
            other => unusable(format!("ONNX Runtime's library cannot be used: {other}; {remedy}")),
        })?;
        let environment = builder
            .with_name("lambda-embed")
            .with_telemetry(false)
            .build()
            .map_err(|e| unusable(format!("ONNX Runtime does not start: {e}")))?;
        // ONNX Runtime would print plain text into a log of JSON lines. Its warnings concern whoever exports graphs, and
        // its errors are in the statuses that it returns.
        environment.set_log_level(ort::logging::LogLevel::Fatal);
        Ok(LOADED.get_or_init(|| Self(environment)).clone())
    }
}

/// A file's bytes, mapped read-only.
#[derive(Debug)]
pub struct MappedFile(memmap2::Mmap);

impl MappedFile {
    /// Maps all of `file`.
    pub fn map(file: &File) -> std::io::Result<Self> {
        // SAFETY: the mapping is read-only and private to this process. A deployment package is
        // immutable, and a fetched file is written under another name and renamed when whole, so
        // nothing truncates a file that is mapped here.
        unsafe { memmap2::Mmap::map(file) }.map(Self)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Gives the pages back that were read so far; those that are read again come from the page cache. Runs read two
    /// thirds of a model, a hash reads all of it.
    pub fn forget(&self) {
        // SAFETY: the mapping is of a file and never written, so a page that is dropped is read again with the same
        // bytes. If the kernel refuses, the pages stay.
        let _ = unsafe { self.0.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
    }
}

/// What one of the graph's inputs holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InputRole {
    Ids,
    Mask,
    TypeIds,
}

#[derive(Debug)]
struct GraphInput {
    name: CString,
    role: InputRole,
    /// Whether the input takes 64-bit integers, as stock exports do; else it takes 32-bit ones.
    wide: bool,
    /// Whether the input's shape is `[1, n]`; else it is `[n]`.
    batched: bool,
}

/// A session that takes one text's token ids and returns its output tensor.
pub struct TextSession {
    // Declared before the mapping, hence dropped before it: its weights may lie in it.
    session: Session,
    _graph: Arc<MappedFile>,
    inputs: Vec<GraphInput>,
    output: CString,
}

/// One run's output: `values` is `[rows, width]`, row by row. A graph that pools by itself gives one row.
pub struct Output {
    pub values: Vec<f32>,
    pub width: usize,
}

impl TextSession {
    /// Builds a session over `graph` that may use `threads` threads for one text.
    ///
    /// # Errors
    /// A sentence on what is wrong with the graph.
    pub fn build(runtime: &Runtime, graph: Arc<MappedFile>, threads: usize) -> Result<Self, String> {
        let session = build(runtime, &graph, threads).map_err(|e| format!("ONNX Runtime refuses the graph: {e}"))?;
        let inputs =
            session.inputs().iter().map(|i| declared_input(i.name(), i.dtype())).collect::<Result<Vec<_>, _>>()?;
        if !inputs.iter().any(|input| input.role == InputRole::Ids) {
            return Err("the graph has no input named input_ids".to_owned());
        }
        let output = session
            .outputs()
            .iter()
            .find(|o| matches!(o.name(), "embedding" | "sentence_embedding"))
            .or_else(|| session.outputs().iter().find(|o| o.name() == "last_hidden_state"))
            .ok_or("the graph has no output named embedding, sentence_embedding or last_hidden_state")?;
        let output = c_string(output.name())?;
        Ok(Self { session, _graph: graph, inputs, output })
    }

    /// Runs one text's `ids`, special tokens included. Safe to call from several threads at once.
    pub fn run(&self, ids: &[u32]) -> Result<Output> {
        self.run_ids(ids).map_err(|e| Error::internal("the model failed on a text", without_numbers(&e.to_string())))
    }

    fn run_ids(&self, ids: &[u32]) -> ort::Result<Output> {
        let tensors = self.inputs.iter().map(|input| Tensor::new(input, ids)).collect::<Vec<_>>();
        let values = tensors.iter().map(Tensor::value).collect::<ort::Result<Vec<_>>>()?;
        let names: Vec<_> = self.inputs.iter().map(|input| input.name.as_ptr()).collect();
        let pointers: Vec<_> = values.iter().map(|value| value.ptr()).collect();
        let mut output = std::ptr::null_mut();
        // SAFETY: every pointer is to a value that lives until the end of this function, the counts are
        // those of the vectors, and `Run` may be called concurrently (see the module's text).
        unsafe {
            let status = (ort::api().Run)(
                self.session.ptr().cast_mut(),
                std::ptr::null(),
                names.as_ptr(),
                pointers.as_ptr(),
                pointers.len(),
                &self.output.as_ptr(),
                1,
                &mut output,
            );
            ort::Error::result_from_status(status)?;
        }
        let output = NonNull::new(output).ok_or_else(|| ort::Error::new("a run returned no output"))?;
        // SAFETY: the value was just made by this session, whose tensors the session's allocator frees.
        let output = unsafe { DynValue::from_ptr(output, Some(self.session.allocator())) };
        let (shape, values) = output.try_extract_tensor::<f32>()?;
        let width = shape.last().map_or(0, |&width| width as usize);
        Ok(Output { values: values.to_vec(), width })
    }
}

/// Sessions are built one at a time: ONNX Runtime notes the domains of custom operators in one map for all sessions, and
/// two that add a domain at once fail ("the domain is already exist", as of 1.31).
static BUILDING: Mutex<()> = Mutex::new(());

fn build(runtime: &Runtime, graph: &MappedFile, threads: usize) -> ort::Result<Session> {
    let _alone = BUILDING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let built = Gate::default();
    let session = Session::builder(&runtime.0)?
        // Our own graph is fused already: optimising it again would lengthen the start, and optimisers differ between
        // architectures. Stock exports gain from it.
        .with_optimization_level(if is_ort_format(graph.bytes()) {
            GraphOptimizationLevel::Disable
        } else {
            GraphOptimizationLevel::All
        })?
        .with_intra_threads(threads)?
        .with_inter_threads(1)?
        .with_thread_manager(HeldThreads(Arc::clone(&built)))?
        // ONNX Runtime would plan memory for one shape and keep the plan, but every text has another shape.
        .with_memory_pattern(false)?
        // Threads spin while they wait for their part of a run, which shortens the run, and sleep after it.
        .with_config_entry("session.force_spinning_stop", "1")?
        .with_operators(operators::domain(threads, InstructionSet::best())?)?
        // Weights are used where they are mapped. Only the ORT format honours these two keys.
        .with_config_entry("session.use_ort_model_bytes_directly", "1")?
        .with_config_entry("session.use_ort_model_bytes_for_initializers", "1")?
        .commit_from_memory(graph.bytes())?;
    built.get_or_init(|| ());
    Ok(session)
}

/// Threads wait at a gate until it is set.
type Gate = Arc<OnceLock<()>>;

/// Starts a session's threads and holds them until the session is built. An idle thread of ONNX Runtime spins, which
/// takes a core away from the rest of a cold start: without this, 85 ms until ready instead of 62.
struct HeldThreads(Gate);

struct HeldThread {
    gate: Gate,
    thread: JoinHandle<()>,
}

impl ThreadManager for HeldThreads {
    type Thread = HeldThread;

    fn create(&self, work: impl FnOnce() + Send + 'static) -> ort::Result<HeldThread> {
        let gate = Arc::clone(&self.0);
        let thread = std::thread::Builder::new().name("run".to_owned()).spawn(move || {
            gate.wait();
            work();
        });
        let thread = thread.map_err(|e| ort::Error::new(format!("a thread does not start: {e}")))?;
        Ok(HeldThread { gate: Arc::clone(&self.0), thread })
    }

    fn join(held: HeldThread) -> ort::Result<()> {
        // A session that could not be built joins its threads while they still wait.
        held.gate.get_or_init(|| ());
        held.thread.join().map_err(|_| ort::Error::new("a thread of the session panicked"))
    }
}

/// ONNX Runtime's message with `#` in place of every number: a number may be a token id, and a token id stands for a
/// word of the caller's text. Names of checks, nodes and types stay, because they locate the fault.
fn without_numbers(message: &str) -> String {
    let mut redacted = String::with_capacity(message.len());
    for c in message.chars() {
        match c.is_ascii_digit() {
            true if redacted.ends_with('#') => {}
            true => redacted.push('#'),
            false => redacted.push(c),
        }
    }
    redacted
}

/// Whether `bytes` are a graph in ORT format, a flatbuffer with its identifier at offset 4.
fn is_ort_format(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"ORTM")
}

fn declared_input(name: &str, dtype: &ValueType) -> Result<GraphInput, String> {
    let role = match name {
        "input_ids" => InputRole::Ids,
        "attention_mask" => InputRole::Mask,
        "token_type_ids" => InputRole::TypeIds,
        other => return Err(format!("the graph has an input {other:?}, which this program does not know")),
    };
    let ValueType::Tensor { ty, shape, .. } = dtype else {
        return Err(format!("input {name} is not a tensor"));
    };
    let wide = match ty {
        TensorElementType::Int64 => true,
        TensorElementType::Int32 => false,
        other => return Err(format!("input {name} holds {other}, not 32- or 64-bit integers")),
    };
    Ok(GraphInput { name: c_string(name)?, role, wide, batched: shape.len() == 2 })
}

fn c_string(name: &str) -> Result<CString, String> {
    CString::new(name).map_err(|_| "a name in the graph holds a zero byte".to_owned())
}

/// One input's values for one text, in the type the graph declares.
struct Tensor {
    shape: Vec<usize>,
    data: TensorData,
}

enum TensorData {
    Narrow(Vec<i32>),
    Wide(Vec<i64>),
}

impl Tensor {
    fn new(input: &GraphInput, ids: &[u32]) -> Self {
        // One unpadded text: every token counts, and all belong to the first segment.
        let value = move |&id: &u32| match input.role {
            InputRole::Ids => id,
            InputRole::Mask => 1,
            InputRole::TypeIds => 0,
        };
        let shape = if input.batched { vec![1, ids.len()] } else { vec![ids.len()] };
        let data = if input.wide {
            TensorData::Wide(ids.iter().map(|id| i64::from(value(id))).collect())
        } else {
            TensorData::Narrow(ids.iter().map(|id| value(id) as i32).collect())
        };
        Self { shape, data }
    }

    fn value(&self) -> ort::Result<ort::value::DynValueRef<'_>> {
        Ok(match &self.data {
            TensorData::Narrow(data) => {
                TensorRef::from_array_view((self.shape.as_slice(), data.as_slice()))?.into_dyn()
            }
            TensorData::Wide(data) => TensorRef::from_array_view((self.shape.as_slice(), data.as_slice()))?.into_dyn(),
        })
    }
}
