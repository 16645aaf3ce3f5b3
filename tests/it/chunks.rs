//! Properties of every text's windows, on texts from proptest, with the fixture's tokenizer and a real one.

use std::path::Path;

use lambda_embed::documents::chunk::{Chunk, ChunkOptions, Chunker};
use lambda_embed::documents::extract::{Format, Section};
use lambda_embed::embedding::Tokenizer;
use lambda_embed::model::Manifest;
use lambda_embed::record::Place;
use proptest::prelude::*;
use serde_json::Map;

use crate::support::harness::{self, fixture};

struct Model {
    tokenizer: Tokenizer,
    manifest: Manifest,
}

fn model(folder: &Path, change: impl FnOnce(&mut Manifest)) -> Model {
    let read = |file: &str| std::fs::read(folder.join(file)).unwrap();
    let mut manifest = Manifest::parse(&read("manifest.json")).unwrap();
    change(&mut manifest);
    Model { tokenizer: Tokenizer::from_json(&read("tokenizer.json")).unwrap(), manifest }
}

fn section(format: Format, text: &str, start: usize) -> Section {
    Section { format, text: text.to_owned(), start, place: Place::default(), fields: Map::new(), resume: None }
}

/// Words, marks and separators of many kinds; lengths around several windows.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => "[a-z]{1,12}",
        2 => "[A-Z][a-z]{1,8}\\. ",
        2 => Just(" ".to_owned()),
        1 => Just("\n\n".to_owned()),
        1 => Just("\n# Heading\n\n".to_owned()),
        1 => Just("\n- item\n".to_owned()),
        1 => Just("```\ncode\n```\n".to_owned()),
        1 => Just("\r\n".to_owned()),
        1 => "[äöüßéÀÇ]{1,5}",
        1 => "[\u{4e00}-\u{4e20}。]{1,20}",
        1 => "[\u{1f469}\u{200d}\u{1f680}\u{1f1e9}\u{0301}]{1,6}",
        1 => "[a-z]{90,300}",
        1 => "[\u{0}-\u{1f}\u{7f}]{1,3}",
    ];
    prop::collection::vec((piece, prop::bool::weighted(0.6)), 0..400)
        .prop_map(|pieces| pieces.into_iter().map(|(piece, space)| if space { piece + " " } else { piece }).collect())
}

/// Checks every promise of `Chunk` and `chunks`.
fn check(model: &Model, text: &str, start: usize, format: Format, options: ChunkOptions) -> Result<(), TestCaseError> {
    let chunker = Chunker::new(&model.tokenizer, &model.manifest, options).unwrap();
    let section = section(format, text, start);
    let chunks = chunker.chunks(&section).unwrap();
    let characters: Vec<char> = text.chars().collect();
    let mut covered = vec![false; characters.len()];
    for chunk in &chunks {
        let Chunk { start: first, end, tokens, text: window } = chunk;
        let slice: String = characters[first - start..end - start].iter().collect();
        prop_assert_eq!(&slice, window);
        let prefixed = [model.manifest.passage_prefix.as_str(), window].concat();
        let counted = model.tokenizer.encode(&prefixed).unwrap().len() + model.tokenizer.special_token_count();
        prop_assert_eq!(counted, *tokens);
        prop_assert!(*tokens <= options.tokens, "{} tokens of {}", tokens, options.tokens);
        covered[first - start..end - start].fill(true);
    }
    prop_assert!(chunks.windows(2).all(|pair| pair[0].start <= pair[1].start && pair[0] != pair[1]), "out of order");
    if options.overlap == 0 {
        prop_assert!(chunks.windows(2).all(|pair| pair[0].end <= pair[1].start), "overlap that nobody asked for");
    }
    let left: String = characters.iter().zip(covered).filter(|(_, covered)| !covered).map(|(c, _)| *c).collect();
    prop_assert_eq!(model.tokenizer.encode(&left).unwrap().len(), 0, "left out: {:?}", left);
    prop_assert_eq!(chunker.chunks(&section).unwrap(), chunks, "the second time");
    Ok(())
}

fn cases() -> ProptestConfig {
    ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn windows_are_slices_in_order_that_cover_the_text_and_fit_the_model() {
    let model = model(&fixture(), |manifest| manifest.max_tokens = 32);
    let sizes = (16usize..=32).prop_flat_map(|tokens| (Just(tokens), 0..tokens / 2));
    proptest!(cases(), |(text in texts(), start in 0usize..1000, markdown in any::<bool>(), (tokens, overlap) in sizes)| {
        let format = if markdown { Format::Markdown } else { Format::Text };
        check(&model, &text, start, format, ChunkOptions { tokens, overlap })?;
    });
}

#[test]
fn windows_fit_a_real_vocabulary_and_a_prefix_too() {
    needs!(model);
    let model = model(&harness::model(), |manifest| manifest.passage_prefix = "passage: ".to_owned());
    proptest!(cases(), |(text in texts(), overlap in 0usize..8)| {
        check(&model, &text, 0, Format::Text, ChunkOptions { tokens: 48, overlap })?;
    });
}

#[test]
fn windows_end_where_a_reader_would_pause() {
    let model = model(&fixture(), |_| ());
    let chunker = Chunker::new(&model.tokenizer, &model.manifest, ChunkOptions { tokens: 20, overlap: 0 }).unwrap();
    let text = "One two three. Four five six seven.\n\nEight nine ten. Eleven twelve.\n\nThirteen.";
    for chunk in chunker.chunks(&section(Format::Text, text, 0)).unwrap() {
        assert!(chunk.text.ends_with('.'), "{:?}", chunk.text);
    }
}

#[test]
fn a_window_is_three_quarters_of_the_model_and_an_eighth_of_it_overlap() {
    let model = model(&fixture(), |manifest| manifest.max_tokens = 512);
    assert_eq!(ChunkOptions::for_model(&model.manifest), ChunkOptions { tokens: 384, overlap: 48 });
}

#[test]
fn a_window_is_full_wherever_in_the_text_it_stands() {
    let model = model(&fixture(), |_| ());
    let options = ChunkOptions { tokens: 24, overlap: 0 };
    let chunker = Chunker::new(&model.tokenizer, &model.manifest, options).unwrap();
    // One token each, of one byte and of eight.
    let text = "a ".repeat(220) + &"sentence ".repeat(220);
    let chunks = chunker.chunks(&section(Format::Text, &text, 0)).unwrap();
    assert_eq!(chunks.iter().map(|chunk| chunk.tokens).collect::<Vec<_>>(), [options.tokens; 20]);
}

#[test]
fn a_window_of_markdown_begins_with_its_heading() {
    let model = model(&fixture(), |_| ());
    let chunker = Chunker::new(&model.tokenizer, &model.manifest, ChunkOptions { tokens: 24, overlap: 0 }).unwrap();
    // Two sections and a third one's heading would fit.
    let text = ["# city\n\n", &"water ".repeat(8), "\n\n"].concat().repeat(6);
    let begins_with_heading = |format| {
        let chunks = chunker.chunks(&section(format, &text, 0)).unwrap();
        chunks.iter().all(|chunk| chunk.text.starts_with("# city"))
    };
    assert!(begins_with_heading(Format::Markdown) && !begins_with_heading(Format::Text));
}

#[test]
fn a_window_overlaps_the_one_before_it() {
    let model = model(&fixture(), |_| ());
    let text = "the light of the sea and the wind. ".repeat(40);
    let cut = |overlap| {
        let options = ChunkOptions { tokens: 24, overlap };
        Chunker::new(&model.tokenizer, &model.manifest, options)
            .unwrap()
            .chunks(&section(Format::Text, &text, 0))
            .unwrap()
    };
    assert!(cut(0).windows(2).all(|pair| pair[0].end <= pair[1].start));
    assert!(cut(10).windows(2).all(|pair| pair[0].end > pair[1].start), "overlap");
}

#[test]
fn sizes_that_the_model_cannot_take_are_refused_by_name() {
    let model = model(&fixture(), |_| ());
    let refused = |tokens, overlap| {
        Chunker::new(&model.tokenizer, &model.manifest, ChunkOptions { tokens, overlap }).err().unwrap().to_string()
    };
    assert!(refused(model.manifest.max_tokens + 1, 0).contains("EMBED_CHUNK_TOKENS"));
    assert!(refused(5, 0).contains("EMBED_CHUNK_TOKENS"));
    assert!(refused(24, 24).contains("EMBED_CHUNK_OVERLAP"));
    let fits = ChunkOptions::for_model(&model.manifest);
    assert!(Chunker::new(&model.tokenizer, &model.manifest, fits).is_ok());
}

/// "Words" of more than 100 letters are one unknown token each, however long.
#[test]
fn a_page_of_base64_is_not_one_window() {
    let model = model(&fixture(), |_| ());
    let options = ChunkOptions::for_model(&model.manifest);
    let chunker = Chunker::new(&model.tokenizer, &model.manifest, options).unwrap();
    let chunks = chunker.chunks(&section(Format::Text, &"QUJD".repeat(16 * 1024), 0)).unwrap();
    assert!(chunks.iter().all(|chunk| chunk.text.len() <= options.tokens * 32), "{} windows", chunks.len());
}

#[test]
fn a_window_that_is_too_large_becomes_smaller_by_that_much() {
    let model = model(&fixture(), |_| ());
    let chunker = Chunker::new(&model.tokenizer, &model.manifest, ChunkOptions { tokens: 24, overlap: 0 }).unwrap();
    // A word of 100 letters or more is one token, the 25 letters that are left are 25: three more than fit.
    let chunks = chunker.chunks(&section(Format::Text, &"b".repeat(735 + 25), 0)).unwrap();
    assert_eq!(chunks.iter().map(|chunk| chunk.text.len()).collect::<Vec<_>>(), [735, 19, 6]);
}

/// The segmenter has no dictionaries for these scripts (data/icu): sentences end at their marks, and within a sentence
/// a window ends at a comma or a space.
#[test]
fn scripts_without_spaces_are_cut_at_their_marks() {
    let model = model(&fixture(), |_| ());
    let chunker = Chunker::new(&model.tokenizer, &model.manifest, ChunkOptions { tokens: 20, overlap: 0 }).unwrap();
    for (phrase, end) in [("私は学生です。", '。'), ("東京に住んでいます、", '、'), ("สวัสดีชาวโลก ", 'ก')]
    {
        let chunks = chunker.chunks(&section(Format::Text, &phrase.repeat(40), 0)).unwrap();
        assert!(chunks.len() > 1, "{phrase}");
        for chunk in chunks {
            assert!(chunk.text.trim_end().ends_with(end), "{:?}", chunk.text);
        }
    }
}
