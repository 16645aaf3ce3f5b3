//! The variables of Qdrant and S3 Vectors.

use super::documents::{ON_OFF, StoreName};
use super::{Given, list};
use crate::config::ApiKey;
use crate::error::{Error, Result};

/// A collection of a Qdrant.
#[derive(Debug, Clone)]
pub struct Qdrant {
    /// `http://` or `https://`, without a slash at its end.
    pub url: String,
    pub collection: String,
    pub api_key: Option<ApiKey>,
    /// `None`: points have one dense vector without a name.
    pub hybrid: Option<HybridVectors>,
}

/// The names of a hybrid collection's vectors.
#[derive(Debug, Clone)]
pub struct HybridVectors {
    /// Empty: the collection's vector without a name.
    pub dense: String,
    /// BM25's.
    pub sparse: String,
}

/// An index of S3 Vectors.
#[derive(Debug, Clone)]
pub struct S3Vectors {
    pub bucket: String,
    pub index: String,
}

const QDRANT: [&str; 6] = [
    "EMBED_QDRANT_URL",
    "EMBED_QDRANT_COLLECTION",
    "EMBED_QDRANT_API_KEY",
    "EMBED_QDRANT_HYBRID",
    DENSE_VECTOR,
    SPARSE_VECTOR,
];
const DENSE_VECTOR: &str = "EMBED_QDRANT_DENSE_VECTOR";
const SPARSE_VECTOR: &str = "EMBED_QDRANT_SPARSE_VECTOR";

/// The word for a collection's vector without a name.
const UNNAMED: &str = "unnamed";
const S3VECTORS: [&str; 2] = ["EMBED_S3VECTORS_BUCKET", "EMBED_S3VECTORS_INDEX"];

impl Given {
    pub(super) fn qdrant(&self, stores: &[StoreName]) -> Result<Option<Qdrant>> {
        if !self.wanted(stores, StoreName::Qdrant, &QDRANT)? {
            return Ok(None);
        }
        let url = self.needed("EMBED_QDRANT_URL", "qdrant", "https://host:6333, Qdrant's REST address")?;
        let plain = url.parse::<http::Uri>().is_ok_and(|uri| {
            let named = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
            matches!(uri.scheme_str(), Some("http" | "https")) && named && uri.query().is_none()
        });
        if !plain {
            let expected = "http://host:6333 or https://host:6333, Qdrant's REST address; its key goes into \
                            EMBED_QDRANT_API_KEY"
                .to_owned();
            return Err(self.misunderstood("EMBED_QDRANT_URL", expected));
        }
        let collection = self.text("EMBED_QDRANT_COLLECTION").unwrap_or("documents");
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if collection.len() > 255 || !collection.chars().all(allowed) || collection.starts_with('.') {
            let expected = "1 to 255 letters, digits, _, - and ., no . first".to_owned();
            return Err(self.misunderstood("EMBED_QDRANT_COLLECTION", expected));
        }
        Ok(Some(Qdrant {
            url: url.trim_end_matches('/').to_owned(),
            collection: collection.to_owned(),
            api_key: self.api_key("EMBED_QDRANT_API_KEY")?,
            hybrid: self.hybrid()?,
        }))
    }

    fn hybrid(&self) -> Result<Option<HybridVectors>> {
        if !self.choice("EMBED_QDRANT_HYBRID", ON_OFF)?.unwrap_or(false) {
            return match [DENSE_VECTOR, SPARSE_VECTOR].into_iter().find(|name| self.text(name).is_some()) {
                None => Ok(None),
                Some(name) => Err(self.misunderstood(name, "EMBED_QDRANT_HYBRID=on beside it".to_owned())),
            };
        }
        let dense = self.text(DENSE_VECTOR).unwrap_or("dense");
        let dense = if dense == UNNAMED { "" } else { dense };
        let sparse = self.text(SPARSE_VECTOR).unwrap_or("bm25");
        if dense == sparse {
            return Err(self.misunderstood(SPARSE_VECTOR, format!("another name than {DENSE_VECTOR}, {dense}")));
        }
        Ok(Some(HybridVectors { dense: dense.to_owned(), sparse: sparse.to_owned() }))
    }

    pub(super) fn s3vectors(&self, stores: &[StoreName]) -> Result<Option<S3Vectors>> {
        if !self.wanted(stores, StoreName::S3Vectors, &S3VECTORS)? {
            return Ok(None);
        }
        let name = |variable| {
            let name = self.needed(variable, "s3vectors", "its name, 3 to 63 lower-case letters, digits and -")?;
            let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
            match (3..=63).contains(&name.len()) && name.chars().all(allowed) {
                true => Ok(name.to_owned()),
                false => Err(self.misunderstood(variable, "3 to 63 lower-case letters, digits, - and .".to_owned())),
            }
        };
        Ok(Some(S3Vectors { bucket: name("EMBED_S3VECTORS_BUCKET")?, index: name("EMBED_S3VECTORS_INDEX")? }))
    }

    /// Whether `EMBED_SINK` lists `store`. To set its variables without listing it is a mistake: the vectors would go
    /// elsewhere.
    fn wanted(&self, stores: &[StoreName], store: StoreName, variables: &[&str]) -> Result<bool> {
        let wanted = stores.contains(&store);
        match variables.iter().find(|name| self.text(name).is_some()) {
            Some(name) if !wanted => {
                let (word, is) = (store.word(), list(stores.iter().map(|store| store.word())));
                let expected = format!("expected {word} in EMBED_SINK beside it, which is {is}");
                // The value may be a key.
                Err(Error::Config { variable: (*name).to_owned(), value: "***".to_owned(), expected })
            }
            _ => Ok(wanted),
        }
    }

    fn needed(&self, name: &'static str, store: &str, expected: &str) -> Result<&str> {
        self.text(name).ok_or_else(|| self.misunderstood(name, format!("{expected}, because EMBED_SINK lists {store}")))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Documents};

    fn documents(variables: &[(&str, &str)]) -> Result<Documents> {
        let output = ("EMBED_OUTPUT", "s3://vectors");
        let all = [&[output], variables].concat();
        let owned = all.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Ok(Config::resolve(owned, Path::new("/var/task"))?.documents.unwrap())
    }

    fn refused(variables: &[(&str, &str)]) -> String {
        documents(variables).expect_err("must be refused").to_string()
    }

    #[test]
    fn qdrant_needs_its_address() {
        let store = ("EMBED_SINK", "qdrant");
        assert!(refused(&[store]).contains("EMBED_QDRANT_URL"));
        for url in ["qdrant:6333", "grpc://qdrant:6334", "https://", "http://a b", "https://me:hush@qdrant"] {
            let message = refused(&[store, ("EMBED_QDRANT_URL", url)]);
            assert!(message.contains("REST address") && !message.contains("hush"), "{message}");
        }
        let documents = documents(&[store, ("EMBED_QDRANT_URL", "https://q.example:6333/")]).unwrap();
        let qdrant = documents.qdrant.unwrap();
        assert_eq!((qdrant.url.as_str(), qdrant.collection.as_str()), ("https://q.example:6333", "documents"));
        assert!(qdrant.api_key.is_none() && documents.s3vectors.is_none());
    }

    #[test]
    fn a_collection_is_a_name() {
        let given = [("EMBED_SINK", "s3,qdrant"), ("EMBED_QDRANT_URL", "http://localhost:6333")];
        for name in ["a/b", "a b", "../x", "."] {
            let message = refused(&[&given[..], &[("EMBED_QDRANT_COLLECTION", name)]].concat());
            assert!(message.contains("EMBED_QDRANT_COLLECTION"), "{message}");
        }
    }

    #[test]
    fn a_key_is_given_or_referred_to_and_never_shown() {
        let given = [("EMBED_SINK", "qdrant"), ("EMBED_QDRANT_URL", "http://localhost:6333")];
        let key = |value| documents(&[&given[..], &[("EMBED_QDRANT_API_KEY", value)]].concat());
        assert!(matches!(key("hush").unwrap().qdrant.unwrap().api_key, Some(ApiKey::Plain(_))));
        assert!(matches!(key("ssm:/qdrant").unwrap().qdrant.unwrap().api_key, Some(ApiKey::Reference(_))));
        let message = key("arn:hush").expect_err("half a reference").to_string();
        assert!(message.contains("EMBED_QDRANT_API_KEY") && !message.contains("hush"), "{message}");
        let message = refused(&[("EMBED_QDRANT_API_KEY", "hush")]);
        assert!(message.contains("qdrant in EMBED_SINK") && !message.contains("hush"), "{message}");
    }

    #[test]
    fn the_vectors_of_a_hybrid_collection_have_names() {
        let given = [("EMBED_SINK", "qdrant"), ("EMBED_QDRANT_URL", "http://localhost:6333")];
        let hybrid = |more: &[(&str, &str)]| documents(&[&given[..], more].concat()).map(|d| d.qdrant.unwrap().hybrid);
        let on = ("EMBED_QDRANT_HYBRID", "on");
        assert!(hybrid(&[]).unwrap().is_none() && hybrid(&[("EMBED_QDRANT_HYBRID", "off")]).unwrap().is_none());
        let HybridVectors { dense, sparse } = hybrid(&[on]).unwrap().unwrap();
        assert_eq!((dense.as_str(), sparse.as_str()), ("dense", "bm25"));
        let langchain =
            [on, ("EMBED_QDRANT_DENSE_VECTOR", "unnamed"), ("EMBED_QDRANT_SPARSE_VECTOR", "langchain-sparse")];
        let HybridVectors { dense, sparse } = hybrid(&langchain).unwrap().unwrap();
        assert_eq!((dense.as_str(), sparse.as_str()), ("", "langchain-sparse"));
        for wrong in [
            vec![("EMBED_QDRANT_HYBRID", "yes")],
            vec![("EMBED_QDRANT_SPARSE_VECTOR", "bm25")],
            vec![on, ("EMBED_QDRANT_DENSE_VECTOR", "bm25")],
        ] {
            assert!(hybrid(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn s3_vectors_need_both_names() {
        let (store, bucket) = (("EMBED_SINK", "s3vectors"), ("EMBED_S3VECTORS_BUCKET", "vectors"));
        assert!(refused(&[store]).contains("EMBED_S3VECTORS_BUCKET"));
        assert!(refused(&[store, bucket]).contains("EMBED_S3VECTORS_INDEX"));
        assert!(refused(&[store, bucket, ("EMBED_S3VECTORS_INDEX", "No")]).contains("3 to 63"));
        let documents = documents(&[store, bucket, ("EMBED_S3VECTORS_INDEX", "docs")]).unwrap();
        assert_eq!(documents.s3vectors.unwrap().index, "docs");
    }

    #[test]
    fn an_output_is_needed_whatever_the_sink() {
        let variables = [("EMBED_SINK", "qdrant"), ("EMBED_QDRANT_URL", "http://localhost:6333")];
        let owned = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let message = Config::resolve(owned, Path::new("/var/task")).expect_err("no output").to_string();
        assert!(message.contains("EMBED_OUTPUT"), "{message}");
    }
}
