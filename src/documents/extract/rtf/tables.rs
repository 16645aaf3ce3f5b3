//! Code pages, symbols and destinations of the Rich Text Format (specification 1.9.1).

use encoding_rs::{Encoding, WINDOWS_1252};

/// The encoding of a Windows code page.
pub fn code_page(number: i32) -> Option<&'static Encoding> {
    let label = match number {
        932 => "shift_jis".to_owned(),
        936 | 54_936 => "gbk".to_owned(),
        949 | 1361 => "euc-kr".to_owned(),
        950 => "big5".to_owned(),
        866 => "ibm866".to_owned(),
        874 => "windows-874".to_owned(),
        10_000 => "macintosh".to_owned(),
        10_007 => "x-mac-cyrillic".to_owned(),
        20_866 => "koi8-r".to_owned(),
        65_001 => "utf-8".to_owned(),
        1250..=1258 => format!("windows-{number}"),
        // DOS's; no library of encodings that browsers use has them, and their letters are written as escapes.
        437 | 850 | 852 => return Some(WINDOWS_1252),
        _ => return None,
    };
    Encoding::for_label(label.as_bytes())
}

/// The encoding of a font's character set; `None` for the document's own.
pub fn charset(number: i32) -> Option<&'static Encoding> {
    code_page(match number {
        77 => 10_000,
        128 => 932,
        129 | 130 => 949,
        134 => 936,
        136 => 950,
        161 => 1253,
        162 => 1254,
        163 => 1258,
        177 => 1255,
        178 => 1256,
        186 => 1257,
        204 => 1251,
        222 => 874,
        238 => 1250,
        _ => return None,
    })
}

/// The text of a control word that stands for some.
pub fn symbol(word: &str) -> Option<&'static str> {
    Some(match word {
        "tab" => "\t",
        "line" | "lbr" | "softline" => "\n",
        "emdash" => "—",
        "endash" => "–",
        "emspace" | "enspace" | "qmspace" => " ",
        "bullet" => "•",
        "lquote" => "‘",
        "rquote" => "’",
        "ldblquote" => "“",
        "rdblquote" => "”",
        _ => return None,
    })
}

/// Whether the word begins a destination that no reader of the document sees. Those after `\*` are left out anyway.
pub fn is_skipped(word: &str) -> bool {
    matches!(
        word,
        "colortbl"
            | "filetbl"
            | "pict"
            | "nonshppict"
            | "shprslt"
            | "upr"
            | "xe"
            | "tc"
            | "rxe"
            | "atnid"
            | "atnauthor"
            | "annotation"
            | "fldinst"
            | "fldtype"
            | "objdata"
            | "objclass"
            | "bkmkstart"
            | "bkmkend"
            | "pnseclvl"
            | "listtable"
            | "listoverridetable"
            | "revtbl"
            | "rsidtbl"
            | "generator"
            | "themedata"
            | "colorschememapping"
            | "datastore"
            | "latentstyles"
            | "template"
            | "operator"
            | "ftnsep"
            | "ftnsepc"
            | "ftncn"
            | "aftnsep"
            | "aftnsepc"
            | "aftncn"
            | "sp"
            | "private"
    )
}
