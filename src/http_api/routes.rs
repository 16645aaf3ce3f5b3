//! Which route a request's path leads to.
//!
//! ```text
//! path as it came -> query off, decoded, empty segments out -> ROUTES
//!                 -> without stage or base path, if that is no route -> ROUTES
//! ```

use http::Method;

use crate::config::Config;
use crate::event::HttpRequest;

/// The contract of a path, whose shape its errors have as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contract {
    OpenAi,
    Tei,
    Qdrant,
    Ollama,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    Embeddings,
    Models,
    Model,
    Embed,
    /// TEI's root: embeds, or compares, as the body says.
    Root,
    /// The model hub's paths, which name the model and take TEI's bodies.
    Hub,
    Similarity,
    Tokenize,
    Info,
    Inference,
    OllamaEmbed,
    OllamaTags,
    Health,
    Document,
    Docs,
}

pub const GET: &str = "GET, HEAD, OPTIONS";
pub const POST: &str = "POST, OPTIONS";
const GET_AND_POST: &str = "GET, HEAD, POST, OPTIONS";

/// Path, contract, the `Allow` header, and the route. `{id}` is a model's name, which may hold slashes. A request takes
/// the first path that matches, and of its rows the one with its method.
pub const ROUTES: &[(&str, Contract, &str, Route)] = &[
    ("/v1/embeddings", Contract::OpenAi, POST, Route::Embeddings),
    ("/embeddings", Contract::OpenAi, POST, Route::Embeddings),
    ("/v1/models", Contract::OpenAi, GET, Route::Models),
    ("/v1/models/{id}", Contract::OpenAi, GET, Route::Model),
    ("/models", Contract::OpenAi, GET, Route::Models),
    ("/models/{id}/pipeline/feature-extraction", Contract::Tei, POST, Route::Hub),
    ("/pipeline/feature-extraction/{id}", Contract::Tei, POST, Route::Hub),
    ("/models/{id}", Contract::OpenAi, GET, Route::Model),
    ("/models/{id}", Contract::Tei, POST, Route::Hub),
    ("/embed", Contract::Tei, POST, Route::Embed),
    ("/", Contract::Tei, GET, Route::Health),
    ("/", Contract::Tei, POST, Route::Root),
    ("/similarity", Contract::Tei, POST, Route::Similarity),
    ("/tokenize", Contract::Tei, POST, Route::Tokenize),
    ("/info", Contract::Tei, GET, Route::Info),
    ("/qdrant/inference", Contract::Qdrant, POST, Route::Inference),
    ("/api/embed", Contract::Ollama, POST, Route::OllamaEmbed),
    ("/api/tags", Contract::Ollama, GET, Route::OllamaTags),
    ("/health", Contract::Tei, GET, Route::Health),
    ("/ping", Contract::Tei, GET, Route::Health),
    ("/openapi.json", Contract::Tei, GET, Route::Document),
    ("/docs", Contract::Tei, GET, Route::Docs),
];

/// Ends of paths that other servers with these contracts have and this function lacks, and what to say about each.
const NOT_HERE: &[(&str, &str)] = &[
    ("/rerank", "it does not rerank; /similarity compares one sentence with others"),
    ("/predict", "it does not classify"),
    ("/embed_sparse", "it gives dense vectors, not sparse ones"),
    ("/embed_all", "it gives one vector a text, not one a token"),
    ("/decode", "it does not make text of token ids"),
    ("/chat/completions", "it does not generate text"),
    ("/completions", "it does not generate text"),
    ("/responses", "it does not generate text"),
    ("/generate", "it does not generate text"),
    ("/chat", "it does not generate text"),
];

/// Where a path leads.
#[derive(Debug)]
pub(super) struct RouteMatch {
    pub path: String,
    pub contract: Contract,
    /// The methods that the path answers.
    pub allow: &'static str,
    /// `None`: the path does not answer the request's method.
    pub route: Option<Route>,
    /// The model that the path names; empty where it names none.
    pub id: String,
}

/// Finds routes; cheap to clone.
#[derive(Debug, Clone)]
pub struct Router {
    base_path: String,
}

impl Router {
    pub fn new(config: &Config) -> Self {
        Self { base_path: config.base_path.clone() }
    }

    /// Whether a request is a health check, which is answered whatever the load.
    pub fn is_health_check(&self, request: &HttpRequest) -> bool {
        self.find(request).is_some_and(|found| found.route == Some(Route::Health))
    }

    /// Where a request's path leads; `None`: nowhere. A path that is a route as it stands is that route: stage and base
    /// path come off only if it is none, because a stage may be called like a route.
    pub(super) fn find(&self, request: &HttpRequest) -> Option<RouteMatch> {
        let mut path = cleaned(&request.path);
        let stage = request.stage.as_ref().map(|stage| cleaned(stage)).unwrap_or_default();
        let mut prefixes = vec![self.base_path.as_str(), stage.as_str()];
        loop {
            // A client that adds /v1 itself, with a base URL that ends in it, as Spring AI 1 has.
            while path.starts_with("/v1/v1/") {
                path.drain(.."/v1".len());
            }
            if let Some(found) = matching(&path, &request.method) {
                return Some(found);
            }
            let place = prefixes.iter().position(|prefix| without_prefix(&path, prefix).is_some())?;
            path = without_prefix(&path, prefixes.remove(place))?.to_owned();
        }
    }

    /// The contract whose shape the error about a path without a route has.
    pub(super) fn contract_of_unknown(request: &HttpRequest) -> Contract {
        let path = cleaned(&request.path);
        match path.as_str() {
            _ if path.starts_with("/v1/") || path.contains("/v1/") || path.ends_with("/embeddings") => Contract::OpenAi,
            _ if path.starts_with("/api/") => Contract::Ollama,
            _ => Contract::Tei,
        }
    }
}

/// The message about a path without a route; `model` is the model's id.
pub(super) fn not_found(request: &HttpRequest, model: &str) -> String {
    let path = cleaned(&request.path);
    let not_here = NOT_HERE.iter().find(|(end, _)| path.ends_with(end));
    let what =
        not_here.map(|(_, what)| format!(": this function embeds texts with {model}, and {what}")).unwrap_or_default();
    let mut routes: Vec<_> = ROUTES.iter().map(|(route, ..)| *route).collect();
    routes.dedup();
    format!("nothing is at {path}{what}; there are {}", routes.join(", "))
}

/// A path without query and percent encoding, with one slash before each segment and none at its end.
fn cleaned(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    let mut cleaned = String::with_capacity(decoded.len() + 1);
    for segment in decoded.split('/').filter(|segment| !segment.is_empty()) {
        cleaned.push('/');
        cleaned.push_str(segment);
    }
    if cleaned.is_empty() { "/".to_owned() } else { cleaned }
}

/// `path` without `prefix`, if `prefix` is not empty and consists of whole segments.
fn without_prefix<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    match path.strip_prefix(prefix.trim_end_matches('/')) {
        Some(rest) if rest.len() == path.len() => None,
        Some("") => Some("/"),
        rest => rest.filter(|rest| rest.starts_with('/')),
    }
}

fn matching(path: &str, method: &Method) -> Option<RouteMatch> {
    let (pattern, id) = ROUTES.iter().find_map(|&(pattern, ..)| Some((pattern, id_in(pattern, path)?)))?;
    let rows: Vec<_> = ROUTES.iter().filter(|(other, ..)| *other == pattern).collect();
    let answers = |allow: &str| method != Method::OPTIONS && allow.split(", ").any(|name| method == name);
    let row = rows.iter().find(|(_, _, allow, _)| answers(allow));
    let (_, contract, allow, _) = **row.unwrap_or(rows.first()?);
    Some(RouteMatch {
        path: path.to_owned(),
        contract,
        allow: if rows.len() > 1 { GET_AND_POST } else { allow },
        route: row.map(|(.., route)| *route),
        id: id.to_owned(),
    })
}

/// What stands in `path` where `pattern` has `{id}`; empty if it has none. `None`: it is another path.
fn id_in<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    match pattern.split_once("{id}") {
        None => (pattern == path).then_some(""),
        Some((before, after)) => path.strip_prefix(before)?.strip_suffix(after).filter(|id| !id.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AnswerTerms, BodyEncoding};
    use http::HeaderMap;

    fn request(method: Method, path: &str, stage: Option<&str>) -> HttpRequest {
        let (headers, body, encoding) = (HeaderMap::new(), Vec::new(), BodyEncoding::Text);
        let (path, stage) = (path.to_owned(), stage.map(str::to_owned));
        HttpRequest { method, path, stage, headers, body, encoding, answer: AnswerTerms::default() }
    }

    fn route(base_path: &str, method: &str, path: &str, stage: Option<&str>) -> Option<Route> {
        let router = Router { base_path: base_path.to_owned() };
        router.find(&request(method.parse().unwrap(), path, stage)).and_then(|found| found.route)
    }

    #[test]
    fn a_path_leads_to_its_route_however_it_is_written() {
        for path in [
            "/v1/embeddings",
            "//v1/embeddings",
            "/v1//embeddings",
            "/v1/embeddings/",
            "/v1/embeddings//",
            "/v1/v1/embeddings",
            "//v1/v1//embeddings/",
            "/v1/v1/v1/embeddings",
            "/v1%2Fembeddings",
            "/%76%31/embeddings",
            "/v1/embeddings?api-version=1",
            "v1/embeddings",
            "/embeddings",
        ] {
            assert_eq!(route("", "POST", path, None), Some(Route::Embeddings), "{path}");
        }
        for path in ["/", "", "//", "/?a=b", "/%2F"] {
            assert_eq!(route("", "GET", path, None), Some(Route::Health), "{path}");
            assert_eq!(route("", "POST", path, None), Some(Route::Root), "{path}");
        }
        for path in ["/v1", "/v1/embed", "/v1/v1", "/embeddings/x", "/EMBED", "/v1/embeddings/../embed", "/ping/x"] {
            assert_eq!(route("", "POST", path, None), None, "{path}");
        }
    }

    #[test]
    fn stage_and_base_path_come_off_in_any_order() {
        for path in
            ["/prod/embed", "//prod//embed/", "/embed", "/vectors/embed", "/vectors/prod/embed", "/prod/vectors/embed"]
        {
            assert_eq!(route("/vectors", "POST", path, Some("prod")), Some(Route::Embed), "{path}");
        }
        assert_eq!(route("", "POST", "/prod/v1/v1/embeddings", Some("prod")), Some(Route::Embeddings));
        assert_eq!(route("", "GET", "/prod", Some("prod")), Some(Route::Health));
        assert_eq!(route("", "GET", "/prod/", Some("prod")), Some(Route::Health));
        // By whole segments, once, and only what is the stage.
        for (path, stage) in
            [("/product/embed", Some("prod")), ("/prod/prod/embed", Some("prod")), ("/prod/embed", None)]
        {
            assert_eq!(route("", "POST", path, stage), None, "{path}");
        }
        // A stage that is called like a route.
        assert_eq!(route("", "POST", "/tokenize", Some("tokenize")), Some(Route::Tokenize));
        assert_eq!(route("", "POST", "/embed/tokenize", Some("embed")), Some(Route::Tokenize));
        assert_eq!(route("", "POST", "/v1/embeddings", Some("v1")), Some(Route::Embeddings));
        assert_eq!(route("", "POST", "/v1/v1/embeddings", Some("v1")), Some(Route::Embeddings));
        assert_eq!(route("", "POST", "/v1/embed", Some("v1")), Some(Route::Embed));
    }

    #[test]
    fn a_path_with_a_model_gives_its_name_and_its_method_the_route() {
        let router = Router { base_path: String::new() };
        let find = |method, path| router.find(&request(method, path, None)).unwrap();
        for (path, get, post, id) in [
            ("/models/a", Some(Route::Model), Some(Route::Hub), "a"),
            ("/models/BAAI/bge-small-en-v1.5", Some(Route::Model), Some(Route::Hub), "BAAI/bge-small-en-v1.5"),
            ("/v1/models/BAAI%2Fbge-small-en-v1.5", Some(Route::Model), None, "BAAI/bge-small-en-v1.5"),
            ("/models/a/b/pipeline/feature-extraction", None, Some(Route::Hub), "a/b"),
            ("/pipeline/feature-extraction/a/b", None, Some(Route::Hub), "a/b"),
        ] {
            let (got, posted) = (find(Method::GET, path), find(Method::POST, path));
            assert_eq!((got.route, posted.route), (get, post), "{path}");
            assert_eq!((got.id.as_str(), posted.id.as_str()), (id, id), "{path}");
            assert_eq!(find(Method::HEAD, path).route, get, "{path}");
            assert_eq!((find(Method::OPTIONS, path).route, find(Method::DELETE, path).route), (None, None), "{path}");
        }
        assert_eq!(find(Method::DELETE, "/models/a").allow, "GET, HEAD, POST, OPTIONS");
        assert_eq!(find(Method::DELETE, "/").allow, "GET, HEAD, POST, OPTIONS");
        assert_eq!(find(Method::GET, "/embed").allow, "POST, OPTIONS");
    }

    #[test]
    fn an_error_about_an_unknown_path_has_the_shape_that_its_client_reads() {
        for (path, contract) in [
            ("/v1/chat/completions", Contract::OpenAi),
            ("/openai/embeddings", Contract::OpenAi),
            ("/openai/deployments/x/embeddings?api-version=1", Contract::OpenAi),
            ("/prod/v1/files", Contract::OpenAi),
            ("/api/generate", Contract::Ollama),
            ("/rerank", Contract::Tei),
        ] {
            assert_eq!(Router::contract_of_unknown(&request(Method::POST, path, None)), contract, "{path}");
        }
    }

    #[test]
    fn what_is_served_elsewhere_is_told() {
        for (path, words) in [
            ("/rerank", "it does not rerank"),
            ("/v1/rerank", "it does not rerank"),
            ("/predict/", "it does not classify"),
            ("/embed_sparse", "not sparse ones"),
            ("/v1/chat/completions", "it does not generate text"),
            ("/api/chat", "it does not generate text"),
        ] {
            let message = not_found(&request(Method::POST, path, None), "a-model");
            assert!(message.contains("this function embeds texts with a-model"), "{message}");
            assert!(message.contains(words) && message.contains("/v1/embeddings"), "{message}");
        }
        assert!(!not_found(&request(Method::POST, "/what", None), "a-model").contains("a-model"));
    }
}
