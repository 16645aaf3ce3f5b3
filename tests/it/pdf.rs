//! PDFs that are long, cut off or hostile: what the set of test documents cannot show.

use std::io::Cursor as Bytes;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lambda_embed::documents::extract::pdf::PdfReader;
use lambda_embed::documents::extract::{ExtractOptions, Extracted, Section, Skip, Unreadable, extract};

use crate::support::harness::pdfium;

fn reader() -> PdfReader {
    PdfReader { program: PathBuf::from(env!("CARGO_BIN_EXE_bootstrap")), library: pdfium() }
}

fn read_with(document: &[u8], options: &ExtractOptions) -> (Vec<Section>, Result<Extracted, Unreadable>) {
    let hints = lambda_embed::documents::extract::Hints { key: "a.pdf", ..Default::default() };
    let mut sections = Vec::new();
    let outcome = extract(Bytes::new(document), &hints, options, None, &mut |section| {
        sections.push(section);
        std::ops::ControlFlow::Continue(())
    });
    (sections, outcome)
}

fn read(document: &[u8]) -> (Vec<Section>, Result<Extracted, Unreadable>) {
    read_with(document, &ExtractOptions { pdf_reader: Some(reader()), ..ExtractOptions::default() })
}

/// A PDF with a page for each stream of content.
fn pdf(contents: &[Vec<u8>]) -> Vec<u8> {
    let first = 4;
    let kids: String = (0..contents.len()).map(|page| format!("{} 0 R ", first + 2 * page)).collect();
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        format!("<< /Type /Pages /Kids [{kids}] /Count {} >>", contents.len()).into_bytes(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_vec(),
    ];
    for (page, content) in contents.iter().enumerate() {
        let content_number = first + 2 * page + 1;
        objects.push(
            format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {content_number} 0 R \
                 /Resources << /Font << /F1 3 0 R >> >> >>"
            )
            .into_bytes(),
        );
        objects.push(content.clone());
    }
    let mut out = b"%PDF-1.7\n".to_vec();
    let mut places = Vec::new();
    for (number, body) in objects.iter().enumerate() {
        places.push(out.len());
        out.extend(format!("{} 0 obj\n", number + 1).bytes());
        out.extend(body);
        out.extend(b"\nendobj\n");
    }
    let table = out.len();
    out.extend(format!("xref\n0 {}\n0000000000 65535 f \n", places.len() + 1).bytes());
    for place in &places {
        out.extend(format!("{place:010} 00000 n \n").bytes());
    }
    out.extend(format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", places.len() + 1).bytes());
    out
}

fn stream(content: &[u8], entries: &str) -> Vec<u8> {
    let mut stream = format!("<< /Length {} {entries} >>\nstream\n", content.len()).into_bytes();
    stream.extend(content);
    stream.extend(b"\nendstream");
    stream
}

fn compressed(content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    stream(&encoder.finish().unwrap(), "/Filter /FlateDecode")
}

fn says(text: &str) -> Vec<u8> {
    stream(format!("BT /F1 12 Tf 60 720 Td ({text}) Tj ET").as_bytes(), "")
}

fn numbered(pages: usize) -> Vec<u8> {
    pdf(&(1..=pages).map(|page| says(&format!("This is page {page}."))).collect::<Vec<_>>())
}

#[test]
fn the_time_of_a_document_grows_with_its_pages_and_not_with_their_square() {
    let time = |pages: usize| {
        let document = numbered(pages);
        let begun = Instant::now();
        let (sections, outcome) = read(&document);
        let took = begun.elapsed();
        assert_eq!((sections.len(), outcome.unwrap().skipped_records.count), (pages, 0));
        let last = sections.last().unwrap();
        assert_eq!(
            (last.text.as_str(), last.place.page),
            (format!("This is page {pages}.").as_str(), Some(pages as u32))
        );
        took
    };
    // The fastest of three, because other tests run beside this one. Ten times the pages take ten times as long, and
    // would take a hundred times as long if each page were looked for from the document's beginning.
    let fastest = |pages| (0..3).map(|_| time(pages)).min().unwrap();
    let (short, long) = (fastest(1_000), fastest(10_000));
    println!("1,000 pages {short:?}, 10,000 pages {long:?}");
    assert!(long < 30 * short, "1,000 pages {short:?}, 10,000 pages {long:?}");
}

#[test]
fn a_page_that_ends_its_reader_costs_that_page() {
    // 400 MB, compressed; and pages before and after it.
    let (sections, outcome) = read(&pdf(&[says("One."), compressed(&vec![b' '; 400 << 20]), says("Three.")]));
    let texts: Vec<_> = sections.iter().map(|section| (section.text.as_str(), section.place.page)).collect();
    assert_eq!(texts, [("One.", Some(1)), ("Three.", Some(3))]);
    let skipped = outcome.unwrap().skipped_records;
    assert_eq!((skipped.count, skipped.kinds), (1, vec!["page 2: unreadable".to_owned()]));
    assert!(skipped.reasons[0].contains("268435456 bytes"), "{:?}", skipped.reasons);
}

#[test]
fn a_document_whose_every_page_ends_the_reader_is_not_tried_for_ever() {
    let bomb = compressed(&vec![b' '; 400 << 20]);
    let begun = Instant::now();
    let (sections, outcome) = read(&pdf(&vec![bomb; 20]));
    assert!(
        sections.is_empty() && matches!(outcome, Err(Unreadable::Broken(ref why)) if why.contains("6 of its pages"))
    );
    assert!(begun.elapsed() < Duration::from_secs(200));
}

#[test]
fn a_document_that_is_cut_off_anywhere_ends_soon_and_says_so() {
    let whole = numbered(60);
    let begun = Instant::now();
    for end in (0..whole.len()).step_by(1024) {
        match read(&whole[..end]).1 {
            Err(Unreadable::Skipped { why: Skip::Empty, .. }) => assert_eq!(end, 0),
            Err(Unreadable::Broken(_) | Unreadable::Skipped { why: Skip::Unreadable, .. }) => {}
            Ok(read) => assert!(read.skipped_records.reasons.iter().any(|why| why.contains("the end")), "{end}"),
            Err(other) => panic!("{end}: {other:?}"),
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn bytes_that_were_changed_end_in_an_outcome() {
    let whole = numbered(3);
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..60 {
        let mut changed = whole.clone();
        for _ in 0..random.usize(1..30) {
            let at = random.usize(9..changed.len());
            changed[at] = random.u8(..);
        }
        // Whatever it is, it is told, and this process lives on.
        let _ = read(&changed).1;
    }
}

#[test]
fn a_page_tree_that_lies_or_turns_in_circles_ends() {
    let mut lying = numbered(2);
    let at = lying.windows(8).position(|window| window == b"/Count 2").unwrap();
    lying[at..at + 8].copy_from_slice(b"/Count 9");
    let (sections, outcome) = read(&lying);
    assert_eq!((sections.len(), outcome.unwrap().skipped_records.count), (2, 7));
    let mut circle = numbered(1);
    let at = circle.windows(5).position(|window| window == b"4 0 R").unwrap();
    circle[at..at + 5].copy_from_slice(b"2 0 R");
    assert!(read(&circle).1.is_err());
}

#[test]
fn without_the_library_a_pdf_fails_and_says_what_to_do() {
    let library = PathBuf::from("/nowhere/libpdfium.so");
    let options = ExtractOptions { pdf_reader: Some(PdfReader { library, ..reader() }), ..ExtractOptions::default() };
    let Err(Unreadable::NoReader(reason)) = read_with(&numbered(1), &options).1 else { panic!("was read") };
    assert!(reason.contains("/nowhere/libpdfium.so") && reason.contains("EMBED_PDFIUM_LIB"), "{reason}");
    // A file that is no library.
    let library = PathBuf::from(file!());
    let options = ExtractOptions { pdf_reader: Some(PdfReader { library, ..reader() }), ..options };
    let Err(Unreadable::NoReader(reason)) = read_with(&numbered(1), &options).1 else { panic!("was read") };
    assert!(reason.contains("cannot be loaded"), "{reason}");
    assert_eq!(reader().check(), Ok(()));
}
