//! Every variable, for people: `bootstrap --help`, `docs/configuration.md` and the README show these texts.

/// The variables that serve one purpose.
pub struct Group {
    /// What one wants to do, as a heading.
    pub purpose: &'static str,
    pub variables: &'static [Variable],
}

/// One variable: its name, its default as users should read it, and what it does.
pub struct Variable {
    pub name: &'static str,
    pub default: &'static str,
    pub about: &'static str,
}

impl Variable {
    /// Every variable there is.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        GROUPS.iter().flat_map(|group| group.variables)
    }
}

/// The variables by what one wants to do with them, what most people need first.
#[rustfmt::skip]
pub const GROUPS: &[Group] = &[
    Group { purpose: "Decide who may call", variables: &[
        Variable { name: "EMBED_API_KEY", default: "none: no token is asked for", about: "the bearer token that callers must send, or where it is kept: a secret's ARN, ssm:/name, or a parameter's ARN" },
        Variable { name: "EMBED_CORS_ORIGINS", default: "none: CORS is off", about: "the origins whose pages may call from a browser, between commas; * for any" },
    ] },
    Group { purpose: "Fit the clients you have", variables: &[
        Variable { name: "EMBED_MODEL_ALIASES", default: "none", about: "more names that requests may give the model, between commas, such as text-embedding-3-small; * for any name" },
        Variable { name: "EMBED_TOKEN_IDS", default: "cl100k", about: "cl100k: token ids in OpenAI's `input` are read as cl100k_base and become text again; refuse: they are answered with 400" },
        Variable { name: "EMBED_BASE_PATH", default: "none", about: "the path that a custom domain puts before every route, such as /vectors" },
    ] },
    Group { purpose: "Choose the model", variables: &[
        Variable { name: "EMBED_MODEL_S3", default: "none: the model is in EMBED_MODEL_DIR", about: "s3://bucket/prefix of a model that `make push-model` uploaded; each start fetches it. ?versionId=… at the end pins a version of its manifest.json" },
        Variable { name: "EMBED_MODEL_DIR", default: "model/ beside the binary", about: "the folder with manifest.json, the graph and the tokenizer" },
        Variable { name: "EMBED_CACHE_DIR", default: "/tmp/lambda-embed", about: "the folder that a model from S3 is written to; it must have room for the whole model" },
        Variable { name: "EMBED_KERNELS", default: "own", about: "own: a model that `make model` built runs with this project's own kernels; onnxruntime: with ONNX Runtime's, if the model brings its standard graph (`make model STANDARD=yes`). The vectors differ slightly, so documents are embedded anew. Other models run with ONNX Runtime's anyway" },
        Variable { name: "EMBED_VERIFY", default: "always", about: "always: every byte of the model is hashed before use; sizes: only the files' sizes are compared. A model from S3 is always hashed" },
    ] },
    Group { purpose: "Limit requests and answers", variables: &[
        Variable { name: "EMBED_MAX_TEXTS", default: "2048", about: "the most texts in one request" },
        Variable { name: "EMBED_MAX_TOKENS", default: "300000", about: "the most tokens in one request" },
        Variable { name: "EMBED_MAX_BODY_BYTES", default: "6291456", about: "the largest body of a request in bytes, decompressed" },
        Variable { name: "EMBED_MAX_RESPONSE_BYTES", default: "6000000; none under `bootstrap serve`", about: "the largest body of an answer in bytes; a front door that takes less, such as a load balancer (1 MB), keeps its own limit" },
        Variable { name: "EMBED_MAX_CALLS", default: "64", about: "the most calls at once; one more is answered with 429" },
    ] },
    Group { purpose: "Send answers larger than 6 MB", variables: &[
        Variable { name: "EMBED_RESPONSE_STREAM", default: "off", about: "on: answers through Function URLs and REST APIs are streamed. Each of them that calls this function must then be in streaming mode" },
        Variable { name: "EMBED_MAX_STREAM_BYTES", default: "64000000", about: "the largest body of a streamed answer in bytes; Lambda's limit is 200 MB" },
    ] },
    Group { purpose: "Embed the documents of a bucket", variables: &[
        Variable { name: "EMBED_OUTPUT", default: "none: events of S3 are refused", about: "s3://bucket/prefix below which the vectors of documents are written" },
        Variable { name: "EMBED_INPUT", default: "none: any object that the role may read", about: "s3://bucket/prefix of the documents; objects elsewhere are ignored. Set it wherever others may invoke the function: without it, they can have any such object read. It and EMBED_OUTPUT must lie apart" },
        Variable { name: "EMBED_SINK", default: "s3", about: "where vectors go: s3, qdrant, s3vectors, or several of them between commas; a document is done when each of them has it" },
        Variable { name: "EMBED_ON_DELETE", default: "keep", about: "keep: the vectors of a deleted object stay; remove: they are removed" },
        Variable { name: "EMBED_REQUEST_PAYER", default: "owner", about: "owner: the owner of a bucket pays for requests to it; requester: this account pays, as Requester Pays buckets demand" },
    ] },
    Group { purpose: "Choose how documents are cut", variables: &[
        Variable { name: "EMBED_CHUNK_TOKENS", default: "three quarters of what the model takes", about: "the most tokens in one chunk, special tokens included" },
        Variable { name: "EMBED_CHUNK_OVERLAP", default: "an eighth of a chunk", about: "the most tokens that a chunk repeats of the chunk before it" },
    ] },
    Group { purpose: "Choose what is read of a document", variables: &[
        Variable { name: "EMBED_JSON_POINTER", default: "/text, /content or /body, else all values", about: "where the text of a JSON record is: a JSON Pointer (RFC 6901); #: the record itself is the text; *: all values, one `name: value` a line" },
        Variable { name: "EMBED_CSV_COLUMN", default: "the whole row", about: "the name of the column with the text; *: the whole row, one `name: value` a line" },
        Variable { name: "EMBED_HTML_BOILERPLATE", default: "on", about: "on: the navigation, header, footer and asides of a web page are read; off: they are left out" },
    ] },
    Group { purpose: "Choose what a record holds", variables: &[
        Variable { name: "EMBED_OUTPUT_FORMAT", default: "jsonl", about: "the format of vectors in S3: jsonl (JSON Lines) or parquet" },
        Variable { name: "EMBED_OUTPUT_TEXT", default: "on", about: "on: a record holds its text; off: it only says where in the document the text is" },
        Variable { name: "EMBED_OUTPUT_VECTORS", default: "numbers", about: "how JSON Lines hold a vector: numbers, or base64 of little-endian float32" },
        Variable { name: "EMBED_DOCUMENT_VECTOR", default: "off", about: "on: one more record holds the mean of the chunks' vectors, scaled to length 1" },
        Variable { name: "EMBED_METADATA", default: "on", about: "on: records carry the object's x-amz-meta- entries, and title, author and date that the document states; off: they do not" },
    ] },
    Group { purpose: "Put vectors into Qdrant", variables: &[
        Variable { name: "EMBED_QDRANT_URL", default: "none", about: "the address of Qdrant's REST API, such as https://host:6333; Qdrant must be 1.17 or later" },
        Variable { name: "EMBED_QDRANT_COLLECTION", default: "documents", about: "the collection; if it does not exist, it is made with the model's size and cosine distance" },
        Variable { name: "EMBED_QDRANT_API_KEY", default: "none", about: "Qdrant's API key, or where it is kept: a secret's ARN, ssm:/name, or a parameter's ARN" },
        Variable { name: "EMBED_QDRANT_HYBRID", default: "off", about: "on: for hybrid search each point also has a BM25 vector, which Qdrant makes of the text" },
        Variable { name: "EMBED_QDRANT_DENSE_VECTOR", default: "dense", about: "with EMBED_QDRANT_HYBRID=on, the name of the model's vector; unnamed: the vector without a name" },
        Variable { name: "EMBED_QDRANT_SPARSE_VECTOR", default: "bm25", about: "with EMBED_QDRANT_HYBRID=on, the name of the BM25 vector" },
    ] },
    Group { purpose: "Put vectors into S3 Vectors", variables: &[
        Variable { name: "EMBED_S3VECTORS_BUCKET", default: "none", about: "the vector bucket, in the function's region" },
        Variable { name: "EMBED_S3VECTORS_INDEX", default: "none", about: "the index in it; if it does not exist, it is made with the model's size and cosine distance" },
    ] },
    Group { purpose: "Limit what one document may cost", variables: &[
        Variable { name: "EMBED_MAX_OBJECT_BYTES", default: "10737418240", about: "the largest object in bytes, as it is stored; a larger one is skipped" },
        Variable { name: "EMBED_MAX_UNPACKED_BYTES", default: "4294967296", about: "the most bytes that a compressed object, an office document or an e-book may have once it is decompressed" },
        Variable { name: "EMBED_MAX_WHOLE_BYTES", default: "33554432", about: "the largest document in bytes of a kind that must be in memory as a whole: PDFs, office documents, e-books, mail" },
        Variable { name: "EMBED_MAX_PDF_MEMORY_BYTES", default: "268435456", about: "the most memory in bytes that the reader of a PDF, a process of its own, may take beside the file" },
        Variable { name: "EMBED_MAX_RECORD_BYTES", default: "8388608", about: "the largest JSON record or CSV row in bytes" },
    ] },
    Group { purpose: "See what it does", variables: &[
        Variable { name: "EMBED_LOG", default: "AWS_LAMBDA_LOG_LEVEL, else info", about: "the least serious lines that are logged: error, warn, info, debug or trace" },
        Variable { name: "EMBED_SERVICE", default: "the function's name, else lambda-embed", about: "the function's name in logs, and the dimension service of its metrics" },
        Variable { name: "EMBED_METRICS_NAMESPACE", default: "LambdaEmbed under Lambda, else off", about: "the CloudWatch namespace of the metrics; off: none are written" },
    ] },
    Group { purpose: "Fit the machine", variables: &[
        Variable { name: "EMBED_THREADS", default: "the machine's cores; under Lambda, those that its memory pays for", about: "how many texts are embedded at the same time, 1 to 64" },
        Variable { name: "EMBED_ORT_LIB", default: "lib/libonnxruntime.so beside the binary", about: "the library of ONNX Runtime" },
        Variable { name: "EMBED_PDFIUM_LIB", default: "lib/libpdfium.so beside the binary", about: "the library of PDFium, which reads PDFs; without it a PDF fails with a message that says so" },
    ] },
];
