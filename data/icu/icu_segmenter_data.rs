// The segmenter's rules, without the word lists and models of scripts that write no spaces between words (Chinese,
// Japanese, Thai, Lao, Khmer, Burmese), which are 3.0 MB and would be a fifth of what the binary takes in a package.
// The splitter asks for words only within a sentence that is longer than a window; in these scripts it then takes
// the runs between punctuation and spaces for words, and cuts a run that is longer than a window between characters.
//
// The names are what icu_segmenter asks of this crate; a release that asks for others does not compile.

include!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/segmenter_break_grapheme_cluster_v1.rs.data"));
include!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/segmenter_break_line_v1.rs.data"));
include!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/segmenter_break_sentence_override_v1.rs.data"));
include!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/segmenter_break_sentence_v1.rs.data"));
include!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/segmenter_break_word_override_v1.rs.data"));
include!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/segmenter_break_word_v1.rs.data"));

#[doc(hidden)]
#[macro_export]
macro_rules! __make_provider {
    ($provider:ty) => {
        impl $provider {
            // The rules' macros name it, so that none of them is used without this one.
            #[allow(dead_code)]
            pub(crate) const MUST_USE_MAKE_PROVIDER_MACRO: () = ();
        }
        icu_provider::marker::impl_data_provider_never_marker!($provider);
    };
}
pub use __make_provider as make_provider;

#[doc(hidden)]
#[macro_export]
macro_rules! __impl_segmenter_dictionary_auto_v2 {
    ($provider:ty) => {
        $crate::__has_none!($provider, SegmenterDictionaryAutoV2);
    };
}
pub use __impl_segmenter_dictionary_auto_v2 as impl_segmenter_dictionary_auto_v2;

#[doc(hidden)]
#[macro_export]
macro_rules! __impl_segmenter_dictionary_extended_v2 {
    ($provider:ty) => {
        $crate::__has_none!($provider, SegmenterDictionaryExtendedV2);
    };
}
pub use __impl_segmenter_dictionary_extended_v2 as impl_segmenter_dictionary_extended_v2;

#[doc(hidden)]
#[macro_export]
macro_rules! __impl_segmenter_lstm_auto_v1 {
    ($provider:ty) => {
        $crate::__has_none!($provider, SegmenterLstmAutoV1);
    };
}
pub use __impl_segmenter_lstm_auto_v1 as impl_segmenter_lstm_auto_v1;

/// A provider that has none of its kind, which a segmenter takes for "no dictionary for this script".
#[doc(hidden)]
#[macro_export]
macro_rules! __has_none {
    ($provider:ty, $marker:ident) => {
        impl icu_provider::DataProvider<icu::segmenter::provider::$marker> for $provider {
            fn load(
                &self,
                request: icu_provider::DataRequest,
            ) -> Result<icu_provider::DataResponse<icu::segmenter::provider::$marker>, icu_provider::DataError> {
                let marker = <icu::segmenter::provider::$marker as icu_provider::DataMarker>::INFO;
                Err(icu_provider::DataErrorKind::IdentifierNotFound.with_req(marker, request))
            }
        }
    };
}
