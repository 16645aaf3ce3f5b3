//! A page's characters to its text: lines joined where a sentence runs on, words put together that a line end
//! hyphenated.
//!
//! ```text
//! glyphs, in PDFium's order -> lines -> blocks of equally spaced lines -> text
//! ```
//!
//! The order of the words is PDFium's. What is decided here is what stands between two words: nothing, a space, a tab,
//! a line end or an empty line.

/// One character, and the box that its font gives it on the upright page: as high as the line, in points from the page's
/// lower left corner.
#[derive(Debug, Clone, Copy)]
pub struct Glyph {
    /// Unicode, or one of PDFium's own signs.
    pub code: u32,
    pub left: f32,
    pub right: f32,
    pub bottom: f32,
    pub top: f32,
}

impl Glyph {
    fn height(&self) -> f32 {
        (self.top - self.bottom).max(1.0)
    }
}

/// What somebody typed into the page.
#[derive(Debug, Clone)]
pub struct Field {
    pub text: String,
    /// Left, bottom and top; `None` where the page is turned.
    pub place: Option<(f32, f32, f32)>,
}

/// PDFium's signs for a hyphen at a line's end, after which no line end follows.
const HYPHENS: [u32; 2] = [0x02, 0xfffe];

/// A gap between two words of a line, in heights, that divides columns.
const COLUMN_GAP: f32 = 2.0;

/// Distance of a block's first two lines, in heights, at most.
const LINE_DISTANCE: f32 = 2.0;

/// Distance of a block's other lines, in distances of the lines before, at most.
const SAME_DISTANCE: f32 = 1.3;

/// How much two lines' heights may differ within a block.
const SAME_HEIGHT: f32 = 1.3;

/// Width of a block, in heights, from which its lines are prose that was broken and not items that stand one a line.
const PROSE_WIDTH: f32 = 14.0;

#[derive(Debug, Default)]
struct Line {
    text: String,
    left: f32,
    right: f32,
    bottom: f32,
    top: f32,
    /// Of its highest character.
    height: f32,
    /// Where its first word ends; the line's end without a space.
    first_word_right: f32,
    /// Whether its last word goes on in the next line.
    hyphenated: bool,
}

/// The text of a page.
pub fn text(glyphs: &[Glyph], fields: Vec<Field>) -> String {
    let (mut inserted, rest) = place_fields(glyphs, fields);
    let lines = lines(glyphs, &mut inserted);
    let mut text = String::new();
    let (mut start, mut distance) = (0, None);
    for (index, line) in lines.iter().enumerate() {
        distance = lines.get(index + 1).and_then(|next| distance_within_block(line, next, distance));
        if distance.is_none() {
            block(&lines[start..=index], &mut text);
            start = index + 1;
        }
    }
    for field in rest {
        separate(&mut text, "\n");
        text.push_str(field.trim());
    }
    text
}

/// Which fields are read after which glyph, and those that have no place among them.
fn place_fields(glyphs: &[Glyph], fields: Vec<Field>) -> (Vec<(usize, String)>, Vec<String>) {
    let (mut placed, mut rest) = (Vec::new(), Vec::new());
    for Field { text, place } in fields {
        let after = place.and_then(|(left, bottom, top)| {
            let middle = (bottom + top) / 2.0;
            let inked = || glyphs.iter().enumerate().filter(|(_, glyph)| glyph.right > glyph.left);
            let beside = inked().filter(|(_, g)| g.bottom < top && g.top > bottom && g.right <= left + g.height());
            let above = inked().filter(|(_, g)| g.bottom >= middle && g.bottom - top < 3.0 * g.height());
            let by = |number: fn(&Glyph) -> f32| {
                move |a: &(usize, &Glyph), b: &(usize, &Glyph)| number(a.1).total_cmp(&number(b.1)).then(a.0.cmp(&b.0))
            };
            beside.max_by(by(|glyph| glyph.right)).or_else(|| above.max_by(by(|glyph| -glyph.bottom)))
        });
        match after {
            Some((index, _)) => placed.push((index, text)),
            None => rest.push(text),
        }
    }
    // The last comes first, as `lines` takes them from the end; fields after one glyph stay in their order.
    placed.reverse();
    placed.sort_by_key(|(index, _)| std::cmp::Reverse(*index));
    (placed, rest)
}

fn lines(glyphs: &[Glyph], fields: &mut Vec<(usize, String)>) -> Vec<Line> {
    let (mut lines, mut line) = (Vec::new(), Line::default());
    let (mut space, mut high_surrogate) = (false, None::<u32>);
    let mut last: Option<Glyph> = None;
    for (index, glyph) in glyphs.iter().enumerate() {
        let code = match (high_surrogate.take(), glyph.code) {
            (Some(high), low @ 0xdc00..=0xdfff) => 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00),
            (_, code) => code,
        };
        match code {
            0xd800..=0xdbff => high_surrogate = Some(code),
            0x0a => {
                end_line(&mut lines, &mut line, false);
                (space, last) = (false, None);
            }
            hyphen if HYPHENS.contains(&hyphen) => {
                end_line(&mut lines, &mut line, true);
                (space, last) = (false, None);
            }
            // A soft hyphen within a line is not shown.
            0xad => {}
            0x09 | 0x20 | 0xa0 | 0x2000..=0x200a | 0x202f | 0x3000 => space = true,
            _ => {
                let letter = char::from_u32(code).filter(|letter| !letter.is_control() && *letter != '\u{feff}');
                if let Some(letter) = letter {
                    if space && !line.text.is_empty() {
                        let is_column = last.is_some_and(|last| glyph.left - last.right > COLUMN_GAP * glyph.height());
                        line.text.push(if is_column { '\t' } else { ' ' });
                    }
                    line.add(letter, glyph, space);
                    (space, last) = (false, Some(*glyph));
                }
            }
        }
        while let Some((_, field)) = fields.pop_if(|(after, _)| *after == index) {
            line.text.push(' ');
            line.text.push_str(field.trim());
            space = true;
        }
    }
    end_line(&mut lines, &mut line, false);
    lines
}

impl Line {
    fn add(&mut self, letter: char, glyph: &Glyph, after_space: bool) {
        let first = self.text.is_empty();
        match ligature(letter) {
            Some(letters) => self.text.push_str(letters),
            None => self.text.push(letter),
        }
        let height = glyph.height();
        if first {
            *self = Self {
                text: std::mem::take(&mut self.text),
                left: glyph.left,
                right: glyph.right,
                bottom: glyph.bottom,
                top: glyph.top,
                height,
                first_word_right: 0.0,
                hyphenated: false,
            };
            return;
        }
        if after_space && self.first_word_right == 0.0 {
            self.first_word_right = self.right;
        }
        self.left = self.left.min(glyph.left);
        self.right = self.right.max(glyph.right);
        self.bottom = self.bottom.min(glyph.bottom);
        self.top = self.top.max(glyph.top);
        self.height = self.height.max(height);
    }

    fn first_word_width(&self) -> f32 {
        let right = if self.first_word_right == 0.0 { self.right } else { self.first_word_right };
        right - self.left
    }
}

fn end_line(lines: &mut Vec<Line>, line: &mut Line, hyphenated: bool) {
    let line = std::mem::take(line);
    if !line.text.trim().is_empty() {
        lines.push(Line { hyphenated, ..line });
    }
}

/// The letters of a ligature (Unicode's block FB00 to FB06).
fn ligature(letter: char) -> Option<&'static str> {
    Some(match letter {
        '\u{fb00}' => "ff",
        '\u{fb01}' => "fi",
        '\u{fb02}' => "fl",
        '\u{fb03}' => "ffi",
        '\u{fb04}' => "ffl",
        '\u{fb05}' | '\u{fb06}' => "st",
        // PDFium takes ligatures apart, and FB05's first letter is a long s.
        'ſ' => "s",
        _ => return None,
    })
}

/// The distance from `line` to `next` if they belong to one block, whose last distance was `before`.
fn distance_within_block(line: &Line, next: &Line, before: Option<f32>) -> Option<f32> {
    let distance = line.bottom - next.bottom;
    if line.hyphenated {
        return Some(before.unwrap_or(distance));
    }
    let (small, large) = (line.height.min(next.height), line.height.max(next.height));
    let most = before.map_or(LINE_DISTANCE * large, |before| SAME_DISTANCE * before);
    let is_below = distance > 0.0 && distance <= most && next.left < line.right;
    (is_below && large <= small * SAME_HEIGHT).then_some(distance)
}

/// Appends lines that belong together.
fn block(lines: &[Line], text: &mut String) {
    let Some(first) = lines.first() else { return };
    separate(text, "\n\n");
    let right = lines.iter().map(|line| line.right).fold(first.right, f32::max);
    let left = lines.iter().map(|line| line.left).fold(first.left, f32::min);
    text.push_str(&first.text);
    for pair in lines.windows(2) {
        let [line, next] = pair else { continue };
        if line.hyphenated {
            // "co-" and "Operate" keep the hyphen, "light-" and "house" do not.
            if !next.text.starts_with(char::is_lowercase) || !line.text.ends_with(char::is_alphabetic) {
                text.push('-');
            }
        } else {
            let is_prose =
                right - left >= PROSE_WIDTH * line.height && !line.text.contains('\t') && !next.text.contains('\t');
            let is_full = line.right + next.first_word_width() + 0.2 * line.height > right;
            let is_indented = next.left > line.left + line.height;
            separate(text, if is_prose && is_full && !is_indented { " " } else { "\n" });
        }
        text.push_str(&next.text);
    }
}

fn separate(text: &mut String, separator: &str) {
    if !text.is_empty() {
        text.push_str(separator);
    }
}
